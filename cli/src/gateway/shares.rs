//! `/api/share`: links that show a part of a tenant's reports until they expire.
//!
//! The token of a link is in the part of its address that browsers do not send, and the page sends it in
//! a header. It is good for reports that take filters, within its scope (`analytics::scope`).

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::{Span, Timestamp};
use serde_json::{Value, json};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::analytics::parameter::{Given, Value as Argument};
use super::analytics::route::{Route, Source};
use super::analytics::scope::Scope;
use super::connections::Connection;
use super::json_body::Fields;
use super::key_store::Caller;
use super::problem::Problem;
use super::sessions::{CREATE, end as end_token, generate, json_answer, time};
use super::state::Gateway;
use crate::api_key::Kind;
use crate::api_token::TokenKind;

/// How long a link lasts unless it is said.
const LASTS: &str = "30 days";

/// Longest scope in bytes, as JSON.
const MOST_SCOPE: usize = 8192;

/// Lists the newest links.
const LIST: &str = "
    SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', t.id, 'tenant_id', t.tenant_id,
                        'description', t.description, 'scope', t.scope, 'created_at', t.created_at,
                        'expires_at', t.expires_at) ORDER BY t.created_at DESC, t.id), '[]')::pg_catalog.text
      FROM (SELECT * FROM eventlog.api_tokens s
             WHERE s.key_id OPERATOR(pg_catalog.=) $1 AND s.kind OPERATOR(pg_catalog.=) 'share'
               AND s.revoked_at IS NULL AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.now()
             ORDER BY s.created_at DESC, s.id LIMIT 200) t";

/// Makes a link. The key itself must be in a header: a session may not pass on what it reads.
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let key = gateway.authorize(&connection, &headers, Kind::Read).await?;
    let mut fields = Fields::read(&gateway, &key, &headers, body).await?;
    let scope = Scope {
        page: fields.text("page", 100)?,
        view: fields.text("view", 4096)?,
        filters: fields.filters("filters")?,
        names: fields.texts("names")?,
        since: fields.text("since", 100)?,
        until: fields.text("until", 100)?,
        range: fields.text("range", 100)?,
        time_zone: fields.text("time_zone", 100)?,
        people: fields.flag("people")?,
    };
    let expires_in = fields.text("expires_in", 100)?.unwrap_or_else(|| LASTS.to_owned());
    let tenant = fields.text("tenant_id", 100)?;
    let description = fields.text("description", 200)?;
    fields.end()?;
    let expires_in = match expires_in.parse::<Span>() {
        Ok(span) if span.is_positive() => span.to_string(),
        _ => return Err(Problem::bad_request("expires_in must be a span such as 30 days or P30D")),
    };
    let tenant = key.choose(tenant.as_deref())?;
    let routes = gateway.catalog.routes().await?;
    scope.check(&routes.personal_keys)?;
    if let (Some(filters), Some(summary)) = (&scope.filters, routes.find("summary")) {
        try_filters(&gateway, tenant, summary, filters).await?;
    }
    let token = generate(TokenKind::Share)?;
    let (hash, text) = (token.hash(), json!(scope).to_string());
    if text.len() > MOST_SCOPE {
        return Err(Problem::bad_request(format!(
            "the filters, names and view of the link have {} bytes, limit {MOST_SCOPE}",
            text.len()
        )));
    }
    let values = [
        (&token.id() as _, Type::TEXT),
        (&&*key.id as _, Type::TEXT),
        (&TokenKind::Share.name() as _, Type::TEXT),
        (&hash.as_slice() as _, Type::BYTEA),
        (&tenant as _, Type::UUID),
        (&text as _, Type::TEXT),
        (&description as _, Type::TEXT),
        (&expires_in as _, Type::TEXT),
    ];
    let row = gateway.reports.write(tenant, CREATE, &values).await?;
    let expires_at: SystemTime = row.get(0);
    let about = json!({ "id": token.id(), "token": token.text(), "expires_at": time(expires_at) });
    Ok(json_answer(&about))
}

/// Lets the log check filters, on no events at all.
async fn try_filters(
    gateway: &Gateway,
    tenant: Uuid,
    summary: &Route,
    filters: &Value,
) -> Result<(), Problem> {
    let Source::Function(report) = &summary.source else { return Ok(()) };
    let now = Timestamp::now().to_string();
    let given = [("filters", filters.to_string()), ("since", now.clone()), ("until", now)];
    let given = given.into_iter().filter_map(|(name, text)| {
        Some(Given { argument: report.argument(name)?, value: Argument::One(text) })
    });
    let given: Vec<Given<'_>> = given.collect();
    gateway.reports.ask(tenant, summary, &given).await.map(drop)
}

/// Lists the links of the key that are still good, without their secrets.
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = gateway.reader(&connection, &headers).await?;
    if caller.share().is_some() {
        return Err(Problem::forbidden("a share link does not show the other ones"));
    }
    let key = &caller.key;
    let row = gateway.reports.read(key.tenant, LIST, &[(&&*key.id, Type::TEXT)]).await?;
    let shares: Value = serde_json::from_str(row.get(0)).map_err(|_| Problem::internal())?;
    Ok(json_answer(&json!({ "shares": shares })))
}

/// Ends a link of the key.
pub(crate) async fn end(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = gateway.authorize(&connection, &headers, Kind::Read).await?;
    let ended = id.len() == 16 && end_token(&gateway, &Caller { key, token: None }, &id).await?;
    match ended {
        true => Ok(json_answer(&json!({ "id": id }))),
        false => Err(Problem::not_found("the key has no link of this id: GET /api/shares")),
    }
}
