//! A webhook that is being served: its worker, and what it was given to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::database::{Config, Leased};
use super::event::Event;
use super::send::Sender;
use super::signature::Secret;
use super::worker::{Attempt, Key, Report, Worker};

/// Most events that wait in memory for one webhook.
const MOST_EVENTS: usize = 1000;
/// Most bytes of them.
const MOST_BYTES: usize = 4 << 20;
/// Most retries that wait.
const MOST_RETRIES: usize = 64;
/// Events that are read at a time for a webhook that reads for itself.
const BATCH: usize = 500;
/// How often a position moves past events that are not the webhook's, at least.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// Past so many ids it moves at once.
const NOTE_IDS: i64 = 10_000;

/// A webhook with a running worker.
pub(super) struct Serving {
    pub(super) lease: i64,
    pub(super) config: Config,
    /// It was given everything of its own up to this id.
    pub(super) fed_until: i64,
    /// It was given its alerts up to this id.
    pub(super) alerts_fed_until: i64,
    /// True: it gets what is read for all. False: it is behind, and what it gets is read for it alone.
    pub(super) is_live: bool,
    /// True until what had failed before the receiver was put aside is delivered: nothing new is sent before.
    pub(super) is_probing: bool,
    /// Attempts that failed in a row.
    pub(super) failures: u32,
    pub(super) is_stopping: bool,
    /// True if something that it reported could not be noted: then nothing after it may be.
    pub(super) is_lost: bool,
    /// Retries that were given and not reported.
    pub(super) retries_out: usize,
    /// The last event that it was given, and the last that was reported.
    last_fed: i64,
    reported: i64,
    noted_until: i64,
    noted_at: Instant,
    batch: usize,
    events: mpsc::Sender<Arc<Event>>,
    retries: mpsc::Sender<(Event, u32)>,
    queued: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
}

impl Serving {
    /// Starts a worker that goes on where the webhook stands. `batch` is how many events it can send while
    /// they are fresh, as far as is known.
    pub(super) fn start(
        leased: &Leased,
        secrets: Vec<Secret>,
        batch: Option<usize>,
        sender: &Arc<Sender>,
        reports: &mpsc::Sender<Report>,
    ) -> Self {
        let (events, to_send) = mpsc::channel(MOST_EVENTS);
        let (retries, to_retry) = mpsc::channel(MOST_RETRIES);
        let (stop, stopped) = watch::channel(false);
        let queued = Arc::<AtomicUsize>::default();
        let worker = Worker {
            key: (leased.id, leased.lease),
            endpoint: sender.endpoint(&leased.config.url),
            secrets,
            failures: leased.failures,
            retries: to_retry,
            events: to_send,
            queued: Arc::clone(&queued),
            stop: stopped,
            reports: reports.clone(),
            sender: Arc::clone(sender),
        };
        tokio::spawn(worker.run());
        Serving {
            lease: leased.lease,
            config: leased.config.clone(),
            fed_until: leased.delivered_id,
            alerts_fed_until: leased.alert_delivered_id,
            is_live: false,
            is_probing: leased.failures >= super::schedule::ASIDE_AFTER,
            failures: leased.failures,
            is_stopping: false,
            is_lost: false,
            retries_out: 0,
            last_fed: leased.delivered_id,
            reported: leased.delivered_id,
            noted_until: leased.delivered_id,
            noted_at: Instant::now(),
            batch: batch.unwrap_or(BATCH),
            events,
            retries,
            queued,
            stop,
        }
    }

