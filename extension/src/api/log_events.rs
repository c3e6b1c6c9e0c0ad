//! `log_events`: a whole batch in one statement. Good events go in with one set-based INSERT, bad
//! ones into the quarantine; a repeated batch writes nothing.

use pgrx::datum::{FromDatum, TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::{Fault, shown};
use crate::event::Event;
use crate::pg::array::{Array, Elements};
use crate::pg::call;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::input;
use crate::pg::jsonb::{Container, Value};
use crate::pg::uuid::parse_uuid;
use crate::settings;
use crate::write::batch::{self, Element, Source};
use crate::write::producer::BatchNumber;
use crate::write::verdicts::render;

/// The place of the protocols among the arguments, in the form that has them.
const PROTOCOLS: usize = 10;

/// The batch as arrays, one for each column; `None` for a column that was left out.
struct Arrays {
    tenant_ids: Option<Elements<Uuid>>,
    names: Elements<Text<'static>>,
    data: Option<Elements<Text<'static>>>,
    occurred_at: Option<Elements<TimestampWithTimeZone>>,
    actors: Option<Elements<Text<'static>>>,
    subjects: Option<Elements<Text<'static>>>,
    idempotency_keys: Option<Elements<Text<'static>>>,
    protocols: Option<Elements<Text<'static>>>,
}

/// Returns the value of a column that may have been left out.
fn at<T: FromDatum>(column: &Option<Elements<T>>, position: usize) -> Option<T> {
    column.as_ref()?.get(position)
}

impl Source for Arrays {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn element<'a>(&'a self, position: usize) -> Element<'a> {
        let text = at(&self.data, position);
        let (data, fault) = match text.map(|text| input::payload(text.as_str())).transpose() {
            Ok(data) => (data, None),
            Err(fault) => (None, Some(fault)),
        };
        let event = Event {
            tenant_id: at(&self.tenant_ids, position),
            name: self.names.get(position),
            data,
            occurred_at: at(&self.occurred_at, position),
            actor: at(&self.actors, position),
            subject: at(&self.subjects, position),
            idempotency_key: at(&self.idempotency_keys, position),
            replay: None,
        };
        Element { event, text, fault, is_whole: false }
    }

    fn protocol(&self, position: usize) -> Option<Text<'_>> {
        at(&self.protocols, position)
    }
}

/// Returns the elements of a column that was given, which must be as many as there are names.
fn column<T: FromDatum + IntoDatum>(
    what: &str,
    array: Option<Array>,
    len: usize,
) -> Result<Option<Elements<T>>, Fault> {
    let Some(array) = array else { return Ok(None) };
    let elements = array.elements(what)?;
    if elements.len() == len {
        return Ok(Some(elements));
    }
    Err(Fault::argument(format!(
        "arrays of different lengths: names has {len}, {what} has {}",
        elements.len()
    )))
}

