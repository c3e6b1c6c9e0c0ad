//! The options of `eventlog serve`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::deliver;
use crate::output::Failure;

#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Address and port to listen on
    #[arg(
        long,
        env = "EVENTLOG_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS:PORT"
    )]
    #[arg(value_parser = address)]
    pub(super) listen: SocketAddr,
    /// Most client connections at a time; beyond that, idle ones are closed
    #[arg(long, env = "EVENTLOG_MAX_CONNECTIONS", default_value_t = 512)]
    pub(super) max_connections: u32,
    /// Largest request body in bytes, both as sent and unpacked
    #[arg(long, env = "EVENTLOG_MAX_BODY", default_value_t = 1 << 20)]
    pub(super) max_body: usize,
    /// Most bytes of all request bodies at a time
    #[arg(long, env = "EVENTLOG_MAX_BODIES", default_value_t = 64 << 20)]
    pub(super) max_bodies: u32,
    /// Most events in one request
    #[arg(long, env = "EVENTLOG_MAX_EVENTS", default_value_t = 1000)]
    pub(super) max_events: usize,
    /// Events per minute for keys without a limit of their own; 0 for no limit
    #[arg(long, env = "EVENTLOG_RATE_LIMIT", default_value_t = 60_000)]
    pub(super) rate_limit: u32,
    /// Most events that wait for the database; more are refused with 503
    #[arg(long, env = "EVENTLOG_QUEUE_EVENTS", default_value_t = 10_000)]
    pub(super) queue_events: usize,
    /// Most bytes of events that wait for the database
    #[arg(long, env = "EVENTLOG_QUEUE_BYTES", default_value_t = 16 << 20)]
    pub(super) queue_bytes: usize,
    /// How long an event waits for others to join its batch
    #[arg(long, env = "EVENTLOG_LINGER", default_value = "100ms", value_parser = duration)]
    pub(super) linger: Duration,
    /// How long a key is trusted without looking it up again
    #[arg(long, env = "EVENTLOG_KEY_CACHE", default_value = "5s", value_parser = duration)]
    pub(super) key_cache: Duration,
    /// How long a client may take to send the head of a request
    #[arg(long, env = "EVENTLOG_HEADER_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) header_timeout: Duration,
    /// How long a client may take to send the body of a request
    #[arg(long, env = "EVENTLOG_BODY_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) body_timeout: Duration,
    /// How long a client may take to read an answer; large answers may take longer, at 16 KiB a second
    #[arg(long, env = "EVENTLOG_ANSWER_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) answer_timeout: Duration,
    /// How long ?wait=true waits for the database
    #[arg(long, env = "EVENTLOG_WAIT_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) wait_timeout: Duration,
    /// How long a report may take
    #[arg(long, env = "EVENTLOG_QUERY_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) query_timeout: Duration,
    /// Time limit for other statements, unless the role has a statement_timeout; 0 for no limit
    #[arg(long, env = "EVENTLOG_STATEMENT_TIMEOUT", default_value = "30s", value_parser = duration_or_none)]
    pub(super) statement_timeout: Duration,
    /// Connections to the database for reports
    #[arg(long, env = "EVENTLOG_QUERY_CONNECTIONS", default_value_t = 4)]
    pub(super) query_connections: usize,
    /// How long a stop waits for requests to end, and then for events to be written
    #[arg(long, env = "EVENTLOG_SHUTDOWN_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub(super) shutdown_timeout: Duration,
    /// Origin whose pages may call the API; repeat for several, * for all. Default: none
    #[arg(long = "cors-origin", env = "EVENTLOG_CORS_ORIGIN", value_delimiter = ',')]
    pub(super) cors_origins: Vec<String>,
    /// Also send events to webhooks, as eventlog deliver does
    #[arg(long, env = "EVENTLOG_DELIVER")]
    pub(super) deliver: bool,
    #[command(flatten)]
    pub(super) webhooks: deliver::Options,
}

impl Arguments {
    /// Refuses limits that contradict each other.
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

/// Parses the address and port to listen on.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "must be ADDRESS:PORT with an IP address, such as 127.0.0.1:8080 or [::]:8080".to_owned()
    })
}

/// Parses a duration such as 10s or 500ms.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "must be a duration such as 10s, 500ms or 2m".to_owned())?;
    span.try_into().map_err(|_| "must not be negative".to_owned())
}

/// Parses a duration, or 0.
fn duration_or_none(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text) }
}
