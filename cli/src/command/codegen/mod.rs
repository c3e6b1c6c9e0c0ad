//! `eventlog codegen`: generates code for the event types of a log or of an event plan.

mod event_type;
mod identifiers;
mod python;
mod rust;
mod source;
mod text;
mod typescript;

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::event_type::EventType;
use crate::connection::Server;
use crate::output::{Failure, print};

const HELP: &str = "\
Generates types for the payloads of the event types, so that a wrong key, a missing one or \
a wrong value does not compile: required keys are required, optional ones optional, allowed \
values are enums or unions. The same event types give the same code.\n\n\
rust: a struct for each event type, to log with the crate eventlog-writer; needs serde and \
serde_json.\n\
typescript: an interface for each, EventPayloads and EventName; with --client also \
typed(log), which wraps the EventLog of pg-eventlog.\n\
python: a TypedDict for each, and a function with keyword-only parameters that returns \
name and payload; with --client a class Events with these as methods, which wraps the EventLog of \
pg_eventlog. Python 3.9 or later; no dependencies.\n\n\
Allowed values, then value_types, then the other rules determine the type of a key. With \
--learn, the newest events determine the rest: value_types win, since the log checks them. \
What nothing determines can be any JSON. Retired event types and wildcards are left out.";

/// A language to generate code in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    #[value(alias = "ts")]
    Typescript,
    Python,
}

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Language of the code
    #[arg(short, long, value_enum, default_value = "rust")]
    language: Language,
    /// Event plan to read instead of a log; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["learn", "json"])]
    plan: Option<PathBuf>,
    /// Generate a client too, which wraps that of pg-eventlog: for TypeScript and Python
    #[arg(long)]
    client: bool,
    /// File to write, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write nothing, and fail if the file differs from the code: for CI
    #[arg(long, requires = "output")]
    check: bool,
    /// Take types that no rule determines from the newest events, at most 1,000 of each name
    #[arg(long)]
    learn: bool,
    /// Only these names or aliases, separated by commas
    #[arg(long, visible_alias = "name", value_name = "NAMES", value_delimiter = ',')]
    names: Vec<String>,
    /// Print the event types as JSON, instead of code
    #[arg(long, conflicts_with_all = ["output", "learn", "client", "language"])]
    json: bool,
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    if arguments.client && arguments.language == Language::Rust {
        return Err(Failure::usage(
            "the argument '--client' needs '--language typescript' or 'python'",
        )
        .hint("the structs for Rust have event(), which a writer of eventlog-writer takes"));
    }
    let source = match &arguments.plan {
        Some(path) => source::of_plan(path, &arguments.names)?,
        None => source::of_log(server, &arguments.names, arguments.learn).await?,
    };
    if arguments.json {
        return print(&format!("[\n{}\n]", source.json.join(",\n")));
    }
    let code = code(&source.types, arguments.language, arguments.client);
    match &arguments.output {
        None => print(code.trim_end()),
        Some(path) if arguments.check => match fs::read_to_string(path) {
            Ok(text) if text == code => Ok(()),
            Ok(_) => {
                let of = if arguments.plan.is_some() { "plan" } else { "log" };
                let message =
                    format!("{} differs from the event types of the {of}", path.display());
                Err(Failure::new(message).hint("run the same command without --check"))
            }
            Err(error) => Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
        },
        Some(path) => fs::write(path, code)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display()))),
    }
}

fn code(types: &[EventType], language: Language, has_client: bool) -> String {
    match language {
        Language::Rust => rust::module(types),
        Language::Typescript => typescript::module(types, has_client),
        Language::Python => python::module(types, has_client),
    }
}
