//! The only SQL of the writer. No state is kept on the connection: one statement a batch, its types
//! sent along, so it works through a pooler in transaction mode.

use std::fmt::Display;
use std::time::SystemTime;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::batch::{Answer, Batch, Verdict};
use crate::error::Error;
use crate::event::Prepared;
use crate::{Event, Options};

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Logs a batch.
pub(crate) const LOG_EVENTS: &str = "SELECT written, duplicate, sampled, rejected, verdicts::text
       FROM eventlog.log_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// Logs a batch as one tenant, set for this statement only. The CASE makes the call wait for the
/// setting, which a join would be free to evaluate afterwards.
pub(crate) const LOG_EVENTS_OF_TENANT: &str =
    "SELECT b.written, b.duplicate, b.sampled, b.rejected, b.verdicts::text
       FROM set_config('eventlog.tenant_id', $11, true) AS s (tenant_id)
      CROSS JOIN LATERAL eventlog.log_events(CASE WHEN s.tenant_id IS NOT NULL THEN $1 END,
                $2, $3, $4, $5, $6, $7, $8, $9, $10) AS b";

/// Logs one event, in the caller's transaction.
pub(crate) const LOG_EVENT: &str =
    "SELECT eventlog.log_event($1, $2, $3::text::jsonb, $4, $5, $6, $7)";

/// A batch as parameters, by column. A column that no event has is one NULL: a thousand of them
/// would cost the server as much as a thousand values.
pub(crate) struct Parameters<'b> {
    batch: &'b Batch,
    tenant_ids: Option<Vec<Option<Uuid>>>,
    names: Vec<&'b str>,
    data: Vec<&'b str>,
    occurred_at: Option<Vec<Option<SystemTime>>>,
    actors: Option<Vec<Option<&'b str>>>,
    subjects: Option<Vec<Option<&'b str>>>,
    idempotency_keys: Option<Vec<Option<&'b str>>>,
    producer: Uuid,
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
            producer,
            tenant: options.tenant.map(|tenant| tenant.to_string()),
        }
    }

    pub(crate) fn sql(&self) -> &'static str {
        if self.tenant.is_some() { LOG_EVENTS_OF_TENANT } else { LOG_EVENTS }
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
            (&batch.with_verdicts, Type::BOOL),
        ];
        if let Some(tenant) = &self.tenant {
            values.push((tenant, Type::TEXT));
        }
        values
    }
}

/// An event as parameters of [`LOG_EVENT`].
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

/// What the server says of a batch of so many events. An answer that makes no sense is not worth
/// another try.
pub(crate) fn answer(rows: &[Row], events: usize) -> Result<Answer, Error> {
    let row = rows.first().ok_or_else(|| Error::protocol("log_events gave no row"))?;
    let unread = |error: &dyn Display| Error::protocol(format!("log_events gave {error}"));
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
        verdicts: verdicts.map_err(|error| unread(&error))?.unwrap_or_default(),
    };
    match answer.events() {
        counted if counted > events as u64 => {
            Err(unread(&format_args!("the counts of {counted} events for {events}")))
        }
        _ => Ok(answer),
    }
}

/// One verdict as the log writes it: `{"position": 1, "id": 7}` and its like.
#[derive(serde::Deserialize)]
struct Written {
    id: Option<i64>,
    sqlstate: Option<String>,
    message: Option<String>,
    #[serde(default)]
    is_sampled: bool,
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
            Written { id, .. } => Verdict::Stored(id),
        })
        .collect())
}
