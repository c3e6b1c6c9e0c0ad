//! The options of `eventlog serve`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::output::Failure;

#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Address and port
    #[arg(long, env = "EVENTLOG_LISTEN", default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,
    /// Connections of clients at a time; for more, those are closed that do nothing
    #[arg(long, env = "EVENTLOG_MAX_CONNECTIONS", default_value_t = 512)]
    pub(super) max_connections: u32,
    /// Largest body of a request in bytes, as it is sent and unpacked
    #[arg(long, env = "EVENTLOG_MAX_BODY", default_value_t = 1 << 20)]
    pub(super) max_body: usize,
    /// Bytes of all bodies that are being read at a time
    #[arg(long, env = "EVENTLOG_MAX_BODIES", default_value_t = 64 << 20)]
    pub(super) max_bodies: u32,
    /// Most events in one request
    #[arg(long, env = "EVENTLOG_MAX_EVENTS", default_value_t = 1000)]
    pub(super) max_events: usize,
    /// Events in a minute, for keys without a limit of their own; 0 for any number
    #[arg(long, env = "EVENTLOG_RATE_LIMIT", default_value_t = 60_000)]
    pub(super) rate_limit: u32,
    /// Events that wait for the database at most; more are refused with 503
    #[arg(long, env = "EVENTLOG_QUEUE_EVENTS", default_value_t = 10_000)]
    pub(super) queue_events: usize,
    /// Bytes of them at most
    #[arg(long, env = "EVENTLOG_QUEUE_BYTES", default_value_t = 16 << 20)]
    pub(super) queue_bytes: usize,
    /// How long an event waits for others to share its batch
    #[arg(long, env = "EVENTLOG_LINGER", default_value = "100ms", value_parser = duration)]
    pub(super) linger: Duration,
    /// How long a key is trusted without looking it up again
    #[arg(long, env = "EVENTLOG_KEY_CACHE", default_value = "5s", value_parser = duration)]
    pub(super) key_cache: Duration,
    /// How long a client may take for the head of a request
    #[arg(long, env = "EVENTLOG_HEADER_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) header_timeout: Duration,
    /// How long a client may take for the body of a request
    #[arg(long, env = "EVENTLOG_BODY_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) body_timeout: Duration,
    /// How long a client may take to read an answer; a long one may take longer, at 16 KiB a second
    #[arg(long, env = "EVENTLOG_ANSWER_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) answer_timeout: Duration,
    /// How long ?wait=true waits for the database
    #[arg(long, env = "EVENTLOG_WAIT_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) wait_timeout: Duration,
    /// How long a report may take
    #[arg(long, env = "EVENTLOG_QUERY_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) query_timeout: Duration,
    /// How long another statement may take, where the role has no statement_timeout; 0 for any time
    #[arg(long, env = "EVENTLOG_STATEMENT_TIMEOUT", default_value = "30s", value_parser = duration_or_none)]
    pub(super) statement_timeout: Duration,
    /// Connections to the database for reports
    #[arg(long, env = "EVENTLOG_QUERY_CONNECTIONS", default_value_t = 4)]
    pub(super) query_connections: usize,
    /// How long requests, and then events, have to end when the gateway is stopped
    #[arg(long, env = "EVENTLOG_SHUTDOWN_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) shutdown_timeout: Duration,
    /// An origin whose pages may call, several times for several, or * for all; without, none
    #[arg(long = "cors-origin", env = "EVENTLOG_CORS_ORIGIN", value_delimiter = ',')]
    pub(super) cors_origins: Vec<String>,
}

impl Arguments {
    /// Refuses limits that do not fit each other.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.max_events == 0 || self.queue_events < self.max_events {
            return Err(Failure::new(
                "--queue-events must be at least --max-events, and both positive",
            ));
        }
        if self.queue_bytes < 2 * self.max_body + 512 * self.max_events {
            return Err(Failure::new("--queue-bytes is too small for one request")
                .hint("twice --max-body, and 512 bytes for each of --max-events"));
        }
        if u64::from(self.max_bodies) < self.max_body as u64 {
            return Err(Failure::new("--max-bodies must be at least --max-body"));
        }
        if self.query_connections == 0 || self.query_timeout.as_millis() == 0 {
            return Err(Failure::new(
                "--query-connections must be at least 1, and --query-timeout at least 1ms",
            ));
        }
        Ok(())
    }
}

/// Such as 10s or 500ms.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "such as 10s, 500ms or 2m".to_owned())?;
    span.try_into().map_err(|_| "must not be negative".to_owned())
}

/// The same, or 0.
fn duration_or_none(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text) }
}
