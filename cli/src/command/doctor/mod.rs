//! `eventlog doctor`: checks a log, and prints the command that fixes each problem.

mod checks;
pub(crate) mod finding;

use clap::Args;
use tokio_postgres::{Client, Transaction};

use self::finding::{Finding, State};
use crate::connection::Server;
use crate::output::{
    Colours, Failure, Form, FormOptions, Kind, Rows, Style, print, print_json, print_rows,
    printable,
};

const HELP: &str = "\
Checks version, layout, owner, objects, policies, triggers, indexes, grants, partitions, \
seals, settings, worker, maintenance, quarantine, alerts and clock, and changes nothing. Run it as the \
log's owner or as a superuser: checks that the role may not run are listed as unseen. \
Exit code 1 if anything is wrong; 0 if there is only advice.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    form: FormOptions,
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let findings = examine(&mut client).await?;
    let form = arguments.form.form();
    if !arguments.form.is_asked() {
        let colours = Colours::of_stdout();
        findings.iter().try_for_each(|finding| show(finding, colours))?;
    } else if form == Form::Json {
        print_json(&findings)?;
    } else {
        print_rows(&rows(&findings), &arguments.form)?;
    }
    match findings.iter().any(|finding| finding.state == State::Wrong) {
        true => Err(Failure::said()),
        false => Ok(()),
    }
}

/// Checks the log as far as the role of this connection can see.
pub(crate) async fn examine(client: &mut Client) -> Result<Vec<Finding>, Failure> {
    let mut transaction = client.build_transaction().read_only(true).start().await?;
    let settings = "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL DateStyle = 'ISO, YMD';
                    SET LOCAL quote_all_identifiers = off; SET LOCAL jit = off";
    transaction.batch_execute(settings).await?;
    let findings = look(&mut transaction).await?;
    transaction.rollback().await?;
    Ok(findings)
}

/// Runs each check in a savepoint, so that one that fails (a missing right, another version of the log)
/// does not stop the others.
async fn look(transaction: &mut Transaction<'_>) -> Result<Vec<Finding>, Failure> {
    let place = checks::place(transaction).await?;
    let mut findings = checks::extension(transaction, &place).await?;
    if findings.iter().any(|finding| finding.state == State::Wrong) {
        // Without a log there is nothing else to check.
        return Ok(findings);
    }
    // The settings exist once the library is loaded, which the first call does.
    let savepoint = transaction.savepoint("load").await?;
    match savepoint.query_typed("SELECT FROM eventlog.validate_event('tool_used')", &[]).await {
        Ok(_) => savepoint.commit().await?,
        Err(_) => savepoint.rollback().await?,
    }
    if place.is_standby {
        let found = "this server is a standby; its primary maintains the log";
        findings.push(Finding::new("standby", State::Good, found));
    }
    for check in checks::ALL.iter().filter(|check| check.is_for_standbys || !place.is_standby) {
        let savepoint = transaction.savepoint("one_check").await?;
        let found = savepoint.query_typed(check.sql, &[]).await;
        match found {
            Ok(rows) => {
                savepoint.commit().await?;
                findings.extend(rows.iter().map(|row| check.finding(row, &place)));
                if rows.is_empty() {
                    findings.push(Finding::new(check.name, State::Good, check.good));
                }
            }
            Err(error) if error.is_closed() || error.as_db_error().is_none() => {
                return Err(error.into());
            }
            Err(error) => {
                savepoint.rollback().await?;
                if !check.is_for_superusers {
                    findings.push(check.unseen(error));
                }
            }
        }
    }
    findings.push(checks::clock(transaction).await?);
    Ok(findings)
}

fn rows(findings: &[Finding]) -> Rows {
    let names = ["check", "state", "found", "fix", "role"];
    let mut rows = Rows::new(&names.map(|name| (name, Kind::Text)));
    for finding in findings {
        let (check, state) = (finding.check.to_owned(), finding.state.name().to_owned());
        let (found, fix, role) = (finding.found.clone(), finding.fix.clone(), finding.role.clone());
        rows.rows.push(vec![Some(check), Some(state), Some(found), fix, role]);
    }
    rows
}

fn show(finding: &Finding, colours: Colours) -> Result<(), Failure> {
    let (style, mark) = match finding.state {
        State::Good => (Style::Good, "ok     "),
        State::Unknown => (Style::Dim, "unseen "),
        State::Advice => (Style::Warning, "advice "),
        State::Wrong => (Style::Bad, "WRONG  "),
    };
    let found = printable(&finding.found).replace('\n', " ");
    print(&format!("{} {:<12} {found}", colours.paint(style, mark), finding.check))?;
    match &finding.fix {
        Some(fix) => {
            // As a SQL comment, so that the whole line can be pasted.
            let role = match finding.role.as_deref() {
                Some("superuser") => "  -- as a superuser".to_owned(),
                Some(role) => format!("  -- as {role}, or a superuser"),
                None => String::new(),
            };
            let fix = colours.paint(Style::Name, &printable(fix));
            print(&format!("{:20}  {fix}{}", "", colours.paint(Style::Dim, &printable(&role))))
        }
        None => Ok(()),
    }
}
