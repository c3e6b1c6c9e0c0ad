//! What both writers share: the engine behind its lock, and what is said to it. How a thread or a
//! task waits and is woken is each one's own.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "asynchronous")]
use std::time::Duration;
use std::time::{Instant, SystemTime};

use uuid::Uuid;

use crate::engine::admission::Admission;
use crate::engine::batch::Answer;
use crate::engine::notice::Notice;
use crate::engine::{self, Engine, Submitted, Told};
use crate::stats::Health;
use crate::{Error, Event, Logged, Options, Report, Stats};

/// How a writer wakes what waits for it.
pub(crate) trait Signals: Default {
    /// Whoever waits for one event.
    type Waiter;

    /// There may be something to send.
    fn wake_sender(&self);

    /// There may be room, or an end.
    fn wake_waiting(&self);

    /// Tells what became of an event; whoever waited may have gone.
    fn tell(waiter: Self::Waiter, end: Result<Logged, Error>);
}

/// See the module.
pub(crate) struct Shared<S: Signals> {
    engine: Mutex<Engine<S::Waiter>>,
    pub(crate) signals: S,
    pub(crate) options: Arc<Options>,
    /// One for each place.
    pub(crate) producers: Vec<Uuid>,
    began: Instant,
    /// The process that sends. A fork has neither the thread nor the task, and its copy of the lock
    /// may be held by one that is not there either: nothing here may be locked in it.
    process: u32,
}

impl<S: Signals> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("producers", &self.producers).finish_non_exhaustive()
    }
}

impl<S: Signals> Shared<S> {
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

    /// A panic of ours while it was locked must not become the application's.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Engine<S::Waiter>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> engine::Instant {
        self.began.elapsed()
    }

    pub(crate) fn is_own_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Submits an event, once.
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

    /// Submits an event again, for which there was no room.
    pub(crate) fn submit_again(
        &self,
        event: Event,
        waiter: Option<S::Waiter>,
    ) -> Submitted<S::Waiter> {
        let admission = Admission::Taken(event.size());
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
        let (told, notices) = (engine.take_told(), engine.take_notices());
        drop(engine);
        if let Submitted::Queued { wakes: true } = submitted {
            self.signals.wake_sender();
        }
        tell::<S>(told);
        self.say(notices);
        submitted
    }

    /// Gives an event up for which there was no room.
    pub(crate) fn drop_newest(
        &self,
        event: Event,
        waiter: Option<S::Waiter>,
    ) -> Submitted<S::Waiter> {
        let mut engine = self.lock();
        let submitted = engine.drop_newest(event, waiter, || self.now(), SystemTime::now());
        let notices = engine.take_notices();
        drop(engine);
        self.say(notices);
        submitted
    }

    /// Says how it went with the batch that was to be sent from a place.
    pub(crate) fn settle(&self, place: usize, sent: Result<Answer, Error>) {
        let mut engine = self.lock();
        let now = self.now();
        match sent {
            Ok(answer) => engine.answered(place, answer, now),
            Err(error) => engine.failed(place, error, now, SystemTime::now(), fastrand::f64()),
        }
        let (told, notices) = (engine.take_told(), engine.take_notices());
        drop(engine);
        self.signals.wake_sender();
        self.signals.wake_waiting();
        tell::<S>(told);
        self.say(notices);
    }

    /// Says what there is to say of faults, outside of the lock.
    pub(crate) fn say(&self, notices: Vec<Notice>) {
        notices.iter().for_each(|notice| self.options.say(notice));
    }

    /// Sends what is queued now; the mark to wait for.
    pub(crate) fn hurry(&self) -> u64 {
        let mark = self.lock().hurry();
        self.signals.wake_sender();
        mark
    }

    /// Takes no more, and sends what is queued.
    pub(crate) fn begin_close(&self) {
        self.lock().close();
        self.signals.wake_sender();
        self.signals.wake_waiting();
    }

    /// The same, and gives it so much time.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn begin_close_by(&self, time: Duration) {
        let now = self.now();
        self.lock().close_by(now.saturating_add(time));
        self.signals.wake_sender();
        self.signals.wake_waiting();
    }

    /// Ends at once, and tells whoever waits.
    pub(crate) fn end(&self) -> Report {
        let mut engine = self.lock();
        let report = engine.abandon();
        let (told, notices) = (engine.take_told(), engine.take_notices());
        drop(engine);
        self.signals.wake_sender();
        self.signals.wake_waiting();
        tell::<S>(told);
        self.say(notices);
        if !report.is_complete() || report.stats.rejected > 0 {
            tracing::warn!(
                "the writer ends, and not all of its events are written: {}",
                report.stats
            );
        }
        report
    }

    pub(crate) fn health(&self) -> Health {
        match self.is_own_process() {
            true => self.lock().health(self.now()),
            false => Health::default(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        match self.is_own_process() {
            true => self.lock().stats(),
            false => Stats::default(),
        }
    }
}

/// Tells each what became of its event.
pub(crate) fn tell<S: Signals>(told: Vec<Told<S::Waiter>>) {
    for (waiter, end) in told {
        S::tell(waiter, end);
    }
}

/// What the thread or the task has. Where it ends before the writer is closed, since a connector or a
/// callback of the application panicked or its runtime shut down, nobody waits for what will not
/// come.
pub(crate) struct Sending<S: Signals>(pub(crate) Arc<Shared<S>>);

impl<S: Signals> Drop for Sending<S> {
    fn drop(&mut self) {
        let shared = &self.0;
        if !shared.is_own_process() {
            return;
        }
        let is_closed = shared.lock().is_closed();
        if is_closed {
            shared.signals.wake_waiting();
        } else {
            tracing::error!("what sends the writer's events ended before the writer was closed");
            let _ = shared.end();
        }
    }
}
