//! `eventlog log`: logs one event from a shell, by the same function as everybody else.

use std::collections::BTreeMap;
use std::io::Read;

use clap::Args;
use serde_json::value::RawValue;
use tokio_postgres::types::Type;

use super::filter::Tenant;
use crate::connection::Server;
use crate::output::{Failure, print, print_json};

const HELP: &str = "\
KEY=TEXT is a text, KEY:=JSON any JSON value:\n\n\
eventlog log tool_used toolName=search durationMs:=120 --actor user-17\n\n\
Prints the id of the event. The rules of the event type apply: an event that breaks one is \
refused, with the reason, and exit code 1.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Name of the event
    name: String,
    /// Keys of the payload
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    pairs: Vec<(String, Box<RawValue>)>,
    /// Payload as a JSON object, to which KEY=VALUE are added; - reads it from standard input
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    #[command(flatten)]
    tenant: Tenant,
    /// Who did it
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// What it was done to, such as skill/canvas
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// When it happened, if not now: 2026-01-31, '2026-01-31 12:00+01', yesterday
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    occurred_at: Option<String>,
    /// An event with the same key within a day is the same event, and is logged once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print JSON: an object with the id
    #[arg(long)]
    json: bool,
}

/// Reads KEY=TEXT or KEY:=JSON.
fn pair(text: &str) -> Result<(String, Box<RawValue>), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=TEXT or KEY:=JSON")?;
    let (key, value) = match key.strip_suffix(':') {
        Some(key) => (key, RawValue::from_string(value.to_owned())),
        None => (key, serde_json::value::to_raw_value(value)),
    };
    match (key, value) {
        ("", _) => Err("the key is missing".to_owned()),
        (_, Err(error)) => Err(format!("the value of {key} is not JSON: {error}")),
        (_, Ok(value)) => Ok((key.to_owned(), value)),
    }
}

/// Puts the payload together. Values stay as they are written, with every digit of their numbers.
fn payload(arguments: &Arguments) -> Result<String, Failure> {
    let mut data: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    if let Some(text) = &arguments.data {
        let mut standard = String::new();
        let text = match text.as_str() {
            "-" => {
                std::io::stdin().read_to_string(&mut standard)?;
                &standard
            }
            _ => text,
        };
        data = serde_json::from_str(text)
            .map_err(|error| Failure::usage(format!("--data is not a JSON object: {error}")))?;
    }
    for (key, value) in &arguments.pairs {
        if data.insert(key.clone(), value.clone()).is_some() {
            return Err(Failure::usage(format!("the key {key} is given twice")));
        }
    }
    serde_json::to_string(&data).map_err(|error| Failure::new(error.to_string()))
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let data = payload(&arguments)?;
    let mut client = server.connect().await?;
    let transaction = client.transaction().await?;
    let tenant = arguments.tenant.set(&transaction).await?;
    let rows = transaction
        .query_typed(
            "SELECT eventlog.log_event($1::pg_catalog.text::pg_catalog.uuid, $2, $3::pg_catalog.text::pg_catalog.jsonb,
                        occurred_at => $4::pg_catalog.text::pg_catalog.timestamptz, actor => $5, subject => $6,
                        idempotency_key => $7)",
            &[
                (&tenant, Type::TEXT),
                (&arguments.name, Type::TEXT),
                (&data, Type::TEXT),
                (&arguments.occurred_at, Type::TEXT),
                (&arguments.actor, Type::TEXT),
                (&arguments.subject, Type::TEXT),
                (&arguments.idempotency_key, Type::TEXT),
            ],
        )
        .await
        .map_err(|error| arguments.tenant.explain(error))?;
    let id: Option<i64> = rows.first().and_then(|row| row.get(0));
    transaction.commit().await?;
    if arguments.json {
        return print_json(&serde_json::json!({ "id": id.map(|id| id.to_string()) }));
    }
    match id {
        Some(id) => print(&id.to_string()),
        None => {
            eprintln!(
                "eventlog: left out: logging is off, the event was sampled out, or the tenant opted out"
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::pair;

    #[test]
    fn a_value_is_a_text_or_after_a_colon_json() {
        let read = |text: &str| pair(text).map(|(key, value)| (key, value.get().to_owned()));
        let of = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(read("a=b=\"c"), of("a", r#""b=\"c""#));
        assert_eq!(read("a="), of("a", r#""""#));
        assert_eq!(read("a:=1.10"), of("a", "1.10"));
        assert_eq!(read("a:b:={\"c\": []}"), of("a:b", "{\"c\": []}"));
        for bad in ["a", "=b", ":=1", "a:=b", "a:="] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
