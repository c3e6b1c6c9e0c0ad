//! The writer for applications without an asynchronous runtime: a thread of its own, on the crate
//! [`postgres`].

use std::error::Error as StdError;
use std::fmt::Display;
use std::ops::DerefMut;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use postgres::{Client, Config, NoTls, Transaction};
use uuid::Uuid;

use crate::batch::{Answer, Batch};
use crate::connect::with_defaults;
use crate::engine::{Action, Engine, Submitted, Told};
use crate::options::WhenFull;
use crate::track::Tracked;
use crate::wire::{self, Parameters};
use crate::{Error, Event, Options, Report, Stats};

/// A connection as the writer uses it: a client of its own, or one of the application's pool.
pub type Connection = Box<dyn DerefMut<Target = Client> + Send>;

type Connector = Box<dyn FnMut() -> Result<Connection, Box<dyn StdError + Send + Sync>> + Send>;
type Waiter = SyncSender<Result<Option<i64>, Error>>;

/// Logs events from any thread; a clone is the same writer. The last one that is dropped closes it.
///
/// ```no_run
/// use std::time::Duration;
/// use eventlog_writer::{Event, EventName, Options, sync::Writer};
///
/// let writer = Writer::connect("postgres://app@localhost/mydb".parse()?, Options::new());
/// writer.log(Event::new(EventName::ToolUsed).data(&serde_json::json!({ "toolName": "search" })));
/// let report = writer.close(Duration::from_secs(5));
/// assert!(report.is_complete(), "{}", report.stats);
/// # Ok::<(), postgres::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Writer {
    /// Nothing where it is disabled.
    handle: Option<Arc<Handle>>,
}

/// What the writers share; the thread has `Shared` too, but not this, so that it ends.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    report: Mutex<Option<Report>>,
}

struct Shared {
    engine: Mutex<Engine<Waiter>>,
    /// There may be something to send.
    news: Condvar,
    /// There may be room, or an end.
    progress: Condvar,
    began: Instant,
    producer: Uuid,
    /// The process that the thread is in: a fork has none.
    process: u32,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("producer", &self.producer).finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer that connects itself when it has something to send, and again whenever it has to.
    ///
    /// With the feature `tls` and `sslmode=require` by TLS, verified with the certificates of
    /// `PGSSLROOTCERT` or the system's; else without.
    pub fn connect(config: Config, options: Options) -> Self {
        let config = with_defaults!(config);
        Self::with_connector(options, move || {
            #[cfg(feature = "tls")]
            if config.get_ssl_mode() == postgres::config::SslMode::Require {
                return Ok(own(config.connect(crate::connect::tls()?)?));
            }
            Ok(own(config.connect(NoTls)?))
        })
    }

    /// A writer that connects itself as the variables `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`,
    /// `PGDATABASE`, `PGOPTIONS`, `PGSSLMODE` and their like say.
    ///
    /// # Errors
    /// Where they contradict themselves; not where there is no server.
    pub fn from_env(options: Options) -> Result<Self, Error> {
        let config = crate::connect::conninfo()?.parse().map_err(Error::from_config)?;
        Ok(Self::connect(config, options))
    }

    /// A writer on connections of the application's: of a pool, with TLS, whatever `connect` gives.
    /// It is called when there is something to send, and again after a connection broke. The writer
    /// keeps what it gets until then.
    ///
    /// ```no_run
    /// # use eventlog_writer::{Options, sync::Writer};
    /// # fn pooled() -> Result<Box<postgres::Client>, std::io::Error> { unimplemented!() }
    /// let writer = Writer::with_connector(Options::new(), || Ok(Box::new(pooled()?)));
    /// ```
    pub fn with_connector(
        options: Options,
        connect: impl FnMut() -> Result<Connection, Box<dyn StdError + Send + Sync>> + Send + 'static,
    ) -> Self {
        if !options.enabled {
            return Writer { handle: None };
        }
        let shared = Arc::new(Shared {
            engine: Mutex::new(Engine::new(options)),
            news: Condvar::new(),
            progress: Condvar::new(),
            began: Instant::now(),
            producer: Uuid::new_v4(),
            process: std::process::id(),
        });
        let of_thread = Arc::clone(&shared);
        let connect: Connector = Box::new(connect);
        let thread = thread::Builder::new()
            .name("eventlog-writer".to_owned())
            .spawn(move || of_thread.send_all(connect))
            .expect("the system has room for a thread");
        Writer {
            handle: Some(Arc::new(Handle {
                shared,
                thread: Mutex::new(Some(thread)),
                report: Mutex::new(None),
            })),
        }
    }

