//! Events of other tools: which of their fields becomes which column.

mod fields;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use self::fields::{id, json_text, plain, time};
pub(super) use self::names::Names;
use super::row::Row;
use crate::tenant;

/// Another tool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Tool {
    /// Lines of Segment's or RudderStack's HTTP API, or of their archives
    Segment,
    /// Lines of PostHog's batch export
    Posthog,
    /// Lines of Mixpanel's raw export
    Mixpanel,
    /// Rows of ahoy_events, as JSON
    Ahoy,
}

/// How a tool's events become events of the log.
pub(super) struct Mapping {
    pub(super) tool: Tool,
    /// Tenant of events whose payload does not name one.
    pub(super) tenant: Option<String>,
    /// Key of the payload that names the tenant.
    pub(super) tenant_key: Option<String>,
    pub(super) names: Names,
    /// Events that were left out so far.
    pub(super) left_out: u64,
    /// Names of events since they were last taken.
    pub(super) seen: BTreeSet<String>,
}

/// The fields of an object, with values as they are written.
type Fields = BTreeMap<String, Box<RawValue>>;

/// An event of another tool.
struct Event {
    name: String,
    /// What the tool calls the event's id.
    id: Option<String>,
    actor: Option<String>,
    created_at: Option<String>,
    occurred_at: Option<String>,
    data: Fields,
}

impl Mapping {
    /// Reads an event; `None` if it is left out.
    pub(super) fn row(&mut self, text: &[u8]) -> Result<Option<Row>, String> {
        let fields: Fields = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let event = match self.tool {
            Tool::Segment => segment(fields)?,
            Tool::Posthog => Some(posthog(fields)?),
            Tool::Mixpanel => Some(mixpanel(fields)?),
            Tool::Ahoy => Some(ahoy(fields)?),
        };
        let event = event.and_then(|event| Some((self.names.of(&event.name)?, event)));
        let Some((name, event)) = event else {
            self.left_out += 1;
            return Ok(None);
        };
        let tenant = self.tenant_of(&event.data)?;
        let created_at = event.created_at.ok_or("the event has no time")?;
        self.seen.insert(name.clone());
        let data = serde_json::to_string(&event.data).map_err(|error| error.to_string())?;
        Ok(Some(Row([
            Some(number(self.tool, event.id.as_deref(), text).to_string()),
            Some(tenant),
            Some(name),
            Some(data),
            event.actor.filter(|actor| !actor.is_empty()),
            None,
            event.occurred_at,
            Some(created_at),
            None,
        ])))
    }

    fn tenant_of(&self, data: &Fields) -> Result<String, String> {
        let own =
            self.tenant_key.as_ref().and_then(|key| data.get(key)).and_then(|value| id(value));
        match (own, &self.tenant, &self.tenant_key) {
            // A name, or the tool's own number of a tenant, is what tenant() makes of it.
            (Some(own), _, _) => tenant::parse(&own).map(|id| id.to_string()),
            (None, Some(tenant), _) => Ok(tenant.clone()),
            (None, None, Some(key)) => {
                Err(format!("key {key}, which names the tenant, is missing"))
            }
            (None, None, None) => Err("no tenant is given".to_owned()),
        }
    }
}

/// Returns the id of an imported event: negative, so that it is never that of an event of the log, the
/// same whenever the event is imported again, and exact as a JavaScript number (53 bits). Two events
/// would have to have the same time too to be taken for one.
fn number(tool: Tool, id: Option<&str>, text: &[u8]) -> i64 {
    let hash = Sha256::new_with_prefix(format!("{tool:?}\0"));
    let hash = match id {
        Some(id) => hash.chain_update(id),
        None => hash.chain_update(text.trim_ascii()),
    };
    let bytes = hash.finalize();
    let bits = bytes[..8].iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    -1 - (bits >> 12) as i64
}

/// Takes a field that may be an object, or a text that holds one.
fn object(fields: &mut Fields, key: &str) -> Result<Fields, String> {
    let Some(value) = fields.remove(key) else { return Ok(Fields::new()) };
    let inner = json_text(&value);
    match inner.trim() {
        "null" | "" => Ok(Fields::new()),
        text => {
            serde_json::from_str(text).map_err(|error| format!("{key} is not an object: {error}"))
        }
    }
}

/// Keeps what the application itself sent: not keys that begin with `$` or one of these prefixes.
fn without(mut data: Fields, keys: &[&str], prefix: &str) -> Fields {
    data.retain(|key, _| {
        let is_of_tool = key.starts_with('$') || (!prefix.is_empty() && key.starts_with(prefix));
        !is_of_tool && !keys.contains(&key.as_str())
    });
    data
}

fn segment(mut fields: Fields) -> Result<Option<Event>, String> {
    let text = |fields: &Fields, key: &str| fields.get(key).and_then(|value| id(value));
    let data = object(&mut fields, "properties")?;
    let kind = text(&fields, "type").unwrap_or_else(|| "track".to_owned());
    let name = match kind.as_str() {
        "track" => text(&fields, "event").ok_or("event is missing")?,
        "page" => "Page Viewed".to_owned(),
        "screen" => "Screen Viewed".to_owned(),
        // They describe a person or an account, and are no event.
        "identify" | "group" | "alias" => return Ok(None),
        other => return Err(format!("unknown type {other:?}")),
    };
    let first = |keys: &[&str]| keys.iter().find_map(|key| fields.get(*key).and_then(|v| time(v)));
    Ok(Some(Event {
        name,
        id: text(&fields, "messageId").or_else(|| text(&fields, "message_id")),
        actor: text(&fields, "userId").or_else(|| text(&fields, "anonymousId")),
        created_at: first(&["receivedAt", "timestamp", "originalTimestamp", "sentAt"]),
        occurred_at: first(&["timestamp", "originalTimestamp"]),
        data,
    }))
}

fn posthog(mut fields: Fields) -> Result<Event, String> {
    let data = without(object(&mut fields, "properties")?, &["token", "distinct_id"], "");
    let text = |key: &str| fields.get(key).and_then(|value| id(value));
    Ok(Event {
        name: text("event").ok_or("event is missing")?,
        id: text("uuid"),
        actor: text("distinct_id"),
        created_at: fields.get("timestamp").and_then(|value| time(value)),
        occurred_at: None,
        data,
    })
}

fn mixpanel(mut fields: Fields) -> Result<Event, String> {
    let data = object(&mut fields, "properties")?;
    let text = |key: &str| data.get(key).and_then(|value| id(value));
    Ok(Event {
        name: fields.get("event").and_then(|value| id(value)).ok_or("event is missing")?,
        id: text("$insert_id"),
        actor: text("$user_id").or_else(|| text("distinct_id")),
        created_at: data.get("time").and_then(|value| time(value)),
        occurred_at: None,
        data: without(data, &["time", "distinct_id", "token"], "mp_"),
    })
}

fn ahoy(mut fields: Fields) -> Result<Event, String> {
    let data = object(&mut fields, "properties")?;
    let text = |key: &str| fields.get(key).and_then(|value| id(value));
    Ok(Event {
        name: fields.get("name").and_then(|value| plain(value)).ok_or("name is missing")?,
        id: text("id"),
        actor: text("user_id").or_else(|| text("visitor_token")),
        created_at: fields.get("time").and_then(|value| time(value)),
        occurred_at: None,
        data,
    })
}

#[cfg(test)]
mod tests;
