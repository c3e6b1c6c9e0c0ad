//! `eventlog serve`: the gateway. Events come in by HTTP and go out through `eventlog-writer`; reports
//! are asked of the log's own functions. The key of a request decides whose they are.

mod analytics;
mod body;
mod connections;
mod dashboard;
mod event;
mod fields;
mod health;
mod key_store;
mod listener;
mod look_ups;
mod metrics;
mod observe;
mod patient;
mod problem;
mod routes;
mod shares;
mod track;
mod turns;

use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use clap::Args;
use eventlog_writer::asynchronous::{self, Connecting, Writer};
use eventlog_writer::{Options, WhenFull};
use tokio::net::TcpListener;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format;

use self::connections::Connection;
use self::key_store::Key;
use self::problem::Problem;
use crate::api_key::Kind;
use crate::connection::{Pool, Server, Target, pool};
use crate::output::Failure;

/// Connections besides the writer's: for keys, and for the question whether all is well.
const POOL: usize = 4;

/// Batches that are sent at a time, each of other tenants than the others.
const IN_FLIGHT: usize = 4;

/// How often the way to the log is looked at, whether somebody asks or not.
const WATCH: Duration = Duration::from_secs(10);

#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Address and port
    #[arg(long, env = "EVENTLOG_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Connections of clients at a time; for more, those are closed that do nothing
    #[arg(long, env = "EVENTLOG_MAX_CONNECTIONS", default_value_t = 512)]
    max_connections: u32,
    /// Largest body of a request in bytes, as it is sent and unpacked
    #[arg(long, env = "EVENTLOG_MAX_BODY", default_value_t = 1 << 20)]
    max_body: usize,
    /// Bytes of all bodies that are being read at a time
    #[arg(long, env = "EVENTLOG_MAX_BODIES", default_value_t = 64 << 20)]
    max_bodies: u32,
    /// Most events in one request
    #[arg(long, env = "EVENTLOG_MAX_EVENTS", default_value_t = 1000)]
    max_events: usize,
    /// Events in a minute, for keys without a limit of their own; 0 for any number
    #[arg(long, env = "EVENTLOG_RATE_LIMIT", default_value_t = 60_000)]
    rate_limit: u32,
    /// Events that wait for the database at most; more are refused with 503
    #[arg(long, env = "EVENTLOG_QUEUE_EVENTS", default_value_t = 10_000)]
    queue_events: usize,
    /// Bytes of them at most
    #[arg(long, env = "EVENTLOG_QUEUE_BYTES", default_value_t = 16 << 20)]
    queue_bytes: usize,
    /// How long an event waits for others to share its batch
    #[arg(long, env = "EVENTLOG_LINGER", default_value = "100ms", value_parser = duration)]
    linger: Duration,
    /// How long a key is trusted without looking it up again
    #[arg(long, env = "EVENTLOG_KEY_CACHE", default_value = "5s", value_parser = duration)]
    key_cache: Duration,
    /// How long a client may take for the head of a request
    #[arg(long, env = "EVENTLOG_HEADER_TIMEOUT", default_value = "10s", value_parser = duration)]
    header_timeout: Duration,
    /// How long a client may take for the body of a request
    #[arg(long, env = "EVENTLOG_BODY_TIMEOUT", default_value = "10s", value_parser = duration)]
    body_timeout: Duration,
    /// How long a client may take to read an answer; a long one may take longer, at 16 KiB a second
    #[arg(long, env = "EVENTLOG_ANSWER_TIMEOUT", default_value = "10s", value_parser = duration)]
    answer_timeout: Duration,
    /// How long ?wait=true waits for the database
    #[arg(long, env = "EVENTLOG_WAIT_TIMEOUT", default_value = "10s", value_parser = duration)]
    wait_timeout: Duration,
    /// How long a report may take
    #[arg(long, env = "EVENTLOG_QUERY_TIMEOUT", default_value = "10s", value_parser = duration)]
    query_timeout: Duration,
    /// Connections to the database for reports
    #[arg(long, env = "EVENTLOG_QUERY_CONNECTIONS", default_value_t = 4)]
    query_connections: usize,
    /// How long requests, and then events, have to end when the gateway is stopped
    #[arg(long, env = "EVENTLOG_SHUTDOWN_TIMEOUT", default_value = "10s", value_parser = duration)]
    shutdown_timeout: Duration,
    /// An origin whose pages may call, several times for several, or * for all; without, none
    #[arg(long = "cors-origin", env = "EVENTLOG_CORS_ORIGIN", value_delimiter = ',')]
    cors_origins: Vec<String>,
}

/// Such as 10s or 500ms.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "such as 10s, 500ms or 2m".to_owned())?;
    span.try_into().map_err(|_| "must not be negative".to_owned())
}

