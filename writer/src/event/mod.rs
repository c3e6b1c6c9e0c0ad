//! An event as the application builds it.

mod check;
mod payload;

use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use crate::event::payload::{MOST_DEPTH, nests_too_deep, without_null_keys};
use crate::{Error, EventName};

/// Bytes of memory that an event takes besides its texts, roughly.
const OVERHEAD: usize = 256;

/// An event on its way into the log.
///
/// ```
/// use eventlog_writer::{Event, EventName, Uuid};
///
/// #[derive(serde::Serialize)]
/// #[serde(rename_all = "camelCase")]
/// struct Message<'a> {
///     conversation_id: &'a str,
///     role: &'a str,
///     confidence: Option<f32>,
/// }
///
/// let tenant = Uuid::from_u128(0x11111111_1111_4111_8111_111111111111);
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
    pub(crate) protocol: Option<&'static str>,
    /// True if the log reads the time of occurrence from the payload.
    pub(crate) has_clock: bool,
    /// Why the payload could not be serialized.
    pub(crate) fault: Option<String>,
}

impl Event {
    /// Returns an event of that name with the payload `{}`. Unless it is changed, its tenant is that of
    /// the connection, and it occurs when it is logged.
    pub fn new(name: impl Into<EventName>) -> Self {
        Event {
            tenant_id: None,
            name: name.into(),
            data: "{}".to_owned(),
            occurred_at: None,
            actor: None,
            subject: None,
            idempotency_key: None,
            protocol: None,
            has_clock: false,
            fault: None,
        }
    }

    /// Sets the tenant. By default it is [`Options::tenant`], else `eventlog.current_tenant()` of the
    /// writer's connection.
    ///
    /// [`Options::tenant`]: crate::Options::tenant
    pub fn tenant(mut self, tenant_id: Uuid) -> Self {
        self.tenant_id = Some(tenant_id);
        self
    }

    /// Sets the payload: any value that serializes as a JSON object. Keys that are `None` or null are
    /// not sent, at any depth; null elements of arrays are. Numbers are sent with all their digits.
    ///
    /// A value that does not serialize, or nests deeper than 1,000 levels, makes no error here: the
    /// event is rejected when it is logged ([`Event::check`]).
    pub fn data(mut self, data: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_string(data) {
            // A raw value may nest deeper than the stack allows.
            Ok(json) if nests_too_deep(&json) => {
                let fault = format!("the payload nests too deep: limit {MOST_DEPTH} levels");
                self.fault = Some(fault);
            }
            Ok(json) => self.data = without_null_keys(json),
            Err(error) => self.fault = Some(format!("the payload does not serialize: {error}")),
        }
        self
    }

    /// Sets when the event occurred. By default that is when it is logged, by this machine's clock.
    pub fn occurred_at(mut self, at: SystemTime) -> Self {
        self.occurred_at = Some(at);
        self
    }

    /// Lets the log take the time of occurrence from the payload: from the key that the event type's
    /// `occurred_at_key` names, such as the `clientTimestamp` of a hook callback.
    pub fn clock_in_payload(mut self) -> Self {
        self.has_clock = true;
        self
    }

    /// Sets who did it: at most 512 bytes, a longer one is refused by the log. By default the log
    /// takes it from the payload key that the event type's `actor_key` names.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Sets what it was done to: at most 512 bytes, a longer one is refused by the log. By default the
    /// log takes it from the payload keys that the event type's `subject_keys` name.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets the idempotency key, at most 255 bytes: the log stores one event of a tenant and key within
    /// a day, and answers later ones with the id of the first ([`Outcome::Duplicate`]).
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Names the protocol by which the event came, which the quarantine keeps with it if the event is
    /// refused. For programs that translate what other clients send, and for servers since 0.2. The
    /// `log_in` of a writer ignores it: an event that it refuses is an error, and not in the quarantine.
    pub fn protocol(mut self, protocol: &'static str) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &EventName {
        &self.name
    }

    /// Returns the payload as it is sent: a JSON object.
    pub fn payload(&self) -> &str {
        &self.data
    }

    /// Returns the tenant, if the event has one of its own.
    pub fn get_tenant(&self) -> Option<Uuid> {
        self.tenant_id
    }

    /// Returns the actor, if one was set.
    pub fn get_actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Returns the subject, if one was set.
    pub fn get_subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Returns the idempotency key, if one was set.
    pub fn get_idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    /// Returns the protocol by which the event came, if one was named.
    pub fn get_protocol(&self) -> Option<&'static str> {
        self.protocol
    }

    /// Returns the time of occurrence, if one was set.
    pub fn get_occurred_at(&self) -> Option<SystemTime> {
        self.occurred_at
    }

    /// Adds a key to the payload, after the others.
    pub(crate) fn add(&mut self, key: &str, value: &serde_json::Value) {
        // Anything but an object is refused by the log anyway.
        if self.data.ends_with('}') {
            self.data.pop();
            let comma = if self.data.len() > 1 { "," } else { "" };
            self.data.push_str(&format!("{comma}{}:{value}}}", serde_json::json!(key)));
        }
    }

    /// Returns the value of a key of the payload if it is a string.
    pub(crate) fn text_of(&self, key: &str) -> Option<String> {
        let payload: serde_json::Value = serde_json::from_str(&self.data).ok()?;
        Some(payload.get(key)?.as_str()?.to_owned())
    }

    /// Returns the event as the parameters of one statement.
    pub(crate) fn prepared(self) -> Result<Prepared, Error> {
        self.check()?;
        Ok(Prepared { own_name: self.name.as_str().to_owned(), event: self })
    }

    /// Returns the bytes that it counts against the bounds of queue and batch.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.actor, &self.subject, &self.idempotency_key];
        let texts: usize = texts.iter().filter_map(|text| text.as_ref()).map(String::len).sum();
        OVERHEAD + self.name.as_str().len() + self.data.len() + texts
    }
}

/// What the log did with an event that it did not refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The event is in the log, under this id. The id is `None` if the batch had to be sent again
    /// after a broken connection: the server then confirms the events without their ids.
    Written(Option<i64>),
    /// An event with its idempotency key is in the log, under this id if it is known. This one was
    /// not stored again.
    Duplicate(Option<i64>),
    /// The event is not in the log, as its owner wants: it was sampled out, its tenant opted out, or
    /// the log or the writer is disabled.
    LeftOut,
    /// The server answered for the event's batch, but after a broken connection, with counts only,
    /// and its events did not all have the same outcome. It is in the log, left out or quarantined.
    Unknown,
}

impl Outcome {
    /// Returns the id of the event or, of a duplicate, that of the event in the log, if it is known.
    pub fn id(self) -> Option<i64> {
        match self {
            Outcome::Written(id) | Outcome::Duplicate(id) => id,
            Outcome::LeftOut | Outcome::Unknown => None,
        }
    }

    /// Returns true if the event, or the one before with its idempotency key, is in the log.
    pub fn is_stored(self) -> bool {
        matches!(self, Outcome::Written(_) | Outcome::Duplicate(_))
    }

    /// Returns the outcome of `eventlog.log_event`, which gives an id or null.
    pub(crate) fn of_id(id: Option<i64>) -> Self {
        id.map_or(Outcome::LeftOut, |id| Outcome::Written(Some(id)))
    }
}

impl Error {
    /// Returns the error with name and tenant of the event that it is about.
    pub(crate) fn about(self, event: &Event) -> Self {
        self.with_event(event.name.as_str(), event.tenant_id)
    }
}

/// An event that passed [`Event::check`].
pub(crate) struct Prepared {
    pub(crate) own_name: String,
    pub(crate) event: Event,
}
