//! The writer for asynchronous applications: a task of its own on the application's tokio runtime,
//! on the crate [`tokio_postgres`].
//!
//! Call [`Writer::close`] before the runtime ends: a runtime that shuts down drops the task and the
//! queue with it, which is reported to `tracing` only.

mod all;
mod connect;
mod senders;
mod tasks;

use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_postgres::{Config, Transaction};

use crate::double::Double;
use crate::engine::{Engine, Submitted};
use crate::options::WhenFull;
use crate::shared::SenderGuard;
use crate::stats::Health;
use crate::track::Tracked;
use crate::wire;
use crate::{Error, Event, Options, Outcome, Report, Stats};

use tasks::{Shared, Waiter};

pub use connect::{config_from_env, connect};
pub use tasks::{Connecting, Connection};

/// Logs events from any task or thread. A clone is the same writer; dropping the last clone closes it.
///
/// ```no_run
/// use std::time::Duration;
/// use eventlog_writer::{Event, EventName, Options, asynchronous::Writer, serde_json, tokio_postgres};
///
/// #[tokio::main]
/// async fn main() -> Result<(), tokio_postgres::Error> {
///     let config: tokio_postgres::Config = "postgres://app@localhost/mydb".parse()?;
///     let writer = Writer::connect(config, Options::new());
///     let payload = serde_json::json!({ "toolName": "search" });
///     writer.log(Event::new(EventName::ToolUsed).data(&payload));
///     let report = writer.close(Duration::from_secs(5)).await;
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

