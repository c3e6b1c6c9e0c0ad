//! What both writers share: the engine behind its lock, and the calls into it. How a thread or a task
//! waits and is woken is up to each of them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "asynchronous")]
use std::time::Duration;
use std::time::{Instant, SystemTime};

use uuid::Uuid;

use crate::engine::admission::Admission;
use crate::engine::batch::Answer;
use crate::engine::notice::{Notice, Topic};
use crate::engine::{self, Engine, Reply, Submitted};
use crate::stats::Health;
use crate::{Error, Event, Options, Outcome, Report, Stats};

/// Wakes the sender and the callers that wait.
pub(crate) trait Signals: Default {
    /// A caller that waits for the result of one event.
    type Waiter;

    /// Wakes the sender: there may be something to send.
    fn wake_sender(&self);

    /// Wakes callers that wait for room, a flush or the end.
    fn wake_waiting(&self);

    /// Passes the result of an event to its caller, who may be gone.
    fn reply(waiter: Self::Waiter, result: Result<Outcome, Error>);
}

/// The state of a writer; see the module.
pub(crate) struct Shared<S: Signals> {
    engine: Mutex<Engine<S::Waiter>>,
    pub(crate) signals: S,
    pub(crate) options: Arc<Options>,
    /// The producer id of each place.
    pub(crate) producers: Vec<Uuid>,
    began: Instant,
    /// The process that sends. A fork has neither the thread nor the task, and its copy of the lock
    /// may be held by a thread that is not there either: nothing here may be locked in it.
    process: u32,
}

impl<S: Signals> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("producers", &self.producers).finish_non_exhaustive()
    }
}

impl<S: Signals> Shared<S> {
    /// Returns a writer's state, with a new producer id for each place.
    pub(crate) fn new(options: Options) -> Arc<Self> {
        let options = Arc::new(options);
        Arc::new(Shared {
            engine: Mutex::new(Engine::new(Arc::clone(&options))),
            signals: S::default(),
            producers: (0..options.in_flight.max(1)).map(|_| Uuid::new_v4()).collect(),
            options,
            began: Instant::now(),
            process: std::process::id(),
        })
    }

    /// Locks the engine. Ignores poison: a panic of the writer must not become the application's.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Engine<S::Waiter>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the engine's time.
    pub(crate) fn now(&self) -> engine::Instant {
        self.began.elapsed()
    }

    /// Returns false in a forked child.
    pub(crate) fn is_own_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Checks and submits an event.
    pub(crate) fn submit(
        &self,
        mut event: Event,
        waiter: Option<S::Waiter>,
    ) -> Submitted<S::Waiter> {
        if !self.is_own_process() {
            let error = Error::lost("the writer belongs to another process");
            return Submitted::Refused(error, waiter);
        }
        let wall = SystemTime::now();
        let admission = event.admit(&self.options, wall);
        self.submit_admitted(event, admission, waiter, wall)
    }

    /// Submits an event again that found no room.
    pub(crate) fn submit_again(
        &self,
        event: Event,
        waiter: Option<S::Waiter>,
    ) -> Submitted<S::Waiter> {
        let admission = Admission::Accepted(event.size());
        self.submit_admitted(event, admission, waiter, SystemTime::now())
    }

    fn submit_admitted(
        &self,
        event: Event,
        admission: Admission,
        waiter: Option<S::Waiter>,
        wall: SystemTime,
    ) -> Submitted<S::Waiter> {
        let mut engine = self.lock();
        let submitted = engine.submit(event, admission, waiter, || self.now(), wall);
        let (replies, notices) = (engine.take_replies(), engine.take_notices());
        drop(engine);
        if let Submitted::Queued { wakes: true } = submitted {
            self.signals.wake_sender();
        }
        send_replies::<S>(replies);
        self.publish(notices);
        submitted
    }

    /// Drops an event that found no room.
    pub(crate) fn drop_newest(
        &self,
        event: Event,
        waiter: Option<S::Waiter>,
    ) -> Submitted<S::Waiter> {
        let mut engine = self.lock();
        let submitted = engine.drop_newest(event, waiter, || self.now(), SystemTime::now());
        let notices = engine.take_notices();
        drop(engine);
        self.publish(notices);
        submitted
    }

