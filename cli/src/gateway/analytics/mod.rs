//! `GET /api/analytics/…`: the reports that the catalog lists, for the tenant of a key. Nothing is counted
//! here: the rows are those that a function of the extension returns.

mod aliases;
pub(crate) mod catalog;
pub(crate) mod live;
mod openapi;
mod parameter;
pub(crate) mod query;
mod route;
pub(crate) mod tenant_choice;
pub(crate) mod tenant_watch;
mod views;

use std::sync::Arc;

use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use self::route::Route;
use super::connections::Connection;
use super::key::Key;
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
    if caller.share().is_some() {
        // Its scope is not applied yet.
        return Err(Problem::forbidden("a share link does not reach this report"));
    }
    let answer = answer(&gateway, &caller.key, route, query.as_deref().unwrap_or_default()).await;
    let mut response = answer.into_response();
    response.extensions_mut().insert(RouteName(format!("/api/analytics/{}", route.path)));
    Ok(response)
}

async fn answer(
    gateway: &Gateway,
    key: &Key,
    route: &Route,
    query: &str,
) -> Result<Response, Problem> {
    let (asked, query) = tenant_choice::split(query)?;
    let mut arguments = parameter::read(&route.parameters, &query)?;
    let tenant = tenant_choice::choose(key, asked.as_deref(), route, &mut arguments)?;
    let rows = gateway.reports.ask(tenant, route, &arguments).await?;
    let rows = without_markup(&rows);
    let shown = match tenant {
        tenant::ALL => "all".to_owned(),
        tenant => tenant.to_string(),
    };
    let body = format!("{{\"tenant_id\":\"{shown}\",\"rows\":{rows}}}");
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Describes the API.
pub(crate) async fn openapi(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    let routes = gateway.catalog.routes().await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], routes.openapi.clone()).into_response())
}
