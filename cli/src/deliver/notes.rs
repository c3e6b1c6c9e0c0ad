//! Gathers what workers report until it is written to the database, all webhooks in one statement.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::schedule::Next;
use super::send::Outcome;
use super::worker::{Attempt, Key};

/// What there is to note, by lease.
#[derive(Default)]
pub(super) struct Notes(BTreeMap<Key, Note>);

/// What there is to note of a webhook; see eventlog_private.note_deliveries().
#[derive(Default, Serialize)]
struct Note {
    webhook_id: Uuid,
    lease: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_delivered_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<String>,
    attempts: Vec<Run>,
    retries: Vec<Again>,
    done: Vec<Done>,
}

/// An attempt, or several first ones in a row that were accepted.
#[derive(Serialize)]
struct Run {
    is_alert: bool,
    event_id: i64,
    last_event_id: i64,
    tenant_id: Option<Uuid>,
    deliveries: u32,
    attempt: u32,
    status: Option<u16>,
    error: Option<String>,
    #[serde(rename = "ms", serialize_with = "milliseconds")]
    took: f64,
    #[serde(rename = "ago", serialize_with = "seconds_since")]
    ended_at: Instant,
}

#[derive(Serialize)]
struct Again {
    is_alert: bool,
    event_id: i64,
    tenant_id: Uuid,
    created_at: String,
    attempts: u32,
    wait: Option<f64>,
}

#[derive(Serialize)]
struct Done {
    is_alert: bool,
    event_id: i64,
}

fn milliseconds<S: Serializer>(took: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32((took * 1000.0).round() as u32)
}

fn seconds_since<S: Serializer>(time: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.elapsed().as_secs_f64())
}

impl Notes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Writes them as JSON.
    pub(super) fn json(&self) -> String {
        let notes: Vec<&Note> = self.0.values().collect();
        serde_json::to_string(&notes).expect("keys are text")
    }

    fn of(&mut self, key: Key) -> &mut Note {
        let new = || Note { webhook_id: key.0, lease: key.1, ..Note::default() };
        self.0.entry(key).or_insert_with(new)
    }

    /// Notes that a webhook has, or has no use for, all events up to an id.
    pub(super) fn advance(&mut self, key: Key, id: i64) {
        let note = self.of(key);
        note.delivered_id = note.delivered_id.max(Some(id));
    }

    /// Notes that nothing more is to be sent, and why.
    pub(super) fn disable(&mut self, key: Key, reason: &str) {
        self.of(key).disabled = Some(reason.to_owned());
    }

    /// Notes that an event that was to be sent again is gone.
    pub(super) fn gone(&mut self, key: Key, is_alert: bool, event_id: i64) {
        self.of(key).done.push(Done { is_alert, event_id });
    }

    /// Notes an attempt.
    pub(super) fn attempt(&mut self, key: Key, attempt: Attempt) {
        let note = self.of(key);
        let is_retry = attempt.is_retry;
        let (is_alert, event_id) = (attempt.is_alert, attempt.event_id);
        if !is_retry && attempt.moves_on() {
            let position =
                if is_alert { &mut note.alert_delivered_id } else { &mut note.delivered_id };
            *position = (*position).max(Some(event_id));
        }
        note.failures = Some(attempt.verdict.failures);
        note.pause = attempt.verdict.pause.map(|pause| pause.as_secs_f64());
        let wait = match attempt.verdict.message {
            Next::Delivered => {
                if is_retry {
                    note.done.push(Done { is_alert, event_id });
                }
                return note.run(attempt);
            }
            Next::Stays => {
                note.failures = None;
                note.pause = None;
                note.disabled = Some("the receiver answered 410 Gone".to_owned());
                return note.run(attempt);
            }
            Next::Again(wait) => Some(wait.as_secs_f64()),
            Next::GivenUp => None,
        };
        note.retries.push(Again {
            is_alert,
            event_id,
            tenant_id: attempt.tenant,
            created_at: attempt.created_at.clone(),
            attempts: attempt.number,
            wait,
        });
        note.run(attempt);
    }
}

impl Note {
    /// Adds a row to the log of deliveries, or one more event to the last.
    fn run(&mut self, attempt: Attempt) {
        let (status, error) = match attempt.outcome {
            Outcome::Delivered { status } => (Some(status), None),
            Outcome::Gone => (Some(410), Some("the receiver answered 410".to_owned())),
            Outcome::Refused { status, .. } => {
                (Some(status), Some(format!("the receiver answered {status}")))
            }
            Outcome::Failed { reason } => (None, Some(reason)),
        };
        let took = attempt.took.as_secs_f64();
        if let Some(last) = self.attempts.last_mut()
            && error.is_none()
            && last.error.is_none()
            && (last.is_alert, last.status, last.attempt) == (attempt.is_alert, status, 1)
            && attempt.number == 1
        {
            last.last_event_id = attempt.event_id;
            last.tenant_id = last.tenant_id.filter(|tenant| *tenant == attempt.tenant);
            last.deliveries += 1;
            last.took += took;
            last.ended_at = attempt.ended_at;
            return;
        }
        self.attempts.push(Run {
            is_alert: attempt.is_alert,
            event_id: attempt.event_id,
            last_event_id: attempt.event_id,
            tenant_id: Some(attempt.tenant),
            deliveries: 1,
            attempt: attempt.number,
            status,
            error,
            took,
            ended_at: attempt.ended_at,
        });
    }
}
