//! What the events of a request came to, and the counts of it.

use eventlog_writer::Event;
use serde_json::{Value, json};

use crate::gateway::event_types::EventTypes;
use crate::gateway::intake::{Incoming, Protocol};
use crate::gateway::key::Key;
use crate::gateway::problem::Problem;
use crate::gateway::state::Gateway;

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
}

impl Sorted {
    /// Takes the next message.
    pub(super) fn push(
        &mut self,
        gateway: &Gateway,
        key: &Key,
        types: &EventTypes,
        protocol: Protocol,
        message: Result<Message, String>,
    ) {
        let position = self.count;
        self.count += 1;
        let counts = &gateway.metrics.messages;
        let event = match message {
            Ok(Message::LeftOut(kind)) => {
                return counts.with_label_values(&[protocol.name(), kind]).inc();
            }
            Ok(Message::Event(incoming)) => incoming.admit(key, Some(types), protocol),
            Err(fault) => Err(Problem::bad_request(fault)),
        };
        let kind = if event.is_ok() { "event" } else { "refused" };
        counts.with_label_values(&[protocol.name(), kind]).inc();
        match event {
            Ok(event) => {
                self.events.push(event);
                self.positions.push(position);
            }
            Err(problem) => self.refused.push((position, problem)),
        }
    }

    /// Returns the first refusal if nothing else is in the request.
    pub(super) fn all_refused(&mut self) -> Option<Problem> {
        let is_all = self.count > 0 && self.refused.len() == self.count;
        is_all.then(|| self.refused.swap_remove(0).1)
    }
}

/// Describes refusals in an answer.
pub(super) fn describe(refused: &[(usize, Problem)]) -> Value {
    let said = |(position, problem): &(usize, Problem)| json!({ "position": position, "code": problem.code(), "message": problem.message() });
    refused.iter().map(said).collect()
}
