//! The digest of an event, from the JSON that `eventlog export` writes of it.

use std::borrow::Cow;

use eventlog_seal::Hash;
use eventlog_seal::form::{Columns, Form};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{json, times};

/// Unknown keys are refused: they would not be sealed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exported<'a> {
    id: i64,
    tenant_id: Uuid,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    actor: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    occurred_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    created_at: Cow<'a, str>,
    #[serde(borrow)]
    weight: Option<&'a RawValue>,
}

/// An event without its payload, and its digest.
pub(super) struct Event {
    pub(super) tenant: Uuid,
    pub(super) name: String,
    /// In microseconds since 1970-01-01 UTC.
    pub(super) created_at: i64,
    pub(super) id: i64,
    pub(super) digest: Hash,
}

/// Reads an event with the columns of `eventlog export`. The memory of the form is used again.
pub(super) fn read(form: &mut Form, text: &[u8]) -> Result<Event, String> {
    let event: Exported<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let time =
        |text: &str| times::micros(text).ok_or_else(|| format!("{text:?} is no time of an export"));
    let weight = event.weight.map(|weight| {
        weight.get().parse().map_err(|_| format!("{weight} is no weight of an export"))
    });
    let columns = Columns {
        id: event.id,
        tenant_id: event.tenant_id.into_bytes(),
        created_at: time(&event.created_at)?,
        occurred_at: event.occurred_at.as_deref().map(time).transpose()?,
        weight: weight.transpose()?,
        name: event.name.as_bytes(),
        actor: event.actor.as_deref().map(str::as_bytes),
        subject: event.subject.as_deref().map(str::as_bytes),
    };
    json::write(form.begin(&columns), event.data.get())?;
    Ok(Event {
        tenant: event.tenant_id,
        created_at: columns.created_at,
        id: event.id,
        digest: form.digest(),
        name: event.name.into_owned(),
    })
}
