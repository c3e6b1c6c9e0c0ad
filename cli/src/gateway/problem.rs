//! Error answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Quotes and shortens a name that a client chose, for a message.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    let short: String = name.chars().take(LONGEST).collect();
    let more = if short.len() < name.len() { "…" } else { "" };
    format!("\"{}{more}\"", short.replace(char::is_control, " "))
}

/// Escapes `<`, `>` and `&` in JSON: clients choose names and data, which must not become markup where they
/// are shown.
pub(crate) fn without_markup(json: &str) -> String {
    // Outside of strings, JSON has none of these characters.
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// The reason for refusing a request. It names limits and keys, never a value of the request.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Position of the event in the request, from 0.
    position: Option<usize>,
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Problem { status, code, message: message.into(), position: None, retry_after: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The same answer for every invalid key, so that it reveals nothing about existing keys.
    pub(crate) fn unauthorized() -> Self {
        let message = "a valid key is required: Authorization: Bearer el_…";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// The session of the cookie has ended.
    pub(crate) fn signed_out() -> Self {
        let message = "the session has ended: sign in again with a key";
        Self::new(StatusCode::UNAUTHORIZED, "signed_out", message)
    }

    /// A share link has expired or was ended.
    pub(crate) fn share_over(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "share_expired", message)
    }

    pub(crate) fn too_many(message: impl Into<String>, retry_after: u64) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        Problem { retry_after: Some(retry_after), ..problem }
    }

    pub(crate) fn unavailable(message: impl Into<String>, retry_after: u64) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        Problem { retry_after: Some(retry_after), ..problem }
    }

    pub(crate) fn too_slow(message: impl Into<String>, retry_after: u64) -> Self {
        Problem { code: "too_slow", ..Self::unavailable(message, retry_after) }
    }

    /// What clients learn of a fault that the gateway's log describes.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "internal error; the gateway's log has the reason",
        )
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn is_unauthorized(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    pub(crate) fn at(self, position: usize) -> Self {
        Problem { position: Some(position), ..self }
    }
}

impl Problem {
    /// Returns the answer with a body of another shape, for clients of another protocol.
    pub(crate) fn response_with(&self, body: &Value) -> Response {
        let body = without_markup(&body.to_string());
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, json, body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self.status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
            // The rest of the body is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(position) = self.position {
            error["position"] = position.into();
        }
        self.response_with(&json!({ "error": error }))
    }
}
