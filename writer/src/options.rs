//! How a writer behaves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::{Error, EventName};

/// Most events of a batch: a larger one costs the server memory and gains nothing.
const MOST_EVENTS: usize = 1_000;

/// Most batches in flight: each takes a connection.
const MOST_IN_FLIGHT: usize = 64;

/// Most bytes of a payload, as much as a jsonb holds, and of a batch: PostgreSQL ends the connection
/// of a client that sends a message of a gigabyte, and the same bytes would be sent again for ever.
const MOST_PAYLOAD: usize = (1 << 28) - 1;
const MOST_BATCH: usize = 1 << 28;

/// Ten years. Longer times are cut to this, so that no sum of times overflows.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What the writer does with an event that finds the queue full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// Drops the event.
    #[default]
    DropNewest,
    /// Drops the oldest events in the queue to make room.
    DropOldest,
    /// Lets `log()` wait for room, at most so long, then drops the event. `Duration::MAX` waits for
    /// ever. The asynchronous writer's `log()` cannot wait and drops at once; its `log_and_wait()`
    /// waits.
    Block(Duration),
}

/// A sample that the writer takes before the log takes the same one.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: EventName,
    pub(crate) rate: f64,
    pub(crate) key: Option<String>,
}

/// The application's callback for faults.
type OnError = Arc<dyn Fn(&Error) + Send + Sync>;

/// Options of a writer. The defaults suit a service that logs up to some thousands of events a
/// second. Values out of range are cut to the range.
///
/// ```
/// use std::time::Duration;
/// use eventlog_writer::{Options, WhenFull};
///
/// let options = Options::new()
///     .queue(50_000, 64 << 20)
///     .when_full(WhenFull::DropOldest)
///     .linger(Duration::from_millis(20));
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) enabled: bool,
    pub(crate) tenant: Option<Uuid>,
    /// A batch of so many events is sent at once.
    pub(crate) batch_events: usize,
    /// Up to so many events go into a batch if more are waiting.
    pub(crate) most_events: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) linger: Duration,
    pub(crate) max_payload: usize,
    pub(crate) queue_events: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) retry_base: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) give_up_after: Option<Duration>,
    pub(crate) close_timeout: Duration,
    pub(crate) samples: Vec<Sample>,
    pub(crate) on_error: Option<OnError>,
    pub(crate) in_flight: usize,
    pub(crate) lock_timeout: Option<Duration>,
    pub(crate) tenant_share: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            enabled: std::env::var_os("EVENTLOG_ENABLED").is_none_or(|value| value != "0"),
            tenant: None,
            batch_events: 200,
            most_events: MOST_EVENTS,
            batch_bytes: 1 << 20,
            linger: Duration::from_millis(100),
            max_payload: 1 << 20,
            queue_events: 10_000,
            queue_bytes: 16 << 20,
            when_full: WhenFull::DropNewest,
            retry_base: Duration::from_millis(100),
            retry_max: Duration::from_secs(10),
            give_up_after: None,
            close_timeout: Duration::from_secs(5),
            samples: Vec::new(),
            on_error: None,
            in_flight: 2,
            lock_timeout: Some(Duration::from_millis(250)),
            tenant_share: 0.5,
        }
    }
}

impl Options {
    /// Returns the defaults. The writer is enabled unless the environment variable `EVENTLOG_ENABLED`
    /// is `0`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enables or disables the writer. A disabled one queues nothing, counts nothing and does not
    /// connect; `log()` is then one branch.
    pub fn enabled(mut self, is_enabled: bool) -> Self {
        self.enabled = is_enabled;
        self
    }

    /// Sets the tenant of events that have none, and `eventlog.tenant_id` in each statement, for a role
    /// that logs as one tenant at a time (`eventlog.tenant_source` is `setting`). By default not set:
    /// a service that logs for all tenants gives each event its tenant ([`Event::tenant`]).
    ///
    /// [`Event::tenant`]: crate::Event::tenant
    pub fn tenant(mut self, tenant_id: Uuid) -> Self {
        self.tenant = Some(tenant_id);
        self
    }

    /// Sets the number of events of a batch, 1 to 1,000: so many are sent at once, and never more. By
    /// default 200 are sent at once, and up to 1,000 if more came while the last batch was in flight.
    pub fn batch_events(mut self, events: usize) -> Self {
        self.batch_events = events.clamp(1, MOST_EVENTS);
        self.most_events = self.batch_events;
        self
    }

