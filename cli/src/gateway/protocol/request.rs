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
use crate::gateway::track::body::{self, Text};

/// Reads a request. `key_of` finds the key in the body, for requests that have none in a header.
pub(super) async fn read(
    gateway: &Gateway,
    connection: &Connection,
    headers: &HeaderMap,
    body: Body,
    key_of: fn(&str) -> Option<String>,
) -> Result<(Arc<Key>, Text), Problem> {
    let is_plain = body::is_plain(headers)?;
    let is_of_browser = is_plain || credentials::is_of_browser(headers);
    if credentials::of_header(headers).is_some() {
        let key = gateway.authorize(connection, headers, Kind::Write).await?;
        check_public(&key, is_of_browser)?;
        let text = body::read_plain(gateway, Some(&key), headers, body).await?;
        return Ok((key, text));
    }
    let text = body::read_plain(gateway, None, headers, body).await?;
    let given = key_of(&text).ok_or_else(Problem::unauthorized)?;
    let key = public_or_servers(gateway, connection, &given, is_of_browser).await?;
    Ok((key, text))
}

/// Returns the key of this text. A browser may only have one that is restricted to names.
pub(super) async fn public_or_servers(
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

fn check_public(key: &Key, is_of_browser: bool) -> Result<(), Problem> {
    match is_of_browser && !key.is_public() {
        true => Err(Problem::forbidden(
            "pages may only use a key that is restricted to names: \
             eventlog key create --event NAME makes one",
        )),
        false => Ok(()),
    }
}
