//! The fields of a JSON object, each as the text it came as: numbers keep their last digit, and what
//! is said of a fault names the key, never the value.

use std::fmt;
use std::time::SystemTime;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object whose values are not read yet.
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
                    // Before a body of a million keys is compared with itself.
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

/// What a field says is wrong.
type Checked<T> = Result<T, String>;

impl<'a> Fields<'a> {
    /// The fields of an event, if it is an object and no key comes twice.
    pub(crate) fn of(event: &'a RawValue) -> Checked<Self> {
        if !event.get().starts_with('{') {
            return Err("an event must be an object".to_owned());
        }
        serde_json::from_str(event.get())
            .map_err(|_| "a key comes twice, is no valid text, or there are too many".to_owned())
    }

    /// Takes a field out; null is the same as none.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let place = self.0.iter().position(|(name, _)| name == key)?;
        let (_, value) = self.0.swap_remove(place);
        (value.get() != "null").then_some(value)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, value)| name == key && value.get() != "null")
    }

    /// That nothing is left which nobody knows.
    pub(crate) fn end(self, known: &[&str]) -> Checked<()> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(format!("unknown key; known are {}", known.join(", "))),
        }
    }

    pub(crate) fn text(&mut self, key: &str) -> Checked<Option<String>> {
        self.take(key).map(|value| text(key, value)).transpose()
    }

    pub(crate) fn required(&mut self, key: &str) -> Checked<&'a RawValue> {
        self.take(key).ok_or_else(|| format!("{key} is missing"))
    }

    /// A field that may be any object.
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

    /// A time as RFC 3339 writes it, or in milliseconds since 1970.
    pub(crate) fn time(&mut self, key: &str) -> Checked<Option<SystemTime>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let wrong =
            || format!("{key} must be a time such as 2026-01-31T12:00:00Z, from 1970 to 9998");
        let time = match value.get().parse::<i64>() {
            Ok(milliseconds) => jiff::Timestamp::from_millisecond(milliseconds).ok(),
            Err(_) => text(key, value)?.parse().ok(),
        };
        let time: jiff::Timestamp = time.ok_or_else(wrong)?;
        // Within what PostgreSQL knows too, else it would refuse the whole batch of this event.
        const MOST: i64 = 253_370_764_800;
        // Seconds are cut towards 1970, so that they do not tell what lies just before it.
        match time >= jiff::Timestamp::UNIX_EPOCH && time.as_second() < MOST {
            true => Ok(Some(time.into())),
            false => Err(wrong()),
        }
    }
}

/// A string without U+0000, which PostgreSQL has no place for.
pub(crate) fn text(key: &str, value: &RawValue) -> Checked<String> {
    let text: String =
        serde_json::from_str(value.get()).map_err(|_| format!("{key} must be a valid string"))?;
    match text.contains('\0') {
        true => Err(format!("{key} must not contain U+0000")),
        false => Ok(text),
    }
}
