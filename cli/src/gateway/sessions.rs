//! `/api/session`: who a request is from; signing in with a key, and out.
//!
//! A session is a row of `eventlog.api_tokens`, so that every gateway of the log knows it. Its cookie is for
//! reading only: whatever writes takes a key in a header.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::connections::Connection;
use super::credentials::{of_cookie, refuse_other_sites, set_cookie};
use super::key_store::Caller;
use super::problem::{Problem, without_markup};
use super::state::Gateway;
use crate::api_key::Kind;
use crate::api_token::{ApiToken, TokenKind};
use crate::tenant;

/// How long a session lasts, unless its key expires before.
const LASTS: &str = "30 days";

pub(super) const CREATE: &str = "SELECT eventlog._create_token($1, $2, $3, $4, $5, $6::pg_catalog.jsonb, $7, $8::pg_catalog.interval)";
pub(super) const END: &str = "SELECT eventlog._end_token($1, $2)";

/// Answers who the request is from.
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = gateway.reader(&connection, &headers).await?;
    Ok(json_answer(&about(&gateway, &caller).await))
}

/// Signs in: makes a session of the key in the header, and sends its cookie.
pub(crate) async fn sign_in(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = gateway.authorize(&connection, &headers, Kind::Read).await?;
    let session = generate(TokenKind::Session)?;
    let hash = session.hash();
    let none: Option<String> = None;
    let values = [
        (&session.id() as _, Type::TEXT),
        (&&*key.id as _, Type::TEXT),
        (&TokenKind::Session.name() as _, Type::TEXT),
        (&hash.as_slice() as _, Type::BYTEA),
        (&None::<Uuid> as _, Type::UUID),
        (&none as _, Type::TEXT),
        (&none as _, Type::TEXT),
        (&LASTS as _, Type::TEXT),
    ];
    let row = gateway.reports.write(key.tenant, CREATE, &values).await?;
    let expires_at: SystemTime = row.get(0);
    let left = expires_at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
    let cookie = set_cookie(&headers, Some((&session, left.as_secs())));
    let mut about = about(&gateway, &Caller { key, token: None }).await;
    about["expires_at"] = time(expires_at);
    let mut response = json_answer(&about);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Signs out: ends the session of the cookie, and removes the cookie in any case.
pub(crate) async fn sign_out(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    refuse_other_sites(&headers, false)?;
    let ended = match of_cookie(&headers) {
        Some(session) => end_session(&gateway, &connection, &session).await,
        None => Ok(()),
    };
    let mut response = match ended {
        Ok(()) => json_answer(&json!({ "signed_out": true })),
        Err(problem) => problem.into_response(),
    };
    response.headers_mut().insert(header::SET_COOKIE, set_cookie(&headers, None));
    Ok(response)
}

async fn end_session(
    gateway: &Gateway,
    connection: &Connection,
    session: &ApiToken,
) -> Result<(), Problem> {
    let caller = match gateway.keys.of_token(session).await {
        Ok(caller) => caller,
        // It has ended already.
        Err(problem) if problem.is_unauthorized() => return Ok(()),
        Err(problem) => return Err(problem),
    };
    gateway.begin(connection, &caller.key)?;
    end(gateway, &caller, session.id()).await.map(drop)
}

/// Ends a session or share link of the caller's key. Returns false if there is none.
pub(super) async fn end(gateway: &Gateway, caller: &Caller, id: &str) -> Result<bool, Problem> {
    let values = [(&id as _, Type::TEXT), (&&*caller.key.id as _, Type::TEXT)];
    let row = gateway.reports.write(caller.key.tenant, END, &values).await?;
    gateway.keys.tokens.forget(id);
    Ok(row.get(0))
}

pub(super) fn generate(kind: TokenKind) -> Result<ApiToken, Problem> {
    ApiToken::generate(kind).map_err(|error| {
        tracing::error!("cannot get random numbers: {error}");
        Problem::internal()
    })
}

pub(super) fn json_answer(body: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, without_markup(&body.to_string())).into_response()
}

const NAMES: &str = "
    SELECT coalesce(pg_catalog.json_object_agg(n.tenant_id, coalesce(n.display_name, n.tenant_name)), '{}')::pg_catalog.text
      FROM eventlog.tenant_names n WHERE n.tenant_id OPERATOR(pg_catalog.=) ANY ($1)";

/// Describes a caller: what it may read.
async fn about(gateway: &Gateway, caller: &Caller) -> Value {
    let key = &caller.key;
    let share = caller.share();
    let own = share.and_then(|share| share.tenant);
    let tenants = match &own {
        Some(tenant::ALL) => &[],
        Some(tenant) => std::slice::from_ref(tenant),
        None => key.own_tenants(),
    };
    let names = names(gateway, tenants).await;
    let tenants: Vec<Value> = tenants
        .iter()
        .map(|tenant| json!({ "id": tenant, "name": names[tenant.to_string()] }))
        .collect();
    // Neither outlives the other.
    let ends = [key.expires_at, caller.token.as_ref().map(|token| token.expires_at)];
    json!({
        "key_id": &*key.id,
        "kind": if share.is_some() { "share" } else { "read" },
        // Those who follow a link need not know what the key is for.
        "description": if share.is_some() { None } else { key.description.as_deref() },
        "tenants": tenants,
        "all_tenants": own.unwrap_or(key.tenant) == tenant::ALL,
        "can_replay": share.is_none() && key.can_replay,
        "expires_at": ends.into_iter().flatten().min().map(time),
        "scope": share.and_then(|share| share.scope.as_ref()),
    })
}

/// Returns the names of tenants, by id; none while the database is away.
async fn names(gateway: &Gateway, tenants: &[Uuid]) -> Value {
    let reader = match tenants {
        [] => return Value::Null,
        [one] => *one,
        _ => tenant::ALL,
    };
    let values = [(&tenants as _, Type::UUID_ARRAY)];
    let row = gateway.reports.read(reader, NAMES, &values).await;
    row.ok().and_then(|row| serde_json::from_str(row.get(0)).ok()).unwrap_or_default()
}

pub(super) fn time(at: SystemTime) -> Value {
    Timestamp::try_from(at).map_or(Value::Null, |time| time.to_string().into())
}
