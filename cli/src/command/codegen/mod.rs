//! `eventlog codegen`: generates Rust code for the event types of a log.

mod identifiers;
mod rust;

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use self::rust::{EventType, Learned};
use crate::connection::{Server, require_log};
use crate::output::{Failure, print};

const HELP: &str = "\
Generates a Rust struct for each event type, to log with the crate eventlog-writer: \
required keys are fields, optional ones are Options, allowed values are enums. The code \
needs the crates eventlog-writer, serde and serde_json; the same event types give the \
same code.\n\n\
Event types name keys, not their types: a key whose type no rule determines is a \
serde_json::Value. With --learn, the newest events determine it. Retired event types and \
wildcards are left out.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// File to write, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write nothing, and fail if the file differs from the code: for CI
    #[arg(long, requires = "output")]
    check: bool,
    /// Take the types of keys from the newest events, at most 1,000 of each name
    #[arg(long)]
    learn: bool,
    /// Only these names, separated by commas
    #[arg(long, visible_alias = "name", value_name = "NAMES", value_delimiter = ',')]
    names: Vec<String>,
    /// Print the event types as JSON, instead of code
    #[arg(long, conflicts_with_all = ["output", "learn"])]
    json: bool,
}

const TYPES: &str = "
    SELECT t.name, t.description, t.required_keys, t.optional_keys, t.allow_other_keys, t.allowed_values::text,
           t.status = 'deprecated', t.successor, t.success_key, t.duration_key,
           t.subject_keys || array_remove(ARRAY[t.actor_key, t.error_key, t.occurred_at_key, t.sample_key], NULL)
                          || t.hash_keys || t.path_keys,
           to_jsonb(t)::text
      FROM eventlog.event_types t
     WHERE t.status <> 'retired' AND t.name !~ '\\*' AND ($1 IS NULL OR t.name = ANY ($1))
     ORDER BY t.name COLLATE \"C\"";

/// Finds the type of each key's values, if all have the same.
const LEARNED: &str = "
    SELECT k.key,
           CASE WHEN count(DISTINCT jsonb_typeof(k.value)) > 1 THEN 'mixed'
                WHEN min(jsonb_typeof(k.value)) <> 'number' THEN min(jsonb_typeof(k.value))
                WHEN bool_and(k.value::text ~ '^-?[0-9]{1,18}$') THEN 'integer'
                ELSE 'number' END
      FROM (SELECT e.data FROM eventlog.events e WHERE e.name = $1 AND jsonb_typeof(e.data) = 'object'
             ORDER BY e.created_at DESC LIMIT 1000) e
     CROSS JOIN LATERAL jsonb_each(e.data) k
     GROUP BY k.key";

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let transaction = client.build_transaction().read_only(true).start().await?;
    transaction.batch_execute("SET LOCAL search_path = pg_catalog, pg_temp").await?;
    require_log(&transaction).await?;
    let wanted = (!arguments.names.is_empty()).then_some(&arguments.names);
    let rows = transaction.query_typed(TYPES, &[(&wanted, Type::TEXT_ARRAY)]).await?;
    if arguments.json {
        let types: Vec<String> = rows.iter().map(|row| row.get(11)).collect();
        return print(&format!("[\n{}\n]", types.join(",\n")));
    }
    let mut types = rows.iter().map(event_type).collect::<Result<Vec<_>, _>>()?;
    if let Some(missing) =
        arguments.names.iter().find(|name| !types.iter().any(|t| t.name == **name))
    {
        let message = format!("there is no event type {missing:?} that can be logged");
        return Err(Failure::new(message));
    }
    if arguments.learn {
        for event_type in &mut types {
            let rows = transaction.query_typed(LEARNED, &[(&event_type.name, Type::TEXT)]).await?;
            event_type.learned =
                rows.iter().map(|row| (row.get(0), Learned::named(row.get(1)))).collect();
        }
    }
    let code = rust::module(&types);
    match &arguments.output {
        None => print(code.trim_end()),
        Some(path) if arguments.check => match fs::read_to_string(path) {
            Ok(text) if text == code => Ok(()),
            Ok(_) => {
                let message = format!("{} differs from the event types of the log", path.display());
                Err(Failure::new(message)
                    .hint(format!("eventlog codegen --output {}", path.display())))
            }
            Err(error) => Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
        },
        Some(path) => fs::write(path, code)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display()))),
    }
}

fn event_type(row: &Row) -> Result<EventType, Failure> {
    let allowed: String = row.get(5);
    let allowed: Value = serde_json::from_str(&allowed)
        .map_err(|error| Failure::new(format!("allowed_values is not JSON: {error}")))?;
    let mut allowed_values = std::collections::BTreeMap::new();
    for (key, values) in allowed.as_object().into_iter().flatten() {
        allowed_values.insert(key.clone(), values.as_array().cloned().unwrap_or_default());
    }
    Ok(EventType {
        name: row.get(0),
        description: row.get(1),
        required_keys: row.get(2),
        optional_keys: row.get(3),
        allows_other_keys: row.get(4),
        allowed_values,
        is_deprecated: row.get(6),
        successor: row.get(7),
        success_key: row.get(8),
        duration_key: row.get(9),
        text_keys: row.get(10),
        learned: std::collections::BTreeMap::new(),
    })
}
