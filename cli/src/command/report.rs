//! `eventlog report`: calls a report function of the extension, or lists them.

use clap::Args;
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction};

use super::filter::{Filter, warn_of_unknown};
use crate::connection::Server;
use crate::output::{Failure, print, print_json, print_table, with_sources};
use crate::reports::{Argument, LIST, Report, first_sentence, quoted};

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
    #[arg(long, value_name = "ROWS")]
    limit: Option<u32>,
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be ARGUMENT=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let transaction = arguments.filter.tenant.begin(&mut client).await?;
    let reports = read(&transaction).await?;
    match &arguments.name {
        None => list(&reports, arguments.json),
        Some(name) => match reports.iter().find(|report| report.name == *name) {
            Some(report) => show(&transaction, report, &arguments).await,
            None => Err(unknown(name, &reports)),
        },
    }
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

fn list(reports: &[Report], is_json: bool) -> Result<(), Failure> {
    if is_json {
        let arguments = |report: &Report| -> Vec<Value> {
            let describe = |argument: &Argument| {
                json!({
                    "name": argument.name,
                    "type": argument.type_name,
                    "required": argument.is_required,
                })
            };
            report.arguments.iter().map(describe).collect()
        };
        let describe = |report: &Report| {
            json!({
                "name": report.name,
                "description": report.description,
                "arguments": arguments(report),
                "columns": report.columns.iter().map(|column| &column.name).collect::<Vec<_>>(),
            })
        };
        return print_json(&reports.iter().map(describe).collect::<Vec<_>>());
    }
    let line = |report: &Report| {
        let own = report.arguments.iter().filter(|argument| !has_option(argument));
        let own: Vec<String> = own.map(described).collect();
        vec![report.name.clone(), first_sentence(&report.description).to_owned(), own.join("\n")]
    };
    print_table(
        &["report", "description", "arguments"],
        &reports.iter().map(line).collect::<Vec<_>>(),
    )
}

async fn show(
    transaction: &Transaction<'_>,
    report: &Report,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let given = given(report, arguments)?;
    let values: Vec<(&(dyn ToSql + Sync), Type)> = given
        .iter()
        .map(|(_, value)| -> (&(dyn ToSql + Sync), Type) {
            match value {
                Given::One(text) => (text, Type::TEXT),
                Given::Several(texts) => (texts, Type::TEXT_ARRAY),
            }
        })
        .collect();
    let names: Vec<String> = report.columns.iter().map(|column| quoted(&column.name)).collect();
    let shown = match arguments.json {
        true => "row_to_json(q)::text".to_owned(),
        false => names.iter().map(|c| format!("q.{c}::text")).collect::<Vec<_>>().join(", "),
    };
    let sql = format!(
        "SELECT {shown} FROM (SELECT * FROM {} AS r ({})) q",
        report.call(given.iter().map(|(argument, _)| *argument), 1),
        names.join(", ")
    );
    let rows = transaction.query_typed(&sql, &values).await;
    let rows = rows.map_err(|error| arguments.filter.tenant.explain(error))?;
    let of_names = given.iter().filter(|(argument, _)| is_event_name(argument));
    let names: Vec<String> = of_names.flat_map(|(_, value)| value.texts()).cloned().collect();
    warn_of_unknown(transaction, &names).await;
    let text = |row: &Row, place: usize| row.get::<_, Option<String>>(place).unwrap_or_default();
    if arguments.json {
        // The server's own text keeps every digit of a number and the order of the columns.
        let rows: Vec<String> = rows.iter().map(|row| text(row, 0)).collect();
        return match rows.is_empty() {
            true => print("[]"),
            false => print(&format!("[\n{}\n]", rows.join(",\n"))),
        };
    }
    let header: Vec<&str> = report.columns.iter().map(|column| column.name.as_str()).collect();
    let lines: Vec<Vec<String>> =
        rows.iter().map(|row| (0..header.len()).map(|place| text(row, place)).collect()).collect();
    print_table(&header, &lines)
}

/// The value of an argument.
enum Given {
    One(String),
    Several(Vec<String>),
}

