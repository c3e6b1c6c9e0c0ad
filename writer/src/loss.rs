//! Events that were lost, and the event that tells of them once the path is open again.

use std::time::SystemTime;

use serde_json::json;
use uuid::Uuid;

use crate::Event;

/// The name of the event that tells of lost ones.
pub(crate) const EVENTS_LOST: &str = "writer_events_lost";

/// Events that were lost and are not reported yet.
pub(crate) struct Loss {
    events: u64,
    from: SystemTime,
    until: SystemTime,
    /// Of the last one: a service's events are of many.
    tenant: Option<Uuid>,
}

impl Loss {
    pub(crate) fn new(at: SystemTime) -> Self {
        Loss { events: 0, from: at, until: at, tenant: None }
    }

    /// One more, which occurred then.
    pub(crate) fn add(&mut self, tenant: Option<Uuid>, at: SystemTime) {
        self.events += 1;
        self.from = self.from.min(at);
        self.until = self.until.max(at);
        self.tenant = tenant;
    }

    /// How many, and from when until when, in milliseconds since 1970.
    pub(crate) fn event(&self) -> Event {
        let time = |at: SystemTime| {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            since.as_millis() as u64
        };
        let (from, until) = (time(self.from), time(self.until));
        let mut event = Event::new(EVENTS_LOST)
            .data(&json!({ "count": self.events, "from": from, "until": until }))
            .occurred_at(self.until);
        event.tenant_id = self.tenant;
        event
    }
}
