//! CloudEvents over HTTP: binary, structured and in batches. All events of a request are taken, or none.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use eventlog_writer::Event;
use serde_json::value::{RawValue, to_raw_value};

use super::answer::is_refusal;
use super::entries::{Entries, id};
use super::{request, time};
use crate::api_key::Kind;
use crate::gateway::connections::Connection;
use crate::gateway::credentials;
use crate::gateway::event_types::EventTypes;
use crate::gateway::intake::{self, Incoming, Protocol, Taken, not_json};
use crate::gateway::problem::{Problem, shown};
use crate::gateway::state::Gateway;
use crate::gateway::track::{self, body};
use crate::hex;

/// Longest idempotency key that is not hashed.
const LONGEST_KEY: usize = 255;

/// Takes the events of a request.
pub(crate) async fn take(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let key = gateway.authorize(&connection, &headers, Kind::Write).await?;
    request::check_public(&key, credentials::is_of_browser(&headers))?;
    let waits = waits(&uri)?;
    let text = body::read(&gateway, &key, &headers, body).await?;
    let types = gateway.event_types.get().await;
    let mode = Mode::of(&headers);
    let mut incoming = Vec::new();
    match mode {
        Mode::Batch => {
            let events: Vec<&RawValue> =
                serde_json::from_str(&text).map_err(|error| match error.is_data() {
                    true => Problem::bad_request("a batch must be an array of events"),
                    false => not_json(&error),
                })?;
            intake::check_number(&gateway, events.len())?;
            for (position, event) in events.into_iter().enumerate() {
                let read = structured(event, &types);
                incoming.push(read.map_err(|fault| Problem::bad_request(fault).at(position))?);
            }
        }
        Mode::Structured => {
            let event: &RawValue = serde_json::from_str(&text).map_err(|e| not_json(&e))?;
            incoming.push(structured(event, &types).map_err(Problem::bad_request)?);
        }
        Mode::Binary => incoming.push(binary(&headers, &text, &types)?),
    }
    drop(text);
    let is_batch = mode == Mode::Batch;
    let mut events = Vec::with_capacity(incoming.len());
    for (position, incoming) in incoming.into_iter().enumerate() {
        let event = incoming.admit(&key, Some(&types), Protocol::CloudEvents);
        events.push(event.map_err(|problem| match is_batch {
            true => problem.at(position),
            false => problem,
        })?);
    }
    let count = events.len();
    let taken = intake::take(&gateway, &key, events, count, waits).await?;
    let counts = &gateway.metrics.messages;
    counts.with_label_values(&[Protocol::CloudEvents.name(), "event"]).inc_by(count as u64);
    // Senders look at the status only.
    if let (false, Taken::Ends(ends)) = (is_batch, &taken)
        && let [Err(error)] = &ends[..]
    {
        return Err(match is_refusal(error) {
            true => Problem::new(StatusCode::BAD_REQUEST, "rejected", error.message()),
            false => Problem::unavailable("the log did not take the event", 1),
        });
    }
    Ok(track::answer(&taken, count))
}

/// Reads the query, of which nothing but `wait` is known.
fn waits(uri: &Uri) -> Result<bool, Problem> {
    let mut waits = false;
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("wait", value) => waits = track::waits(value)?,
            (name, _) => {
                let message = format!("unknown parameter {}; known is wait", shown(name));
                return Err(Problem::bad_request(message));
            }
        }
    }
    Ok(waits)
}

/// How an event is in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// Its attributes are headers, its data is the body.
    Binary,
    /// It is the body.
    Structured,
    Batch,
}

impl Mode {
    fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().trim().to_ascii_lowercase();
        match kind {
            kind if kind.starts_with("application/cloudevents-batch") => Mode::Batch,
            kind if kind.starts_with("application/cloudevents") => Mode::Structured,
            _ => Mode::Binary,
        }
    }
}

