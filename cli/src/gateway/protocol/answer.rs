//! What the events of a request came to, and the counts of it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use eventlog_writer::{Error, Event};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::gateway::event_types::EventTypes;
use crate::gateway::intake::{self, Incoming, Protocol, Taken};
use crate::gateway::key::Key;
use crate::gateway::metrics::Metrics;
use crate::gateway::problem::Problem;
use crate::gateway::state::Gateway;

/// How long an answer waits for the log. Clients give up after 10 seconds, and would send again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a message of a client is.
pub(super) enum Message {
    /// An event.
    Event(Box<Incoming>),
    /// A message that this log has no place for, by the name of its type.
    LeftOut(&'static str),
}

/// The events of a request, each judged for itself: clients of these protocols do not mend a batch and
/// send it again.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) events: Vec<Event>,
    /// Where in the request each event is.
    pub(super) positions: Vec<usize>,
    /// Those that cannot be logged.
    pub(super) refused: Vec<(usize, Problem)>,
    /// All messages, those left out included.
    pub(super) count: usize,
    /// How many there are of each kind that is left out.
    left_out: BTreeMap<&'static str, u64>,
}

impl Sorted {
    /// Takes the next message.
    pub(super) fn push(
        &mut self,
        key: &Key,
        types: &EventTypes,
        protocol: Protocol,
        message: Result<Message, String>,
    ) {
        let position = self.count;
        self.count += 1;
        let event = match message {
            Ok(Message::LeftOut(kind)) => return *self.left_out.entry(kind).or_default() += 1,
            Ok(Message::Event(incoming)) => incoming.admit(key, Some(types), protocol),
            Err(fault) => Err(Problem::bad_request(fault)),
        };
        match event {
            Ok(event) => {
                self.events.push(event);
                self.positions.push(position);
            }
            Err(problem) => self.refused.push((position, problem)),
        }
    }

    /// Has the log take the events, and waits until it has: the clients forget an event that is answered,
    /// and send it again under the same idempotency key if there is no answer. So a gateway that is killed
    /// loses none of them. While the database is away, the answer comes after a while all the same.
    pub(super) async fn log(&mut self, gateway: &Gateway, key: &Key) -> Result<(), Problem> {
        let events = std::mem::take(&mut self.events);
        let taken = timeout(PATIENCE, intake::take(gateway, key, events, self.count, true)).await;
        // The events are in the queue and will be written.
        let Ok(taken) = taken else { return Ok(()) };
        let Taken::Ends(ends) = taken? else { return Ok(()) };
        for (position, end) in self.positions.iter().zip(ends) {
            match end {
                Ok(_) => {}
                Err(error) if is_refusal(&error) => {
                    let status = StatusCode::BAD_REQUEST;
                    let problem = Problem::new(status, "rejected", error.message());
                    self.refused.push((*position, problem));
                }
                Err(_) => return Err(Problem::unavailable("the log did not take the events", 1)),
            }
        }
        self.refused.sort_by_key(|(position, _)| *position);
        Ok(())
    }

    /// Adds what the messages are to the metrics.
    pub(super) fn add_to(&self, metrics: &Metrics, protocol: Protocol) {
        let events = [("event", self.events.len()), ("refused", self.refused.len())];
        let events = events.map(|(kind, number)| (kind, number as u64));
        let left_out = self.left_out.iter().map(|(kind, number)| (*kind, *number));
        for (kind, number) in events.into_iter().chain(left_out).filter(|(_, number)| *number > 0) {
            metrics.messages.with_label_values(&[protocol.name(), kind]).inc_by(number);
        }
    }

    /// Returns the first refusal if nothing else is in the request.
    pub(super) fn all_refused(&mut self) -> Option<Problem> {
        let is_all = self.count > 0 && self.refused.len() == self.count;
        is_all.then(|| self.refused.swap_remove(0).1)
    }
}

/// Returns true if the event was refused for good, false if the same one may be logged later.
pub(super) fn is_refusal(error: &Error) -> bool {
    error.sqlstate().is_some() && !error.is_transient()
}

/// Describes refusals in an answer.
pub(super) fn describe(refused: &[(usize, Problem)]) -> Value {
    let said = |(position, problem): &(usize, Problem)| json!({ "position": position, "code": problem.code(), "message": problem.message() });
    refused.iter().map(said).collect()
}
