//! How a writer behaves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::{Error, EventName};

/// Most events of a batch: a larger one costs the server memory and gains nothing.
const MOST_EVENTS: usize = 1_000;

/// What happens to an event when the queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is dropped.
    #[default]
    DropNewest,
    /// The oldest in the queue is dropped for it.
    DropOldest,
    /// `log()` waits until there is room, at most so long; then it is dropped. With the asynchronous
    /// writer `log()` must not wait: it drops at once, and `log_and_wait()` waits.
    Block(Duration),
}

/// A sample that is taken here, before the log takes the same.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: EventName,
    pub(crate) rate: f64,
    pub(crate) key: Option<String>,
}

/// Called with each fault that loses events: once, until a batch goes well again.
type OnError = Arc<dyn Fn(&Error) + Send + Sync>;

/// How a writer behaves; the defaults suit a service that logs up to some thousands of events a
/// second.
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
    /// So many are a batch that is sent at once.
    pub(crate) batch_events: usize,
    /// So many go together where more wait.
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
        }
    }
}

impl Options {
    /// The defaults. Enabled, unless the environment variable `EVENTLOG_ENABLED` is `0`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Off, `log()` is one branch: nothing is queued, counted, or connected to.
    pub fn enabled(mut self, is_enabled: bool) -> Self {
        self.enabled = is_enabled;
        self
    }

    /// Sets `eventlog.tenant_id` in each statement: for a role of one tenant at a time, where
    /// `eventlog.tenant_source` is `setting`. Events without a tenant are this one's. A service of
    /// all tenants leaves it out and gives each event its tenant.
    pub fn tenant(mut self, tenant_id: Uuid) -> Self {
        self.tenant = Some(tenant_id);
        self
    }

    /// Events of a batch, 1 to 1,000: so many are sent at once, and never more. By default 200 are
    /// sent at once, and up to 1,000 where more have come while the last batch was under way.
    pub fn batch_events(mut self, events: usize) -> Self {
        self.batch_events = events.clamp(1, MOST_EVENTS);
        self.most_events = self.batch_events;
        self
    }

    /// Bytes of a batch: 1 MiB by default. An event that is larger is sent alone.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Largest payload in bytes of JSON, 1 MiB by default: a larger one is rejected before it is
    /// sent. The log has limits of its own, by name, 2 KiB where nothing else is said.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// How long an event waits for others to share its batch: 100 ms by default. Zero sends at
    /// once, whatever has come meanwhile together.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// What the queue holds at most, the batch under way included: 10,000 events and 16 MiB by
    /// default.
    pub fn queue(mut self, events: usize, bytes: usize) -> Self {
        (self.queue_events, self.queue_bytes) = (events.max(1), bytes);
        self
    }

    /// What happens to an event when the queue is full; by default it is dropped.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// How long to wait before a batch is sent again: up to `base` at first, twice that each time,
    /// at most `max`; 100 ms and 10 s by default. The wait is chosen at random between zero and
    /// that (full jitter), so that writers do not come back all at once.
    pub fn retry(mut self, base: Duration, max: Duration) -> Self {
        (self.retry_base, self.retry_max) = (base, max);
        self
    }

    /// After how long a batch that keeps failing is dropped. By default never: an outage costs
    /// nothing until the queue is full, and then what `when_full` says.
    pub fn give_up_after(mut self, time: Option<Duration>) -> Self {
        self.give_up_after = time;
        self
    }

    /// How long a writer that is dropped without `close` takes to send what is queued: 5 s by
    /// default.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Leaves out at the source what the log's own `sample_rate` would leave out, so that it is not
    /// even sent: give the rate and the `sample_key` that `event_types` has; without a key the actor
    /// decides. The log decides again and sets the weight, so a rate above the log's is right, one
    /// below it is not. Events whose key is missing, or is no string, are left to the log.
    pub fn sample(mut self, name: impl Into<EventName>, rate: f64, key: Option<&str>) -> Self {
        self.samples.push(Sample { name: name.into(), rate, key: key.map(str::to_owned) });
        self
    }

    /// Called with each fault that loses events, once until a batch goes well again. `tracing` gets
    /// an event of it in any case.
    pub fn on_error(mut self, callback: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(callback));
        self
    }
}

impl Options {
    /// Says that events were lost to a fault.
    pub(crate) fn report(&self, error: &Error) {
        tracing::error!(sqlstate = error.sqlstate(), "events were not written: {error}");
        if let Some(on_error) = &self.on_error {
            on_error(error);
        }
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
            .finish_non_exhaustive()
    }
}
