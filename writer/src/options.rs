//! How a writer behaves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::engine::notice::{Notice, Topic};
use crate::{Error, EventName};

/// Most events of a batch: a larger one costs the server memory and gains nothing.
const MOST_EVENTS: usize = 1_000;

/// Most batches in flight: each takes a connection.
const MOST_IN_FLIGHT: usize = 64;

/// Most bytes of a payload, as much as a jsonb holds, and of a batch: PostgreSQL ends the connection
/// of a client that sends a message of a gigabyte, and the same bytes would be sent again for ever.
const MOST_PAYLOAD: usize = (1 << 28) - 1;
const MOST_BATCH: usize = 1 << 28;

/// As good as for ever. Longer times are taken as this one, so that no sum of times overflows.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What happens to an event when the queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is dropped.
    #[default]
    DropNewest,
    /// The oldest in the queue is dropped for it.
    DropOldest,
    /// `log()` waits until there is room, at most so long; then it is dropped. `Duration::MAX` waits
    /// for ever. With the asynchronous writer `log()` must not wait: it drops at once, and
    /// `log_and_wait()` waits.
    Block(Duration),
}

/// A sample that is taken here, before the log takes the same.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: EventName,
    pub(crate) rate: f64,
    pub(crate) key: Option<String>,
}

/// Called with what there is to say of faults.
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
        self.batch_bytes = bytes.min(MOST_BATCH);
        self
    }

    /// Largest payload in bytes of JSON, 1 MiB by default: a larger one is rejected before it is
    /// sent. The log has limits of its own, by name, 2 KiB where nothing else is said; a jsonb holds
    /// less than 256 MiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes.min(MOST_PAYLOAD);
        self
    }

    /// How long an event waits for others to share its batch: 100 ms by default. Zero sends at
    /// once, whatever has come meanwhile together.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger.min(FOR_EVER);
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
        self.when_full = match when_full {
            WhenFull::Block(time) => WhenFull::Block(time.min(FOR_EVER)),
            other => other,
        };
        self
    }

    /// How long to wait before a batch is sent again: up to `base` at first, twice that each time,
    /// at most `max`; 100 ms and 10 s by default. The wait is chosen at random between zero and
    /// that (full jitter), so that writers do not come back all at once.
    pub fn retry(mut self, base: Duration, max: Duration) -> Self {
        (self.retry_base, self.retry_max) = (base.min(FOR_EVER), max.min(FOR_EVER));
        self
    }

    /// After how long a batch that keeps failing is dropped. By default never: an outage costs
    /// nothing until the queue is full, and then what `when_full` says.
    pub fn give_up_after(mut self, time: Option<Duration>) -> Self {
        self.give_up_after = time.map(|time| time.min(FOR_EVER));
        self
    }

    /// How long a writer that is dropped without `close` takes to send what is queued: 5 s by
    /// default.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout.min(FOR_EVER);
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

    /// How many batches may be in flight at once, 1 to 64, each on a connection of its own: 2 by
    /// default. A tenant's events are in one of them at a time, so they stay in order, and a writer of
    /// one tenant uses one connection. With 2 or more, one place is always kept for tenants that do
    /// not stall.
    pub fn in_flight(mut self, batches: usize) -> Self {
        self.in_flight = batches.clamp(1, MOST_IN_FLIGHT);
        self
    }

    /// How long a batch waits for a lock that another transaction holds, such as an idempotency key
    /// that is not committed yet: 250 ms by default. Then the server undoes the batch, and its tenants
    /// are sent apart, so that the one that stalls waits alone. A writer that has seen one tenant only
    /// has nobody to protect, and waits as long as the server lets it. `None` sets nothing. A shorter
    /// `lock_timeout` of the role, and half of its `statement_timeout`, count all the same.
    pub fn lock_timeout(mut self, time: Option<Duration>) -> Self {
        self.lock_timeout = time.map(|time| time.min(FOR_EVER));
        self
    }

    /// How much of the queue one tenant may take, once the writer has seen two: this share of what
    /// the tenant holds and of the room that is left, 0.5 by default. So one tenant fills at most half
    /// of the queue, two a third each, and there is always room for another. 1 sets no limit.
    pub fn tenant_share(mut self, share: f64) -> Self {
        self.tenant_share = if share.is_nan() { 1.0 } else { share.clamp(0.0, 1.0) };
        self
    }

    /// Called with each fault: at the first failure to send, also where it is tried again
    /// ([`Error::is_transient`]); for events that were refused, with the reason; and for events that
    /// were dropped. The first of each at once, then every ten seconds at most, with how many events
    /// it is about ([`Error::events`]). It may be called on the thread that logs, so it must not
    /// block. `tracing` gets an event of the same in any case.
    pub fn on_error(mut self, callback: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(callback));
        self
    }
}

impl Options {
    /// Says what there is to say of a fault.
    pub(crate) fn say(&self, notice: &Notice) {
        let error = &notice.error;
        let (sqlstate, events) = (error.sqlstate(), error.events());
        let (name, tenant) = (error.event_name(), error.tenant_id().map(tracing::field::display));
        match notice.topic {
            Topic::Recovered => return tracing::info!("{error}"),
            Topic::Failed => {
                tracing::warn!(sqlstate, events, "events could not be sent yet: {error}");
            }
            Topic::Rejected => {
                tracing::error!(sqlstate, events, name, tenant, "events were refused: {error}");
            }
            Topic::Lost => {
                tracing::error!(sqlstate, events, name, tenant, "events were lost: {error}");
            }
        }
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
            .field("in_flight", &self.in_flight)
            .field("lock_timeout", &self.lock_timeout)
            .field("tenant_share", &self.tenant_share)
            .finish_non_exhaustive()
    }
}