    /// Passes the result of sending a place's batch to the engine.
    pub(crate) fn settle(&self, place: usize, sent: Result<Answer, Error>) {
        let mut engine = self.lock();
        let now = self.now();
        match sent {
            Ok(answer) => engine.answered(place, answer, now),
            Err(error) => engine.failed(place, error, now, SystemTime::now(), fastrand::f64()),
        }
        let (replies, notices) = (engine.take_replies(), engine.take_notices());
        drop(engine);
        self.signals.wake_sender();
        self.signals.wake_waiting();
        send_replies::<S>(replies);
        self.publish(notices);
    }

    /// Publishes notices, outside of the lock.
    pub(crate) fn publish(&self, notices: Vec<Notice>) {
        for notice in &notices {
            trace(notice);
            if let Some(on_error) = &self.options.on_error
                && notice.topic != Topic::Recovered
            {
                on_error(&notice.error);
            }
        }
    }

    /// Sends what is queued without lingering; returns the mark to wait for.
    pub(crate) fn flush(&self) -> u64 {
        let mark = self.lock().flush();
        self.signals.wake_sender();
        mark
    }

    /// Takes no more events, and sends what is queued.
    pub(crate) fn begin_close(&self) {
        self.lock().close();
        self.signals.wake_sender();
        self.signals.wake_waiting();
    }

    /// Closes, and ends after that time even if events are left.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn begin_close_by(&self, time: Duration) {
        let now = self.now();
        self.lock().close_by(now.saturating_add(time));
        self.signals.wake_sender();
        self.signals.wake_waiting();
    }

    /// Ends at once, and replies to all callers that wait.
    pub(crate) fn end(&self) -> Report {
        let mut engine = self.lock();
        let report = engine.abandon();
        let (replies, notices) = (engine.take_replies(), engine.take_notices());
        drop(engine);
        self.signals.wake_sender();
        self.signals.wake_waiting();
        send_replies::<S>(replies);
        self.publish(notices);
        if !report.is_complete() || report.stats.rejected > 0 {
            tracing::warn!("the writer ends, and not all of its events are written: {report}");
        }
        report
    }

    /// Returns how the writer is doing; nothing in a forked child.
    pub(crate) fn health(&self) -> Health {
        match self.is_own_process() {
            true => self.lock().health(self.now()),
            false => Health::default(),
        }
    }

    /// Returns the counts so far; zeros in a forked child.
    pub(crate) fn stats(&self) -> Stats {
        match self.is_own_process() {
            true => self.lock().stats(),
            false => Stats::default(),
        }
    }
}

/// Writes a notice to `tracing`.
fn trace(notice: &Notice) {
    let error = &notice.error;
    let (sqlstate, events) = (error.sqlstate(), error.events());
    let (name, tenant) = (error.event_name(), error.tenant_id().map(tracing::field::display));
    match notice.topic {
        Topic::Recovered => tracing::info!("{error}"),
        Topic::Failed => {
            tracing::warn!(sqlstate, events, "events could not be sent yet: {error}");
        }
        Topic::Rejected => {
            tracing::warn!(sqlstate, events, name, tenant, "events were refused: {error}");
        }
        Topic::Lost => {
            tracing::error!(sqlstate, events, name, tenant, "events were lost: {error}");
        }
    }
}

/// Passes the results of events to the callers that wait.
pub(crate) fn send_replies<S: Signals>(replies: Vec<Reply<S::Waiter>>) {
    for (waiter, result) in replies {
        S::reply(waiter, result);
    }
}

/// Owned by the sender. If it is dropped before the writer is closed (a connector or a callback
/// panicked, or the runtime shut down), it ends the engine, so that no caller waits for ever.
pub(crate) struct SenderGuard<S: Signals>(pub(crate) Arc<Shared<S>>);

impl<S: Signals> Drop for SenderGuard<S> {
    fn drop(&mut self) {
        let shared = &self.0;
        if !shared.is_own_process() {
            return;
        }
        let is_closed = shared.lock().is_closed();
        if is_closed {
            shared.signals.wake_waiting();
        } else {
            tracing::error!("the writer's sender ended before the writer was closed");
            let _ = shared.end();
        }
    }
}