impl Given {
    /// Reads a value; a list has commas between its values.
    fn read(argument: &Argument, value: &str) -> Self {
        match argument.type_name.as_str() {
            "text" if is_event_name(argument) => Given::One(value.trim().to_owned()),
            type_name if !type_name.ends_with("[]") => Given::One(value.to_owned()),
            _ if value.is_empty() => Given::Several(Vec::new()),
            _ => Given::Several(value.split(',').map(|one| one.trim().to_owned()).collect()),
        }
    }

    fn texts(&self) -> &[String] {
        match self {
            Given::One(text) => std::slice::from_ref(text),
            Given::Several(texts) => texts,
        }
    }
}

/// Returns true if the values of an argument are names of events.
fn is_event_name(argument: &Argument) -> bool {
    is_name_filter(argument)
        || ["first_name", "returning_name", "steps", "removed_by", "succeeded", "failed"]
            .contains(&argument.name.as_str())
}

/// Returns true if `--names` gives the argument.
fn is_name_filter(argument: &Argument) -> bool {
    matches!(
        (argument.name.as_str(), argument.type_name.as_str()),
        ("names", "text[]") | ("name", "text")
    )
}

/// Returns true if an option of the command gives the argument.
fn has_option(argument: &Argument) -> bool {
    matches!(argument.name.as_str(), "since" | "until" | "tenant_id" | "row_limit")
        || is_name_filter(argument)
}

fn described(argument: &Argument) -> String {
    match argument.is_required {
        true => format!("{}={}, required", argument.name, argument.type_name),
        false => format!("{}={}", argument.name, argument.type_name),
    }
}

/// Returns the arguments of the call: those of the options, and those given as ARGUMENT=VALUE.
fn given<'a>(report: &'a Report, asked: &Arguments) -> Result<Vec<(&'a Argument, Given)>, Failure> {
    let mut given = of_options(report, asked)?;
    for (name, value) in &asked.arguments {
        let argument = report.argument(name).ok_or_else(|| takes_no(report, name))?;
        if given.iter().any(|(other, _)| other.name == *name) {
            return Err(Failure::usage(format!("{name} is given twice")));
        }
        given.push((argument, Given::read(argument, value)));
    }
    let is_given = |argument: &&Argument| given.iter().any(|(g, _)| g.name == argument.name);
    let missing = report.arguments.iter().filter(|argument| argument.is_required);
    if let Some(missing) = missing.into_iter().find(|argument| !is_given(argument)) {
        let message = format!("{} needs {}=…", report.name, missing.name);
        return Err(Failure::usage(message).hint(usage(report)));
    }
    Ok(given)
}

fn of_options<'a>(
    report: &'a Report,
    asked: &Arguments,
) -> Result<Vec<(&'a Argument, Given)>, Failure> {
    let filter = &asked.filter;
    let mut given = Vec::new();
    for (option, name, value) in [
        ("--since", "since", filter.since.clone()),
        ("--until", "until", filter.until.clone()),
        ("--limit", "row_limit", asked.limit.map(|limit| limit.to_string())),
        ("--tenant", "tenant_id", filter.tenant.id().map(|tenant| tenant.to_string())),
    ] {
        if let Some(value) = value {
            let argument = report.argument(name).ok_or_else(|| takes_no(report, option))?;
            given.push((argument, Given::One(value)));
        }
    }
    if let Some(names) = filter.names() {
        let argument = report.arguments.iter().find(|argument| is_name_filter(argument));
        let argument = argument.ok_or_else(|| takes_no(report, "--names"))?;
        let value = match (argument.type_name.as_str(), names) {
            ("text[]", _) => Given::Several(names.to_vec()),
            (_, [name]) => Given::One(name.clone()),
            _ => return Err(Failure::usage(format!("{} takes one name", report.name))),
        };
        given.push((argument, value));
    }
    Ok(given)
}

fn takes_no(report: &Report, what: &str) -> Failure {
    Failure::usage(format!("{} takes no {what}", report.name)).hint(usage(report))
}

fn usage(report: &Report) -> String {
    let arguments: Vec<String> = report.arguments.iter().map(described).collect();
    format!("it takes {}", arguments.join("; "))
}
