//! The writer for applications without an asynchronous runtime: threads of its own, on the crate
//! [`postgres`].

mod senders;
mod threads;

use std::error::Error as StdError;
use std::fmt::Display;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postgres::{Client, Config, NoTls, Transaction};

use crate::double::Double;
use crate::engine::{Engine, Submitted};
use crate::options::WhenFull;
use crate::stats::Health;
use crate::track::Tracked;
use crate::wire;
use crate::wire::connect::with_defaults;
use crate::{Error, Event, Options, Outcome, Report, Stats};
use senders::Senders;
use threads::{Shared, Waiter};

pub use threads::Connection;

/// Logs events from any thread. A clone is the same writer; dropping the last clone closes it.
///
/// ```no_run
/// use std::time::Duration;
/// use eventlog_writer::{Event, EventName, Options, postgres, serde_json, sync::Writer};
///
/// fn main() -> Result<(), postgres::Error> {
///     let config: postgres::Config = "postgres://app@localhost/mydb".parse()?;
///     let writer = Writer::connect(config, Options::new());
///     let payload = serde_json::json!({ "toolName": "search" });
///     writer.log(Event::new(EventName::ToolUsed).data(&payload));
///     let report = writer.close(Duration::from_secs(5));
///     assert!(report.is_complete(), "{report}");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Writer {
    /// `None` if the writer is disabled, or has a double.
    handle: Option<Arc<Handle>>,
    /// What takes the events instead of a log, in the application's tests.
    double: Option<Arc<Double>>,
}

/// Shared by the clones of a writer. The threads own [`Shared`] too, but not this, so that dropping
/// the last clone ends them.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    senders: Arc<Senders>,
    report: Mutex<Option<Report>>,
}

impl Writer {
    /// Returns a writer that makes its own connections, as soon as it has something to send and again
    /// after one broke. A connection timeout of 5 seconds (`PGCONNECT_TIMEOUT`), a TCP user timeout of
    /// 30 seconds and the application name `eventlog-writer` (`PGAPPNAME`) are set unless `config`
    /// has them.
    ///
    /// With the feature `tls` and `sslmode=require`, connections use TLS and are verified with the
    /// certificates of `PGSSLROOTCERT`, or the system's. Without, they do not use TLS, and
    /// `sslmode=require` fails.
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

    /// Returns a writer that makes its own connections as libpq's environment variables say: `PGHOST`,
    /// `PGHOSTADDR`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGOPTIONS`, `PGSSLMODE`,
    /// `PGSSLROOTCERT`, `PGCONNECT_TIMEOUT` and `PGAPPNAME`. Others, such as `PGPASSFILE` and
    /// `PGSERVICE`, are not read.
    ///
    /// # Errors
    /// If a variable cannot be read, or no user is known. A server that does not answer is no error
    /// here.
    pub fn from_env(options: Options) -> Result<Self, Error> {
        let config = crate::wire::connect::conninfo()?.parse().map_err(Error::from_config)?;
        Ok(Self::connect(config, options))
    }

    /// Returns a writer on connections that `connect` gives: from the application's pool, or with TLS of
    /// its own. It is called when there is something to send and no connection for it, up to
    /// [`Options::in_flight`] times, and again after a connection broke; until then the writer keeps
    /// the connection. If it fails, it is called again after a while ([`Options::retry`]).
    ///
    /// ```no_run
    /// use eventlog_writer::postgres::{Client, NoTls};
    /// use eventlog_writer::{Options, sync::Writer};
    ///
    /// let writer = Writer::with_connector(Options::new(), || {
    ///     let client = Client::connect("host=/var/run/postgresql user=app", NoTls)?;
    ///     // Anything that derefs to a client, such as a pool's guard.
    ///     Ok(Box::new(Box::new(client)))
    /// });
    /// ```
    pub fn with_connector(
        options: Options,
        connect: impl FnMut() -> Result<Connection, Box<dyn StdError + Send + Sync>> + Send + 'static,
    ) -> Self {
        if !options.enabled {
            return Writer { handle: None, double: None };
        }
        let shared = Shared::new(options);
        let senders = Senders::new(Box::new(connect), shared.producers.len());
        senders.spawn(&shared).expect("the system has no room for the writer's thread");
        let handle = Handle { shared, senders, report: Mutex::new(None) };
        Writer { handle: Some(Arc::new(handle)), double: None }
    }

