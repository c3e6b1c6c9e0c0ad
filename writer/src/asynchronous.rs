//! The writer for asynchronous applications: a task of its own on the application's tokio runtime,
//! on the crate [`tokio_postgres`].
//!
//! Call [`Writer::close`] before the runtime ends: a runtime that shuts down drops the task, and
//! what is queued with it (which `tracing` hears of).

mod all;
mod connect;

use std::error::Error as StdError;
use std::fmt::Display;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, oneshot};
use tokio::time::{timeout, timeout_at};
use tokio_postgres::{Client, Config, Transaction};
use uuid::Uuid;

use crate::batch::{Answer, Batch};
use crate::engine::{Action, Engine, Submitted, Told};
use crate::options::WhenFull;
use crate::track::Tracked;
use crate::wire::{self, Parameters};
use crate::{Error, Event, Options, Report, Stats};

pub use connect::{config_from_env, connect};

/// A connection as the writer uses it: a client of its own, or one of the application's pool.
pub type Connection = Box<dyn Deref<Target = Client> + Send + Sync>;

/// What a connector gives.
pub type Connecting =
    Pin<Box<dyn Future<Output = Result<Connection, Box<dyn StdError + Send + Sync>>> + Send>>;

type Connector = Box<dyn FnMut() -> Connecting + Send>;
type Waiter = oneshot::Sender<Result<Option<i64>, Error>>;

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

struct Shared {
    engine: Mutex<Engine<Waiter>>,
    /// There may be something to send.
    news: Notify,
    /// There may be room, or an end.
    progress: Notify,
    began: Instant,
    producer: Uuid,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("producer", &self.producer).finish_non_exhaustive()
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
    /// It is called when there is something to send, and again after a connection broke. The writer
    /// keeps what it gets until then. To be called inside a tokio runtime with its time enabled.
    pub fn with_connector(
        options: Options,
        connect: impl FnMut() -> Connecting + Send + 'static,
    ) -> Self {
        if !options.enabled {
            return Writer { handle: None };
        }
        let shared = Arc::new(Shared {
            engine: Mutex::new(Engine::new(options)),
            news: Notify::new(),
            progress: Notify::new(),
            began: Instant::now(),
            producer: Uuid::new_v4(),
        });
        tokio::spawn(send_all(Task(Arc::clone(&shared)), Box::new(connect)));
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
                shared.lock().drop_newest(event, waiter, SystemTime::now());
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
        let patience = match shared.lock().options().when_full {
            WhenFull::Block(time) => time,
            _ => Duration::ZERO,
        };
        let until = tokio::time::Instant::now() + patience;
        let mut submitted = Submitted::Full(event, Some(waiter));
        while let Submitted::Full(event, waiter) = submitted {
            // Registered before it tries, so that no room that comes in between is missed.
            let mut progress = std::pin::pin!(shared.progress.notified());
            progress.as_mut().enable();
            submitted = shared.submit(event, waiter);
            if !matches!(submitted, Submitted::Full(..)) {
                break;
            }
            if timeout_at(until, progress).await.is_err()
                && let Submitted::Full(event, waiter) = submitted
            {
                submitted = shared.lock().drop_newest(event, waiter, SystemTime::now());
                break;
            }
        }
        match submitted {
            Submitted::Refused(error, _) => return Err(error),
            Submitted::LeftOut(_) => return Ok(None),
            _ => {}
        }
        shared.lock().hurry();
        shared.news.notify_one();
        told.await.unwrap_or_else(|_| Err(Error::lost("the writer's task ended")))
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
        let mark = shared.lock().hurry();
        shared.news.notify_one();
        timeout(time, shared.until(|engine| engine.is_done(mark))).await.is_ok()
    }

    /// What became of the events so far.
    pub fn stats(&self) -> Stats {
        self.handle.as_ref().map(|handle| handle.shared.lock().stats()).unwrap_or_default()
    }

    /// Takes no more events, sends what is queued, and ends: after that, or when the time is over.
    /// Closed again, it says the same again.
    pub async fn close(&self, time: Duration) -> Report {
        let Some(handle) = &self.handle else { return Report::default() };
        let shared = &handle.shared;
        shared.lock().close();
        shared.news.notify_one();
        let _ = timeout(time, shared.until(|engine| engine.is_closed())).await;
        let mut report = handle.report.lock().unwrap_or_else(PoisonError::into_inner);
        *report.get_or_insert_with(|| shared.end())
    }
}

