//! The call of a report: its arguments, and the rows that it returns.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction};

use super::arguments::Arguments;
use super::conditions::{Condition, filters};
use crate::command::filter::warn_of_unknown;
use crate::command::time_zone;
use crate::output::{Column, Failure, Form, Kind, Rows};
use crate::reports::{Argument, Report, quoted};

/// Calls a report, and returns its rows with values as the form asks for them.
pub(super) async fn rows(
    transaction: &Transaction<'_>,
    report: &Report,
    asked: &Arguments,
    form: Form,
) -> Result<Rows, Failure> {
    let mut given = given(report, asked)?;
    let zone = asked.filter.time_zone.set(transaction).await?;
    if let Some(argument) = report.argument("time_zone")
        && !given.iter().any(|(other, _)| other.name == argument.name)
    {
        given.push((argument, Given::One(zone.clone())));
    }
    let times = given.iter_mut().filter_map(|(argument, value)| match value {
        Given::One(text) => Some((text, argument.type_name.as_str())),
        Given::Several(_) => None,
    });
    time_zone::resolve(transaction, times.collect()).await?;
    time_zone::set_for_output(transaction, form).await?;
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
    let shown = names
        .iter()
        .zip(&report.columns)
        .map(|(name, column)| time_zone::shown(&format!("q.{name}"), &column.type_name, form));
    let sql = format!(
        "SELECT {} FROM (SELECT * FROM {} AS r ({})) q",
        shown.collect::<Vec<_>>().join(", "),
        report.call(given.iter().map(|(argument, _)| *argument), 1),
        names.join(", ")
    );
    let found = transaction.query_typed(&sql, &values).await;
    let found = found.map_err(|error| asked.filter.tenant.explain(error))?;
    let of_arguments = given.iter().filter(|(argument, _)| is_event_name(argument));
    let of_arguments = of_arguments.flat_map(|(_, value)| value.texts()).cloned();
    let event_names: Vec<String> =
        of_arguments.chain(asked.conditions.iter().flat_map(Condition::names)).collect();
    warn_of_unknown(transaction, &event_names).await;
    let text = |row: &Row| (0..names.len()).map(|place| row.get(place)).collect();
    let column = |column: &crate::reports::Column| match form {
        Form::Json => Column::new(&column.name, Kind::Json),
        _ => Column::of_type(&column.name, &column.type_name),
    };
    let mut rows = Rows {
        columns: report.columns.iter().map(column).collect(),
        rows: found.iter().map(text).collect(),
        ..Rows::default()
    };
    time_zone::note(&mut rows, &zone, form);
    Ok(rows)
}

/// The value of an argument.
pub(super) enum Given {
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

    pub(super) fn texts(&self) -> &[String] {
        match self {
            Given::One(text) => std::slice::from_ref(text),
            Given::Several(texts) => texts,
        }
    }
}

/// Returns true if the values of an argument are names of events.
pub(super) fn is_event_name(argument: &Argument) -> bool {
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
pub(super) fn has_option(argument: &Argument) -> bool {
    const OPTIONS: [&str; 8] =
        ["since", "until", "tenant_id", "row_limit", "filters", "breakdown", "top", "time_zone"];
    OPTIONS.contains(&argument.name.as_str()) || is_name_filter(argument)
}

pub(super) fn described(argument: &Argument) -> String {
    match argument.is_required {
        true => format!("{}={}, required", argument.name, argument.type_name),
        false => format!("{}={}", argument.name, argument.type_name),
    }
}

/// Returns the arguments of the call: those of the options, and those given as ARGUMENT=VALUE.
pub(super) fn given<'a>(
    report: &'a Report,
    asked: &Arguments,
) -> Result<Vec<(&'a Argument, Given)>, Failure> {
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
        ("--filter", "filters", filters(&asked.conditions)),
        ("--breakdown", "breakdown", asked.breakdown.clone()),
        ("--top", "top", asked.top.map(|top| top.to_string())),
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
