//! `eventlog lint`: checks an event plan and sample payloads, for CI.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Transaction};

use super::filter::is_standard;
use crate::connection::Server;
use crate::output::{Colours, Failure, Style, print, print_json, printable};

const HELP: &str = "\
Checks an event plan, as SELECT eventlog.taxonomy_export() writes it, and sample \
payloads against it, by the server's own rules. It runs in a transaction that is rolled \
back and changes nothing. Any server with the extension will do; if the database has no \
log, the transaction creates one. Run it as the log's owner or as a superuser. Exit code \
1 if anything is wrong.\n\n\
A file of samples has JSON objects, one after the other: {\"name\": \
\"tool_used\", \"data\": {\"toolName\": \"search\"}}; a sample that must be refused names \
the SQLSTATE: {\"name\": \"tool_used\", \"data\": {}, \"refused\": \"23514\"}.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// File of the event plan; - is standard input
    taxonomy: PathBuf,
    /// Files of samples
    samples: Vec<PathBuf>,
    /// Fail if a name of the plan has no sample
    #[arg(long)]
    all_names: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A payload to check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    data: Option<Box<RawValue>>,
    refused: Option<String>,
}

/// A problem that was found.
#[derive(Serialize)]
struct Fault {
    file: String,
    /// Number of the sample in the file, from 1.
    sample: Option<usize>,
    name: Option<String>,
    sqlstate: Option<String>,
    message: String,
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let plan = read(&arguments.taxonomy)?;
    let mut samples = Vec::new();
    for file in &arguments.samples {
        samples.push((file.display().to_string(), read(file)?));
    }
    let mut client = server.connect().await?;
    let mut transaction = begin(&mut client).await?;
    let mut faults = Vec::new();
    let mut names = Names::default();
    check_plan(&mut transaction, &arguments, &plan, &mut faults, &mut names).await?;
    let mut checked = 0;
    // Against a plan that is refused, every sample would be wrong.
    if faults.is_empty() {
        for (file, text) in &samples {
            checked += check_samples(&mut transaction, file, text, &mut faults, &mut names).await?;
        }
        if arguments.all_names {
            faults.extend(names.has_sample.iter().filter(|(_, is_sampled)| !**is_sampled).map(
                |(name, _)| Fault {
                    file: arguments.taxonomy.display().to_string(),
                    sample: None,
                    name: Some(name.clone()),
                    sqlstate: None,
                    message: "no sample has this name".to_owned(),
                },
            ));
        }
    }
    transaction.rollback().await?;
    report(&arguments, names.has_sample.len(), checked, &faults)
}

fn report(
    arguments: &Arguments,
    names: usize,
    samples: usize,
    faults: &[Fault],
) -> Result<(), Failure> {
    if arguments.json {
        print_json(&serde_json::json!({ "names": names, "samples": samples, "faults": faults }))?;
    } else {
        let colours = Colours::of_stdout();
        for fault in faults {
            let place = match fault.sample {
                Some(sample) => format!("{}, sample {sample}", fault.file),
                None => fault.file.clone(),
            };
            let name = fault.name.iter().map(|name| format!(": {name}")).collect::<String>();
            let code = fault.sqlstate.iter().map(|code| format!(" (SQLSTATE {code})"));
            let text = format!("{place}{name}: {}{}", fault.message, code.collect::<String>());
            print(&colours.paint(Style::Bad, &printable(&text)))?;
        }
        print(&format!("{names} names, {samples} samples, {} faults", faults.len()))?;
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Failure::said()),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let text = match is_standard(path) {
        true => std::io::read_to_string(std::io::stdin()),
        false => fs::read_to_string(path),
    };
    text.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

/// Begins a transaction as the log's owner, which is never committed.
async fn begin(client: &mut Client) -> Result<Transaction<'_>, Failure> {
    let transaction =
        client.build_transaction().read_only(false).start().await.map_err(|error| {
            // A standby refuses any transaction that writes, even one to be rolled back.
            match error.code().is_some_and(|code| code.code() == "0A000" || code.code() == "25006")
            {
                true => {
                    let message = "this server is a standby; lint needs one that can write";
                    Failure::new(message)
                        .hint("connect to the primary, or to any server with the extension")
                }
                false => error.into(),
            }
        })?;
    let rows = transaction
        .query_typed(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'eventlog'),
                    pg_catalog.to_regclass('eventlog.events') IS NOT NULL",
            &[],
        )
        .await?;
    let row = rows.first().ok_or_else(|| Failure::new("the server did not answer"))?;
    if !row.get::<_, bool>(0) {
        transaction.batch_execute("CREATE EXTENSION eventlog").await?;
    }
    if !row.get::<_, bool>(1) {
        transaction
            .batch_execute("SET LOCAL client_min_messages = 'error'; SELECT eventlog.create_log()")
            .await?;
    }
    let rows = transaction
        .query_typed(
            "SELECT pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(c.relowner), true),
                    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
                    pg_catalog.set_config('quote_all_identifiers', 'off', true)
               FROM pg_catalog.pg_class c
              WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('eventlog.events')",
            &[],
        )
        .await;
    rows.map_err(|error| {
        Failure::from(error).hint("connect as the log's owner, or as a superuser")
    })?;
    Ok(transaction)
}

