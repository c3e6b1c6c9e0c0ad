//! The settings that Segment's browser client loads before it sends anything.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::request;
use super::segment::failure;
use crate::gateway::state::Gateway;

/// Answers with the settings of a key: nothing but this gateway gets the events. The key is in the path,
/// where only a public one may be. They count against no limit: without them the page sends nothing.
pub(crate) async fn settings(
    State(gateway): State<Arc<Gateway>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Response {
    match request::public(&gateway, &key).await {
        Ok(_) => Json(describe(&key, &headers)).into_response(),
        Err(problem) => failure(&problem),
    }
}

fn describe(key: &str, headers: &HeaderMap) -> Value {
    let mut own =
        json!({ "apiKey": key, "unbundledIntegrations": [], "addBundledMetadata": false });
    // Where it was asked, it also takes events; a page may set another host.
    if let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
        let proto = headers.get("x-forwarded-proto").and_then(|proto| proto.to_str().ok());
        let is_https = proto.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"));
        own["apiHost"] = format!("{host}/v1").into();
        own["protocol"] = if is_https { "https" } else { "http" }.into();
    }
    let every = json!({ "__default": { "enabled": true, "integrations": {} } });
    json!({
        "integrations": { "Segment.io": own },
        "plan": { "track": every, "identify": every, "group": every },
        "edgeFunction": {},
        "analyticsNextEnabled": true,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        // Of the client itself: none are wanted.
        "metrics": { "sampleRate": 0 },
        "legacyVideoPluginsEnabled": false,
        "remotePlugins": [],
    })
}
