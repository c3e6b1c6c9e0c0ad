//! The server of the simulation.

use std::collections::BTreeMap;

use fastrand::Rng;
use uuid::Uuid;

use crate::batch::{Answer, Batch, Verdict};
use crate::loss::EVENTS_LOST;
use crate::{Error, Event};

/// A server that remembers the last batch of a producer, as the log does.
#[derive(Default)]
pub(super) struct Server {
    pub(super) last: i64,
    answer: Answer,
    /// The numbers of the events that it stored, in order.
    pub(super) stored: Vec<u64>,
    pub(super) notes: u64,
    /// What the notes tell, by tenant.
    pub(super) told_lost: BTreeMap<Option<Uuid>, u64>,
}

/// The number of an event; none for a note.
fn number(event: &Event) -> Option<u64> {
    let payload: serde_json::Value = serde_json::from_str(&event.data).unwrap();
    payload["n"].as_u64()
}

/// How many lost events a note tells of.
fn count(note: &Event) -> u64 {
    let payload: serde_json::Value = serde_json::from_str(&note.data).unwrap();
    payload["count"].as_u64().unwrap()
}

pub(super) fn is_note(event: &Event) -> bool {
    event.name.as_str() == EVENTS_LOST
}

impl Server {
    pub(super) fn receive(&mut self, batch: &Batch, rng: &mut Rng) -> Answer {
        assert!(batch.number >= self.last, "batch {} after {}", batch.number, self.last);
        if batch.number == self.last {
            return Answer { verdicts: Vec::new(), ..self.answer.clone() };
        }
        self.last = batch.number;
        let mut answer = Answer::default();
        for event in &batch.events {
            let verdict = match rng.u8(..20) {
                _ if is_note(event) => {
                    *self.told_lost.entry(event.tenant_id).or_default() += count(event);
                    self.notes += 1;
                    answer.written += 1;
                    Verdict::Stored(None)
                }
                0 => {
                    answer.rejected += 1;
                    Verdict::Rejected(Error::rejected(Some("23514".into()), "a rule"))
                }
                1 => {
                    answer.sampled += 1;
                    Verdict::LeftOut
                }
                2 => {
                    answer.duplicate += 1;
                    Verdict::Stored(Some(7))
                }
                _ => {
                    answer.written += 1;
                    self.stored.extend(number(event));
                    Verdict::Stored(Some(1))
                }
            };
            answer.verdicts.push(verdict);
        }
        self.answer = answer.clone();
        answer
    }
}
