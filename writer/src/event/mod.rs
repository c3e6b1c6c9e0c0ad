//! An event, as the application gives it.

mod check;
mod payload;

use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use crate::EventName;
use crate::event::check::{MOST_DEPTH, nests_too_deep};
use crate::event::payload::without_null_keys;

/// Bytes that an event takes besides its texts, roughly: for the bounds of queue and batch.
const OVERHEAD: usize = 256;

/// An event on its way into the log.
///
/// ```
/// use eventlog_writer::{Event, EventName};
/// # let tenant = uuid::Uuid::nil();
///
/// #[derive(serde::Serialize)]
/// #[serde(rename_all = "camelCase")]
/// struct Message<'a> {
///     conversation_id: &'a str,
///     role: &'a str,
///     confidence: Option<f32>,
/// }
///
/// let event = Event::new(EventName::MessageSent)
///     .tenant(tenant)
///     .actor("user-17")
///     .data(&Message { conversation_id: "c1", role: "user", confidence: None });
/// assert_eq!(event.payload(), r#"{"conversationId":"c1","role":"user"}"#);
/// ```
#[derive(Clone, Debug)]
pub struct Event {
    pub(crate) tenant_id: Option<Uuid>,
    pub(crate) name: EventName,
    pub(crate) data: String,
    pub(crate) occurred_at: Option<SystemTime>,
    pub(crate) actor: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    /// Whether the payload tells when it happened.
    pub(crate) has_clock: bool,
    /// Why the payload could not be made.
    pub(crate) fault: Option<String>,
}

impl Event {
    /// An event with an empty payload, of the connection's tenant, that occurs when it is logged.
    pub fn new(name: impl Into<EventName>) -> Self {
        Event {
            tenant_id: None,
            name: name.into(),
            data: "{}".to_owned(),
            occurred_at: None,
            actor: None,
            subject: None,
            idempotency_key: None,
            has_clock: false,
            fault: None,
        }
    }

    /// Whose event it is. Left out, it is `eventlog.current_tenant()` of the writer's connection.
    pub fn tenant(mut self, tenant_id: Uuid) -> Self {
        self.tenant_id = Some(tenant_id);
        self
    }

    /// The payload: whatever serializes as a JSON object. `None` and null keys are not sent; the
    /// elements of arrays are. Numbers and text arrive to the last digit. What does not serialize
    /// is counted as rejected when the event is logged.
    pub fn data(mut self, data: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_string(data) {
            // A raw value nests as deep as it likes, and the stack does not.
            Ok(json) if nests_too_deep(&json) => {
                let fault = format!("the payload nests too deep: limit {MOST_DEPTH} levels");
                self.fault = Some(fault);
            }
            Ok(json) => self.data = without_null_keys(json),
            Err(error) => self.fault = Some(format!("the payload does not serialize: {error}")),
        }
        self
    }

    /// When it happened by this machine's clock. Left out, it is when the event is logged.
    pub fn occurred_at(mut self, at: SystemTime) -> Self {
        self.occurred_at = Some(at);
        self
    }

    /// Leaves to the log when it happened: to the key of the payload that the type's
    /// `occurred_at_key` names, such as the `clientTimestamp` of a hook callback.
    pub fn clock_in_payload(mut self) -> Self {
        self.has_clock = true;
        self
    }

    /// Who did it, at most 512 bytes. Left out, the type's `actor_key` says.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// What it was done to, at most 512 bytes. Left out, the type's `subject_keys` say.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The same key again, within a day, is the same event; at most 255 bytes.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The name.
    pub fn name(&self) -> &EventName {
        &self.name
    }

    /// The payload as it is sent, as JSON.
    pub fn payload(&self) -> &str {
        &self.data
    }

    /// Puts a key into the payload, after the others.
    pub(crate) fn add(&mut self, key: &str, value: &serde_json::Value) {
        // An object, or nothing that the log will take.
        if self.data.ends_with('}') {
            self.data.pop();
            let comma = if self.data.len() > 1 { "," } else { "" };
            self.data.push_str(&format!("{comma}{}:{value}}}", serde_json::json!(key)));
        }
    }

    /// The value of a key of the payload, where it is a string.
    pub(crate) fn text_of(&self, key: &str) -> Option<String> {
        let payload: serde_json::Value = serde_json::from_str(&self.data).ok()?;
        Some(payload.get(key)?.as_str()?.to_owned())
    }

    /// The event as one statement takes it.
    pub(crate) fn prepared(self) -> Result<Prepared, crate::Error> {
        self.check()?;
        Ok(Prepared { own_name: self.name.as_str().to_owned(), event: self })
    }

    /// What it counts against the bounds of queue and batch, in bytes.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.actor, &self.subject, &self.idempotency_key];
        let texts: usize = texts.iter().filter_map(|text| text.as_ref()).map(String::len).sum();
        OVERHEAD + self.name.as_str().len() + self.data.len() + texts
    }
}

/// What the log did with an event that it did not refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Logged {
    /// It is stored, under this id, where that is known.
    Written(Option<i64>),
    /// An event of its idempotency key was stored before, under this id, where that is known; this
    /// one is not.
    Duplicate(Option<i64>),
    /// It was sampled out, or its tenant opted out; or the log does not tell.
    LeftOut,
}

impl Logged {
    /// The id of the event, or of the one before with its key.
    pub fn id(self) -> Option<i64> {
        match self {
            Logged::Written(id) | Logged::Duplicate(id) => id,
            Logged::LeftOut => None,
        }
    }
}

/// An event whose payload serialized.
pub(crate) struct Prepared {
    pub(crate) own_name: String,
    pub(crate) event: Event,
}