    /// Tells the worker to stop once the message on the way is answered.
    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
        self.is_live = false;
        self.stop.send_replace(true);
    }

    /// Returns true if new events may be given to it.
    pub(super) fn takes_events(&self) -> bool {
        !self.is_stopping && !self.is_probing
    }

    /// Returns true if what waits for it is less than half of what may.
    pub(super) fn has_room(&self) -> bool {
        self.events.capacity() > MOST_EVENTS / 2
            && self.queued.load(Ordering::Relaxed) < MOST_BYTES / 2
    }

    /// Returns how many events to read for it now, if it is time to.
    pub(super) fn wanted(&self) -> Option<usize> {
        let waiting = MOST_EVENTS - self.events.capacity();
        let is_low =
            waiting <= self.batch / 2 && self.queued.load(Ordering::Relaxed) <= MOST_BYTES / 2;
        (self.takes_events() && !self.is_live && is_low).then_some(self.batch)
    }

    /// Gives it an event; false if its queue is full. Then it reads for itself from there on.
    pub(super) fn feed(&mut self, event: &Arc<Event>) -> bool {
        if self.push(event) {
            self.last_fed = event.id;
            self.fed_until = event.id;
            return true;
        }
        self.fed_until = event.id - 1;
        self.is_live = false;
        false
    }

    /// Gives it an alert that it does not have yet; false if its queue is full. Then this one and those
    /// after it come another time.
    pub(super) fn feed_alert(&mut self, alert: &Arc<Event>) -> bool {
        if alert.id <= self.alerts_fed_until || !self.config.wants(alert) {
            return true;
        }
        let is_pushed = self.push(alert);
        if is_pushed {
            self.alerts_fed_until = alert.id;
        }
        is_pushed
    }

    fn push(&self, event: &Arc<Event>) -> bool {
        let size = event.body.len();
        let has_room = self.queued.fetch_add(size, Ordering::Relaxed) < MOST_BYTES;
        let is_pushed = has_room && self.events.try_send(Arc::clone(event)).is_ok();
        if !is_pushed {
            self.queued.fetch_sub(size, Ordering::Relaxed);
        }
        is_pushed
    }

    /// Returns true if alerts may be given to it.
    pub(super) fn takes_alerts(&self) -> bool {
        self.config.with_alerts && self.takes_events() && self.has_room()
    }

    /// Gives it an event again.
    pub(super) fn retry(&mut self, event: Event, attempts: u32) {
        if self.retries.try_send((event, attempts)).is_ok() {
            self.retries_out += 1;
        }
    }

    /// Takes notice of what its worker reported.
    pub(super) fn reported(&mut self, attempt: &Attempt) {
        if attempt.is_retry {
            self.retries_out = self.retries_out.saturating_sub(1);
        } else if attempt.moves_on() && !attempt.is_alert {
            self.reported = attempt.event_id;
        }
        self.failures = attempt.verdict.failures;
    }

    /// Goes on with new events if nothing is left to be sent before them. While it is put aside, every
    /// second attempt is of a new one, so that it does not depend on what the receiver cannot take.
    pub(super) fn go_on(&mut self, has_retries: bool) {
        let is_turn = self.failures == 0 || self.failures.is_multiple_of(2);
        if !has_retries || (is_turn && self.retries_out == 0) {
            self.is_probing = false;
        }
    }

    /// Returns how far it is, if that is worth a note and no attempt has noted it.
    pub(super) fn take_position(&mut self, is_last: bool) -> Option<i64> {
        let is_done = self.reported >= self.last_fed && self.fed_until > self.noted_until;
        let is_due = is_last
            || self.fed_until - self.noted_until > NOTE_IDS
            || self.noted_at.elapsed() > NOTE_EVERY;
        (is_done && is_due).then(|| {
            self.noted_until = self.fed_until;
            self.noted_at = Instant::now();
            self.fed_until
        })
    }

    /// Returns how many events to read at a time after what was queued had become old.
    pub(super) fn smaller_batch(&self) -> usize {
        (self.batch / 4).max(1)
    }

    /// Reads more at a time again, since the worker keeps up.
    pub(super) fn grow(&mut self) {
        self.batch = (self.batch * 2).min(BATCH);
    }

    pub(super) fn key(&self, id: uuid::Uuid) -> Key {
        (id, self.lease)
    }
}
