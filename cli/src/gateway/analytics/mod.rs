//! `GET /api/analytics/…`: the reports of the log, for the tenant of a key to read. Nothing is counted
//! here: what a function of the extension gives is what is served.

pub(crate) mod live;
mod parameter;
pub(crate) mod query;
pub(crate) mod reports;
pub(crate) mod watching;

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::connections::Connection;
use super::problem::{Problem, without_markup};
use super::state::Gateway;
use crate::api_key::Kind;
use reports::Report;

type Answer = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// The handler that answers with a report.
pub(crate) fn report(
    report: &'static Report,
) -> impl Fn(State<Arc<Gateway>>, Extension<Arc<Connection>>, HeaderMap, RawQuery) -> Answer
+ Clone
+ Send
+ Sync
+ 'static {
    move |State(gateway), Extension(connection), headers, RawQuery(query)| {
        Box::pin(
            async move { answer(report, &gateway, &connection, &headers, query.as_deref()).await },
        )
    }
}

async fn answer(
    report: &Report,
    gateway: &Gateway,
    connection: &Connection,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let key = gateway.authorize(connection, headers, Kind::Read).await?;
    let arguments = parameter::read(report.parameters, query.unwrap_or_default())?;
    let rows = gateway.reports.ask(key.tenant, report, &arguments).await?;
    let rows = without_markup(&rows);
    let body = format!("{{\"tenant_id\":\"{}\",\"rows\":{rows}}}", key.tenant);
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
