//! A request of another protocol: whose it is, and its text. Old clients and browsers show their key in
//! the body, so the body may have to be read before its sender is known.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;

use crate::api_key::Kind;
use crate::gateway::connections::Connection;
use crate::gateway::credentials;
use crate::gateway::key::Key;
use crate::gateway::problem::Problem;
use crate::gateway::state::Gateway;
use crate::gateway::track::body::{self, Form, Text};

/// Reads a request. `key_of` finds the key in the body, for requests that have none in a header.
pub(crate) async fn read(
    gateway: &Gateway,
    connection: &Connection,
    headers: &HeaderMap,
    body: Body,
    key_of: fn(&str) -> Option<String>,
) -> Result<(Arc<Key>, Text), Problem> {
    let form = body::form(headers)?;
    let is_of_browser = credentials::is_of_browser(headers);
    if credentials::of_header(headers).is_some() {
        let key = gateway.authorize(connection, headers, Kind::Write).await?;
        // A page that sends this header says where it comes from, whatever the form of the body: a library
        // for servers calls its JSON a form.
        check_public(&key, is_of_browser)?;
        let text = body::read_form(gateway, Some(&key), headers, form, body).await?;
        return Ok((key, text));
    }
    let text = body::read_form(gateway, None, headers, form, body).await?;
    let given = key_of(&text).ok_or_else(Problem::unauthorized)?;
    let is_of_browser = is_of_browser || form != Form::Json;
    let key = of_text(gateway, connection, &given, is_of_browser).await?;
    Ok((key, text))
}

/// Returns the key of this text. A browser may only have one that is restricted to names.
pub(crate) async fn of_text(
    gateway: &Gateway,
    connection: &Connection,
    given: &str,
    is_of_browser: bool,
) -> Result<Arc<Key>, Problem> {
    let key = gateway.keys.of_text(given, Kind::Write).await?;
    gateway.begin(connection, &key)?;
    check_public(&key, is_of_browser)?;
    Ok(key)
}

/// Returns the public key of this text, for what costs nothing.
pub(super) async fn public(gateway: &Gateway, given: &str) -> Result<Arc<Key>, Problem> {
    let key = gateway.keys.of_text(given, Kind::Write).await?;
    check_public(&key, true)?;
    Ok(key)
}

pub(crate) fn check_public(key: &Key, is_of_browser: bool) -> Result<(), Problem> {
    match is_of_browser && !key.is_public() {
        true => Err(Problem::forbidden(
            "pages may only use a key that is restricted to names: \
             eventlog key create --event NAME makes one",
        )),
        false => Ok(()),
    }
}