impl Shared {
    /// A panic of ours while it was locked must not become the application's.
    fn lock(&self) -> MutexGuard<'_, Engine<Waiter>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn submit(&self, event: Event, waiter: Option<Waiter>) -> Submitted<Waiter> {
        let mut engine = self.lock();
        let submitted = engine.submit(event, waiter, self.now(), SystemTime::now());
        let told = engine.take_told();
        drop(engine);
        if let Submitted::Queued { is_news: true } = submitted {
            self.news.notify_one();
        }
        tell(told);
        submitted
    }

    /// Waits until the engine says so.
    async fn until(&self, is_so: impl Fn(&Engine<Waiter>) -> bool) {
        loop {
            // Registered before it is looked, so that no progress in between is missed.
            let mut progress = std::pin::pin!(self.progress.notified());
            progress.as_mut().enable();
            if is_so(&self.lock()) {
                return;
            }
            progress.await;
        }
    }

    /// Waits for something to send; nothing once the writer is closed.
    async fn next_batch(&self) -> Option<Arc<Batch>> {
        loop {
            let action = self.lock().poll(self.now());
            match action {
                Action::Send(batch) => return Some(batch),
                Action::End => return None,
                Action::Wait(None) => self.news.notified().await,
                Action::Wait(Some(until)) => {
                    let left = until.saturating_sub(self.now());
                    let _ = timeout(left, self.news.notified()).await;
                }
            }
        }
    }

    /// Ends at once, and tells whoever waits.
    fn end(&self) -> Report {
        let mut engine = self.lock();
        let report = engine.abandon();
        let told = engine.take_told();
        drop(engine);
        self.news.notify_one();
        self.progress.notify_waiters();
        tell(told);
        if report.stats.dropped > 0 {
            tracing::warn!("the writer lost events: {}", report.stats);
        }
        report
    }
}

/// The task's own: a runtime that shuts down drops it.
struct Task(Arc<Shared>);

impl Drop for Task {
    fn drop(&mut self) {
        if !self.0.lock().is_closed() {
            let _ = self.0.end();
        }
    }
}

/// What the task does.
async fn send_all(task: Task, mut connect: Connector) {
    let shared = &task.0;
    let mut connection = None;
    while let Some(batch) = shared.next_batch().await {
        let options = shared.lock().options().clone();
        let sent = send(&mut connection, &mut connect, &batch, shared.producer, &options).await;
        let mut engine = shared.lock();
        let report = match sent {
            Ok(answer) => engine.answered(answer, shared.now()),
            Err(error) => {
                if error.loses_connection() {
                    connection = None;
                }
                engine.failed(&error, shared.now(), SystemTime::now(), fastrand::f64())
            }
        };
        let told = engine.take_told();
        drop(engine);
        shared.progress.notify_waiters();
        tell(told);
        if let Some(error) = report {
            options.report(&error);
        }
    }
    shared.progress.notify_waiters();
}

async fn send(
    connection: &mut Option<Connection>,
    connect: &mut Connector,
    batch: &Batch,
    producer: Uuid,
    options: &Options,
) -> Result<Answer, Error> {
    let client = match connection {
        Some(client) => client,
        None => connection.insert(connect().await.map_err(Error::from_connector)?),
    };
    let parameters = Parameters::new(batch, producer, options);
    let rows = client.query_typed(parameters.sql(), &parameters.values()).await?;
    let row = rows.first().ok_or_else(|| Error::rejected(None, "log_events gave no row"))?;
    wire::answer(row)
}

fn tell(told: Vec<Told<Waiter>>) {
    for (waiter, end) in told {
        // Whoever waited may have gone.
        let _ = waiter.send(end);
    }
}

/// The last writer is gone: the task sends what is queued, as long as `close_timeout` says.
impl Drop for Handle {
    fn drop(&mut self) {
        let is_reported = self.report.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if is_reported {
            return;
        }
        let mut engine = self.shared.lock();
        engine.close();
        let time = engine.options().close_timeout;
        drop(engine);
        self.shared.news.notify_one();
        let shared = Arc::clone(&self.shared);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let closed = timeout(time, shared.until(|engine| engine.is_closed())).await;
                if closed.is_err() {
                    let _ = shared.end();
                }
            });
        }
    }
}
