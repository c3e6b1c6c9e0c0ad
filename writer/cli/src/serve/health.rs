//! Whether the gateway lives, whether it may get requests, and what it counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Gateway;
use super::problem::Problem;
use crate::output::with_sources;

/// Whether this role may log and look keys up here.
const READY: &str = "SELECT pg_catalog.has_any_column_privilege('eventlog.events', 'INSERT')
        AND pg_catalog.has_column_privilege('eventlog.api_keys', 'secret_hash', 'SELECT')";

/// How long an answer is given again: whoever asks often asks the database once.
const KEPT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Health {
    is_stopping: AtomicBool,
    last: Mutex<Option<(Instant, Result<(), &'static str>)>>,
}

impl Health {
    /// From now on it is not ready.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    async fn database(&self, gateway: &Gateway) -> Result<(), &'static str> {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = *last
            && at.elapsed() < KEPT
        {
            return answer;
        }
        let answer = match timeout(PATIENCE, ask(gateway)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("the gateway's role lacks rights: SELECT eventlog.grant_gateway"),
            Ok(Err(error)) => {
                tracing::warn!("not ready: {}", with_sources(error.as_ref()));
                Err("the database is away, or has no log")
            }
            Err(_) => Err("the database does not answer"),
        };
        *last = Some((Instant::now(), answer));
        answer
    }
}

async fn ask(gateway: &Gateway) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let client = gateway.pool.get().await?;
    let rows = client.query_typed(READY, &[]).await?;
    Ok(rows.first().and_then(|row| row.get::<_, Option<bool>>(0)).unwrap_or(false))
}

/// `/healthz`: it lives.
pub(crate) async fn live() -> Response {
    axum::Json(json!({ "status": "ok" })).into_response()
}

/// `/readyz`: it may get requests.
pub(crate) async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.health.is_stopping.load(Ordering::Relaxed) {
        return Problem::unavailable("the gateway is stopping", 1).into_response();
    }
    match gateway.health.database(&gateway).await {
        Ok(()) => axum::Json(json!({ "status": "ok" })).into_response(),
        Err(message) => Problem::unavailable(message, 1).into_response(),
    }
}

/// `/metrics`: counts for Prometheus, of no tenant.
pub(crate) async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.metrics.text(&gateway.writer.stats()) {
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