    /// Whether it logs at all.
    pub fn is_enabled(&self) -> bool {
        self.handle.is_some()
    }

    /// Puts an event into the queue and returns at once; whether it was taken. Never fails, and
    /// waits only where [`WhenFull::Block`] says so.
    pub fn log(&self, event: Event) -> bool {
        let Some(handle) = &self.handle else { return false };
        let submitted = handle.shared.submit(event, None);
        matches!(submitted, Submitted::Queued { .. } | Submitted::LeftOut(_))
    }

    /// Logs an event and waits for what becomes of it: its id, nothing where the log left it out or
    /// does not tell, or why it was refused or lost. Waits as long as the server does not answer,
    /// and the writer is not closed.
    pub fn log_and_wait(&self, event: Event) -> Result<Option<i64>, Error> {
        let Some(handle) = &self.handle else { return Ok(None) };
        let (waiter, told) = sync_channel(1);
        match handle.shared.submit(event, Some(waiter)) {
            Submitted::Queued { .. } => {
                handle.shared.lock().hurry();
                handle.shared.news.notify_one();
                let lost = || Err(Error::lost("the writer's thread ended"));
                told.recv().unwrap_or_else(|_| lost())
            }
            Submitted::LeftOut(_) => Ok(None),
            Submitted::Refused(error, _) => Err(error),
            Submitted::Full(..) => Err(Error::lost("the queue is full")),
        }
    }

    /// Logs an event inside the caller's own transaction: it is there if and only if the rest is.
    /// Its id, or nothing where the log left it out. The tenant must be the transaction's, or the
    /// role a service.
    pub fn log_in(
        &self,
        transaction: &mut Transaction<'_>,
        event: Event,
    ) -> Result<Option<i64>, Error> {
        let Some(_) = &self.handle else { return Ok(None) };
        let event = event.prepared()?;
        let rows = transaction.query_typed(wire::LOG_EVENT, &wire::event_values(&event))?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    /// Does the work and logs the event with how long it took (`durationMs`), whether it went well
    /// (`success`), and if not, `errorType` and `errorMessage`; also of work that panics.
    ///
    /// ```no_run
    /// # use eventlog_writer::{Event, EventName, sync::Writer};
    /// # fn run(writer: &Writer) -> Result<String, std::io::Error> {
    /// let event = Event::new(EventName::SkillExecuted).data(&serde_json::json!({ "skillName": "canvas" }));
    /// writer.track(event, || std::fs::read_to_string("drawing.svg"))
    /// # }
    /// ```
    pub fn track<T, E: Display>(
        &self,
        event: Event,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let tracked = Tracked::begin(event, |event| _ = self.log(event));
        let result = work();
        tracked.end(&result);
        result
    }

    /// Sends what is queued now without waiting for more, and waits until it has an answer, at most
    /// so long; whether it did.
    pub fn flush(&self, timeout: Duration) -> bool {
        let Some(handle) = &self.handle else { return true };
        let shared = &handle.shared;
        let mut engine = shared.lock();
        let mark = engine.hurry();
        shared.news.notify_one();
        let until = Instant::now() + timeout;
        while !engine.is_done(mark) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            engine = shared.progress.wait_timeout(engine, left).unwrap_or_else(poisoned).0;
        }
        true
    }

    /// What became of the events so far.
    pub fn stats(&self) -> Stats {
        self.handle.as_ref().map(|handle| handle.shared.lock().stats()).unwrap_or_default()
    }

    /// Takes no more events, sends what is queued, and ends: after that, or when the time is over.
    /// Closed again, it says the same again.
    pub fn close(&self, timeout: Duration) -> Report {
        self.handle.as_ref().map(|handle| handle.close(timeout)).unwrap_or_default()
    }
}

/// A client of the writer's own.
fn own(client: Client) -> Connection {
    Box::new(Box::new(client))
}

fn poisoned<T>(error: PoisonError<T>) -> T {
    error.into_inner()
}

