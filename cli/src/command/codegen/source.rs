//! Where event types come from: a log, or an event plan in a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::event_type::{EventType, Kind, Rules};
use crate::command::filter::is_standard;
use crate::connection::{Server, require_log};
use crate::output::Failure;

/// Every event type, as a row of its own: a log of an older layout lacks columns.
const TYPES: &str = "
    SELECT t.name, to_jsonb(t)::text FROM eventlog.event_types t ORDER BY t.name COLLATE \"C\"";

/// Finds the kind of each key's values, if all have the same.
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

/// The event types that were asked for, and the JSON that each came from.
pub(super) struct Source {
    pub(super) types: Vec<EventType>,
    pub(super) json: Vec<String>,
}

/// An event plan, as `taxonomy_export()` writes it.
#[derive(Deserialize)]
struct Plan {
    eventlog_plan: u32,
    events: BTreeMap<String, Rules>,
}

/// Reads the event types of a log; with `learns`, also the kinds of values that its newest events have.
pub(super) async fn of_log(
    server: &Server,
    wanted: &[String],
    learns: bool,
) -> Result<Source, Failure> {
    let mut client = server.connect().await?;
    let transaction = client.build_transaction().read_only(true).start().await?;
    transaction.batch_execute("SET LOCAL search_path = pg_catalog, pg_temp").await?;
    require_log(&transaction).await?;
    let mut rules = Vec::new();
    for row in transaction.query_typed(TYPES, &[]).await? {
        let (name, json): (String, String) = (row.get(0), row.get(1));
        let of_name = serde_json::from_str(&json)
            .map_err(|error| Failure::new(format!("cannot read event type {name:?}: {error}")))?;
        rules.push((name, of_name, json));
    }
    let mut source = Source { types: Vec::new(), json: Vec::new() };
    for (name, rules, json) in chosen(rules, wanted)? {
        let learned = if learns { learned(&transaction, &name).await? } else { BTreeMap::new() };
        source.types.push(rules.event_type(name, &learned));
        source.json.push(json);
    }
    Ok(source)
}

async fn learned(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<BTreeMap<String, Kind>, Failure> {
    let rows = transaction.query_typed(LEARNED, &[(&name, Type::TEXT)]).await?;
    Ok(rows.iter().filter_map(|row| Some((row.get(0), Kind::named(row.get(1))?))).collect())
}

/// Reads the event types of a plan; `-` is standard input.
pub(super) fn of_plan(path: &Path, wanted: &[String]) -> Result<Source, Failure> {
    let text = match is_standard(path) {
        true => std::io::read_to_string(std::io::stdin()),
        false => fs::read_to_string(path),
    };
    let shown = path.display();
    let text = text.map_err(|error| Failure::new(format!("cannot read {shown}: {error}")))?;
    let hint = "psql -Atc 'SELECT jsonb_pretty(eventlog.taxonomy_export())' > events.json";
    let plan: Plan = serde_json::from_str(&text).map_err(|error| {
        Failure::new(format!("{shown} is not an event plan: {error}")).hint(hint)
    })?;
    if plan.eventlog_plan != 1 {
        let message = format!("{shown} is an event plan of version {}, not 1", plan.eventlog_plan);
        return Err(Failure::new(message).hint(hint));
    }
    if let Some(name) = plan.events.keys().find(|name| !is_name(name)) {
        return Err(Failure::new(format!("{shown}: {name:?} cannot be the name of an event"))
            .hint("use a-z, 0-9, _ and ., begin with a letter, at most 128 bytes"));
    }
    let rules = plan.events.into_iter().map(|(name, rules)| (name, rules, String::new())).collect();
    let types = chosen(rules, wanted)?;
    let types = types.into_iter().map(|(name, rules, _)| rules.event_type(name, &BTreeMap::new()));
    Ok(Source { types: types.collect(), json: Vec::new() })
}

/// Returns true if the log takes this as the name of an event type, or as a wildcard.
fn is_name(name: &str) -> bool {
    let own = name.strip_suffix(".*").unwrap_or(name);
    name.len() <= 128
        && own.starts_with(|c: char| c.is_ascii_lowercase())
        && own.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.'))
}

/// Returns those that can be logged and are wanted, by name or by alias; all, if none are named.
fn chosen(
    mut rules: Vec<(String, Rules, String)>,
    wanted: &[String],
) -> Result<Vec<(String, Rules, String)>, Failure> {
    rules.retain(|(name, rules, _)| rules.can_be_logged(name));
    if wanted.is_empty() {
        return Ok(rules);
    }
    let mut names = Vec::new();
    for one in wanted {
        let by_name = rules.iter().find(|(name, ..)| name == one);
        // A name wins over an alias.
        let by_alias = || rules.iter().find(|(_, rules, _)| rules.aliases.contains(one));
        let Some((name, ..)) = by_name.or_else(by_alias) else {
            return Err(Failure::new(format!("there is no event type {one:?} that can be logged")));
        };
        names.push(name.clone());
    }
    rules.retain(|(name, ..)| names.contains(name));
    Ok(rules)
}
