//! `eventlog serve`: the gateway. Events come in by HTTP and go out through `eventlog-writer`; reports
//! are asked of the log's own functions. The key of a request decides whose they are.

mod analytics;
mod arguments;
mod bound;
mod connections;
mod dashboard;
mod health;
mod key;
mod key_store;
mod listener;
mod look_ups;
mod metrics;
mod observe;
mod patient;
mod probes;
mod problem;
mod routes;
mod shares;
mod state;
mod track;
mod turns;

pub(crate) use arguments::Arguments;

use std::fmt;
use std::io::{self, IsTerminal};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use eventlog_writer::asynchronous::{self, Connecting, Writer};
use eventlog_writer::{Options, WhenFull};
use tokio::net::TcpListener;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format;

use self::analytics::query::Reports;
use self::analytics::watching::Live;
use self::state::Gateway;
use crate::connection::{Server, Target, pool};
use crate::output::Failure;

/// Connections besides the writer's: for keys, and for the question whether all is well.
const POOL: usize = 4;

/// Batches that are sent at a time, each of other tenants than the others.
const IN_FLIGHT: usize = 4;

/// How often the way to the log is looked at, whether somebody asks or not.
const WATCH: Duration = Duration::from_secs(10);

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

/// Says at the start whether events reach the log, and whenever that changes.
async fn watch(gateway: Arc<Gateway>) {
    loop {
        gateway.verdict().await;
        tokio::time::sleep(WATCH).await;
    }
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .fmt_fields(format::debug_fn(field).delimited(" "))
        .init();
    arguments.check()?;
    let target = server.target()?.with_statement_timeout(arguments.statement_timeout);
    // Whether there is room is asked before events are logged, all of a request or none.
    let options = Options::new()
        .enabled(true)
        .batch_events(1000)
        .linger(arguments.linger)
        .max_payload(arguments.max_body)
        .queue(arguments.queue_events, arguments.queue_bytes)
        .when_full(WhenFull::DropNewest)
        .in_flight(IN_FLIGHT);
    let reports = Arc::new(Reports::new(
        pool(target.clone(), arguments.query_connections)?,
        arguments.query_connections,
        arguments.query_timeout,
    ));
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
        reports: Arc::clone(&reports),
        // Most places are for those who log.
        live: Live::new(reports, arguments.max_connections as usize / 4),
        metrics: metrics::Metrics::new(),
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
