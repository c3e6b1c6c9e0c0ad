//! `GET /api/doctor`: the findings of `eventlog doctor`, as far as the gateway's role can see.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::connections::Connection;
use super::problem::Problem;
use super::sessions::json_answer;
use super::state::Gateway;

/// Answers for keys of all tenants: the findings are about the whole log.
pub(crate) async fn doctor(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = gateway.reader(&connection, &headers).await?;
    if caller.share().is_some() || !caller.key.reads_all() {
        return Err(Problem::forbidden("the doctor's findings are for keys of all tenants"));
    }
    Ok(json_answer(&json!({ "findings": gateway.reports.examine().await? })))
}