/// Shared by the clones of a writer. The task owns [`Shared`] too, but not this, so that dropping the
/// last clone ends it.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
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
    ///
    /// # Panics
    /// Outside of a tokio runtime. The runtime needs its timer (`enable_time`).
    pub fn connect(config: Config, options: Options) -> Self {
        Self::with_connector(options, move || {
            let config = config.clone();
            Box::pin(async move { Ok(Box::new(Box::new(connect(config).await?)) as Connection) })
        })
    }

    /// Returns a writer that makes its own connections as libpq's environment variables say: `PGHOST`,
    /// `PGHOSTADDR`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGOPTIONS`, `PGSSLMODE`,
    /// `PGSSLROOTCERT`, `PGCONNECT_TIMEOUT` and `PGAPPNAME`. Others, such as `PGPASSFILE` and
    /// `PGSERVICE`, are not read.
    ///
    /// # Panics
    /// As [`Writer::connect`].
    ///
    ///
    /// # Errors
    /// If a variable cannot be read, or no user is known. A server that does not answer is no error
    /// here.
    pub fn from_env(options: Options) -> Result<Self, Error> {
        Ok(Self::connect(config_from_env()?, options))
    }

    /// Returns a writer on connections that `connect` gives: from the application's pool, or with TLS of
    /// its own. It is called when there is something to send and no connection for it, up to
    /// [`Options::in_flight`] times, and again after a connection broke; until then the writer keeps
    /// the connection. If it fails, it is called again after a while ([`Options::retry`]).
    ///
    /// # Panics
    /// As [`Writer::connect`].
    ///
    /// ```no_run
    /// use eventlog_writer::asynchronous::{Connection, Writer, connect};
    /// use eventlog_writer::{Options, tokio_postgres::Config};
    ///
    /// fn writer(config: Config) -> Writer {
    ///     Writer::with_connector(Options::new(), move || {
    ///         let config = config.clone();
    ///         Box::pin(async move {
    ///             // Anything that derefs to a client, such as a pool's guard.
    ///             let client = connect(config).await?;
    ///             Ok(Box::new(Box::new(client)) as Connection)
    ///         })
    ///     })
    /// }
    /// ```
    pub fn with_connector(
        options: Options,
        connect: impl FnMut() -> Connecting + Send + 'static,
    ) -> Self {
        if !options.enabled {
            return Writer { handle: None, double: None };
        }
        let shared = Shared::new(options);
        tokio::spawn(senders::send_all(SenderGuard(Arc::clone(&shared)), Box::new(connect)));
        let handle = Handle { shared, report: Mutex::new(None) };
        Writer { handle: Some(Arc::new(handle)), double: None }
    }

    /// Returns a writer for the tests of an application: it hands each event to `handler`, on the thread
    /// that logs it, and connects to nothing and needs no runtime. Events are completed and checked as by any writer, so one
    /// that cannot be sent ([`Event::check`], [`Options::max_payload`]) or that [`Options::sample`] leaves
    /// out is not handed over, and [`Options::tenant`], counts and `on_error` work. The rules of event
    /// types are the log's: they are not checked. Ids count from 1; `log_in` hands the event over without
    /// a word to the transaction.
    ///
    /// Disabled options ([`Options::enabled`], `EVENTLOG_ENABLED=0`) disable this writer too.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use eventlog_writer::{Event, EventName, Options, asynchronous::Writer, serde_json::json};
    ///
    /// async fn search(writer: &Writer, user: &str) {
    ///     writer.log(Event::new(EventName::ToolUsed).actor(user).data(&json!({ "toolName": "search" })));
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, logged) = channel();
    /// let writer = Writer::with_handler(Options::new(), move |event| sender.send(event).unwrap());
    /// search(&writer, "user-17").await;
    ///
    /// let event = logged.try_recv().unwrap();
    /// assert_eq!((event.name(), event.get_actor()), (&EventName::ToolUsed, Some("user-17")));
    /// assert_eq!(event.payload(), r#"{"toolName":"search"}"#);
    /// # }
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

    /// Puts an event into the queue and returns at once, even with [`WhenFull::Block`]. Returns true if
    /// the event was taken, or left out by [`Options::sample`]; false if it was dropped or rejected,
    /// or the writer is disabled.
    pub fn log(&self, event: Event) -> bool {
        let Some(handle) = &self.handle else {
            return self.double.as_ref().is_some_and(|double| double.log(event));
        };
        let shared = &handle.shared;
        match shared.submit(event, None) {
            Submitted::Full(event, waiter) => {
                drop(shared.drop_newest(event, waiter));
                false
            }
            submitted => matches!(submitted, Submitted::Queued { .. } | Submitted::LeftOut(_)),
        }
    }

    /// Logs an event and waits for the server's answer. The event is sent at once, without lingering.
    /// Waits for room in the queue as long as [`WhenFull::Block`] allows, then until the server
    /// answers or the writer is closed.
    ///
    /// # Errors
    /// Why the event was refused or lost.
    pub async fn log_and_wait(&self, event: Event) -> Result<Outcome, Error> {
        let Some(handle) = &self.handle else { return self.without_log(event) };
        let shared = &handle.shared;
        let (waiter, reply) = oneshot::channel();
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
            Submitted::LeftOut(_) => Ok(Outcome::LeftOut),
            _ => reply.await.unwrap_or_else(|_| Err(Error::lost("the writer's task ended"))),
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
    /// use eventlog_writer::tokio_postgres::Client;
    /// use eventlog_writer::{Event, EventName, Uuid, asynchronous::Writer, serde_json::json};
    ///
    /// type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
    ///
    /// async fn upgrade(writer: &Writer, client: &mut Client, account: Uuid) -> Result<()> {
    ///     let transaction = client.transaction().await?;
    ///     transaction.execute("UPDATE accounts SET plan = 'pro' WHERE id = $1", &[&account]).await?;
    ///     let plans = json!({ "previousPlan": "free", "newPlan": "pro", "status": "active" });
    ///     let event = Event::new(EventName::PlanUpdated).tenant(account).data(&plans);
    ///     writer.log_in(&transaction, event).await?;
    ///     Ok(transaction.commit().await?)
    /// }
    /// ```
    pub async fn log_in(
        &self,
        transaction: &Transaction<'_>,
        event: Event,
    ) -> Result<Outcome, Error> {
        let Some(_) = &self.handle else { return self.without_log(event) };
        let event = event.prepared()?;
        let rows = transaction.query_typed(wire::LOG_EVENT, &wire::event_values(&event)).await?;
        Ok(Outcome::of_id(rows.first().and_then(|row| row.get(0))))
    }

    /// Does the work, then logs the event with these keys added to its payload: `durationMs`, `success`
    /// and, if the work failed, `errorType` and `errorMessage`. Also logs work that panics or is
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

    /// Sends what is queued now without waiting for more events, and waits until the server answered
    /// for all of it, at most so long. Returns true if it did.
    pub async fn flush(&self, time: Duration) -> bool {
        let Some(handle) = &self.handle else { return true };
        let shared = &handle.shared;
        if !shared.is_own_process() {
            return false;
        }
        let mark = shared.flush();
        timeout(time, wait_until(shared, |engine| engine.is_done(mark))).await.is_ok()
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
    pub async fn close(&self, time: Duration) -> Report {
        let Some(handle) = &self.handle else {
            return self.double.as_ref().map(|double| double.close()).unwrap_or_default();
        };
        let shared = &handle.shared;
        if !shared.is_own_process() {
            return Report::default();
        }
        shared.begin_close();
        let _ = timeout(time, wait_until(shared, |engine| engine.is_closed())).await;
        let mut report = handle.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.get_or_insert_with(|| shared.end()).clone()
    }
}

/// Waits until the engine is so.
async fn wait_until(shared: &Shared, is_so: impl Fn(&Engine<Waiter>) -> bool) {
    loop {
        // Registered before the check, so that no progress in between is missed.
        let mut progress = std::pin::pin!(shared.signals.progress.notified());
        progress.as_mut().enable();
        if is_so(&shared.lock()) {
            return;
        }
        progress.await;
    }
}

/// Closes the writer when its last clone is dropped: the task goes on for `close_timeout` at most.
impl Drop for Handle {
    fn drop(&mut self) {
        if !self.shared.is_own_process() {
            return;
        }
        let is_reported = self.report.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if is_reported {
            return;
        }
        // The task ends by itself when the time is over: there may be no runtime here to wait in.
        self.shared.begin_close_by(self.shared.options.close_timeout);
    }
}
