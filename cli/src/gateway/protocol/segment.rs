//! Segment's HTTP tracking API, which many clients speak.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Extension, MatchedPath, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use eventlog_writer::Event;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::answer::{Message, Sorted, describe};
use super::entries::{Entries, Few, id};
use super::request;
use super::time::{self, Skew};
use crate::gateway::connections::Connection;
use crate::gateway::event_types::EventTypes;
use crate::gateway::intake::{self, Incoming, Protocol, not_json};
use crate::gateway::problem::{Problem, without_markup};
use crate::gateway::state::Gateway;

/// The routes: those of libraries, those of the browser's, and each without the version.
pub(crate) const ROUTES: &[&str] = &[
    "/v1/batch",
    "/v1/import",
    "/v1/track",
    "/v1/page",
    "/v1/screen",
    "/v1/identify",
    "/v1/group",
    "/v1/alias",
    "/v1/b",
    "/v1/t",
    "/v1/p",
    "/v1/s",
    "/v1/i",
    "/v1/g",
    "/v1/a",
    "/b",
    "/t",
    "/p",
    "/s",
    "/i",
    "/g",
    "/a",
];

/// What a message is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Track,
    Page,
    Screen,
    /// Says something of a person, not what happened.
    LeftOut(&'static str),
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "track" | "t" => Kind::Track,
            "page" | "p" => Kind::Page,
            "screen" | "s" => Kind::Screen,
            "identify" | "i" => Kind::LeftOut("identify"),
            "group" | "g" => Kind::LeftOut("group"),
            "alias" | "a" => Kind::LeftOut("alias"),
            _ => return None,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(bound(deserialize = "M: Deserialize<'de>"))]
struct Batch<'a, M> {
    batch: M,
    #[serde(borrow)]
    sent_at: Option<&'a RawValue>,
    /// Of all messages that have none.
    #[serde(borrow)]
    context: Option<&'a RawValue>,
}

/// A message. Fields that are not here are tolerated and not kept.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    anonymous_id: Option<&'a RawValue>,
    #[serde(borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    original_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    category: Option<&'a RawValue>,
}

/// Takes the messages of a request.
pub(crate) async fn take(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    path: MatchedPath,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let route = path.as_str().rsplit('/').next().unwrap_or_default();
    match taken(&gateway, &connection, route, &headers, body).await {
        Ok(refused) => success(&refused),
        Err(problem) => failure(&problem),
    }
}

/// Returns what of the request was refused.
async fn taken(
    gateway: &Gateway,
    connection: &Connection,
    route: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Vec<(usize, Problem)>, Problem> {
    let (key, text) = request::read(gateway, connection, headers, body, write_key).await?;
    let types = gateway.event_types.get().await;
    let mut sorted = Sorted::default();
    let mut push = |message| sorted.push(&key, &types, Protocol::Segment, message);
    match Kind::named(route) {
        Some(kind) => {
            let message: &RawValue = serde_json::from_str(&text).map_err(|e| not_json(&e))?;
            let fields = Fields::of(message);
            push(fields.and_then(|fields| read(&fields, Some(kind), None, None, &types)));
        }
        None => {
            // What is imported is old: its times are not of the clock that sends it.
            let skew = |sent_at: Option<&RawValue>| Skew::of(sent_at.filter(|_| route != "import"));
            match serde_json::from_str::<Batch<'_, Few<Fields<'_>>>>(&text) {
                Ok(body) => {
                    intake::check_number(gateway, body.batch.0.len())?;
                    let skew = Some(skew(body.sent_at));
                    for fields in body.batch.0 {
                        push(read(&fields, None, skew, body.context, &types));
                    }
                }
                // Perhaps one message is at fault, and the others are not.
                Err(_) => {
                    let body: Batch<'_, Vec<&RawValue>> =
                        serde_json::from_str(&text).map_err(not_batch)?;
                    intake::check_number(gateway, body.batch.len())?;
                    let skew = Some(skew(body.sent_at));
                    for message in body.batch {
                        let fields = Fields::of(message);
                        push(fields.and_then(|own| read(&own, None, skew, body.context, &types)));
                    }
                }
            }
        }
    }
    drop(text);
    sorted.add_to(&gateway.metrics, Protocol::Segment);
    sorted.log(gateway, &key).await?;
    match sorted.all_refused() {
        Some(problem) => Err(problem),
        None => Ok(sorted.refused),
    }
}

fn not_batch(error: serde_json::Error) -> Problem {
    match error.is_data() {
        true => Problem::bad_request("the body must be an object with the array batch"),
        false => not_json(&error),
    }
}

impl<'a> Fields<'a> {
    fn of(message: &'a RawValue) -> Result<Self, String> {
        if !message.get().starts_with('{') {
            return Err("a message must be an object".to_owned());
        }
        serde_json::from_str(message.get()).map_err(|_| {
            "a message has duplicate keys, an invalid key, or a type that is no string".to_owned()
        })
    }
}

/// Finds the key in a body.
fn write_key(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        #[serde(borrow)]
        write_key: Option<Cow<'a, str>>,
    }
    let body: Body<'_> = serde_json::from_str(body).ok()?;
    body.write_key.map(Cow::into_owned)
}