/// The forms that take arrays. One has an array of protocols besides, for a program that translates what
/// clients of other products send.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the columns of events")]
#[allow(clippy::type_complexity, reason = "the columns of the answer")]
fn log_events(
    tenant_ids: Option<Array>,
    names: Option<Array>,
    data: Option<Array>,
    occurred_at: Option<Array>,
    actors: Option<Array>,
    subjects: Option<Array>,
    idempotency_keys: Option<Array>,
    producer: Option<Uuid>,
    batch_number: Option<i64>,
    with_verdicts: Option<bool>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> TableIterator<
    'static,
    (
        name!(written, i64),
        name!(duplicate, i64),
        name!(sampled, i64),
        name!(rejected, i64),
        name!(is_repeat, bool),
        name!(verdicts, Option<Jsonb<'static>>),
    ),
> {
    let columns = Columns {
        tenant_ids,
        names,
        data,
        occurred_at,
        actors,
        subjects,
        idempotency_keys,
        protocols: call::array_argument(fcinfo, PROTOCOLS),
    };
    TableIterator::once(log_columns(columns, producer, batch_number, with_verdicts))
}

/// The arrays as they were given.
struct Columns {
    tenant_ids: Option<Array>,
    names: Option<Array>,
    data: Option<Array>,
    occurred_at: Option<Array>,
    actors: Option<Array>,
    subjects: Option<Array>,
    idempotency_keys: Option<Array>,
    protocols: Option<Array>,
}

impl Columns {
    /// Reads the arrays: 22004 without names, 22023 if their lengths differ.
    fn read(self) -> Result<Arrays, Fault> {
        let names: Elements<Text<'_>> =
            self.names.ok_or_else(|| Fault::null("names"))?.elements("names")?;
        let len = names.len();
        Ok(Arrays {
            tenant_ids: column("tenant_ids", self.tenant_ids, len)?,
            data: column("data", self.data, len)?,
            occurred_at: column("occurred_at", self.occurred_at, len)?,
            actors: column("actors", self.actors, len)?,
            subjects: column("subjects", self.subjects, len)?,
            idempotency_keys: column("idempotency_keys", self.idempotency_keys, len)?,
            protocols: column("protocols", self.protocols, len)?,
            names,
        })
    }
}

/// Logs the events of some columns.
fn log_columns(
    columns: Columns,
    producer: Option<Uuid>,
    batch_number: Option<i64>,
    with_verdicts: Option<bool>,
) -> Answer {
    let run = || {
        let arrays = columns.read()?;
        let number = BatchNumber::of(producer, batch_number)?;
        batch::run(&arrays, number, with_verdicts.unwrap_or(true))
    };
    answer(run, with_verdicts)
}

/// The form for SQL callers: an array of objects with the names of the columns as keys.
#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "the columns of the answer")]
fn log_events_jsonb(
    events: Option<Jsonb<'_>>,
    with_verdicts: Option<bool>,
) -> TableIterator<
    'static,
    (
        name!(written, i64),
        name!(duplicate, i64),
        name!(sampled, i64),
        name!(rejected, i64),
        name!(is_repeat, bool),
        name!(verdicts, Option<Jsonb<'static>>),
    ),
> {
    let run = || {
        let events = events.ok_or_else(|| Fault::null("events"))?;
        let root = Container::root(events.bytes());
        if root.kind() != "an array" {
            return Err(Fault::argument(format!(
                "events must be a JSON array, found {}",
                root.kind()
            )));
        }
        batch::run(&Objects(root.elements().collect()), None, with_verdicts.unwrap_or(true))
    };
    TableIterator::once(answer(run, with_verdicts))
}

type Answer = (i64, i64, i64, i64, bool, Option<Jsonb<'static>>);

/// NULL asks for verdicts only if an element is rejected: rendering a thousand verdicts of good
/// events costs time and nobody reads them.
fn answer(
    run: impl FnOnce() -> Result<batch::Outcome, Fault>,
    with_verdicts: Option<bool>,
) -> Answer {
    if !settings::enabled() {
        return (0, 0, 0, 0, false, None);
    }
    let outcome = run().unwrap_or_else(|fault| fault.raise());
    let counts = outcome.counts;
    let verdicts = outcome.verdicts.filter(|_| with_verdicts.is_some() || counts.rejected > 0);
    let verdicts = verdicts.map(|verdicts| render(&verdicts));
    (counts.written, counts.duplicate, counts.sampled, counts.rejected, outcome.is_repeat, verdicts)
}

/// The batch as JSON objects.
struct Objects<'a>(Vec<Value<'a>>);

impl Source for Objects<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn element<'a>(&'a self, position: usize) -> Element<'a> {
        let mut event = Event::default();
        let fault = match self.0[position] {
            Value::Container(object) if object.is_object() => read(object, &mut event).err(),
            _ => Some(Fault::argument("an event must be a JSON object")),
        };
        Element { event, text: None, fault, is_whole: false }
    }
}

/// Reads all keys that are right, so that the quarantine shows them, and reports the first fault.
fn read<'a>(object: Container<'a>, event: &mut Event<'a>) -> Result<(), Fault> {
    let mut first = Ok(());
    for (key, value) in object.pairs() {
        let key = String::from_utf8_lossy(key);
        let fault = match (&*key, value) {
            (_, Value::Null) => Ok(()),
            ("tenant_id", Value::String(text)) => parse_uuid(text)
                .map(|uuid| event.tenant_id = Some(Uuid::from_bytes(uuid)))
                .ok_or_else(|| Fault::argument("tenant_id is not a uuid")),
            ("occurred_at", Value::String(text)) => {
                input::timestamp(&String::from_utf8_lossy(text))
                    .map(|at| event.occurred_at = Some(at))
            }
            ("data", Value::Container(data)) => {
                event.data = Some(Jsonb::copy_of(data.bytes()));
                Ok(())
            }
            ("name" | "actor" | "subject" | "idempotency_key", Value::String(text)) => {
                let text = Some(Text::copy_of(&String::from_utf8_lossy(text)));
                match &*key {
                    "name" => event.name = text,
                    "actor" => event.actor = text,
                    "subject" => event.subject = text,
                    _ => event.idempotency_key = text,
                }
                Ok(())
            }
            ("data", _) => Err(Fault::argument("data must be a JSON object")),
            ("tenant_id" | "occurred_at" | "name" | "actor" | "subject" | "idempotency_key", _) => {
                Err(Fault::argument(format!("{key} must be a string")))
            }
            _ => Err(Fault::argument(format!("an event has no key {}", shown(&key)))
                .hint("tenant_id, name, data, occurred_at, actor, subject, idempotency_key")),
        };
        first = first.and(fault);
    }
    first
}
