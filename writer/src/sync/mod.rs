//! The writer for applications without an asynchronous runtime: threads of its own, on the crate
//! [`postgres`].

mod crew;

use std::error::Error as StdError;
use std::fmt::Display;
use std::ops::DerefMut;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postgres::{Client, Config, NoTls, Transaction};

use crate::engine::{Engine, Submitted};
use crate::options::WhenFull;
use crate::shared::{self, Signals};
use crate::stats::Health;
use crate::track::Tracked;
use crate::wire;
use crate::wire::connect::with_defaults;
use crate::{Error, Event, Logged, Options, Report, Stats};
use crew::Crew;

/// A connection as the writer uses it: a client of its own, or one of the application's pool.
pub type Connection = Box<dyn DerefMut<Target = Client> + Send>;

type Connector = Box<dyn FnMut() -> Result<Connection, Box<dyn StdError + Send + Sync>> + Send>;
type Shared = shared::Shared<Threads>;
type Waiter = SyncSender<Result<Logged, Error>>;

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

/// What the writers share; the threads have `Shared` too, but not this, so that they end.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    crew: Arc<Crew>,
    report: Mutex<Option<Report>>,
}

/// How threads wait, for the engine.
#[derive(Default)]
struct Threads {
    news: Condvar,
    progress: Condvar,
}

impl Signals for Threads {
    type Waiter = Waiter;

    fn wake_sender(&self) {
        self.news.notify_one();
    }

    fn wake_waiting(&self) {
        self.progress.notify_all();
    }

    fn tell(waiter: Waiter, end: Result<Logged, Error>) {
        let _ = waiter.try_send(end);
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
                return Ok(own(config.connect(crate::wire::connect::tls()?)?));
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
        let config = crate::wire::connect::conninfo()?.parse().map_err(Error::from_config)?;
        Ok(Self::connect(config, options))
    }

    /// A writer on connections of the application's: of a pool, with TLS, whatever `connect` gives.
    /// It is called when there is something to send, and again after a connection broke; for each of
    /// [`Options::in_flight`] that is needed. The writer keeps what it gets until then.
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
        let shared = Shared::new(options);
        let crew = Crew::new(Box::new(connect), shared.producers.len());
        crew.hire(&shared).expect("the system has room for a thread");
        Writer { handle: Some(Arc::new(Handle { shared, crew, report: Mutex::new(None) })) }
    }

    /// Whether it logs at all.
    pub fn is_enabled(&self) -> bool {
        self.handle.is_some()
    }

    /// Puts an event into the queue and returns at once; whether it was taken. Never fails, and
    /// waits only where [`WhenFull::Block`] says so.
    pub fn log(&self, event: Event) -> bool {
        let Some(handle) = &self.handle else { return false };
        let submitted = handle.submit(event, None);
        matches!(submitted, Submitted::Queued { .. } | Submitted::LeftOut(_))
    }

    /// Logs an event and waits for what becomes of it: its id, nothing where the log left it out or
    /// does not tell, or why it was refused or lost. Waits as long as the server does not answer,
    /// and the writer is not closed.
    pub fn log_and_wait(&self, event: Event) -> Result<Option<i64>, Error> {
        let Some(handle) = &self.handle else { return Ok(None) };
        let (waiter, told) = sync_channel(1);
        match handle.submit(event, Some(waiter)) {
            Submitted::Queued { .. } => {
                let lost = || Err(Error::lost("the writer's thread ended"));
                told.recv().unwrap_or_else(|_| lost()).map(Logged::id)
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
        if !shared.is_own_process() {
            return false;
        }
        let mark = shared.hurry();
        wait_until(shared, timeout, |engine| engine.is_done(mark))
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
    pub fn close(&self, timeout: Duration) -> Report {
        self.handle.as_ref().map(|handle| handle.close(timeout)).unwrap_or_default()
    }
}

/// A client of the writer's own.
fn own(client: Client) -> Connection {
    Box::new(Box::new(client))
}

/// Waits until the engine says so, at most so long; whether it does.
fn wait_until(shared: &Shared, timeout: Duration, is_so: impl Fn(&Engine<Waiter>) -> bool) -> bool {
    let began = Instant::now();
    let mut engine = shared.lock();
    loop {
        let left = timeout.saturating_sub(began.elapsed());
        if is_so(&engine) || left.is_zero() {
            return is_so(&engine);
        }
        let waited = shared.signals.progress.wait_timeout(engine, left);
        engine = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

impl Handle {
    /// Submits an event, and waits for room where it may.
    fn submit(&self, event: Event, waiter: Option<Waiter>) -> Submitted<Waiter> {
        let submitted = match self.shared.submit(event, waiter) {
            Submitted::Full(event, waiter) => self.wait_for_room(event, waiter),
            submitted => submitted,
        };
        if let Submitted::Queued { wakes: true } = submitted {
            self.crew.be_watched(&self.shared);
        }
        submitted
    }

    fn wait_for_room(&self, mut event: Event, mut waiter: Option<Waiter>) -> Submitted<Waiter> {
        let (shared, began) = (&self.shared, Instant::now());
        let WhenFull::Block(timeout) = shared.options.when_full else {
            return shared.drop_newest(event, waiter);
        };
        loop {
            let (left, size) = (timeout.saturating_sub(began.elapsed()), event.size());
            let tenant = event.tenant_id;
            if !wait_until(shared, left, |engine| engine.may_take(tenant, size)) {
                return shared.drop_newest(event, waiter);
            }
            (event, waiter) = match shared.submit_again(event, waiter) {
                Submitted::Full(event, waiter) => (event, waiter),
                submitted => return submitted,
            };
        }
    }

    fn close(&self, timeout: Duration) -> Report {
        if !self.shared.is_own_process() {
            return Report::default();
        }
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(report) = *report {
            return report;
        }
        self.shared.begin_close();
        let is_over = wait_until(&self.shared, timeout, |engine| engine.is_closed());
        let end = self.shared.end();
        if is_over {
            // They have nothing left to do. One that hangs on the server is left to itself.
            self.crew.dismiss();
        }
        *report = Some(end);
        end
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.close(self.shared.options.close_timeout);
    }
}
