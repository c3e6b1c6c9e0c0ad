//! `eventlog report`: calls a report function of the extension, or lists them.

mod arguments;
mod call;
mod conditions;
mod list;
mod shape;
mod watch;

use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

pub(crate) use self::arguments::Arguments;
use crate::connection::Server;
use crate::output::{Failure, Form, print_rows, with_sources};
use crate::reports::{LIST, Report};

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
