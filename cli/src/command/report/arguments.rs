//! The options of `eventlog report`.

use clap::Args;

use super::conditions::Condition;
use crate::command::filter::{Filter, count, seconds};
use crate::output::FormOptions;

const HELP: &str = "\
Without NAME, the command lists the reports. Give arguments that have no option here as \
ARGUMENT=VALUE, with commas between several values:\n\n\
eventlog report funnel steps=ingest_started,ingest_completed within='1 day' --since \
2026-01-01";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Name of the report
    pub(super) name: Option<String>,
    /// An argument of the report; the list of reports names them
    #[arg(value_name = "ARGUMENT=VALUE", value_parser = pair)]
    pub(super) arguments: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Most rows, for reports that have a limit
    #[arg(long, value_name = "ROWS", value_parser = count)]
    pub(super) limit: Option<u32>,
    /// Only events for which this holds; repeat for several. KEY is name, actor, subject or data.KEY:
    /// KEY=VALUE, KEY=ONE,OTHER, KEY!=VALUE, KEY^=PREFIX, KEY>NUMBER (also >=, <, <=), KEY (is there),
    /// !KEY (is not)
    #[arg(long = "filter", value_name = "CONDITION", value_parser = Condition::read)]
    #[arg(allow_hyphen_values = true)]
    pub(super) conditions: Vec<Condition>,
    /// One row, or rows, for each value of this: name, actor, subject or data.KEY
    #[arg(long, value_name = "KEY")]
    pub(super) breakdown: Option<String>,
    /// Number of values of --breakdown, those with the most events; the rest are together
    #[arg(long, value_name = "NUMBER", value_parser = count)]
    pub(super) top: Option<u32>,
    /// Ask again every SECONDS (2 if left out), until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    #[arg(value_parser = seconds)]
    pub(super) watch: Option<f64>,
    #[command(flatten)]
    pub(super) form: FormOptions,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be ARGUMENT=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