    /// Returns a writer for the tests of an application: it hands each event to `handler`, on the thread
    /// that logs it, and connects to nothing. Events are completed and checked as by any writer, so one
    /// that cannot be sent ([`Event::check`], [`Options::max_payload`]) or that [`Options::sample`] leaves
    /// out is not handed over, and [`Options::tenant`], counts and `on_error` work. The rules of event
    /// types are the log's: they are not checked. Ids count from 1; `log_in` hands the event over without
    /// a word to the transaction.
    ///
    /// Disabled options ([`Options::enabled`], `EVENTLOG_ENABLED=0`) disable this writer too.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use eventlog_writer::{Event, EventName, Options, serde_json::json, sync::Writer};
    ///
    /// fn search(writer: &Writer, user: &str) {
    ///     writer.log(Event::new(EventName::ToolUsed).actor(user).data(&json!({ "toolName": "search" })));
    /// }
    ///
    /// let (sender, logged) = channel();
    /// let writer = Writer::with_handler(Options::new(), move |event| sender.send(event).unwrap());
    /// search(&writer, "user-17");
    ///
    /// let event = logged.try_recv().unwrap();
    /// assert_eq!((event.name(), event.get_actor()), (&EventName::ToolUsed, Some("user-17")));
    /// assert_eq!(event.payload(), r#"{"toolName":"search"}"#);
    /// ```
    pub fn with_handler(options: Options, handler: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Writer { handle: None, double: Double::new(options, handler) }
    }

    /// Returns the result of an event that no log takes.
    fn without_log(&self, event: Event) -> Result<Outcome, Error> {
        self.double.as_ref().map_or(Ok(Outcome::LeftOut), |double| double.submit(event))
    }

    /// Returns false if the writer is disabled ([`Options::enabled`]).
    pub fn is_enabled(&self) -> bool {
        self.handle.is_some() || self.double.is_some()
    }

    /// Puts an event into the queue and returns at once, unless [`WhenFull::Block`] lets it wait for
    /// room. Returns true if the event was taken, or left out by [`Options::sample`]; false if it was
    /// dropped or rejected, or the writer is disabled.
    pub fn log(&self, event: Event) -> bool {
        let Some(handle) = &self.handle else {
            return self.double.as_ref().is_some_and(|double| double.log(event));
        };
        let submitted = handle.submit(event, None);
        matches!(submitted, Submitted::Queued { .. } | Submitted::LeftOut(_))
    }

    /// Logs an event and waits for the server's answer. The event is sent at once, without lingering.
    /// Waits until the server answers or the writer is closed.
    ///
    /// # Errors
    /// Why the event was refused or lost.
    pub fn log_and_wait(&self, event: Event) -> Result<Outcome, Error> {
        let Some(handle) = &self.handle else { return self.without_log(event) };
        let (waiter, reply) = sync_channel(1);
        match handle.submit(event, Some(waiter)) {
            Submitted::Queued { .. } => {
                reply.recv().unwrap_or_else(|_| Err(Error::lost("the writer's thread ended")))
            }
            Submitted::LeftOut(_) => Ok(Outcome::LeftOut),
            Submitted::Refused(error, _) => Err(error),
            Submitted::Full(..) => Err(Error::lost("the queue is full")),
        }
    }

