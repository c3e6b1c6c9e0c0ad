//! PostHog's capture API: `/batch/` of libraries, `/e/` of browsers, and `/i/v1/analytics/events`, which
//! answers with what became of each event.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use eventlog_writer::{Error, Event, Outcome};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answer::{Message, Sorted, describe, is_refusal};
use super::entries::{Entries, id};
use super::request;
use super::time::{self, Skew};
use crate::gateway::connections::Connection;
use crate::gateway::event_types::EventTypes;
use crate::gateway::intake::{self, Incoming, Protocol, Taken, not_json};
use crate::gateway::problem::{Problem, without_markup};
use crate::gateway::state::Gateway;

/// The routes of libraries and browsers.
pub(crate) const ROUTES: &[&str] =
    &["/batch/", "/batch", "/e/", "/e", "/capture/", "/capture", "/i/v0/e/", "/i/v0/e"];
/// The route that answers with verdicts.
pub(crate) const VERDICTS: &str = "/i/v1/analytics/events";

/// The header with the time at which a request of the newer API was sent.
const SENT_AT: &str = "posthog-request-timestamp";

/// Events that say something of a person or a group, not what happened.
const LEFT_OUT: &[(&str, &str)] = &[
    ("$identify", "identify"),
    ("$set", "set"),
    ("$unset", "set"),
    ("$groupidentify", "group"),
    ("$create_alias", "alias"),
    ("$merge_dangerously", "alias"),
];

/// A body that is no array.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    batch: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    sent_at: Option<&'a RawValue>,
    /// True for old events, whose times are not of the clock that sends them.
    #[serde(borrow)]
    historical_migration: Option<&'a RawValue>,
}

/// An event. Fields that are not here are tolerated and not kept.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    uuid: Option<&'a RawValue>,
    #[serde(borrow)]
    distinct_id: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    /// Milliseconds since it happened.
    #[serde(borrow)]
    offset: Option<&'a RawValue>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    options: Option<&'a RawValue>,
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    window_id: Option<&'a RawValue>,
}

/// Where a key may be in a body.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    api_key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    batch: Option<Vec<&'a RawValue>>,
}

/// Takes the events of a request.
pub(crate) async fn take(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let sent_at = query.as_deref().and_then(sent_at_of_query);
    match taken(&gateway, &connection, &headers, sent_at, body, false).await {
        Ok(Answered { sorted, .. }) => success(&sorted.refused),
        Err(problem) => failure(&problem),
    }
}

/// Takes the events of a request, and answers with what became of each.
pub(crate) async fn take_with_verdicts(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let sent_at = headers.get(SENT_AT).and_then(|value| value.to_str().ok());
    let sent_at = sent_at.map(|text| json!(text).to_string());
    match taken(&gateway, &connection, &headers, sent_at, body, true).await {
        Ok(answered) => verdicts(answered),
        Err(problem) => failure(&problem),
    }
}

/// What a request came to.
struct Answered {
    sorted: Sorted,
    /// The uuid of each event, as the client gave it.
    uuids: Vec<Option<String>>,
    taken: Taken,
}

async fn taken(
    gateway: &Gateway,
    connection: &Connection,
    headers: &HeaderMap,
    sent_at: Option<String>,
    body: Body,
    has_verdicts: bool,
) -> Result<Answered, Problem> {
    let (key, text) = request::read(gateway, connection, headers, body, key_of).await?;
    let types = gateway.event_types.get().await;
    let sent_at: Option<&RawValue> =
        sent_at.as_deref().and_then(|json| serde_json::from_str(json).ok());
    let (events, skew) = read_body(&text, sent_at)?;
    intake::check_number(gateway, events.len())?;
    let mut sorted = Sorted::default();
    let mut uuids = Vec::new();
    for event in events {
        let (uuid, message) = match Fields::of(event) {
            Ok(fields) => (id("uuid", fields.uuid), read(&fields, skew, &types)),
            Err(fault) => (Ok(None), Err(fault)),
        };
        sorted.push(&key, &types, Protocol::PostHog, message);
        if has_verdicts {
            uuids.push(uuid.unwrap_or_default());
        }
    }
    drop(text);
    sorted.add_to(&gateway.metrics, Protocol::PostHog);
    if !has_verdicts {
        sorted.log(gateway, &key).await?;
        return match sorted.all_refused() {
            Some(problem) => Err(problem),
            None => Ok(Answered { sorted, uuids, taken: Taken::Queued }),
        };
    }
    // The answer says it of each.
    let events = std::mem::take(&mut sorted.events);
    let taken = intake::take(gateway, &key, events, sorted.count, true).await?;
    Ok(Answered { sorted, uuids, taken })
}

