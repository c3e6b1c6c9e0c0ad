//! The client's clock: read from the payload if its type says so, and kept from running ahead.

use std::borrow::Cow;

use crate::payload::scalar::scalar_text;
use crate::pg::input;
use crate::pg::jsonb::Value;
use crate::pg::server;
use crate::settings;

/// PostgreSQL counts microseconds from 2000-01-01, Unix seconds from 1970-01-01.
const UNIX_EPOCH_IN_SECONDS: i64 = -946_684_800;

/// Larger numbers are milliseconds (from 1973 on), smaller ones seconds (until 5138).
const LEAST_MILLISECONDS: f64 = 1e11;

/// Reads an instant: an ISO 8601 time (in UTC, if it names no zone), or milliseconds or seconds
/// since 1970. Returns `None` unless the value is clearly a timestamp.
pub(crate) fn parse(value: Value<'_>) -> Option<i64> {
    match value {
        Value::String(bytes) => instant(std::str::from_utf8(bytes).ok()?),
        Value::Numeric(_) => {
            let number: f64 = scalar_text(value).parse().ok()?;
            let seconds = if number >= LEAST_MILLISECONDS { number / 1e3 } else { number };
            // 1973 to 5138. A smaller number is unlikely to be a time.
            let is_time = (1e8..LEAST_MILLISECONDS).contains(&seconds);
            is_time.then(|| (seconds * 1e6) as i64 + UNIX_EPOCH_IN_SECONDS * 1_000_000)
        }
        _ => None,
    }
}

/// Reads an ISO 8601 time with a date. PostgreSQL's own input would also take `now`, `yesterday`,
/// `infinity` and whatever DateStyle and TimeZone of the session allow.
fn instant(text: &str) -> Option<i64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let is_date = bytes.len() >= 16
        && bytes.len() <= 40
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't' | b' ')
        && bytes[11..]
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.' | b'+' | b'-' | b'Z' | b'z'));
    if !is_date {
        return None;
    }
    let has_zone = text[11..].contains(['+', '-', 'Z', 'z']);
    let text = if has_zone { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}Z")) };
    Some(input::timestamp(&text).ok()?.into_inner())
}

/// Returns the server's clock if `occurred_at` is further ahead of it than
/// `eventlog.max_clock_ahead`.
pub(crate) fn clamped(occurred_at: i64) -> Option<i64> {
    let now = server::clock();
    (occurred_at > now.saturating_add(settings::max_clock_ahead_micros())).then_some(now)
}