/// A part of a line of the log. Clients choose some of it, such as the name of an event, and make no
/// lines of their own.
fn field(
    line: &mut format::Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn fmt::Debug,
) -> fmt::Result {
    let value = format!("{value:?}").replace(char::is_control, " ");
    match field.name() {
        "message" => line.write_str(&value),
        name => write!(line, "{name}={value}"),
    }
}

/// What every request sees.
pub(crate) struct Gateway {
    arguments: Arguments,
    /// Where the log is.
    target: Target,
    writer: Writer,
    keys: key_store::KeyStore,
    /// Connections for reports, which may be slow.
    reports: Pool,
    live: analytics::live::Live,
    metrics: metrics::Metrics,
    /// Whose turn it is with them.
    turns: Arc<turns::Turns>,
    connections: connections::Connections,
    /// Bytes of bodies.
    bodies: Arc<shares::Shares>,
    health: health::Health,
}

/// Says at the start whether events reach the log, and whenever that changes.
async fn watch(gateway: Arc<Gateway>) {
    loop {
        gateway.health.verdict(&gateway).await;
        tokio::time::sleep(WATCH).await;
    }
}

impl Gateway {
    /// Whether the writer cannot send.
    fn is_failing(&self) -> bool {
        self.writer.health().failing_for.is_some()
    }

    /// The key of a request, which must be valid and of this kind. From now until the answer is with
    /// the client the request is one of those that its tenant may have at a time.
    async fn authorize(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
        kind: Kind,
    ) -> Result<Arc<Key>, Problem> {
        let key = self.keys.authorize(headers, kind).await?;
        self.connections.begin(connection, &key)?;
        // Whatever comes counts as one, so that bad requests have a limit too.
        key.count(1)?;
        Ok(key)
    }
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .fmt_fields(format::debug_fn(field).delimited(" "))
        .init();
    if arguments.max_events == 0 || arguments.queue_events < arguments.max_events {
        return Err(Failure::new(
            "--queue-events must be at least --max-events, and both positive",
        ));
    }
    if arguments.queue_bytes < 2 * arguments.max_body + 512 * arguments.max_events {
        return Err(Failure::new("--queue-bytes is too small for one request")
            .hint("twice --max-body, and 512 bytes for each of --max-events"));
    }
    if u64::from(arguments.max_bodies) < arguments.max_body as u64 {
        return Err(Failure::new("--max-bodies must be at least --max-body"));
    }
    if arguments.query_connections == 0 || arguments.query_timeout.as_millis() == 0 {
        return Err(Failure::new(
            "--query-connections must be at least 1, and --query-timeout at least 1ms",
        ));
    }
    let target = server.target()?;
    // Whether there is room is asked before events are logged, all of a request or none.
    let options = Options::new()
        .enabled(true)
        .batch_events(1000)
        .linger(arguments.linger)
        .max_payload(arguments.max_body)
        .queue(arguments.queue_events, arguments.queue_bytes)
        .when_full(WhenFull::DropNewest)
        .in_flight(IN_FLIGHT);
    let reports = pool(target.clone(), arguments.query_connections)?;
    let pool = pool(target.clone(), POOL)?;
    let writers = target.clone();
    let gateway = Arc::new(Gateway {
        writer: Writer::with_connector(options, move || connecting(writers.clone())),
        target,
        keys: key_store::KeyStore::new(
            pool,
            arguments.key_cache,
            NonZeroU32::new(arguments.rate_limit),
        ),
        reports,
        // Most places are for those who log.
        live: analytics::live::Live::new(arguments.max_connections as usize / 4),
        metrics: metrics::Metrics::new(),
        turns: turns::Turns::new(arguments.query_connections),
        connections: connections::Connections::new(arguments.max_connections as usize),
        // A body as it is sent, and unpacked.
        bodies: shares::Shares::new(arguments.max_bodies as usize, 2 * arguments.max_body),
        health: health::Health::default(),
        arguments,
    });
    let routes = routes::router(Arc::clone(&gateway))?;
    let arguments = &gateway.arguments;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| Failure::new(format!("cannot listen on {}: {error}", arguments.listen)))?;
    eprintln!("eventlog: listening on http://{}", listener.local_addr()?);
    let watching = tokio::spawn(watch(Arc::clone(&gateway)));
    listener::serve(listener, routes, &gateway).await?;
    watching.abort();

    let report = gateway.writer.close(arguments.shutdown_timeout).await;
    eprintln!("eventlog: stopped; events: {}", report.stats);
    match report.is_complete() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "{} events were not acknowledged, {} of them may have been written",
            report.stats.dropped + report.stats.unconfirmed,
            report.stats.unconfirmed
        ))),
    }
}

/// A connection of the writer's, made as all others are.
fn connecting(target: Target) -> Connecting {
    Box::pin(
        async move { Ok(Box::new(Box::new(target.connect().await?)) as asynchronous::Connection) },
    )
}