impl Shared {
    /// A panic of ours while it was locked must not become the application's.
    fn lock(&self) -> MutexGuard<'_, Engine<Waiter>> {
        self.engine.lock().unwrap_or_else(poisoned)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn submit(&self, event: Event, waiter: Option<Waiter>) -> Submitted<Waiter> {
        // In a fork there is no thread, and the lock may be held by one that is not there either.
        if self.process != std::process::id() {
            return Submitted::Refused(
                Error::lost("the writer belongs to another process"),
                waiter,
            );
        }
        let wall = SystemTime::now();
        let mut engine = self.lock();
        let mut submitted = engine.submit(event, waiter, self.now(), wall);
        if let WhenFull::Block(timeout) = engine.options().when_full {
            let until = Instant::now() + timeout;
            while let Submitted::Full(event, waiter) = submitted {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    submitted = engine.drop_newest(event, waiter, wall);
                    break;
                }
                engine = self.progress.wait_timeout(engine, left).unwrap_or_else(poisoned).0;
                submitted = engine.submit(event, waiter, self.now(), wall);
            }
        }
        let told = engine.take_told();
        drop(engine);
        if let Submitted::Queued { is_news: true } = submitted {
            self.news.notify_one();
        }
        tell(told);
        submitted
    }

    /// What the thread does.
    fn send_all(&self, mut connect: Connector) {
        let _ended = Ended(self);
        let mut connection = None;
        while let Some(batch) = self.next_batch() {
            let options = self.lock().options().clone();
            let sent = send(&mut connection, &mut connect, &batch, self.producer, &options);
            let mut engine = self.lock();
            let report = match sent {
                Ok(answer) => engine.answered(answer, self.now()),
                Err(error) => {
                    if error.loses_connection() {
                        connection = None;
                    }
                    let chance = fastrand::f64();
                    engine.failed(&error, self.now(), SystemTime::now(), chance)
                }
            };
            let told = engine.take_told();
            drop(engine);
            self.progress.notify_all();
            tell(told);
            if let Some(error) = report {
                options.report(&error);
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
        self.progress.notify_all();
        tell(told);
        report
    }

    /// Waits for something to send; nothing once the writer is closed.
    fn next_batch(&self) -> Option<Arc<Batch>> {
        let mut engine = self.lock();
        loop {
            match engine.poll(self.now()) {
                Action::Send(batch) => return Some(batch),
                Action::End => return None,
                Action::Wait(None) => engine = self.news.wait(engine).unwrap_or_else(poisoned),
                Action::Wait(Some(until)) => {
                    let left = until.saturating_sub(self.now());
                    engine = self.news.wait_timeout(engine, left).unwrap_or_else(poisoned).0;
                }
            }
        }
    }
}

/// The thread's end: also when a connector or a callback of the application panics, nobody waits for
/// what will not come.
struct Ended<'s>(&'s Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if !self.0.lock().is_closed() {
            let report = self.0.end();
            tracing::error!("the writer's thread panicked: {}", report.stats);
        }
        self.0.progress.notify_all();
    }
}

fn send(
    connection: &mut Option<Connection>,
    connect: &mut Connector,
    batch: &Batch,
    producer: Uuid,
    options: &Options,
) -> Result<Answer, Error> {
    let client = match connection {
        Some(client) => client,
        None => connection.insert(connect().map_err(Error::from_connector)?),
    };
    let parameters = Parameters::new(batch, producer, options);
    let rows = client.query_typed(parameters.sql(), &parameters.values())?;
    let row = rows.first().ok_or_else(|| Error::rejected(None, "log_events gave no row"))?;
    wire::answer(row)
}

fn tell(told: Vec<Told<Waiter>>) {
    for (waiter, end) in told {
        // Whoever waited may have gone.
        let _ = waiter.try_send(end);
    }
}

impl Handle {
    fn close(&self, timeout: Duration) -> Report {
        let mut report = self.report.lock().unwrap_or_else(poisoned);
        if let Some(report) = *report {
            return report;
        }
        if self.shared.process != std::process::id() {
            return Report::default();
        }
        let until = Instant::now() + timeout;
        let mut engine = self.shared.lock();
        engine.close();
        self.shared.news.notify_one();
        while !engine.is_closed() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            engine = self.shared.progress.wait_timeout(engine, left).unwrap_or_else(poisoned).0;
        }
        let is_over = engine.is_closed();
        drop(engine);
        let end = self.shared.end();
        let thread = self.thread.lock().unwrap_or_else(poisoned).take();
        if let Some(thread) = thread.filter(|_| is_over) {
            // It has nothing left to do. One that hangs on the server is left to itself.
            let _ = thread.join();
        }
        if end.stats.dropped > 0 {
            tracing::warn!("the writer lost events: {}", end.stats);
        }
        *report = Some(end);
        end
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let timeout = match self.shared.process == std::process::id() {
            true => self.shared.lock().options().close_timeout,
            false => return,
        };
        let _ = self.close(timeout);
    }
}
