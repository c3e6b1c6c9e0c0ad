//! `GET /api/analytics/…`: the reports that the catalog lists, for the tenant of a key. Nothing is counted
//! here: the rows are those that a function of the extension returns.

mod aliases;
pub(crate) mod catalog;
mod csv;
pub(crate) mod live;
mod openapi;
pub(crate) mod parameter;
pub(crate) mod query;
pub(crate) mod route;
pub(crate) mod scope;
pub(crate) mod tenant_choice;
pub(crate) mod tenant_watch;
mod views;

use std::sync::Arc;

use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use self::catalog::Routes;
use self::route::Route;
use super::connections::Connection;
use super::key_store::Caller;
use super::problem::{Problem, shown, without_markup};
use super::request_log::RouteName;
use super::state::Gateway;
use crate::tenant;

/// Answers with a report. The path is one of the catalog's, or a short one for it.
pub(crate) async fn report(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let caller = gateway.reader(&connection, &headers).await?;
    let routes = gateway.catalog.routes().await?;
    let Some(route) = routes.find(&path) else {
        let message = format!("there is no report {}: /api/openapi.json lists them", shown(&path));
        return Err(Problem::not_found(message));
    };
    let query = query.as_deref().unwrap_or_default();
    let answer = answer(&gateway, &caller, &routes, route, query, &headers).await;
    let mut response = answer.into_response();
    response.extensions_mut().insert(RouteName(format!("/api/analytics/{}", route.path)));
    Ok(response)
}

async fn answer(
    gateway: &Gateway,
    caller: &Caller,
    routes: &Routes,
    route: &Route,
    query: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (format, query) = tenant_choice::take("format", query)?;
    let is_csv = csv::is_wanted(format.as_deref(), headers)?;
    let (asked, query) = tenant_choice::split(&query)?;
    let mut arguments = parameter::read(&route.parameters, &query)?;
    let mut hidden: &[&str] = &[];
    let tenant = match caller.share() {
        None => tenant_choice::choose(&caller.key, asked.as_deref(), route, &mut arguments)?,
        Some(share) => {
            let tenant = share.choose(asked.as_deref())?;
            let scope = share.scope()?;
            scope.hold(route, &routes.personal_keys, &mut arguments)?;
            hidden = scope.hidden_columns();
            tenant
        }
    };
    let answer = gateway.reports.ask_without(hidden, tenant, route, &arguments).await?;
    if is_csv {
        let text = csv::write(&route.columns, &answer.rows).map_err(|error| {
            tracing::error!("a report cannot be written as CSV: {error}");
            Problem::internal()
        })?;
        let name = format!("attachment; filename=\"{}.csv\"", route.path);
        let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned());
        return Ok(([kind, (header::CONTENT_DISPOSITION, name)], text).into_response());
    }
    let shown = match tenant {
        tenant::ALL => "all".to_owned(),
        tenant => tenant.to_string(),
    };
    let notices = match answer.notices.is_empty() {
        true => String::new(),
        false => format!(",\"notices\":{}", serde_json::json!(answer.notices)),
    };
    let body = format!("{{\"tenant_id\":\"{shown}\",\"rows\":{}{notices}}}", answer.rows);
    Ok(([(header::CONTENT_TYPE, "application/json")], without_markup(&body)).into_response())
}

/// Describes the API.
pub(crate) async fn openapi(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    let routes = gateway.catalog.routes().await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], routes.openapi.clone()).into_response())
}