/// Returns the events of a body, and what the client's clock is off.
fn read_body<'a>(
    text: &'a str,
    sent_at: Option<&RawValue>,
) -> Result<(Vec<&'a RawValue>, Skew), Problem> {
    let fault = |error: serde_json::Error| match error.is_data() {
        true => Problem::bad_request(
            "the body must be an event, an array of events, or an object with the array batch",
        ),
        false => not_json(&error),
    };
    if text.trim_start().starts_with('[') {
        return Ok((serde_json::from_str(text).map_err(fault)?, Skew::of(sent_at)));
    }
    let body: Envelope<'_> = serde_json::from_str(text).map_err(fault)?;
    let is_old = body.historical_migration.is_some_and(|old| old.get() == "true");
    let skew = Skew::of(body.sent_at.or(sent_at).filter(|_| !is_old));
    match body.batch {
        Some(batch) => Ok((batch, skew)),
        None => Ok((vec![serde_json::from_str(text).map_err(fault)?], skew)),
    }
}

/// Finds the key in a body: of the batch, or of its first event.
fn key_of(body: &str) -> Option<String> {
    let first: &RawValue = match body.trim_start().starts_with('[') {
        true => serde_json::from_str::<Vec<&RawValue>>(body).ok()?.into_iter().next()?,
        false => serde_json::from_str(body).ok()?,
    };
    let keys: Keys<'_> = serde_json::from_str(first.get()).ok()?;
    let own = keys.api_key.or(keys.token);
    let in_properties = || Keys::of_properties(keys.properties?);
    own.map(Cow::into_owned).or_else(in_properties).or_else(|| {
        let first: Keys<'_> = serde_json::from_str(keys.batch?.first()?.get()).ok()?;
        let own = first.api_key.or(first.token).map(Cow::into_owned);
        own.or_else(|| Keys::of_properties(first.properties?))
    })
}

impl Keys<'_> {
    fn of_properties(properties: &RawValue) -> Option<String> {
        let keys: Keys<'_> = serde_json::from_str(properties.get()).ok()?;
        keys.token.or(keys.api_key).map(Cow::into_owned)
    }
}

/// Returns the time in the query of a browser, in milliseconds.
fn sent_at_of_query(query: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| matches!(*name, "sent_at" | "_"))?;
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.to_owned())
}

impl<'a> Fields<'a> {
    fn of(event: &'a RawValue) -> Result<Self, String> {
        if !event.get().starts_with('{') {
            return Err("an event must be an object".to_owned());
        }
        serde_json::from_str(event.get())
            .map_err(|_| "an event has duplicate keys, or an invalid key".to_owned())
    }
}