    /// Sets the largest size of a batch in bytes: 1 MiB by default, 256 MiB at most. A larger event is
    /// sent alone.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes.min(MOST_BATCH);
        self
    }

    /// Sets the largest payload in bytes of JSON: 1 MiB by default, less than 256 MiB as for `jsonb`. An
    /// event with a larger one is rejected when it is logged. The log has limits of its own by event
    /// type, 2 KiB by default.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes.min(MOST_PAYLOAD);
        self
    }

    /// Sets how long an event waits for others to share its batch: 100 ms by default. With zero, events
    /// are sent at once, and those that came during the last batch go together.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger.min(FOR_EVER);
        self
    }

    /// Sets the largest number and size in bytes of the events that the writer holds, those in flight
    /// included: 10,000 events and 16 MiB by default. One event always fits.
    pub fn queue(mut self, events: usize, bytes: usize) -> Self {
        (self.queue_events, self.queue_bytes) = (events.max(1), bytes);
        self
    }

    /// Sets what happens to an event that finds the queue full: [`WhenFull::DropNewest`] by default.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = match when_full {
            WhenFull::Block(time) => WhenFull::Block(time.min(FOR_EVER)),
            other => other,
        };
        self
    }

    /// Sets how long to wait before a failed batch is sent again: up to `base` at first, doubled with
    /// each try, up to `max`; 100 ms and 10 s by default. The wait is a random part of that (full
    /// jitter), so that writers do not all come back at once.
    pub fn retry(mut self, base: Duration, max: Duration) -> Self {
        (self.retry_base, self.retry_max) = (base.min(FOR_EVER), max.min(FOR_EVER));
        self
    }

    /// Sets after how long a batch that keeps failing is given up. `None`, the default, never gives up:
    /// an outage costs no events until the queue is full ([`Options::when_full`]).
    pub fn give_up_after(mut self, time: Option<Duration>) -> Self {
        self.give_up_after = time.map(|time| time.min(FOR_EVER));
        self
    }

    /// Sets how long a writer that is dropped without `close` may go on sending what is queued: 5 s by
    /// default.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout.min(FOR_EVER);
        self
    }

    /// Leaves out events of a name here that the log's sampling would leave out, so that they are not
    /// sent. `rate` (0 to 1) and `key` must be the `sample_rate` and `sample_key` of the event type in
    /// the log; without a key the actor decides. The log decides again and sets the weight, so the
    /// rate may be higher than the log's, never lower. Events without the key, or whose key is no
    /// string, are sent. By default nothing is left out here.
    pub fn sample(mut self, name: impl Into<EventName>, rate: f64, key: Option<&str>) -> Self {
        self.samples.push(Sample { name: name.into(), rate, key: key.map(str::to_owned) });
        self
    }

    /// Sets how many batches may be in flight at once, 1 to 64, each on a connection of its own: 2 by
    /// default. A tenant's events are in one of them at a time, so they stay in order, and a writer of
    /// one tenant uses one connection. With 2 or more, held-up tenants never take all of them.
    pub fn in_flight(mut self, batches: usize) -> Self {
        self.in_flight = batches.clamp(1, MOST_IN_FLIGHT);
        self
    }

    /// Sets how long a batch waits for a lock that another transaction holds, such as an idempotency
    /// key that is not committed yet: 250 ms by default. Then the server undoes the batch, and its
    /// tenants are sent apart, so that only the one that is held up waits. A writer that has seen one
    /// tenant only does not set it. `None` never sets it. A shorter `lock_timeout` of the role, and
    /// half of its `statement_timeout`, apply in any case.
    pub fn lock_timeout(mut self, time: Option<Duration>) -> Self {
        self.lock_timeout = time.map(|time| time.min(FOR_EVER));
        self
    }

    /// Sets how much of the queue one tenant may take, once the writer has seen two: a share, 0 to 1, of
    /// what the tenant holds and the free room together; 0.5 by default. So one tenant fills at most
    /// half of the queue, two a third each, and there is always room for another. 1 sets no limit.
    pub fn tenant_share(mut self, share: f64) -> Self {
        self.tenant_share = if share.is_nan() { 1.0 } else { share.clamp(0.0, 1.0) };
        self
    }

    /// Sets a callback for faults: batches that could not be sent and are tried again
    /// ([`Error::is_transient`]), events that were refused, and events that were lost. The first is
    /// passed on at once, then one every ten seconds at most, with the number of events since
    /// ([`Error::events`]). Of refused events it is the first of each kind (event name and SQLSTATE),
    /// then one a minute; at most ten new kinds a minute are passed on at once. The callback may run on the thread that logs, so it must not block.
    /// `tracing` gets the same in any case: WARN for the first two kinds, ERROR for losses.
    pub fn on_error(mut self, callback: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(callback));
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("enabled", &self.enabled)
            .field("tenant", &self.tenant)
            .field("batch_events", &self.batch_events)
            .field("batch_bytes", &self.batch_bytes)
            .field("linger", &self.linger)
            .field("queue_events", &self.queue_events)
            .field("queue_bytes", &self.queue_bytes)
            .field("when_full", &self.when_full)
            .field("in_flight", &self.in_flight)
            .field("lock_timeout", &self.lock_timeout)
            .field("tenant_share", &self.tenant_share)
            .finish_non_exhaustive()
    }
}
