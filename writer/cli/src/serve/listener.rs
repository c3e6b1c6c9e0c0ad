//! Connections of clients: so many at a time, each with limits, and their end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use super::Gateway;
use crate::output::Failure;

/// Bytes of a request's head, and of what is read ahead of its body.
const MAX_HEAD: usize = 16 << 10;
/// Lines of a request's head.
const MAX_HEADERS: usize = 64;

/// Serves until SIGTERM or SIGINT, and then until the requests that have begun are answered.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    gateway: &Arc<Gateway>,
) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let arguments = &gateway.arguments;
    let places = Arc::new(Semaphore::new(arguments.max_connections as usize));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(arguments.header_timeout)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS);
    let graceful = GracefulShutdown::new();
    loop {
        // Who finds no place waits in the listener's own queue.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: it passes when clients leave.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(routes.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        let gateway = Arc::clone(gateway);
        tokio::spawn(async move {
            gateway.metrics.connections.inc();
            // A client that breaks off, or was too slow or too large, is no fault of ours.
            let _ = connection.await;
            gateway.metrics.connections.dec();
            drop(place);
        });
    }
    drop(listener);
    gateway.health.stop();
    gateway.live.stop();
    if tokio::time::timeout(arguments.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off: they took longer than --shutdown-timeout");
    }
    Ok(())
}
