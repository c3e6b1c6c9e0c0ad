//! `POST /api/track`: takes events.

mod beacon;
pub(crate) mod body;
pub(crate) mod json_fields;
mod shapes;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use eventlog_writer::{Error, Event, Outcome};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::connections::Connection;
use super::credentials;
use super::event_types::EventTypes;
use super::intake::{self, Protocol, Taken, not_json};
use super::key::Key;
use super::problem::{Problem, shown, without_markup};
use super::state::Gateway;
use crate::api_key::Kind;

/// The actor of events that do not name one.
pub(crate) const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// Takes all events of a request or none, so that a client can repeat a request that was refused.
pub(crate) async fn track(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Query { waits, key: given } = query(&uri)?;
    let user = user(&headers)?;
    let is_beacon = credentials::of_header(&headers).is_none() && beacon::is_one(&headers, &given);
    let (key, body) = match is_beacon {
        true => beacon::read(&gateway, &connection, &headers, given, body).await?,
        false => {
            let key = gateway.authorize(&connection, &headers, Kind::Write).await?;
            let body = body::read(&gateway, &key, &headers, body).await?;
            (key, body)
        }
    };
    // Only a restricted key is asked for the name of an alias; the log itself knows it for others.
    let types = match key.is_restricted() {
        true => Some(gateway.event_types.get().await),
        false => None,
    };
    let text = if is_beacon { beacon::events(&body) } else { &body };
    let events = events(&gateway, &key, types.as_deref(), user.as_deref(), text)?;
    drop(body);
    let count = events.len();
    let taken = intake::take(&gateway, &key, events, count, waits).await?;
    Ok(answer(&taken, count))
}

/// The answer to a request of so many events.
pub(crate) fn answer(taken: &Taken, count: usize) -> Response {
    match taken {
        Taken::Queued => (StatusCode::ACCEPTED, Json(json!({ "accepted": count }))).into_response(),
        Taken::Ends(ends) => {
            let answer = without_markup(&verdicts(ends).to_string());
            ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
        }
    }
}

/// What a query asks for.
struct Query {
    waits: bool,
    /// The key of a beacon.
    key: Option<String>,
}

fn query(uri: &Uri) -> Result<Query, Problem> {
    let mut query = Query { waits: false, key: None };
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "wait" => query.waits = waits(value)?,
            // A key is plain.
            "key" => query.key = Some(value.to_owned()),
            _ => {
                let message = format!("unknown parameter {}; known are wait, key", shown(name));
                return Err(Problem::bad_request(message));
            }
        }
    }
    Ok(query)
}

/// Reads the value of `?wait=`.
pub(crate) fn waits(value: &str) -> Result<bool, Problem> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Problem::bad_request("wait must be true or false")),
    }
}

fn user(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(USER_ID) else { return Ok(None) };
    let user = std::str::from_utf8(value.as_bytes());
    let user = user.map_err(|_| Problem::bad_request("X-User-Id must be UTF-8"))?;
    Ok((!user.is_empty()).then(|| user.to_owned()))
}

fn events(
    gateway: &Gateway,
    key: &Key,
    types: Option<&EventTypes>,
    user: Option<&str>,
    body: &str,
) -> Result<Vec<Event>, Problem> {
    let is_array = body.trim_start().starts_with('[');
    let texts: Vec<&RawValue> = match is_array {
        true => serde_json::from_str(body).map_err(|error| not_json(&error))?,
        false => vec![serde_json::from_str(body).map_err(|error| not_json(&error))?],
    };
    if texts.is_empty() {
        return Err(Problem::bad_request("the array has no event"));
    }
    intake::check_number(gateway, texts.len())?;
    let mut events = Vec::with_capacity(texts.len());
    for (position, text) in texts.into_iter().enumerate() {
        let at = |problem: Problem| if is_array { problem.at(position) } else { problem };
        let mut incoming = shapes::read(text).map_err(|fault| at(Problem::bad_request(fault)))?;
        incoming.user = incoming.user.or_else(|| user.map(str::to_owned));
        events.push(incoming.admit(key, types, Protocol::Track).map_err(at)?);
    }
    Ok(events)
}

/// Writes the outcome of each event.
fn verdicts(ends: &[Result<Outcome, Error>]) -> Value {
    // Ids are text, since a number of JavaScript has 53 bits.
    let with_id = |status: &str, id: Option<i64>| match id {
        Some(id) => json!({ "status": status, "id": id.to_string() }),
        None => json!({ "status": status }),
    };
    let verdict = |end: &Result<Outcome, Error>| match end {
        Ok(Outcome::Written(id)) => with_id("written", *id),
        Ok(Outcome::Duplicate(id)) => with_id("duplicate", *id),
        Ok(Outcome::LeftOut) => json!({ "status": "left_out" }),
        // Answered by counts only, after a broken connection; also what a later version may add.
        Ok(_) => json!({ "status": "unknown" }),
        Err(error) => json!({
            "status": "rejected", "sqlstate": error.sqlstate(), "message": error.message(),
        }),
    };
    let count = |is: fn(&Result<Outcome, Error>) -> bool| ends.iter().filter(|end| is(end)).count();
    json!({
        "accepted": ends.len(),
        "written": count(|end| matches!(end, Ok(Outcome::Written(_)))),
        "duplicate": count(|end| matches!(end, Ok(Outcome::Duplicate(_)))),
        "leftOut": count(|end| matches!(end, Ok(Outcome::LeftOut))),
        "rejected": count(|end| end.is_err()),
        "verdicts": ends.iter().map(verdict).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_the_log_is_never_answered_as_left_out() {
        let ends = [Ok(Outcome::Written(None)), Ok(Outcome::Unknown), Ok(Outcome::LeftOut)];
        let said = verdicts(&ends);
        let statuses: Vec<_> = (0..3).map(|n| said["verdicts"][n]["status"].clone()).collect();
        assert_eq!(statuses, ["written", "unknown", "left_out"]);
        assert_eq!((&said["written"], &said["leftOut"]), (&json!(1), &json!(1)));
    }
}
