//! Reads and unpacks the body of a request, within limits of size and time.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::gateway::key::Key;
use crate::gateway::problem::Problem;
use crate::gateway::shared_limit::{Refusal, Share};
use crate::gateway::state::Gateway;
use crate::json_depth;

/// Deepest nesting of JSON. The log would accept more, but the parser here is recursive.
const MAX_DEPTH: usize = 100;

/// The text of a body. Until it is dropped, its bytes count against the limit of all bodies and the share of
/// its tenant.
pub(crate) struct Text {
    text: String,
    _share: Share,
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Reads a body of JSON.
pub(crate) async fn read(
    gateway: &Gateway,
    key: &Key,
    headers: &HeaderMap,
    body: Body,
) -> Result<Text, Problem> {
    is_json(headers)?;
    let is_gzip = is_gzip(headers)?;
    let packed = if is_gzip { Packed::Yes } else { Packed::No };
    read_text(gateway, gateway.bodies.none(key), headers, packed, Form::Json, body).await
}

/// What the content type says of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Json,
    /// JSON as plain text, which a page may send without asking first.
    Plain,
    /// JSON in base64, in the field `data` of a form, which a page may send likewise.
    Encoded,
}

/// Reads what the content type says. A body without one counts as JSON.
pub(crate) fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    match essence(headers).as_deref() {
        None => Ok(Form::Json),
        Some("text/plain") => Ok(Form::Plain),
        Some("application/x-www-form-urlencoded") => Ok(Form::Encoded),
        Some(essence) if is_json_type(essence) => Ok(Form::Json),
        Some(_) => Err(unsupported("the body must be application/json or text/plain")),
    }
}

/// Reads a body of another protocol. It may be packed without saying so. `key` is `None` if it is not
/// known yet.
pub(crate) async fn read_form(
    gateway: &Gateway,
    key: Option<&Key>,
    headers: &HeaderMap,
    form: Form,
    body: Body,
) -> Result<Text, Problem> {
    let share = key.map_or_else(|| gateway.bodies.of_strangers(), |key| gateway.bodies.none(key));
    let packed = if is_gzip(headers)? { Packed::Yes } else { Packed::Perhaps };
    read_text(gateway, share, headers, packed, form, body).await
}

/// Whether a body is gzip.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packed {
    Yes,
    No,
    /// If it begins as gzip does, which JSON never does.
    Perhaps,
}

impl Packed {
    fn of(self, bytes: &[u8]) -> bool {
        self == Packed::Yes || self == Packed::Perhaps && bytes.starts_with(&[0x1f, 0x8b])
    }
}

async fn read_text(
    gateway: &Gateway,
    mut share: Share,
    headers: &HeaderMap,
    packed: Packed,
    form: Form,
    body: Body,
) -> Result<Text, Problem> {
    let max = gateway.arguments.max_body;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: u64| length > max as u64)
    {
        return Err(too_large(max));
    }
    let time = gateway.arguments.body_timeout;
    let bytes = timeout(time, receive(gateway, body, &mut share)).await.map_err(|_| {
        let message = format!("the body took longer than {time:?}");
        Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    })??;
    let bytes = if packed.of(&bytes) { unpack(gateway, &bytes, &mut share)? } else { bytes };
    let bytes = match form {
        // RudderStack's library for Node sends JSON under this type.
        Form::Encoded if bytes.trim_ascii_start().starts_with(b"{") => bytes,
        Form::Encoded => {
            let bytes = decode(&bytes)?;
            match Packed::Perhaps.of(&bytes) {
                true => unpack(gateway, &bytes, &mut share)?,
                false => bytes,
            }
        }
        Form::Json | Form::Plain => bytes,
    };
    let text =
        String::from_utf8(bytes).map_err(|_| Problem::bad_request("the body is not UTF-8"))?;
    if json_depth::exceeds(&text, MAX_DEPTH) {
        return Err(Problem::bad_request(format!("the body nests deeper than {MAX_DEPTH} levels")));
    }
    Ok(Text { text, _share: share })
}

/// Takes a share for each part as it arrives, so that slow clients reserve nothing.
async fn receive(gateway: &Gateway, mut body: Body, share: &mut Share) -> Result<Vec<u8>, Problem> {
    let max = gateway.arguments.max_body;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad_request("the body ended too early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > max {
            return Err(too_large(max));
        }
        take_share(share, data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn take_share(share: &mut Share, bytes: usize) -> Result<(), Problem> {
    share.grow(bytes).map_err(|refusal| match refusal {
        Refusal::OverShare => Problem::too_many("the tenant has too many bytes in progress", 1),
        Refusal::Exhausted => Problem::unavailable("too many bytes in progress", 1),
    })
}

fn unpack(gateway: &Gateway, packed: &[u8], share: &mut Share) -> Result<Vec<u8>, Problem> {
    let max = gateway.arguments.max_body;
    let mut bytes = Vec::new();
    let mut unpacked = flate2::read::MultiGzDecoder::new(packed).take(max as u64 + 1);
    unpacked
        .read_to_end(&mut bytes)
        .map_err(|_| Problem::bad_request("the body is not gzip, or ended too early"))?;
    if bytes.len() > max {
        return Err(too_large(max));
    }
    take_share(share, bytes.len())?;
    Ok(bytes)
}

fn too_large(max: usize) -> Problem {
    Problem::too_large(format!("the body is too large: limit {max} bytes"))
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let encoding = encodings.next().map(|value| value.as_bytes().to_ascii_lowercase());
    match (encoding.as_deref(), encodings.next()) {
        (None | Some(b"identity" | b""), None) => Ok(false),
        (Some(b"gzip" | b"x-gzip"), None) => Ok(true),
        _ => Err(unsupported("the only content encoding accepted is gzip")),
    }
}

/// Checks the content type. A body without one counts as JSON.
fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    match essence(headers).is_none_or(|essence| is_json_type(&essence)) {
        true => Ok(()),
        false => Err(not_json()),
    }
}

/// Returns the bytes in the field `data` of a form.
fn decode(form: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut fields = form_urlencoded::parse(form);
    let data = fields.find_map(|(name, value)| (name == "data").then_some(value));
    // A plus that was not encoded has become a space.
    let data = data.map(|data| STANDARD.decode(data.trim().replace(' ', "+")));
    let fault = || Problem::bad_request("the form must have the field data, in base64");
    data.and_then(Result::ok).ok_or_else(fault)
}

/// Returns the content type without its parameters.
fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("?");
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub(crate) fn is_json_type(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json")
}

/// The problem of a body that is not JSON.
pub(crate) fn not_json() -> Problem {
    unsupported("the body must be application/json")
}

fn unsupported(message: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
}
