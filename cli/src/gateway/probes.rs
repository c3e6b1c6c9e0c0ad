//! `/healthz`, `/readyz` and `/metrics`: liveness, readiness and metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::health::Verdict;
use super::problem::Problem;
use super::state::Gateway;

/// Answers `/healthz`: the gateway is alive.
pub(crate) async fn live() -> Response {
    axum::Json(json!({ "status": "ok" })).into_response()
}

/// Answers `/readyz`: whether the gateway can take requests.
pub(crate) async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.health.is_stopping() {
        return Problem::unavailable("the gateway is stopping", 1).into_response();
    }
    match gateway.verdict().await {
        Verdict::Ready { reports: None } => axum::Json(json!({ "status": "ok" })).into_response(),
        Verdict::Ready { reports: Some(why) } => {
            axum::Json(json!({ "status": "ok", "reports": why })).into_response()
        }
        Verdict::NotReady(message) => Problem::unavailable(message, 1).into_response(),
    }
}

/// Answers `/metrics`: metrics for Prometheus.
pub(crate) async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.metrics.text(&gateway.writer.stats(), &gateway.writer.health()) {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (kind, text).into_response()
        }
        Err(error) => {
            tracing::error!("metrics: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