fn structured(event: &RawValue, types: &EventTypes) -> Result<Incoming, String> {
    if !event.get().starts_with('{') {
        return Err("an event must be an object".to_owned());
    }
    let mut attributes = Entries::of(event);
    let data = attributes.get("data");
    if attributes.get("data_base64").is_some() {
        return Err("data must be JSON: data_base64 is not taken".to_owned());
    }
    if let Some(kind) = id("datacontenttype", attributes.get("datacontenttype"))?
        && !body::is_json_type(kind.split(';').next().unwrap_or_default().trim())
    {
        return Err("data must be JSON: datacontenttype says another type".to_owned());
    }
    let _ = attributes.take(|name| matches!(name, "data" | "datacontenttype"));
    translate(attributes, data, types)
}

fn binary(headers: &HeaderMap, text: &str, types: &EventTypes) -> Result<Incoming, Problem> {
    let mut given = Vec::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        let value = percent_decoded(value.as_bytes())
            .ok_or_else(|| Problem::bad_request(format!("the header ce-{name} is not UTF-8")))?;
        given.push((name.to_owned(), to_raw_value(&value).map_err(|e| not_json(&e))?));
    }
    let attributes = given.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
    // An event may have no data.
    let data = match text.trim().is_empty() {
        true => None,
        false => Some(serde_json::from_str(text).map_err(|e| not_json(&e))?),
    };
    translate(attributes, data, types).map_err(Problem::bad_request)
}

/// Makes an event of attributes and data.
fn translate<'a>(
    mut attributes: Entries<'a>,
    data: Option<&'a RawValue>,
    types: &EventTypes,
) -> Result<Incoming, String> {
    let text = |name: &str| id(name, attributes.get(name));
    let required = |name: &str| text(name)?.ok_or_else(|| format!("{name} is missing"));
    if required("specversion")? != "1.0" {
        return Err("specversion must be 1.0".to_owned());
    }
    let (source, own_id, given) = (required("source")?, required("id")?, required("type")?);
    let found = types.find(&given);
    let mut event = Event::new(found.map_or(given, |found| found.name.clone()));
    if let Some(subject) = text("subject")? {
        event = event.subject(subject);
    }
    if let Some(given) = attributes.get("time") {
        event = event.occurred_at(time::required("time", given)?);
    }
    let user = text("authid")?;
    event = match (data, found.and_then(|found| found.context.as_ref())) {
        // The log refuses what is no object.
        (Some(data), None) => event.data(data),
        (Some(data), _) if !data.get().starts_with('{') => event.data(data),
        (data, kept) => {
            let mut payload = data.map(Entries::of).unwrap_or_default();
            if let Some(kept) = kept {
                let _ = attributes.take(|name| {
                    matches!(name, "specversion" | "id" | "type" | "time" | "subject" | "authid")
                });
                payload.add_object("context", attributes.kept(kept));
            }
            event.data(&payload)
        }
    };
    Ok(Incoming {
        event,
        tenant: None,
        user,
        is_user_made_up: false,
        idempotency_key: Some(idempotency_key(&source, &own_id)),
    })
}

/// Source and id together name an event.
fn idempotency_key(source: &str, id: &str) -> String {
    let key = format!("{source}#{id}");
    match key.len() <= LONGEST_KEY {
        true => key,
        false => {
            use sha2::{Digest, Sha256};
            hex::encode(&Sha256::digest(key))
        }
    }
}

/// Reads the value of a header, in which anything but plain ASCII is `%` and two digits a byte.
fn percent_decoded(value: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        let digits = value.get(at + 1..at + 3).filter(|_| value[at] == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                at += 3;
            }
            None => {
                bytes.push(value[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_percent_encoded_and_a_lone_percent_is_itself() {
        for (value, expected) in [
            ("plain", Some("plain")),
            ("Euro%20%E2%82%AC", Some("Euro €")),
            ("100%", Some("100%")),
            ("%zz%4", Some("%zz%4")),
            ("%ff", None),
        ] {
            assert_eq!(percent_decoded(value.as_bytes()).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn source_and_id_are_the_idempotency_key_whatever_their_length() {
        assert_eq!(idempotency_key("/shop", "1"), "/shop#1");
        let long = idempotency_key(&"s".repeat(255), "1");
        assert!(long.len() == 64 && long != idempotency_key(&"s".repeat(255), "2"));
    }
}
