//! A layer of [`tracing_subscriber`] that logs events which the application traces.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event as Traced, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::Event;

/// Logs each traced event that has a field `eventlog`, which is the event's name. The fields `tenant`
/// (a uuid), `actor` and `subject` set those of the event; the message and all other fields become
/// its payload.
///
/// ```
/// use eventlog_writer::{Event, EventLayer};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let (sender, logged) = std::sync::mpsc::channel();
/// // With a writer: EventLayer::new(move |event| _ = writer.log(event))
/// let layer = EventLayer::new(move |event: Event| drop(sender.send(event)));
/// let subscriber = tracing_subscriber::registry().with(layer);
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::info!(eventlog = "tool_used", actor = "user-17", toolName = "search", durationMs = 12);
///     tracing::info!("this is no event of the log");
/// });
/// let event = logged.recv().unwrap();
/// assert_eq!(event.name().as_str(), "tool_used");
/// assert_eq!(event.payload(), r#"{"durationMs":12,"toolName":"search"}"#);
/// assert!(logged.try_recv().is_err());
/// ```
pub struct EventLayer<L> {
    log: L,
}

impl<L: Fn(Event)> EventLayer<L> {
    /// Returns a layer that passes events to `log`, such as `move |event| _ = writer.log(event)`.
    pub fn new(log: L) -> Self {
        EventLayer { log }
    }
}

impl<L> fmt::Debug for EventLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLayer").finish_non_exhaustive()
    }
}

impl<S: Subscriber, L: Fn(Event) + 'static> Layer<S> for EventLayer<L> {
    fn on_event(&self, traced: &Traced<'_>, _: Context<'_, S>) {
        if traced.metadata().fields().field("eventlog").is_none() {
            return;
        }
        let mut fields = Fields(Map::new());
        traced.record(&mut fields);
        let mut fields = fields.0;
        let mut text = |key: &str| match fields.remove(key) {
            Some(Value::String(text)) => Some(text),
            Some(other) => Some(other.to_string()),
            None => None,
        };
        let Some(name) = text("eventlog") else { return };
        let mut event = Event::new(name);
        event.tenant_id = text("tenant").and_then(|tenant| tenant.parse().ok());
        event.actor = text("actor");
        event.subject = text("subject");
        (self.log)(event.data(&fields));
    }
}

/// Collects the fields of a traced event as JSON.
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}
