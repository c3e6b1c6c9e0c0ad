//! `GET /api/events/after`: the next events for a consumer, for programs that fetch them.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use tokio_postgres::types::Type;

use super::analytics::tenant_choice;
use super::connections::Connection;
use super::problem::{Problem, shown, without_markup};
use super::state::Gateway;
use super::tenant_policy::READS_ONE_TENANT;
use crate::api_key::Kind;
use crate::tenant;

/// Most events of one answer.
const MOST: i32 = 1_000;

const ACKNOWLEDGE: &str = "SELECT eventlog.acknowledge($1, $2, $3)";

/// What a request asks for.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    consumer: String,
    row_limit: i32,
    acknowledged_id: Option<i64>,
}

/// Answers with the next events of a consumer, after it has acknowledged those that it names.
pub(crate) async fn events_after(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let key = gateway.authorize(&connection, &headers, Kind::Read).await?;
    let (tenant, query) = tenant_choice::split(query.as_deref().unwrap_or_default())?;
    let tenant = key.choose(tenant.as_deref())?;
    let asked = read(&query)?;
    let consumer = (&asked.consumer as _, Type::TEXT);
    if let Some(id) = &asked.acknowledged_id {
        let values = [consumer.clone(), (id as _, Type::INT8), (&tenant as _, Type::UUID)];
        gateway.reports.write(tenant, ACKNOWLEDGE, &values).await?;
    }
    let sql = format!(
        "SELECT {READS_ONE_TENANT}, pg_catalog.max(r.id)::pg_catalog.text,
                coalesce(pg_catalog.json_agg(pg_catalog.to_jsonb(r) OPERATOR(pg_catalog.||)
                    pg_catalog.jsonb_build_object('id', r.id::pg_catalog.text) ORDER BY r.id)::pg_catalog.text, '[]')
           FROM eventlog.read_events_after($1, $2, $3) r"
    );
    let values = [consumer, (&asked.row_limit as _, Type::INT4), (&tenant as _, Type::UUID)];
    let row = gateway.reports.write(tenant, &sql, &values).await?;
    if !row.get::<_, bool>(0) {
        return Err(super::analytics::query::unbound());
    }
    let (last_id, events): (Option<String>, String) = (row.get(1), row.get(2));
    let shown = match tenant {
        tenant::ALL => "all".to_owned(),
        tenant => tenant.to_string(),
    };
    let last_id = serde_json::json!(last_id);
    let body = format!("{{\"tenant_id\":\"{shown}\",\"last_id\":{last_id},\"events\":{events}}}");
    Ok(([(header::CONTENT_TYPE, "application/json")], without_markup(&body)).into_response())
}

fn read(query: &str) -> Result<Asked, Problem> {
    let mut asked = Asked { row_limit: 100, ..Asked::default() };
    let mut given = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if given.contains(&name) {
            return Err(Problem::bad_request(format!("{} is given more than once", shown(&name))));
        }
        match &*name {
            "consumer" => asked.consumer = value.into_owned(),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                asked.row_limit = limit.ok_or_else(|| {
                    Problem::bad_request(format!("limit must be a number from 1 to {MOST}"))
                })?;
            }
            "acknowledged_id" => {
                let id = value.parse().ok().filter(|id| *id >= 0);
                asked.acknowledged_id = Some(id.ok_or_else(|| {
                    Problem::bad_request("acknowledged_id must be the id of an event")
                })?);
            }
            other => {
                let message = format!(
                    "there is no parameter {}: consumer, limit, acknowledged_id",
                    shown(other)
                );
                return Err(Problem::bad_request(message));
            }
        }
        given.push(name);
    }
    if asked.consumer.is_empty() {
        return Err(Problem::bad_request("consumer is missing: a name, such as billing"));
    }
    if asked.consumer.contains('\0') {
        return Err(Problem::bad_request("consumer must not contain the character U+0000"));
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_consumer_and_nothing_twice() {
        let asked = |query| read(query).ok();
        let expected =
            Asked { consumer: "to search".to_owned(), row_limit: 7, acknowledged_id: Some(12) };
        assert_eq!(asked("consumer=to%20search&limit=7&acknowledged_id=12"), Some(expected));
        let wrong = [
            "",
            "consumer=",
            "limit=1",
            "consumer=a&consumer=b",
            "consumer=a&limit=0",
            "consumer=a&limit=1001",
            "consumer=a&acknowledged_id=-1",
            "consumer=a&after=1",
            "consumer=a%00",
        ];
        for query in wrong {
            assert_eq!(asked(query), None, "{query}");
        }
    }
}
