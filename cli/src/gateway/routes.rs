//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::problem::Problem;
use super::state::Gateway;
use super::{
    analytics, dashboard, doctor, probes, protocol, pull, replay, request_log, sessions, shares,
    track,
};
use crate::output::Failure;

pub(crate) fn router(gateway: Arc<Gateway>) -> Result<Router, Failure> {
    let routes = Router::new()
        .route("/", get(dashboard::page))
        .route("/dashboard/{file}", get(dashboard::file))
        .route("/dashboard/{version}/{file}", get(dashboard::file_of_version))
        .route("/api/track", post(track::track))
        .route("/api/session", get(sessions::show))
        .route("/api/session", post(sessions::sign_in))
        .route("/api/session", delete(sessions::sign_out))
        .route("/api/share", post(shares::create))
        .route("/api/share/{id}", delete(shares::end))
        .route("/api/shares", get(shares::list))
        .route("/api/replay", post(replay::replay))
        .route("/api/events/after", get(pull::events_after))
        .route("/api/doctor", get(doctor::doctor))
        .route("/api/analytics/live", get(analytics::live::live))
        .route("/api/analytics/{report}", get(analytics::report))
        .route("/api/openapi.json", get(analytics::openapi))
        .route("/healthz", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(probes::metrics))
        .merge(protocols())
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(Arc::clone(&gateway), request_log::record));
    let routes = match cors(&gateway.arguments.cors_origins)? {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    Ok(routes.with_state(gateway))
}

/// The routes of other clients' protocols.
fn protocols() -> Router<Arc<Gateway>> {
    let mut routes = Router::new()
        .route("/v1/projects/{key}/settings", get(protocol::segment_settings::settings))
        .route(protocol::posthog::VERDICTS, post(protocol::posthog::take_with_verdicts))
        .route("/array/{token}/config", get(protocol::posthog_config::config))
        .route("/array/{token}/config.js", get(protocol::posthog_config::script))
        .route("/api/cloudevents", post(protocol::cloudevents::take));
    for path in protocol::segment::ROUTES {
        routes = routes.route(path, post(protocol::segment::take));
    }
    for path in protocol::posthog::ROUTES {
        routes = routes.route(path, post(protocol::posthog::take));
    }
    for path in ["/flags", "/flags/", "/decide", "/decide/"] {
        let flags = protocol::posthog_config::flags;
        routes = routes.route(path, get(flags).post(flags));
    }
    routes
}

/// Returns the CORS layer, or `None` without origins: pages of other sites may not call then.
fn cors(origins: &[String]) -> Result<Option<CorsLayer>, Failure> {
    let origins = match origins {
        [] => return Ok(None),
        [all] if all == "*" => AllowOrigin::any(),
        some => {
            let origin = |origin: &String| match origin.parse::<HeaderValue>() {
                Ok(value) if origin.contains("://") && !origin.ends_with('/') => Ok(value),
                _ => Err(Failure::new("--cors-origin must be an origin")
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
        request_log::REQUEST_ID,
        // Of Segment's and PostHog's clients.
        HeaderName::from_static("x-retry-count"),
        HeaderName::from_static("posthog-sdk-info"),
        HeaderName::from_static("posthog-attempt"),
        HeaderName::from_static("posthog-request-id"),
        HeaderName::from_static("posthog-request-timestamp"),
    ];
    Ok(Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(headers)
            .expose_headers([request_log::REQUEST_ID, header::RETRY_AFTER])
            .max_age(std::time::Duration::from_secs(600)),
    ))
}

async fn not_found() -> Problem {
    Problem::not_found("not found")
}

async fn not_allowed() -> Problem {
    let message = "method not allowed; the header Allow lists those that are";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
