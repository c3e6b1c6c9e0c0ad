//! Beacons: what a page sends while it closes, as plain text and without headers of its own, so that the
//! browser need not ask first. The key is in the query or in the body, where only a public one may be.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{self, Form, Text};
use crate::gateway::connections::Connection;
use crate::gateway::key::Key;
use crate::gateway::problem::Problem;
use crate::gateway::protocol::request;
use crate::gateway::state::Gateway;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
}

/// Returns true for a request without a key in a header that is none of a server's.
pub(super) fn is_one(headers: &HeaderMap, key: &Option<String>) -> bool {
    key.is_some() || matches!(body::form(headers), Ok(Form::Plain))
}

/// Reads a beacon and the key in the query or, without one, in the body.
pub(super) async fn read(
    gateway: &Gateway,
    connection: &Connection,
    headers: &HeaderMap,
    key: Option<String>,
    body: Body,
) -> Result<(Arc<Key>, Text), Problem> {
    let form = match body::form(headers)? {
        Form::Encoded => return Err(body::not_json()),
        form => form,
    };
    if let Some(given) = key {
        let key = request::of_text(gateway, connection, &given, true).await?;
        let text = body::read_form(gateway, Some(&key), headers, form, body).await?;
        return Ok((key, text));
    }
    let text = body::read_form(gateway, None, headers, form, body).await?;
    let envelope: Option<Envelope<'_>> = serde_json::from_str(&text).ok();
    let given = envelope.and_then(|envelope| envelope.key).ok_or_else(Problem::unauthorized)?;
    let key = request::of_text(gateway, connection, &given, true).await?;
    Ok((key, text))
}

/// Returns the events: those beside the key, or all of the text.
pub(super) fn events(text: &str) -> &str {
    let envelope: Option<Envelope<'_>> = serde_json::from_str(text).ok();
    envelope.and_then(|envelope| envelope.events).map_or(text, RawValue::get)
}