fn read(fields: &Fields<'_>, skew: Skew, types: &EventTypes) -> Result<Message, String> {
    // An event without a name goes to the quarantine.
    let given = id("event", fields.event)?.unwrap_or_default();
    let found = types.find(&given);
    let left_out = LEFT_OUT.iter().find(|(name, _)| *name == given);
    if let (None, Some((_, kind))) = (found, left_out) {
        return Ok(Message::LeftOut(kind));
    }
    let mut event = Event::new(found.map_or(given, |found| found.name.clone()));
    let mut skew = skew;
    let mut distinct_id = fields.distinct_id;
    match fields.properties {
        // The log refuses it.
        Some(properties) if !properties.get().starts_with('{') => event = event.data(properties),
        properties => {
            let mut own = properties.map(Entries::of).unwrap_or_default();
            let mut theirs =
                own.take(|key| key.starts_with('$') || matches!(key, "token" | "distinct_id"));
            distinct_id = distinct_id.or_else(|| theirs.get("distinct_id"));
            if theirs.get("$ignore_sent_at").is_some_and(|value| value.get() == "true") {
                skew = Skew::default();
            }
            if let Some(kept) = found.and_then(|found| found.context.as_ref()) {
                theirs.add("$session_id", fields.session_id);
                theirs.add("$window_id", fields.window_id);
                own.add_object("context", theirs.kept(kept));
            }
            event = event.data(&own);
        }
    }
    let options = fields.options.map(Entries::of).unwrap_or_default();
    if options.get("disable_skew_correction").is_some_and(|value| value.get() == "true") {
        skew = Skew::default();
    }
    if let Some(time) = occurred_at(fields, skew)? {
        event = event.occurred_at(time);
    }
    Ok(Message::Event(Box::new(Incoming {
        event,
        tenant: None,
        user: id("distinct_id", distinct_id)?,
        // Every event has one, whether the application names somebody or not.
        is_user_made_up: true,
        idempotency_key: id("uuid", fields.uuid)?,
    })))
}

fn occurred_at(fields: &Fields<'_>, skew: Skew) -> Result<Option<SystemTime>, String> {
    if let Some(given) = fields.timestamp {
        return time::required("timestamp", given).map(|time| Some(skew.correct(time)));
    }
    let Some(offset) = fields.offset else { return Ok(None) };
    let offset = offset.get().parse::<f64>().ok().filter(|offset| (0.0..1e12).contains(offset));
    let offset = offset.ok_or("offset must be a number of milliseconds")?;
    Ok(SystemTime::now().checked_sub(Duration::from_secs_f64(offset / 1e3)))
}

/// The answer to a request of which something was taken.
fn success(refused: &[(usize, Problem)]) -> Response {
    let mut body = json!({ "status": "Ok" });
    if !refused.is_empty() {
        body["refused"] = describe(refused);
    }
    ([JSON], without_markup(&body.to_string())).into_response()
}

const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

/// The answer with a verdict for each uuid.
fn verdicts(Answered { sorted, uuids, taken }: Answered) -> Response {
    let left_out =
        || json!({ "result": "warning", "details": "left out: it is no event of this log" });
    let mut results: Vec<Value> = uuids.iter().map(|_| left_out()).collect();
    for (position, problem) in &sorted.refused {
        results[*position] = json!({ "result": "drop", "details": problem.message() });
    }
    for (place, position) in sorted.positions.iter().enumerate() {
        results[*position] = match &taken {
            Taken::Queued => json!({ "result": "ok" }),
            Taken::Ends(ends) => verdict(&ends[place]),
        };
    }
    let results = uuids.into_iter().zip(results);
    let results: Map<String, Value> =
        results.filter_map(|(uuid, result)| Some((uuid?, result))).collect();
    ([JSON], without_markup(&json!({ "results": results }).to_string())).into_response()
}

fn verdict(end: &Result<Outcome, Error>) -> Value {
    match end {
        Ok(Outcome::LeftOut) => json!({
            "result": "warning", "details": "left out: sampled, or the tenant opted out",
        }),
        Ok(_) => json!({ "result": "ok" }),
        Err(error) if is_refusal(error) => json!({ "result": "drop", "details": error.message() }),
        Err(error) => json!({ "result": "retry", "details": error.message() }),
    }
}

/// The answer to a request of which nothing was taken.
fn failure(problem: &Problem) -> Response {
    problem.response_with(&json!({
        "type": problem.code(), "code": problem.code(), "detail": problem.message(), "attr": null,
    }))
}
