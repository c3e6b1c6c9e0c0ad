//! What is served where.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::analytics::{live, report, reports};
use super::problem::Problem;
use super::state::Gateway;
use super::{dashboard, observe, probes, track};
use crate::output::Failure;

/// Describes all of it. Kept by hand, and compared with what is served by a test.
const OPENAPI: &str = include_str!("../../openapi.json");

pub(crate) fn router(gateway: Arc<Gateway>) -> Result<Router, Failure> {
    let routes = Router::new()
        .route("/", get(dashboard::page))
        .route("/dashboard/{file}", get(dashboard::file))
        .route("/api/track", post(track::track))
        .route("/api/analytics/summary", get(report(&reports::SUMMARY)))
        .route("/api/analytics/days", get(report(&reports::DAYS)))
        .route("/api/analytics/hours", get(report(&reports::HOURS)))
        .route("/api/analytics/tools", get(report(&reports::TOOLS)))
        .route("/api/analytics/subjects", get(report(&reports::SUBJECTS)))
        .route("/api/analytics/actors", get(report(&reports::ACTORS)))
        .route("/api/analytics/retention", get(report(&reports::RETENTION)))
        .route("/api/analytics/errors", get(report(&reports::ERRORS)))
        .route("/api/analytics/events", get(report(&reports::EVENTS)))
        .route("/api/analytics/funnel", get(report(&reports::FUNNEL)))
        .route("/api/analytics/names", get(report(&reports::NAMES_DECLARED)))
        .route("/api/analytics/rejected", get(report(&reports::REJECTED)))
        .route("/api/analytics/taxonomy", get(report(&reports::TAXONOMY)))
        .route("/api/analytics/live", get(live::live))
        .route("/api/openapi.json", get(openapi))
        .route("/healthz", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(probes::metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(Arc::clone(&gateway), observe::observe));
    let routes = match cors(&gateway.arguments.cors_origins)? {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    Ok(routes.with_state(gateway))
}

/// Without origins, pages of other sites may not call.
fn cors(origins: &[String]) -> Result<Option<CorsLayer>, Failure> {
    let origins = match origins {
        [] => return Ok(None),
        [all] if all == "*" => AllowOrigin::any(),
        some => {
            let origin = |origin: &String| match origin.parse::<HeaderValue>() {
                Ok(value) if origin.contains("://") && !origin.ends_with('/') => Ok(value),
                _ => Err(Failure::new("--cors-origin is no origin")
                    .hint("such as https://app.example.com, without a path; or * alone")),
            };
            AllowOrigin::list(some.iter().map(origin).collect::<Result<Vec<_>, _>>()?)
        }
    };
    let headers = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        HeaderName::from_static("x-api-key"),
        track::USER_ID,
        observe::REQUEST_ID,
    ];
    Ok(Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(headers)
            .expose_headers([observe::REQUEST_ID, header::RETRY_AFTER])
            .max_age(std::time::Duration::from_secs(600)),
    ))
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn not_found() -> Problem {
    Problem::not_found()
}

async fn not_allowed() -> Problem {
    let message = "this is asked for by another method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
