//! What is recorded of each request: its id, its route, its status, its time.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use super::state::Gateway;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a client.
const MAX_ID: usize = 64;

/// The route of an answer, for the metrics, where the matched path says less: the path of a report.
#[derive(Clone, Debug)]
pub(crate) struct RouteName(pub(crate) String);

/// Gives the request an id, and counts and times its answer.
pub(crate) async fn record(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let id = request.headers().get(REQUEST_ID).filter(|id| is_plain(id)).cloned();
    let id = id.unwrap_or_else(|| {
        HeaderValue::try_from(Uuid::new_v4().to_string()).expect("a uuid is plain")
    });
    let path = request.extensions().get::<MatchedPath>().cloned();

    let mut response = next.run(request).await;

    let name = response.extensions_mut().remove::<RouteName>();
    let route = match (&name, &path) {
        (Some(RouteName(name)), _) => name,
        (None, Some(path)) => path.as_str(),
        (None, None) => "none",
    };
    let status = response.status();
    let metrics = &gateway.metrics;
    metrics.requests.with_label_values(&[route, status.as_str()]).inc();
    metrics.seconds.with_label_values(&[route]).observe(began.elapsed().as_secs_f64());
    if status.is_server_error() {
        tracing::warn!(%status, route, request_id = id.to_str().unwrap_or("?"), "refused");
    } else {
        tracing::debug!(%status, route, request_id = id.to_str().unwrap_or("?"), "answered");
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    // A browser must never show text that a client sent as a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn is_plain(id: &HeaderValue) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= MAX_ID && id.as_bytes().iter().all(is_plain)
}
