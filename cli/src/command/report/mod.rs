//! `eventlog report`: calls a report function of the extension, or lists them.

mod call;
mod conditions;
mod list;
mod shape;
mod watch;

use clap::Args;
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use self::conditions::Condition;
use super::filter::{Filter, count, seconds};
use crate::connection::Server;
use crate::output::{Failure, Form, FormOptions, print_rows, with_sources};
use crate::reports::{LIST, Report};

const HELP: &str = "\
Without NAME, the command lists the reports. Give arguments that have no option here as \
ARGUMENT=VALUE, with commas between several values:\n\n\
eventlog report funnel steps=ingest_started,ingest_completed within='1 day' --since \
2026-01-01";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Name of the report
    name: Option<String>,
    /// An argument of the report; the list of reports names them
    #[arg(value_name = "ARGUMENT=VALUE", value_parser = pair)]
    arguments: Vec<(String, String)>,
    #[command(flatten)]
    filter: Filter,
    /// Most rows, for reports that have a limit
    #[arg(long, value_name = "ROWS", value_parser = count)]
    limit: Option<u32>,
    /// Only events for which this holds; repeat for several. KEY is name, actor, subject or data.KEY:
    /// KEY=VALUE, KEY=ONE,OTHER, KEY!=VALUE, KEY^=PREFIX, KEY>NUMBER (also >=, <, <=), KEY (is there),
    /// !KEY (is not)
    #[arg(long = "filter", value_name = "CONDITION", value_parser = Condition::read)]
    #[arg(allow_hyphen_values = true)]
    conditions: Vec<Condition>,
    /// One row, or rows, for each value of this: name, actor, subject or data.KEY
    #[arg(long, value_name = "KEY")]
    breakdown: Option<String>,
    /// Number of values of --breakdown, those with the most events; the rest are together
    #[arg(long, value_name = "NUMBER", value_parser = count)]
    top: Option<u32>,
    /// Ask again every SECONDS (2 if left out), until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    #[arg(value_parser = seconds)]
    watch: Option<f64>,
    #[command(flatten)]
    form: FormOptions,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be ARGUMENT=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let transaction = arguments.filter.tenant.begin(&mut client).await?;
    let reports = read(&transaction).await?;
    let Some(name) = &arguments.name else { return list::list(&reports, &arguments.form) };
    let report = reports.iter().find(|report| report.name == *name);
    let report = report.ok_or_else(|| unknown(name, &reports))?;
    if let Some(seconds) = arguments.watch {
        drop(transaction);
        return watch::watch(&mut client, report, &arguments, seconds).await;
    }
    let form = arguments.form.form();
    let rows = call::rows(&transaction, report, &arguments, form).await?;
    let rows = if form == Form::Table { shape::for_people(rows) } else { rows };
    print_rows(&rows, &arguments.form)
}

async fn read(transaction: &Transaction<'_>) -> Result<Vec<Report>, Failure> {
    let rows = transaction.query_typed(LIST, &[]).await.map_err(|error| match error.code() {
        Some(&SqlState::INVALID_SCHEMA_NAME) => {
            let message = "this database has no extension eventlog";
            Failure::new(message).hint("CREATE EXTENSION eventlog;")
        }
        Some(&SqlState::UNDEFINED_FUNCTION) => {
            let message = "the extension eventlog of this database is too old for this program";
            Failure::new(message).hint("ALTER EXTENSION eventlog UPDATE;")
        }
        _ => Failure::from(error),
    })?;
    let reports: Result<Vec<_>, _> = rows.iter().map(Report::from_row).collect();
    let reports = reports.map_err(|error| Failure::new(with_sources(error.as_ref())))?;
    Ok(reports.into_iter().flatten().collect())
}

fn unknown(name: &str, reports: &[Report]) -> Failure {
    let nearest = reports
        .iter()
        .map(|report| (strsim::damerau_levenshtein(name, &report.name), &report.name))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let hint = match nearest {
        Some((_, nearest)) => format!("eventlog report {nearest}"),
        None => "eventlog report".to_owned(),
    };
    Failure::usage(format!("there is no report {name:?}")).hint(hint)
}
