//! The writer for asynchronous applications: a task of its own on the application's tokio runtime,
//! on the crate [`tokio_postgres`].
//!
//! Call [`Writer::close`] before the runtime ends: a runtime that shuts down drops the task, and
//! what is queued with it (which `tracing` hears of).

mod all;
mod connect;
mod send;

use std::error::Error as StdError;
use std::fmt::Display;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, Transaction};

use crate::engine::{Engine, Submitted};
use crate::options::WhenFull;
use crate::shared::{self, Sending, Signals};
use crate::stats::Health;
use crate::track::Tracked;
use crate::wire;
use crate::{Error, Event, Logged, Options, Report, Stats};

pub use connect::{config_from_env, connect};

/// A connection as the writer uses it: a client of its own, or one of the application's pool.
pub type Connection = Box<dyn Deref<Target = Client> + Send + Sync>;

/// What a connector gives.
pub type Connecting =
    Pin<Box<dyn Future<Output = Result<Connection, Box<dyn StdError + Send + Sync>>> + Send>>;

type Connector = Box<dyn FnMut() -> Connecting + Send>;
type Shared = shared::Shared<Tasks>;
type Waiter = oneshot::Sender<Result<Logged, Error>>;

/// Logs events from any task or thread; a clone is the same writer.
///
/// ```no_run
/// use std::time::Duration;
/// use eventlog_writer::{Event, EventName, Options, asynchronous::Writer};
///
/// # async fn run() -> Result<(), tokio_postgres::Error> {
/// let writer = Writer::connect("postgres://app@localhost/mydb".parse()?, Options::new());
/// writer.log(Event::new(EventName::ToolUsed).data(&serde_json::json!({ "toolName": "search" })));
/// let report = writer.close(Duration::from_secs(5)).await;
/// assert!(report.is_complete(), "{}", report.stats);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Writer {
    /// Nothing where it is disabled.
    handle: Option<Arc<Handle>>,
}

/// What the writers share; the task has `Shared` too, but not this, so that it ends.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    report: Mutex<Option<Report>>,
}

/// How tasks wait, for the engine.
#[derive(Default)]
struct Tasks {
    news: Notify,
    progress: Notify,
}

impl Signals for Tasks {
    type Waiter = Waiter;

    fn wake_sender(&self) {
        self.news.notify_one();
    }

    fn wake_waiting(&self) {
        self.progress.notify_waiters();
    }

    fn tell(waiter: Waiter, end: Result<Logged, Error>) {
        let _ = waiter.send(end);
    }
}

impl Writer {
    /// A writer that connects itself when it has something to send, and again whenever it has to. To
    /// be called inside a tokio runtime with its time enabled.
    ///
    /// With the feature `tls` and `sslmode=require` by TLS, verified with the certificates of
    /// `PGSSLROOTCERT` or the system's; else without.
    pub fn connect(config: Config, options: Options) -> Self {
        Self::with_connector(options, move || {
            let config = config.clone();
            Box::pin(async move { Ok(Box::new(Box::new(connect(config).await?)) as Connection) })
        })
    }

    /// A writer that connects itself as the variables `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`,
    /// `PGDATABASE`, `PGOPTIONS`, `PGSSLMODE` and their like say. To be called inside a tokio
    /// runtime with its time enabled.
    ///
    /// # Errors
    /// Where they contradict themselves; not where there is no server.
    pub fn from_env(options: Options) -> Result<Self, Error> {
        Ok(Self::connect(config_from_env()?, options))
    }

    /// A writer on connections of the application's: of a pool, with TLS, whatever `connect` gives.
    /// It is called when there is something to send, and again after a connection broke; for each of
    /// [`Options::in_flight`] that is needed. The writer keeps what it gets until then. To be called inside a tokio runtime with its time enabled.
    pub fn with_connector(
        options: Options,
        connect: impl FnMut() -> Connecting + Send + 'static,
    ) -> Self {
        if !options.enabled {
            return Writer { handle: None };
        }
        let shared = Shared::new(options);
        tokio::spawn(send::send_all(Sending(Arc::clone(&shared)), Box::new(connect)));
        Writer { handle: Some(Arc::new(Handle { shared, report: Mutex::new(None) })) }
    }

    /// Whether it logs at all.
    pub fn is_enabled(&self) -> bool {
        self.handle.is_some()
    }

    /// Puts an event into the queue and returns at once; whether it was taken. Never fails and never
    /// waits, with [`WhenFull::Block`] neither.
    pub fn log(&self, event: Event) -> bool {
        let Some(handle) = &self.handle else { return false };
        let shared = &handle.shared;
        match shared.submit(event, None) {
            Submitted::Full(event, waiter) => {
                drop(shared.drop_newest(event, waiter));
                false
            }
            submitted => matches!(submitted, Submitted::Queued { .. } | Submitted::LeftOut(_)),
        }
    }

