//! Accepts client connections, with limits for each, and ends them on shutdown.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::client_socket::{AnswerBody, ClientSocket};
use super::connections::Connection;
use super::state::Gateway;
use crate::output::Failure;

/// Largest head of a request in bytes, and the buffer for its body.
const MAX_HEAD: usize = 16 << 10;
/// Most lines of a request's head.
const MAX_HEADERS: usize = 64;

/// Serves until SIGTERM or SIGINT, then finishes the requests in progress.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    gateway: &Arc<Gateway>,
) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let arguments = &gateway.arguments;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(arguments.header_timeout)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Probably out of file descriptors, which clients free when they leave.
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let client = gateway.connections.admit();
        let stream = ClientSocket::new(stream, Arc::clone(&client), arguments.answer_timeout);
        let service = service(&routes, &client);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        let gateway = Arc::clone(gateway);
        tokio::spawn(async move {
            gateway.metrics.connections.inc();
            tokio::select! {
                // Errors are the client's: it disconnected, was too slow or sent too much.
                _ = connection => {}
                () = client.closing() => gateway.metrics.crowded_out.inc(),
            }
            gateway.metrics.connections.dec();
            gateway.connections.remove(&client);
        });
    }
    drop(listener);
    gateway.health.stop();
    gateway.live.stop();
    if tokio::time::timeout(arguments.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off after --shutdown-timeout");
    }
    Ok(())
}

/// Returns the routes for one connection.
fn service(
    routes: &Router,
    client: &Arc<Connection>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response<AnswerBody>,
    Error = Infallible,
    Future: Send,
> + Send
+ 'static {
    let (routes, client) = (TowerToHyperService::new(routes.clone()), Arc::clone(client));
    service_fn(move |mut request: Request<Incoming>| {
        client.request();
        request.extensions_mut().insert(Arc::clone(&client));
        let (answer, client) = (routes.call(request), Arc::clone(&client));
        async move { answer.await.map(|answer| answer.map(|body| AnswerBody::new(body, client))) }
    })
}
