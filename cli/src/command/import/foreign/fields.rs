//! Values of other tools' events.

use serde_json::value::RawValue;

/// Least number that is milliseconds since 1970 rather than seconds: as seconds it is the year 5138.
const LEAST_MILLISECONDS: f64 = 1e11;

/// Returns the text of a JSON text.
pub(super) fn plain(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Returns a text as it is and a number by its digits. An id can be either.
pub(super) fn id(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first() {
        Some(b'"') => plain(value),
        Some(b'-' | b'0'..=b'9') => Some(value.get().to_owned()),
        _ => None,
    }
}

/// Returns the JSON of a value, or the one that a text holds.
pub(super) fn json_text(value: &RawValue) -> String {
    plain(value).unwrap_or_else(|| value.get().to_owned())
}

/// Returns a time as the server reads it: a text as it is, a number as seconds or milliseconds since 1970.
pub(super) fn time(value: &RawValue) -> Option<String> {
    let text = id(value)?;
    let Ok(number) = text.parse::<f64>() else {
        return Some(text).filter(|text| !text.is_empty());
    };
    let seconds = if number.abs() < LEAST_MILLISECONDS { number } else { number / 1e3 };
    let at = jiff::Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()?;
    Some(at.to_string())
}
