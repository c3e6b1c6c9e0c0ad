//! `eventlog serve`: the gateway. Events arrive by HTTP and are written by `eventlog-writer`; reports are
//! read from the log's own functions. The key of a request decides which tenant it is about.

mod analytics;
mod arguments;
mod client_socket;
mod connections;
mod credentials;
mod dashboard;
mod doctor;
mod event_types;
mod health;
mod intake;
mod json_body;
mod key;
mod key_lookup;
mod key_store;
mod listener;
mod lookup;
mod metrics;
mod probes;
mod problem;
mod protocol;
mod pull;
mod record_cache;
mod replay;
mod report_turns;
mod request_log;
mod routes;
mod sessions;
mod shared_limit;
mod shares;
mod state;
mod tenant_policy;
mod token;
mod track;

pub(crate) use arguments::Arguments;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use self::state::Gateway;
use crate::connection::Server;
use crate::deliver;
use crate::output::{Failure, log_to_stderr};

/// How often readiness is checked, even if nobody asks.
const CHECK_READINESS: Duration = Duration::from_secs(10);

/// Serves until it is told to stop, then writes what is queued.
pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    log_to_stderr();
    arguments.check()?;
    let gateway = Arc::new(Gateway::new(server, arguments)?);
    let routes = routes::router(Arc::clone(&gateway))?;
    let address = gateway.arguments.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::new(format!("cannot listen on {address}: {error}")))?;
    eprintln!("eventlog: listening on http://{}", listener.local_addr()?);
    let checking = tokio::spawn(check_readiness(Arc::clone(&gateway)));
    let (stop, stopped) = watch::channel(false);
    let delivering = match gateway.arguments.deliver {
        true => Some(tokio::spawn(deliver::deliver(
            server.target()?,
            gateway.arguments.webhooks.clone(),
            stopped,
            None,
        ))),
        false => None,
    };
    listener::serve(listener, routes, &gateway).await?;
    checking.abort();
    stop.send_replace(true);
    let written = write_queue(&gateway).await;
    if let Some(delivering) = delivering
        && let Ok(Err(failure)) = delivering.await
    {
        tracing::warn!("the end of deliveries was not noted: {failure:?}");
    }
    written
}

/// Logs at the start whether events reach the log, and again whenever that changes.
async fn check_readiness(gateway: Arc<Gateway>) {
    loop {
        gateway.verdict().await;
        tokio::time::sleep(CHECK_READINESS).await;
    }
}

async fn write_queue(gateway: &Gateway) -> Result<(), Failure> {
    let report = gateway.writer.close(gateway.arguments.shutdown_timeout).await;
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