    /// Logs an event inside your own transaction: the event is stored if and only if the transaction
    /// commits. The connection's role may log for the event's tenant if that is the transaction's
    /// own tenant, or the role is a service. Does not go through the queue and is not counted.
    ///
    /// # Errors
    /// The server's error, which also aborts the transaction; or that of [`Event::check`], which sends
    /// nothing and leaves the transaction usable.
    ///
    /// ```no_run
    /// use eventlog_writer::postgres::Client;
    /// use eventlog_writer::{Event, EventName, Uuid, serde_json::json, sync::Writer};
    ///
    /// type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
    ///
    /// fn upgrade(writer: &Writer, client: &mut Client, account: Uuid) -> Result<()> {
    ///     let mut transaction = client.transaction()?;
    ///     transaction.execute("UPDATE accounts SET plan = 'pro' WHERE id = $1", &[&account])?;
    ///     let plans = json!({ "previousPlan": "free", "newPlan": "pro", "status": "active" });
    ///     let event = Event::new(EventName::PlanUpdated).tenant(account).data(&plans);
    ///     writer.log_in(&mut transaction, event)?;
    ///     Ok(transaction.commit()?)
    /// }
    /// ```
    pub fn log_in(
        &self,
        transaction: &mut Transaction<'_>,
        event: Event,
    ) -> Result<Outcome, Error> {
        let Some(_) = &self.handle else { return self.without_log(event) };
        let event = event.prepared()?;
        let rows = transaction.query_typed(wire::LOG_EVENT, &wire::event_values(&event))?;
        Ok(Outcome::of_id(rows.first().and_then(|row| row.get(0))))
    }

    /// Does the work, then logs the event with these keys added to its payload: `durationMs`, `success`
    /// and, if the work failed, `errorType` and `errorMessage`. Also logs work that panics.
    ///
    /// ```no_run
    /// use eventlog_writer::{Event, EventName, serde_json::json, sync::Writer};
    ///
    /// fn read_drawing(writer: &Writer) -> Result<String, std::io::Error> {
    ///     let event = Event::new(EventName::SkillExecuted).data(&json!({ "skillName": "canvas" }));
    ///     writer.track(event, || std::fs::read_to_string("drawing.svg"))
    /// }
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

    /// Sends what is queued now without waiting for more events, and waits until the server answered
    /// for all of it, at most so long. Returns true if it did.
    pub fn flush(&self, timeout: Duration) -> bool {
        let Some(handle) = &self.handle else { return true };
        let shared = &handle.shared;
        if !shared.is_own_process() {
            return false;
        }
        let mark = shared.flush();
        wait_until(shared, timeout, |engine| engine.is_done(mark))
    }

    /// Returns the number of events by outcome so far.
    pub fn stats(&self) -> Stats {
        let Some(handle) = &self.handle else {
            return self.double.as_ref().map(|double| double.stats()).unwrap_or_default();
        };
        handle.shared.stats()
    }

    /// Returns how the writer is doing now.
    pub fn health(&self) -> Health {
        let Some(handle) = &self.handle else {
            return self.double.as_ref().map(|double| double.health()).unwrap_or_default();
        };
        handle.shared.health()
    }

    /// Takes no more events, sends what is queued, and ends as soon as that is answered or the time is
    /// over. Later calls return the same report.
    pub fn close(&self, timeout: Duration) -> Report {
        let Some(handle) = &self.handle else {
            return self.double.as_ref().map(|double| double.close()).unwrap_or_default();
        };
        handle.close(timeout)
    }
}

/// Returns a client as a connection of the writer's own.
fn own(client: Client) -> Connection {
    Box::new(Box::new(client))
}

/// Waits until the engine is so, at most so long. Returns true if it is.
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
    /// Submits an event, and waits for room if the options allow it.
    fn submit(&self, event: Event, waiter: Option<Waiter>) -> Submitted<Waiter> {
        let submitted = match self.shared.submit(event, waiter) {
            Submitted::Full(event, waiter) => self.wait_for_room(event, waiter),
            submitted => submitted,
        };
        if let Submitted::Queued { wakes: true } = submitted {
            self.senders.ensure_leader(&self.shared);
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
        if let Some(report) = report.as_ref() {
            return report.clone();
        }
        self.shared.begin_close();
        let is_over = wait_until(&self.shared, timeout, |engine| engine.is_closed());
        let end = self.shared.end();
        if is_over {
            // The threads have nothing left to do. One that hangs on the server is not waited for.
            self.senders.join();
        }
        *report = Some(end.clone());
        end
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.close(self.shared.options.close_timeout);
    }
}
