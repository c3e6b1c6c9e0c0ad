//! The fields of a JSON object as raw text: numbers keep all their digits, and errors name the key, never
//! the value.

use std::fmt;
use std::time::SystemTime;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::gateway::problem::shown;

/// An object whose values are not parsed yet.
pub(crate) struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(String, &RawValue)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    // Bounded, since each key is compared with all before.
                    if fields.len() >= 32 || fields.iter().any(|(name, _)| *name == key) {
                        return Err(A::Error::custom("keys"));
                    }
                    fields.push((key, value));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// A value, or what is wrong with it.
type Checked<T> = Result<T, String>;

impl<'a> Fields<'a> {
    /// Reads the fields of an event, which must be an object without duplicate keys.
    pub(crate) fn of(event: &'a RawValue) -> Checked<Self> {
        if !event.get().starts_with('{') {
            return Err("an event must be an object".to_owned());
        }
        serde_json::from_str(event.get()).map_err(|_| {
            "an event has duplicate keys, an invalid key, or more than 32 keys".to_owned()
        })
    }

    /// Takes a field out; null counts as absent.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let place = self.0.iter().position(|(name, _)| name == key)?;
        let (_, value) = self.0.swap_remove(place);
        (value.get() != "null").then_some(value)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, value)| name == key && value.get() != "null")
    }

    /// Checks that no unknown field is left.
    pub(crate) fn end(self, known: &[&str]) -> Checked<()> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => {
                Err(format!("unknown key {}; known are {}", shown(key), known.join(", ")))
            }
        }
    }

    pub(crate) fn text(&mut self, key: &str) -> Checked<Option<String>> {
        self.take(key).map(|value| text(key, value)).transpose()
    }

    pub(crate) fn required(&mut self, key: &str) -> Checked<&'a RawValue> {
        self.take(key).ok_or_else(|| format!("{key} is missing"))
    }

    /// Takes a field that must be an object.
    pub(crate) fn object(&mut self, key: &str) -> Checked<Option<&'a RawValue>> {
        match self.take(key) {
            Some(value) if !value.get().starts_with('{') => Err(format!("{key} must be an object")),
            value => Ok(value),
        }
    }

    pub(crate) fn uuid(&mut self, key: &str) -> Checked<Option<uuid::Uuid>> {
        let Some(value) = self.text(key)? else { return Ok(None) };
        value.parse().map(Some).map_err(|_| format!("{key} must be a uuid"))
    }

    /// Takes a time: RFC 3339, or seconds or milliseconds since 1970.
    pub(crate) fn time(&mut self, key: &str) -> Checked<Option<SystemTime>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let wrong = || {
            format!(
                "{key} must be a time such as 2026-01-31T12:00:00Z, from 1970 to 9998, or a number \
                 of seconds or milliseconds since 1970, from 1973 to 5138"
            )
        };
        let time: jiff::Timestamp = match value.get().starts_with('"') {
            true => text(key, value)?.parse().ok(),
            false => value.get().parse().ok().and_then(number),
        }
        .ok_or_else(wrong)?;
        // PostgreSQL's own range; beyond it, it would refuse the whole batch.
        const MOST: i64 = 253_370_764_800;
        // Seconds are truncated towards 1970, so they cannot detect a time just before it.
        match time >= jiff::Timestamp::UNIX_EPOCH && time.as_second() < MOST {
            true => Ok(Some(time.into())),
            false => Err(wrong()),
        }
    }
}

/// Reads seconds or milliseconds since 1970, whichever gives a time from 1973 to 5138, as the log reads the
/// clocks of clients. A smaller number is unlikely to be a time.
pub(crate) fn number(number: f64) -> Option<jiff::Timestamp> {
    const LEAST_SECONDS: f64 = 1e8;
    const LEAST_MILLISECONDS: f64 = 1e11;
    const MOST: f64 = 1e14;
    let microseconds = match number {
        seconds if (LEAST_SECONDS..LEAST_MILLISECONDS).contains(&seconds) => seconds * 1e6,
        milliseconds if (LEAST_MILLISECONDS..MOST).contains(&milliseconds) => milliseconds * 1e3,
        _ => return None,
    };
    jiff::Timestamp::from_microsecond(microseconds.round() as i64).ok()
}

/// Reads a string without U+0000, which PostgreSQL cannot store.
pub(crate) fn text(key: &str, value: &RawValue) -> Checked<String> {
    let text: String =
        serde_json::from_str(value.get()).map_err(|_| format!("{key} must be a valid string"))?;
    match text.contains('\0') {
        true => Err(format!("{key} must not contain U+0000")),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_seconds_or_milliseconds_by_their_size() {
        for (given, expected) in [
            (1_764_150_000.0, Some("2025-11-26T09:40:00Z")),
            (1_764_150_000.25, Some("2025-11-26T09:40:00.25Z")),
            (1_764_150_000.123_457, Some("2025-11-26T09:40:00.123457Z")),
            (1_764_150_000_000.0, Some("2025-11-26T09:40:00Z")),
            (1_764_150_000_123.457, Some("2025-11-26T09:40:00.123457Z")),
            (1e8, Some("1973-03-03T09:46:40Z")),
            (1e11, Some("1973-03-03T09:46:40Z")),
            (0.0, None),
            (-1e9, None),
            (99_999_999.0, None),
            (1e14, None),
            (1.764_15e15, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(number(given).map(|time| time.to_string()).as_deref(), expected, "{given}");
        }
    }
}
