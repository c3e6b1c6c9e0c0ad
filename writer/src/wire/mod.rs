//! The only SQL of the writer. Each batch is one statement that carries its parameter types, and no
//! state is kept on the connection, so it works through a pooler in transaction mode.

pub(crate) mod connect;

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::engine::batch::{Answer, Batch, Verdict};
use crate::error::Error;
use crate::event::Prepared;
use crate::{Event, Options};

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Logs a batch. First sets `lock_timeout` for this statement: to the least of the writer's, the
/// role's, and half of `statement_timeout`, so that a held lock gives another error than a slow
/// statement. The CASE makes the call depend on the settings; a join could evaluate them afterwards.
macro_rules! log_events {
    ($settings:literal, $protocols:literal) => {
        concat!(
            "SELECT b.written, b.duplicate, b.sampled, b.rejected, b.verdicts::text, b.is_repeat
               FROM (SELECT set_config('lock_timeout', coalesce(least($11,
                            nullif(extract(epoch FROM current_setting('lock_timeout')::interval) * 1000, 0)::bigint,
                            nullif(extract(epoch FROM current_setting('statement_timeout')::interval) * 500, 0)::bigint),
                            0)::text, true)",
            $settings,
            ") AS s (done)
              CROSS JOIN LATERAL eventlog.log_events(CASE WHEN s.done IS NOT NULL THEN $1 END,
                        $2, $3, $4, $5, $6, $7, $8, $9, $10",
            $protocols,
            ") AS b"
        )
    };
}

/// Logs as the role that the writer connects as, or as the tenants of the events.
pub(crate) const LOG_EVENTS: &str = log_events!("", "");

/// Logs as one tenant, set for this statement only.
pub(crate) const LOG_EVENTS_OF_TENANT: &str =
    log_events!(" || set_config('eventlog.tenant_id', $12, true)", "");

/// The same two with the protocols of the events, for servers since 0.2.
const LOG_EVENTS_OF_PROTOCOLS: &str = log_events!("", ", $12");
const LOG_EVENTS_OF_TENANT_AND_PROTOCOLS: &str =
    log_events!(" || set_config('eventlog.tenant_id', $12, true)", ", $13");

/// Logs one event, in the caller's transaction.
pub(crate) const LOG_EVENT: &str =
    "SELECT eventlog.log_event($1, $2, $3::text::jsonb, $4, $5, $6, $7)";

/// A batch as parameters, by column. A column that no event has is a single NULL: an array of a
/// thousand NULLs would cost the server as much as a thousand values.
pub(crate) struct Parameters<'b> {
    batch: &'b Batch,
    tenant_ids: Option<Vec<Option<Uuid>>>,
    names: Vec<&'b str>,
    data: Vec<&'b str>,
    occurred_at: Option<Vec<Option<SystemTime>>>,
    actors: Option<Vec<Option<&'b str>>>,
    subjects: Option<Vec<Option<&'b str>>>,
    idempotency_keys: Option<Vec<Option<&'b str>>>,
    /// Sent only if an event has one.
    protocols: Option<Vec<Option<&'b str>>>,
    producer: Uuid,
    /// `None` asks for the verdicts of refused events only, which servers since 0.2 give.
    with_verdicts: Option<bool>,
    lock_timeout: Option<i64>,
    tenant: Option<String>,
}

fn column<'b, T>(
    events: &'b [Event],
    value: impl Fn(&'b Event) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let is_used = events.iter().any(|event| value(event).is_some());
    is_used.then(|| events.iter().map(value).collect())
}

impl<'b> Parameters<'b> {
    pub(crate) fn new(batch: &'b Batch, producer: Uuid, options: &Options) -> Self {
        let events = &batch.events;
        Parameters {
            batch,
            tenant_ids: column(events, |event| event.tenant_id),
            names: events.iter().map(|event| event.name.as_str()).collect(),
            data: events.iter().map(|event| event.data.as_str()).collect(),
            occurred_at: column(events, |event| event.occurred_at),
            actors: column(events, |event| event.actor.as_deref()),
            subjects: column(events, |event| event.subject.as_deref()),
            idempotency_keys: column(events, |event| event.idempotency_key.as_deref()),
            protocols: column(events, |event| event.protocol),
            producer,
            with_verdicts: batch.with_verdicts.then_some(true),
            lock_timeout: batch.lock_timeout.map(milliseconds),
            tenant: options.tenant.map(|tenant| tenant.to_string()),
        }
    }

    pub(crate) fn sql(&self) -> &'static str {
        match (self.tenant.is_some(), self.protocols.is_some()) {
            (false, false) => LOG_EVENTS,
            (true, false) => LOG_EVENTS_OF_TENANT,
            (false, true) => LOG_EVENTS_OF_PROTOCOLS,
            (true, true) => LOG_EVENTS_OF_TENANT_AND_PROTOCOLS,
        }
    }

    pub(crate) fn values(&self) -> Vec<Parameter<'_>> {
        let batch = self.batch;
        let mut values: Vec<Parameter<'_>> = vec![
            (&self.tenant_ids, Type::UUID_ARRAY),
            (&self.names, Type::TEXT_ARRAY),
            (&self.data, Type::TEXT_ARRAY),
            (&self.occurred_at, Type::TIMESTAMPTZ_ARRAY),
            (&self.actors, Type::TEXT_ARRAY),
            (&self.subjects, Type::TEXT_ARRAY),
            (&self.idempotency_keys, Type::TEXT_ARRAY),
            (&self.producer, Type::UUID),
            (&batch.number, Type::INT8),
            (&self.with_verdicts, Type::BOOL),
            (&self.lock_timeout, Type::INT8),
        ];
        if let Some(tenant) = &self.tenant {
            values.push((tenant, Type::TEXT));
        }
        if self.protocols.is_some() {
            values.push((&self.protocols, Type::TEXT_ARRAY));
        }
        values
    }
}

