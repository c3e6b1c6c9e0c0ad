//! What happens around each request: its id, its count, its time.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use super::state::Gateway;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id of a client's that is taken.
const MAX_ID: usize = 64;

pub(crate) async fn observe(
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
    let route = path.as_ref().map_or("none", MatchedPath::as_str);

    let mut response = next.run(request).await;

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
    // What a client sent is never shown by a browser as a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn is_plain(id: &HeaderValue) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= MAX_ID && id.as_bytes().iter().all(is_plain)
}