/// Reads a message: of a kind, if its route has one, and by a clock that is off so much, unless it says
/// itself when it was sent.
fn read(
    fields: &Fields<'_>,
    kind: Option<Kind>,
    skew: Option<Skew>,
    context: Option<&RawValue>,
    types: &EventTypes,
) -> Result<Message, String> {
    let of_type = || fields.kind.as_deref().and_then(Kind::named);
    let kind = kind
        .or_else(of_type)
        .ok_or_else(|| "type must be track, page, screen, identify, group or alias".to_owned())?;
    let given = match kind {
        Kind::LeftOut(name) => return Ok(Message::LeftOut(name)),
        // A message without a name goes to the quarantine.
        Kind::Track => id("event", fields.event)?.unwrap_or_default(),
        Kind::Page => "page".to_owned(),
        Kind::Screen => "screen".to_owned(),
    };
    let found = types.find(&given);
    let name = found.map_or(given, |found| found.name.clone());
    let mut event = Event::new(name);
    let is_view = kind != Kind::Track;
    let kept = found.and_then(|found| found.context.as_ref());
    let context = kept.zip(fields.context.or(context));
    event = match fields.properties {
        // As it is, which is the ordinary case. The log refuses what is no object.
        Some(properties) if !properties.get().starts_with('{') => event.data(properties),
        Some(properties) if !is_view && context.is_none() => event.data(properties),
        properties => {
            let mut payload = properties.map(Entries::of).unwrap_or_default();
            if is_view {
                payload.add("name", fields.name);
                payload.add("category", fields.category);
            }
            if let Some((kept, context)) = context {
                payload.add_object("context", Entries::of(context).kept(kept));
            }
            event.data(&payload)
        }
    };
    if let Some(time) = occurred_at(fields, skew)? {
        event = event.occurred_at(time);
    }
    let user = id("userId", fields.user_id)?;
    let is_user_made_up = user.is_none();
    Ok(Message::Event(Box::new(Incoming {
        event,
        tenant: None,
        user: user.map_or_else(|| id("anonymousId", fields.anonymous_id), |user| Ok(Some(user)))?,
        is_user_made_up,
        idempotency_key: id("messageId", fields.message_id)?,
    })))
}

fn occurred_at(fields: &Fields<'_>, skew: Option<Skew>) -> Result<Option<SystemTime>, String> {
    let (key, given) = match (fields.timestamp, fields.original_timestamp) {
        (Some(time), _) => ("timestamp", time),
        (None, Some(time)) => ("originalTimestamp", time),
        (None, None) => return Ok(None),
    };
    let skew = skew.unwrap_or_else(|| Skew::of(fields.sent_at));
    time::required(key, given).map(|time| Some(skew.correct(time)))
}

/// The answer to a request of which something was taken. Every client takes exactly this for success;
/// `refused` is for people who look.
fn success(refused: &[(usize, Problem)]) -> Response {
    let mut body = json!({ "success": true });
    if !refused.is_empty() {
        body["refused"] = describe(refused);
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::OK, json, without_markup(&body.to_string())).into_response()
}

/// The answer to a request of which nothing was taken.
pub(super) fn failure(problem: &Problem) -> Response {
    let body = json!({ "success": false, "code": problem.code(), "message": problem.message() });
    problem.response_with(&body)
}
