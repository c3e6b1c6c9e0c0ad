//! What PostHog's clients ask before and beside sending events: settings and feature flags. The answers
//! turn everything off that is not events; they are the same for everybody and need no key.

use axum::Json;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api_key::ApiKey;
use crate::gateway::problem::Problem;

/// Answers that there are no feature flags.
pub(crate) async fn flags() -> Response {
    let mut answer = settings();
    answer["flags"] = json!({});
    answer["featureFlags"] = json!({});
    answer["featureFlagPayloads"] = json!({});
    answer["errorsWhileComputingFlags"] = json!(false);
    Json(answer).into_response()
}

/// Answers with the settings of a browser.
pub(crate) async fn config(Path(token): Path<String>) -> Response {
    let mut answer = settings();
    answer["token"] = token.into();
    Json(answer).into_response()
}

/// The same as a script.
pub(crate) async fn script(Path(token): Path<String>) -> Response {
    // It becomes part of a script: nothing but a key may.
    if ApiKey::parse(&token).is_none() {
        return Problem::not_found("there is no key of this form").into_response();
    }
    let mut config = settings();
    config["token"] = token.as_str().into();
    let script = format!(
        "(function(w){{w._POSTHOG_REMOTE_CONFIG=w._POSTHOG_REMOTE_CONFIG||{{}};\
         w._POSTHOG_REMOTE_CONFIG[\"{token}\"]={{config:{config},siteApps:[]}}}})(window);"
    );
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], script).into_response()
}

fn settings() -> Value {
    json!({
        "supportedCompression": ["gzip", "gzip-js"],
        "analytics": { "endpoint": "/e/" },
        "hasFeatureFlags": false,
        "autocapture_opt_out": true,
        "autocaptureExceptions": false,
        "captureDeadClicks": false,
        "capturePerformance": false,
        "conversations": false,
        "defaultIdentifiedOnly": true,
        "errorTracking": { "autocaptureExceptions": false, "suppressionRules": [] },
        "heatmaps": false,
        "isAuthenticated": false,
        "productTours": false,
        "sessionRecording": false,
        "siteApps": [],
        "surveys": false,
        "toolbarParams": {},
    })
}
