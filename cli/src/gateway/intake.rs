//! The one way of events into the queue, whatever protocol they come by: the same keys, limits, queue
//! and quarantine.

use axum::http::StatusCode;
use eventlog_writer::{Error, Event, Outcome};
use tokio::time::timeout;
use uuid::Uuid;

use super::event_types::EventTypes;
use super::key::Key;
use super::problem::Problem;
use super::state::Gateway;

/// How events come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// `/api/track`
    Track,
    /// Segment's HTTP tracking API
    Segment,
    /// PostHog's capture API
    PostHog,
    /// CloudEvents over HTTP
    CloudEvents,
}

impl Protocol {
    /// Its name in metrics and in the quarantine.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Protocol::Track => "track",
            Protocol::Segment => "segment",
            Protocol::PostHog => "posthog",
            Protocol::CloudEvents => "cloudevents",
        }
    }
}

/// An event with the tenant, the actor and the idempotency key that it names.
pub(crate) struct Incoming {
    pub(crate) event: Event,
    pub(crate) tenant: Option<Uuid>,
    /// The actor, if it names one.
    pub(crate) user: Option<String>,
    /// True if the client names an actor by itself, such as an id that it made up for a browser. A key
    /// that decides about actors is not asked then.
    pub(crate) is_user_made_up: bool,
    pub(crate) idempotency_key: Option<String>,
}

impl Incoming {
    /// Returns the event for the log, or why the key may not log it. With `types`, a key restricted to
    /// names is asked for the name that an alias stands for.
    pub(crate) fn admit(
        self,
        key: &Key,
        types: Option<&EventTypes>,
        protocol: Protocol,
    ) -> Result<Event, Problem> {
        if self.tenant.is_some_and(|tenant| tenant != key.tenant) {
            return Err(Problem::forbidden("tenantId must be the key's tenant"));
        }
        let given = self.event.name().as_str();
        let name = types.and_then(|types| types.find(given)).map_or(given, |found| &found.name);
        if !key.may_log(name) {
            return Err(Problem::forbidden("this key may not log events of this name"));
        }
        let user = self.user.filter(|_| !(self.is_user_made_up && key.decides_actors()));
        let actor = key.actor(name, user, self.event.payload()).map_err(Problem::forbidden)?;
        let mut event = self.event.tenant(key.tenant).protocol(protocol.name());
        if let Some(actor) = actor {
            event = event.actor(actor);
        }
        if let Some(given) = self.idempotency_key {
            event = event.idempotency_key(key.idempotency_key(given));
        }
        Ok(event)
    }
}

/// What became of events that were taken.
pub(crate) enum Taken {
    /// They are in the queue and will be written.
    Queued,
    /// The outcome of each.
    Ends(Vec<Result<Outcome, Error>>),
}

/// Refuses a request with more events than one may have.
pub(crate) fn check_number(gateway: &Gateway, found: usize) -> Result<(), Problem> {
    let max = gateway.arguments.max_events;
    match found > max {
        true => Err(Problem::too_large(format!("{found} events in one request: limit {max}"))),
        false => Ok(()),
    }
}

/// Puts all events into the queue, or none. `count` is the number of events of the request, those that
/// were refused included; `waits` says whether the client wants their outcome.
pub(crate) async fn take(
    gateway: &Gateway,
    key: &Key,
    events: Vec<Event>,
    count: usize,
    waits: bool,
) -> Result<Taken, Problem> {
    key.fits(count)?;
    // The request itself has counted as one.
    key.count_others(count.saturating_sub(1))?;
    if events.is_empty() {
        return Ok(Taken::Queued);
    }
    if !waits {
        let queued = gateway.writer.log_all(events).map_err(|events| full(gateway, &events));
        return queued.map(|()| Taken::Queued);
    }
    let ends = gateway.writer.log_all_and_wait(events).map_err(|events| full(gateway, &events))?;
    match timeout(gateway.arguments.wait_timeout, ends).await {
        Ok(ends) => Ok(Taken::Ends(ends)),
        // The events are in the queue and will be written.
        Err(_) => Ok(Taken::Queued),
    }
}

/// Returns why the queue did not take these events.
fn full(gateway: &Gateway, events: &[Event]) -> Problem {
    match gateway.writer.has_room(events) {
        true => Problem::too_many("too many of the tenant's events wait for the database", 5),
        false => Problem::unavailable("too many events wait for the database", 5),
    }
}

/// The problem of a request whose body is none of its protocol's.
pub(crate) fn not_json(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let message = format!("the body is not JSON: line {line}, column {column}");
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", message)
}