/// Returns a time as the setting takes it: zero would mean for ever, and more is refused.
fn milliseconds(time: Duration) -> i64 {
    time.as_millis().clamp(1, i32::MAX as u128) as i64
}

/// Returns an event as the parameters of [`LOG_EVENT`].
pub(crate) fn event_values(prepared: &Prepared) -> [Parameter<'_>; 7] {
    let event = &prepared.event;
    [
        (&event.tenant_id, Type::UUID),
        (&prepared.own_name, Type::TEXT),
        (&event.data, Type::TEXT),
        (&event.occurred_at, Type::TIMESTAMPTZ),
        (&event.actor, Type::TEXT),
        (&event.subject, Type::TEXT),
        (&event.idempotency_key, Type::TEXT),
    ]
}

/// Reads the server's answer to a batch of so many events. An answer that cannot be right is not
/// worth another try.
pub(crate) fn answer(rows: &[Row], events: usize) -> Result<Answer, Error> {
    let row = rows.first().ok_or_else(|| Error::protocol("log_events returned no row"))?;
    let unread = |error: &dyn Display| {
        Error::protocol(format!("the answer of log_events cannot be read: {error}"))
    };
    let count = |column| -> Result<u64, Error> {
        let count: i64 = row.try_get(column).map_err(|error| unread(&error))?;
        u64::try_from(count).map_err(|error| unread(&error))
    };
    let verdicts: Option<String> = row.try_get(4).map_err(|error| unread(&error))?;
    let verdicts = verdicts.map(|json| read_verdicts(&json)).transpose();
    let answer = Answer {
        written: count(0)?,
        duplicate: count(1)?,
        sampled: count(2)?,
        rejected: count(3)?,
        is_repeat: row.try_get(5).map_err(|error| unread(&error))?,
        verdicts: verdicts.map_err(|error| unread(&error))?.unwrap_or_default(),
    };
    match answer.events() {
        counted if counted > events as u64 => {
            Err(unread(&format_args!("it counts {counted} events of {events}")))
        }
        _ => Ok(answer),
    }
}

/// One verdict as the log writes it, such as `{"position": 1, "id": 7}`.
#[derive(serde::Deserialize)]
struct Written {
    id: Option<i64>,
    sqlstate: Option<String>,
    message: Option<String>,
    #[serde(default)]
    is_sampled: bool,
    #[serde(default)]
    is_duplicate: bool,
}

fn read_verdicts(json: &str) -> Result<Vec<Verdict>, serde_json::Error> {
    let written: Vec<Written> = serde_json::from_str(json)?;
    Ok(written
        .into_iter()
        .map(|verdict| match verdict {
            Written { is_sampled: true, .. } => Verdict::LeftOut,
            Written { sqlstate: Some(sqlstate), message, .. } => {
                Verdict::Rejected(Error::rejected(Some(sqlstate), message.unwrap_or_default()))
            }
            Written { id, is_duplicate: true, .. } => Verdict::Duplicate(id),
            Written { id, .. } => Verdict::Stored(id),
        })
        .collect())
}
