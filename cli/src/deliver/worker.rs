//! Sends to one webhook, one message at a time and in order, until the receiver fails as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::endpoint::Endpoint;
use super::event::Event;
use super::schedule::{Next, Verdict, judge};
use super::send::{Message, Outcome, Sender};
use super::signature::Secret;

/// A message that waited longer than this in memory is read again, since it may have been erased.
const FRESH: Duration = Duration::from_secs(10);

/// A lease of a webhook, under which a worker reports.
pub(super) type Key = (Uuid, i64);

/// What a worker needs.
pub(super) struct Worker {
    pub(super) key: Key,
    /// Nothing can be sent to an endpoint that is refused: each attempt fails with this reason.
    pub(super) endpoint: Result<Endpoint, String>,
    pub(super) secrets: Vec<Secret>,
    pub(super) failures: u32,
    pub(super) retries: mpsc::Receiver<(Event, u32)>,
    pub(super) events: mpsc::Receiver<Arc<Event>>,
    /// Bytes of what is queued.
    pub(super) queued: Arc<AtomicUsize>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) sender: Arc<Sender>,
}

/// What a worker reports.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) key: Key,
    pub(super) what: What,
}

/// What happened.
#[derive(Debug)]
pub(super) enum What {
    /// A message was sent.
    Attempted(Attempt),
    /// The worker has ended; true if it stopped because what was queued had become old.
    Ended { is_stale: bool },
}

/// An attempt and what follows from it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) event_id: i64,
    pub(super) is_alert: bool,
    pub(super) tenant: Uuid,
    pub(super) created_at: String,
    /// True if it came from the retries.
    pub(super) is_retry: bool,
    /// The number of the attempt, the first is 1.
    pub(super) number: u32,
    pub(super) outcome: Outcome,
    pub(super) verdict: Verdict,
    pub(super) ended_at: Instant,
    pub(super) took: Duration,
}

impl Worker {
    /// Sends until it is told to stop, or until the receiver is to be left alone.
    pub(super) async fn run(mut self) {
        let is_stale = self.send_all().await;
        let _ = self.reports.send(Report { key: self.key, what: What::Ended { is_stale } }).await;
    }

    async fn send_all(&mut self) -> bool {
        loop {
            if *self.stop.borrow() {
                return false;
            }
            let (event, retried) = tokio::select! {
                biased;
                _ = self.stop.changed() => return false,
                Some((event, attempts)) = self.retries.recv() => (Arc::new(event), Some(attempts)),
                Some(event) = self.events.recv() => {
                    self.queued.fetch_sub(event.body.len(), Ordering::Relaxed);
                    (event, None)
                }
                else => return false,
            };
            if event.read_at.elapsed() > FRESH {
                return true;
            }
            let attempt = self.attempt(&event, retried).await;
            self.failures = attempt.verdict.failures;
            let ends = attempt.verdict.ends;
            let what = What::Attempted(attempt);
            if self.reports.send(Report { key: self.key, what }).await.is_err() || ends {
                return false;
            }
        }
    }

    async fn attempt(&self, event: &Event, retried: Option<u32>) -> Attempt {
        let number = retried.unwrap_or(0) + 1;
        let began = Instant::now();
        let outcome = match &self.endpoint {
            Ok(endpoint) => {
                let id = event.message_id(self.key.0);
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let timestamp = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
                let message = Message { id: &id, timestamp, body: &event.body };
                self.sender.send(endpoint, &self.secrets, &message).await
            }
            Err(reason) => Outcome::Failed { reason: reason.clone() },
        };
        let verdict = judge(&outcome, number, self.failures, chance());
        Attempt {
            event_id: event.id,
            is_alert: event.is_alert,
            tenant: event.tenant,
            created_at: event.created_at.clone(),
            is_retry: retried.is_some(),
            number,
            outcome,
            verdict,
            ended_at: Instant::now(),
            took: began.elapsed(),
        }
    }
}

impl Attempt {
    /// Returns true if what comes after the message may be sent before it.
    pub(super) fn moves_on(&self) -> bool {
        self.verdict.message != Next::Stays
    }
}

/// Returns a random number from 0 to 1.
fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