/// The names of the plan, and whether each has a sample.
#[derive(Default)]
struct Names {
    has_sample: BTreeMap<String, bool>,
    /// The names that aliases stand for.
    of_aliases: BTreeMap<String, String>,
}

async fn check_plan(
    transaction: &mut Transaction<'_>,
    arguments: &Arguments,
    plan: &str,
    faults: &mut Vec<Fault>,
    names: &mut Names,
) -> Result<(), Failure> {
    let savepoint = transaction.savepoint("plan").await?;
    let sql = "SELECT FROM eventlog.taxonomy_import($1::jsonb, apply => true)";
    match savepoint.query_typed(sql, &[(&plan, Type::TEXT)]).await {
        Ok(_) => savepoint.commit().await?,
        Err(error) => {
            savepoint.rollback().await?;
            let (sqlstate, message) = fault_of(error)?;
            faults.push(Fault {
                file: arguments.taxonomy.display().to_string(),
                sample: None,
                name: None,
                sqlstate: Some(sqlstate),
                message,
            });
            return Ok(());
        }
    }
    let sql = "SELECT e.key, ARRAY(SELECT jsonb_array_elements_text(e.value -> 'aliases'))
                 FROM jsonb_each($1::jsonb -> 'events') AS e";
    for row in transaction.query_typed(sql, &[(&plan, Type::TEXT)]).await? {
        let (name, aliases): (String, Vec<String>) = (row.get(0), row.get(1));
        names.of_aliases.extend(aliases.into_iter().map(|alias| (alias, name.clone())));
        names.has_sample.insert(name, false);
    }
    Ok(())
}

/// Returns the SQLSTATE and message of a refusal; a broken connection is a failure.
fn fault_of(error: Error) -> Result<(String, String), Failure> {
    let Some(server) = error.as_db_error() else { return Err(error.into()) };
    let detail = server.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    Ok((server.code().code().to_owned(), format!("{}{detail}", server.message())))
}

/// Checks the samples of a file, and returns their number.
async fn check_samples(
    transaction: &mut Transaction<'_>,
    file: &str,
    text: &str,
    faults: &mut Vec<Fault>,
    names: &mut Names,
) -> Result<usize, Failure> {
    let mut count = 0;
    for sample in serde_json::Deserializer::from_str(text).into_iter::<Sample>() {
        count += 1;
        let fault = |name, sqlstate, message| Fault {
            file: file.to_owned(),
            sample: Some(count),
            name,
            sqlstate,
            message,
        };
        let sample = match sample {
            Ok(sample) => sample,
            Err(error) => {
                // It is unknown where the next sample begins.
                faults.push(fault(None, None, error.to_string()));
                break;
            }
        };
        let name = names.of_aliases.get(&sample.name).unwrap_or(&sample.name);
        if let Some(is_sampled) = names.has_sample.get_mut(name) {
            *is_sampled = true;
        }
        let verdict = validate(transaction, &sample).await?;
        let name = Some(sample.name);
        match (verdict, sample.refused) {
            (None, None) => {}
            (Some((sqlstate, message)), None) => faults.push(fault(name, Some(sqlstate), message)),
            (Some((sqlstate, _)), Some(wanted)) if sqlstate == wanted => {}
            (Some((sqlstate, message)), Some(wanted)) => {
                let message = format!("refused, but not with {wanted}: {message}");
                faults.push(fault(name, Some(sqlstate), message));
            }
            (None, Some(wanted)) => {
                faults.push(fault(
                    name,
                    None,
                    format!("accepted, but should be refused with {wanted}"),
                ));
            }
        }
    }
    Ok(count)
}

/// Returns why the log would refuse a payload, if it would.
async fn validate(
    transaction: &mut Transaction<'_>,
    sample: &Sample,
) -> Result<Option<(String, String)>, Failure> {
    let data = sample.data.as_ref().map_or("{}", |data| data.get());
    let sql = "SELECT v.is_valid, v.sqlstate, concat_ws(': ', v.message, v.detail)
                 FROM eventlog.validate_event($1, $2::jsonb) v";
    let savepoint = transaction.savepoint("sample").await?;
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&sample.name, Type::TEXT), (&data, Type::TEXT)];
    match savepoint.query_typed(sql, &values).await {
        Ok(rows) => {
            savepoint.commit().await?;
            let row = rows.first().filter(|row| !row.get::<_, bool>(0));
            Ok(row.map(|row| {
                let sqlstate: Option<String> = row.get(1);
                (sqlstate.unwrap_or_default(), row.get(2))
            }))
        }
        // Valid JSON that jsonb cannot store.
        Err(error) => {
            savepoint.rollback().await?;
            fault_of(error).map(Some)
        }
    }
}
