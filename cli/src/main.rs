//! `eventlog`: the gateway and the command line.

mod api_key;
mod api_token;
mod command;
mod connection;
mod deliver;
mod gateway;
mod hex;
mod json_depth;
mod output;
mod reports;
mod seals;
mod tenant;

use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use crate::output::Failure;

/// Work with the log of the PostgreSQL extension eventlog.
///
/// Connects like psql: to -h, -p, -U and -d or --dsn, else to PGHOST, PGPORT, PGUSER, PGPASSWORD and
/// PGDATABASE. Exit codes: 0 done, 1 refused or failed, 2 used wrongly.
#[derive(Parser)]
#[command(name = "eventlog", version, propagate_version = true, disable_help_flag = true)]
struct Arguments {
    // As in psql, -h is the host.
    /// Print help (-? prints a summary)
    #[arg(short = '?', long, action = ArgAction::Help, global = true)]
    help: Option<bool>,
    #[command(flatten)]
    server: connection::Server,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set a database up: extension, roles, log, first keys
    Init(command::init::Arguments),
    /// Log one event
    Log(command::log::Arguments),
    /// Show rate, queue, last refusal and what is due, on one screen
    Status(command::status::Arguments),
    /// Serve the HTTP API and the dashboard
    Serve(gateway::Arguments),
    /// Send events to webhooks
    Deliver(deliver::Arguments),
    /// Run a report: counts, actors, subjects, funnels, errors
    Report(command::report::Arguments),
    /// Show the newest events, and follow new ones
    Tail(command::tail::Arguments),
    /// Write events to a file: CSV, NDJSON or JSON
    Export(command::export::Arguments),
    /// Read events from a file into the log
    Import(command::import::Arguments),
    /// Write the digests of sealed days to a file, a webhook, a time-stamping authority
    Anchor(seals::anchor::Arguments),
    /// Check events against their seals: a log, an export, or the proof of one event
    Verify(seals::verify::Arguments),
    /// Check the log, and print the command that fixes each problem
    Doctor(command::doctor::Arguments),
    /// Show how alerts stand, and evaluate them
    Alerts(command::alerts::Arguments),
    /// Check an event plan and sample payloads, for CI
    Lint(command::lint::Arguments),
    /// Generate types for the event types: Rust, TypeScript, Python
    Codegen(command::codegen::Arguments),
    /// Create, list and revoke the gateway's API keys
    Key(command::key::Arguments),
    /// Print a completion script for a shell
    Completions(command::completions::Arguments),
    /// Write manual pages to a folder
    Man(command::man::Arguments),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::report_usage(&error),
    };
    let server = &arguments.server;
    let done = match arguments.command {
        Command::Init(arguments) => in_runtime(command::init::run(server, arguments)),
        Command::Log(arguments) => in_runtime(command::log::run(server, arguments)),
        Command::Status(arguments) => in_runtime(command::status::run(server, arguments)),
        Command::Serve(arguments) => in_runtime(gateway::run(server, arguments)),
        Command::Deliver(arguments) => in_runtime(deliver::run(server, arguments)),
        Command::Report(arguments) => in_runtime(command::report::run(server, arguments)),
        Command::Tail(arguments) => in_runtime(command::tail::run(server, arguments)),
        Command::Export(arguments) => in_runtime(command::export::run(server, arguments)),
        Command::Import(arguments) => in_runtime(command::import::run(server, arguments)),
        Command::Anchor(arguments) => in_runtime(seals::anchor::run(server, arguments)),
        Command::Verify(arguments) => in_runtime(seals::verify::run(server, arguments)),
        Command::Doctor(arguments) => in_runtime(command::doctor::run(server, arguments)),
        Command::Alerts(arguments) => in_runtime(command::alerts::run(server, arguments)),
        Command::Lint(arguments) => in_runtime(command::lint::run(server, arguments)),
        Command::Codegen(arguments) => in_runtime(command::codegen::run(server, arguments)),
        Command::Key(arguments) => in_runtime(command::key::run(server, arguments)),
        Command::Completions(arguments) => {
            command::completions::run(&arguments, Arguments::command())
        }
        Command::Man(arguments) => command::man::run(&arguments, Arguments::command()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn in_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime
        .map_err(|error| Failure::new(format!("cannot start the async runtime: {error}")))?
        .block_on(work)
}
