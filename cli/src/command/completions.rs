//! `eventlog completions`: prints a completion script for a shell.

use std::io;

use clap::builder::PossibleValuesParser;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::output::Failure;

/// The reports of the extension of this version. Scripts complete these; a report of another version, or
/// one of your own, is called all the same.
const REPORTS: [&str; 24] = [
    "active_actors",
    "checkout_conversion",
    "cohort_retention",
    "deflection_rate",
    "escalation_rate",
    "events_per_day",
    "events_per_hour",
    "experiment_results",
    "funnel",
    "funnel_dropouts",
    "get_events",
    "get_rejected",
    "ingestion_stats",
    "plan_changes",
    "quota_friction",
    "recent_errors",
    "subject_stats",
    "success_rate",
    "summary",
    "tenants_overview",
    "top_subjects",
    "unused_subjects",
    "usage_summary",
    "verify_rollups",
];

#[derive(Args)]
pub(crate) struct Arguments {
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, program: Command) -> Result<(), Failure> {
    let mut program = program.mut_subcommand("report", |report| {
        report.mut_arg("name", |name| name.value_parser(PossibleValuesParser::new(REPORTS)))
    });
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, "eventlog", &mut script);
    match io::Write::write_all(&mut io::stdout(), &script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
