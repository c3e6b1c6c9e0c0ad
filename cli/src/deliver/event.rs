//! What is sent: an event or an alert, with the body that every webhook gets alike.

use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use uuid::Uuid;

/// A message before it is addressed to a webhook.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: i64,
    /// True for a row of alert_changes.
    pub(super) is_alert: bool,
    pub(super) tenant: Uuid,
    pub(super) name: String,
    pub(super) created_at: String,
    pub(super) body: Bytes,
    /// When it was read from the log.
    pub(super) read_at: Instant,
}

#[derive(Serialize)]
struct Body<'a, D> {
    r#type: &'a str,
    timestamp: &'a str,
    data: D,
}

#[derive(Serialize)]
struct Data<'a> {
    id: i64,
    tenant_id: Uuid,
    name: &'a str,
    data: Option<&'a RawValue>,
    actor: Option<&'a str>,
    subject: Option<&'a str>,
    occurred_at: &'a str,
    created_at: &'a str,
}

impl Event {
    /// Reads an event, or an alert that was raised or resolved, of a row with the columns id, tenant_id, name, data, actor, subject, occurred_at and
    /// created_at, which begin at `first`. Nothing if the event is gone.
    pub(super) fn of(row: &Row, id: i64, first: usize, is_alert: bool) -> Option<Self> {
        let name: Option<String> = row.get(first + 1);
        let name = name?;
        let tenant: Uuid = row.get(first);
        let data: Option<&str> = row.get(first + 2);
        let created_at: &str = row.get(first + 6);
        let occurred_at: &str = row.get::<_, Option<&str>>(first + 5).unwrap_or(created_at);
        let raw: Option<&RawValue> = data.and_then(|text| serde_json::from_str(text).ok());
        let data = Data {
            id,
            tenant_id: tenant,
            name: &name,
            data: raw,
            actor: row.get(first + 3),
            subject: row.get(first + 4),
            occurred_at,
            created_at,
        };
        let body = if is_alert {
            serde_json::to_vec(&Body { r#type: &name, timestamp: occurred_at, data: raw })
        } else {
            serde_json::to_vec(&Body { r#type: &name, timestamp: occurred_at, data })
        };
        let body = body.expect("keys are text").into();
        let created_at = created_at.to_owned();
        Some(Event { id, is_alert, tenant, name, created_at, body, read_at: Instant::now() })
    }

    /// Returns the id of the message for a webhook, the same for each attempt.
    pub(super) fn message_id(&self, webhook: Uuid) -> String {
        let kind = if self.is_alert { "alert" } else { "evt" };
        format!("{kind}_{webhook}_{}", self.id)
    }
}