    /// Logs an event and waits for what becomes of it: its id, nothing where the log left it out or
    /// does not tell, or why it was refused or lost. Waits as long as the server does not answer,
    /// and the writer is not closed; for room in the queue as long as [`WhenFull::Block`] says.
    pub async fn log_and_wait(&self, event: Event) -> Result<Option<i64>, Error> {
        let Some(handle) = &self.handle else { return Ok(None) };
        let shared = &handle.shared;
        let (waiter, told) = oneshot::channel();
        let patience = match shared.options.when_full {
            WhenFull::Block(time) => time,
            _ => Duration::ZERO,
        };
        let began = Instant::now();
        let mut submitted = shared.submit(event, Some(waiter));
        while let Submitted::Full(event, waiter) = submitted {
            let (tenant, size) = (event.tenant_id, event.size());
            let room = wait_until(shared, |engine| engine.may_take(tenant, size));
            let left = patience.saturating_sub(began.elapsed());
            submitted = match timeout(left, room).await {
                Ok(()) => shared.submit_again(event, waiter),
                Err(_) => shared.drop_newest(event, waiter),
            };
        }
        match submitted {
            Submitted::Refused(error, _) => Err(error),
            Submitted::LeftOut(_) => Ok(None),
            _ => {
                let end = told.await;
                end.unwrap_or_else(|_| Err(Error::lost("the writer's task ended"))).map(Logged::id)
            }
        }
    }

    /// Logs an event inside the caller's own transaction: it is there if and only if the rest is.
    /// Its id, or nothing where the log left it out. The tenant must be the transaction's, or the
    /// role a service.
    pub async fn log_in(
        &self,
        transaction: &Transaction<'_>,
        event: Event,
    ) -> Result<Option<i64>, Error> {
        let Some(_) = &self.handle else { return Ok(None) };
        let event = event.prepared()?;
        let rows = transaction.query_typed(wire::LOG_EVENT, &wire::event_values(&event)).await?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    /// Does the work and logs the event with how long it took (`durationMs`), whether it went well
    /// (`success`), and if not, `errorType` and `errorMessage`; also of work that panics or is
    /// cancelled.
    pub async fn track<T, E: Display>(
        &self,
        event: Event,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let tracked = Tracked::begin(event, |event| _ = self.log(event));
        let result = work.await;
        tracked.end(&result);
        result
    }

    /// Sends what is queued now without waiting for more, and waits until it has an answer, at most
    /// so long; whether it did.
    pub async fn flush(&self, time: Duration) -> bool {
        let Some(handle) = &self.handle else { return true };
        let shared = &handle.shared;
        if !shared.is_own_process() {
            return false;
        }
        let mark = shared.hurry();
        timeout(time, wait_until(shared, |engine| engine.is_done(mark))).await.is_ok()
    }

    /// What became of the events so far.
    pub fn stats(&self) -> Stats {
        self.handle.as_ref().map(|handle| handle.shared.stats()).unwrap_or_default()
    }

    /// How the writer is doing now.
    pub fn health(&self) -> Health {
        self.handle.as_ref().map(|handle| handle.shared.health()).unwrap_or_default()
    }

    /// Takes no more events, sends what is queued, and ends: after that, or when the time is over.
    /// Closed again, it says the same again.
    pub async fn close(&self, time: Duration) -> Report {
        let Some(handle) = &self.handle else { return Report::default() };
        let shared = &handle.shared;
        if !shared.is_own_process() {
            return Report::default();
        }
        shared.begin_close();
        let _ = timeout(time, wait_until(shared, |engine| engine.is_closed())).await;
        let mut report = handle.report.lock().unwrap_or_else(PoisonError::into_inner);
        *report.get_or_insert_with(|| shared.end())
    }
}

/// Waits until the engine says so.
async fn wait_until(shared: &Shared, is_so: impl Fn(&Engine<Waiter>) -> bool) {
    loop {
        // Registered before it is looked, so that no progress in between is missed.
        let mut progress = std::pin::pin!(shared.signals.progress.notified());
        progress.as_mut().enable();
        if is_so(&shared.lock()) {
            return;
        }
        progress.await;
    }
}

/// The last writer is gone: the task sends what is queued, as long as `close_timeout` says.
impl Drop for Handle {
    fn drop(&mut self) {
        if !self.shared.is_own_process() {
            return;
        }
        let is_reported = self.report.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if is_reported {
            return;
        }
        // The task keeps to the time by itself: there may be no runtime here to do it.
        self.shared.begin_close_by(self.shared.options.close_timeout);
    }
}
