//! Reads and unpacks the body of a request, within limits of size and time.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
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
    read_text(gateway, gateway.bodies.none(key), headers, is_gzip, body).await
}

/// Reads a body of another protocol: JSON, also as plain text, which browsers send without asking
/// first. It may be packed without saying so. `key` is `None` if it is not known yet.
pub(crate) async fn read_plain(
    gateway: &Gateway,
    key: Option<&Key>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Text, Problem> {
    let share = key.map_or_else(|| gateway.bodies.of_strangers(), |key| gateway.bodies.none(key));
    let is_gzip = is_gzip(headers)?;
    read_text(gateway, share, headers, is_gzip, body).await
}

async fn read_text(
    gateway: &Gateway,
    mut share: Share,
    headers: &HeaderMap,
    is_gzip: bool,
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
    let bytes = if is_gzip { unpack(gateway, &bytes, &mut share)? } else { bytes };
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
        false => Err(unsupported("the body must be application/json")),
    }
}

/// Returns true if the body is plain text, and false if it is JSON.
pub(crate) fn is_plain(headers: &HeaderMap) -> Result<bool, Problem> {
    match essence(headers) {
        Some(essence) if essence == "text/plain" => Ok(true),
        Some(essence) if !is_json_type(&essence) => {
            Err(unsupported("the body must be application/json or text/plain"))
        }
        _ => Ok(false),
    }
}

/// Returns the content type without its parameters.
fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("?");
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_json_type(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json")
}

fn unsupported(message: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
}
