//! The checks of `log_event` for `import_events`, which inserts whole sets by itself. Imported
//! events get no defaults and lookups, and are not sampled or counted against a quota.

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::Event;
use crate::event::given::{is_finite, labels_fit};
use crate::event::quarantine;
use crate::payload::check::{self, CheckOptions};
use crate::pg::datum::{Jsonb, Text};
use crate::pg::input;
use crate::registry;
use crate::tenant;

type Stored = (Jsonb<'static>, Option<Text<'static>>, Option<Text<'static>>);

/// Returns what would be stored of a row; or what is wrong with it, and what the quarantine may
/// keep.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the columns of a table of events")]
#[allow(clippy::type_complexity, reason = "the columns of the answer")]
fn check_import(
    id: Option<i64>,
    tenant_id: Option<Uuid>,
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
    created_at: Option<TimestampWithTimeZone>,
    occurred_at: Option<TimestampWithTimeZone>,
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
) -> TableIterator<
    'static,
    (
        name!(data, Option<Jsonb<'static>>),
        name!(actor, Option<Text<'static>>),
        name!(subject, Option<Text<'static>>),
        name!(sqlstate, Option<String>),
        name!(message, Option<String>),
        name!(detail, Option<String>),
    ),
> {
    let missing = [
        ("id", id.is_none()),
        ("tenant_id", tenant_id.is_none()),
        ("created_at", created_at.is_none()),
    ];
    let times = [created_at, occurred_at].map(|at| at.map(|at| at.into_inner()));
    let checked = match missing.iter().find(|(_, is_null)| *is_null) {
        Some((column, _)) => Err(Fault::null(column)),
        None => tenant_id
            .map_or(Ok([0; 16]), |tenant| tenant::refuse_all(*tenant.as_bytes()))
            .and_then(|_| check(name, data, times, actor, subject)),
    };
    TableIterator::once(match checked {
        Ok((data, actor, subject)) => (Some(data), actor, subject, None, None, None),
        Err(fault) => {
            let (data, actor) = for_quarantine(name, data, actor);
            (data, actor, None, Some(fault.sqlstate()), Some(fault.message), fault.detail)
        }
    })
}

/// Returns what the quarantine may keep of a refused row.
fn for_quarantine(
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
    actor: Option<Text<'_>>,
) -> (Option<Jsonb<'static>>, Option<Text<'static>>) {
    let Ok(log) = registry::current() else { return (None, None) };
    let event = Event { name, data, actor, ..Event::default() };
    let clean = quarantine::clean(&log, &event, None);
    let data = clean.text.and_then(|text| input::jsonb_of(text.as_str()).ok());
    (data.filter(|_| event.data.is_some()), clean.actor.map(|actor| Text::copy_of(actor.as_str())))
}

fn check(
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
    times: [Option<i64>; 2],
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
) -> Result<Stored, Fault> {
    let name = name.ok_or_else(|| Fault::null("name"))?;
    let log = registry::current()?;
    let event_type = log.find(name.as_str())?;
    for (what, at) in ["created_at", "occurred_at"].into_iter().zip(times) {
        is_finite(what, at)?;
    }
    let actor = actor.filter(|actor| !actor.as_str().is_empty());
    let subject = subject.filter(|subject| !subject.as_str().is_empty());
    labels_fit(actor.map(|a| a.as_str()), subject.map(|s| s.as_str()))?;
    let data = data.unwrap_or_else(Jsonb::empty_object);
    let options = CheckOptions {
        has_actor: actor.is_some(),
        has_subject: subject.is_some(),
        ..CheckOptions::default()
    };
    let checked = check::check(&log.hash_key, event_type, data, options)?;
    let hash = |actor: Text<'_>| log.hash_key.hash(actor.as_str());
    let hashed = actor.filter(|_| event_type.hash_actor).map(hash).transpose()?;
    // Copied, because the row is returned after the arguments are freed.
    Ok((
        Jsonb::copy_of(checked.data.bytes()),
        match hashed {
            Some(hash) => Some(Text::copy_of(&String::from_utf8_lossy(&hash))),
            None => actor.or(checked.actor).map(|actor| Text::copy_of(actor.as_str())),
        },
        subject.or(checked.subject).map(|subject| Text::copy_of(subject.as_str())),
    ))
}
