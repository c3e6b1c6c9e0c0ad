//! The server of the simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use uuid::Uuid;

use crate::engine::batch::{Answer, Batch, Verdict};
use crate::engine::loss::EVENTS_LOST;
use crate::error::Kind;
use crate::{Error, Event};

/// The server's memory of a producer; there is one for each place.
#[derive(Default)]
pub(super) struct Producer {
    last: i64,
    answer: Answer,
    /// Batches whose client is gone, which may still arrive.
    late: Vec<Arc<Batch>>,
}

/// A server that remembers the last batch of a producer, as the log does.
#[derive(Default)]
pub(super) struct Server {
    pub(super) producers: BTreeMap<usize, Producer>,
    /// The numbers of the stored events, in order, by tenant.
    pub(super) stored: BTreeMap<Option<Uuid>, Vec<u64>>,
    pub(super) notes: u64,
    /// Losses that notes reported, by tenant.
    pub(super) reported_lost: BTreeMap<Option<Uuid>, u64>,
    /// Tenants that hold a lock.
    pub(super) stalled: BTreeSet<Option<Uuid>>,
    /// A trigger refuses events whose number this divides; likewise, some take too long.
    pub(super) poison: Option<u64>,
    pub(super) slow: Option<u64>,
}

/// Returns the number of an event; `None` for a note.
pub(super) fn number(event: &Event) -> Option<u64> {
    let payload: serde_json::Value = serde_json::from_str(&event.data).unwrap();
    payload["n"].as_u64()
}

/// Returns how many lost events a note reports.
fn count(note: &Event) -> u64 {
    let payload: serde_json::Value = serde_json::from_str(&note.data).unwrap();
    payload["count"].as_u64().unwrap()
}

pub(super) fn is_note(event: &Event) -> bool {
    event.name.as_str() == EVENTS_LOST
}

/// Returns an error of the server that undid the statement.
pub(super) fn undone(sqlstate: &str) -> Error {
    let error = Error::rejected(Some(sqlstate.to_owned()), "no");
    error.with_kind(match Error::kind_of(sqlstate) {
        Kind::Permanent => Kind::Permanent,
        kind => kind,
    })
}

fn is_every(event: &Event, every: Option<u64>) -> bool {
    every.is_some_and(|every| number(event).is_some_and(|n| n.is_multiple_of(every)))
}

impl Server {
    pub(super) fn is_poison(&self, n: u64) -> bool {
        self.poison.is_some_and(|every| n.is_multiple_of(every))
            || self.slow.is_some_and(|every| n.is_multiple_of(every))
    }

    /// Counts the stored events.
    pub(super) fn there(&self) -> u64 {
        self.stored.values().map(|numbers| numbers.len() as u64).sum::<u64>() + self.notes
    }

    /// Keeps a batch whose client is gone: it may still arrive.
    pub(super) fn may_arrive(&mut self, batch: &Arc<Batch>) {
        self.producers.entry(batch.place).or_default().late.push(Arc::clone(batch));
    }

    /// Lets a kept batch arrive.
    pub(super) fn arrive_late(&mut self, rng: &mut Rng) {
        for place in 0..8 {
            let Some(producer) = self.producers.get_mut(&place) else { continue };
            if !producer.late.is_empty() && rng.bool() {
                let batch = producer.late.swap_remove(rng.usize(..producer.late.len()));
                drop(self.receive(&batch, rng));
            }
        }
    }

    pub(super) fn receive(&mut self, batch: &Batch, rng: &mut Rng) -> Result<Answer, Error> {
        let producer = self.producers.entry(batch.place).or_default();
        if batch.number < producer.last {
            return Err(undone("22023"));
        }
        if batch.number == producer.last {
            let answer = producer.answer.clone();
            return Ok(Answer { is_repeat: true, verdicts: Vec::new(), ..answer });
        }
        if batch.events.iter().any(|event| self.stalled.contains(&event.tenant_id)) {
            return Err(undone("55P03"));
        }
        if batch.events.iter().any(|event| is_every(event, self.poison)) {
            return Err(undone("P0001"));
        }
        if batch.events.iter().any(|event| is_every(event, self.slow)) {
            return Err(undone("57014"));
        }
        let mut answer = Answer::default();
        for event in &batch.events {
            let verdict = match rng.u8(..20) {
                _ if is_note(event) => {
                    *self.reported_lost.entry(event.tenant_id).or_default() += count(event);
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
                    self.stored.entry(event.tenant_id).or_default().extend(number(event));
                    Verdict::Stored(Some(1))
                }
            };
            answer.verdicts.push(verdict);
        }
        let producer = self.producers.entry(batch.place).or_default();
        producer.last = batch.number;
        producer.answer = answer.clone();
        Ok(answer)
    }
}
