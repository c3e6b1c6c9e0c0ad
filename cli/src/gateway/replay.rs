//! `POST /api/replay`: logs rejected events of a tenant again, for keys that may.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;
use tokio_postgres::types::Type;

use super::analytics::tenant_choice;
use super::connections::Connection;
use super::json_body::Fields;
use super::problem::Problem;
use super::sessions::json_answer;
use super::state::Gateway;
use crate::api_key::Kind;

/// Most events of one request.
const MOST: i32 = 1_000;

const REPLAY: &str =
    "SELECT r.replayed, r.still_rejected FROM eventlog._replay_with_key($1, $2, $3, $4) r";

/// Logs the rejected events of these names again; without names, all of them.
pub(crate) async fn replay(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let key = gateway.authorize(&connection, &headers, Kind::Read).await?;
    if !key.can_replay {
        return Err(Problem::forbidden(
            "this key may not replay: eventlog key create --kind read --can-replay makes one",
        ));
    }
    let (asked, _) = tenant_choice::split(query.as_deref().unwrap_or_default())?;
    let mut fields = Fields::read(&gateway, &key, &headers, body).await?;
    let names = fields.texts("names")?;
    let asked = asked.or(fields.text("tenant_id", 64)?);
    fields.end()?;
    let tenant = key.choose(asked.as_deref())?;
    let values = [
        (&&*key.id as _, Type::TEXT),
        (&tenant as _, Type::UUID),
        (&names as _, Type::TEXT_ARRAY),
        (&MOST as _, Type::INT4),
    ];
    let row = gateway.reports.write(tenant, REPLAY, &values).await?;
    let (replayed, rejected): (i64, i64) = (row.get(0), row.get(1));
    Ok(json_answer(&json!({ "replayed": replayed, "still_rejected": rejected })))
}
