//! JSON objects whose values stay text, to build payloads from: numbers keep all their digits.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::gateway::event_types::Kept;

/// The entries of an object, in their order.
#[derive(Default)]
pub(super) struct Entries<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

enum Value<'a> {
    Raw(&'a RawValue),
    Object(Entries<'a>),
}

impl<'a> Entries<'a> {
    /// Reads an object; anything else has no entries.
    pub(super) fn of(value: &'a RawValue) -> Self {
        match value.get().starts_with('{') {
            true => serde_json::from_str(value.get()).unwrap_or_default(),
            false => Entries::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(own, _)| own == key)
    }

    /// Returns the value of a key that is not null.
    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find_map(|(own, value)| match value {
            Value::Raw(raw) if own == key && raw.get() != "null" => Some(*raw),
            _ => None,
        })
    }

    /// Adds a key, unless there is one of that name.
    pub(super) fn add(&mut self, key: &'static str, value: Option<&'a RawValue>) {
        if let Some(value) = value.filter(|_| !self.has(key)) {
            self.0.push((Cow::Borrowed(key), Value::Raw(value)));
        }
    }

    /// Adds an object, unless it is empty or there is a key of that name.
    pub(super) fn add_object(&mut self, key: &'static str, object: Entries<'a>) {
        if !object.is_empty() && !self.has(key) {
            self.0.push((Cow::Borrowed(key), Value::Object(object)));
        }
    }

    /// Takes out the entries whose key is such.
    pub(super) fn take(&mut self, is_such: impl Fn(&str) -> bool) -> Entries<'a> {
        let all = std::mem::take(&mut self.0);
        let (such, others) = all.into_iter().partition(|(key, _)| is_such(key));
        self.0 = others;
        Entries(such)
    }

    /// Keeps what an event type keeps of it.
    pub(super) fn kept(self, kept: &Kept) -> Entries<'a> {
        let keep = |(key, value): (Cow<'a, str>, Value<'a>)| {
            let below = kept.below(&key)?;
            match value {
                value if below.is_whole() => Some((key, value)),
                Value::Raw(raw) => {
                    let object = Entries::of(raw).kept(below);
                    (!object.is_empty()).then_some((key, Value::Object(object)))
                }
                Value::Object(_) => None,
            }
        };
        Entries(self.0.into_iter().filter_map(keep).collect())
    }
}

impl<'a> FromIterator<(&'a str, &'a RawValue)> for Entries<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a RawValue)>>(entries: I) -> Self {
        let entry = |(key, value)| (Cow::Borrowed(key), Value::Raw(value));
        Entries(entries.into_iter().map(entry).collect())
    }
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &RawValue>()? {
                    entries.push((key, Value::Raw(value)));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Map)
    }
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            match value {
                Value::Raw(raw) => map.serialize_entry(key, raw)?,
                Value::Object(object) => map.serialize_entry(key, object)?,
            }
        }
        map.end()
    }
}

/// An array of at most [`FEW`] values, which are read at once with the rest of the body. Of a longer one, or
/// one with a value of another shape, the values are read one by one.
pub(super) struct Few<T>(pub(super) Vec<T>);

/// As many as a request may have by default. The bytes of a body would be many times as many values.
const FEW: usize = 1_000;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Array<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a short array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = array.next_element()? {
                    if values.len() >= FEW {
                        return Err(A::Error::invalid_length(FEW + 1, &self));
                    }
                    values.push(value);
                }
                Ok(Few(values))
            }
        }

        deserializer.deserialize_seq(Array(PhantomData))
    }
}

/// Reads the text of a value that clients send as a text or as a number; nothing of an empty one.
pub(super) fn id(key: &str, value: Option<&RawValue>) -> Result<Option<String>, String> {
    let Some(value) = value else { return Ok(None) };
    let json = value.get();
    let text = match json.as_bytes()[0] {
        b'"' => text(json).ok_or_else(|| format!("{key} must be a valid string"))?.into_owned(),
        b'-' | b'0'..=b'9' => json.to_owned(),
        _ => return Err(format!("{key} must be a string or a number")),
    };
    match text.contains('\0') {
        true => Err(format!("{key} must not contain U+0000")),
        false => Ok((!text.is_empty()).then_some(text)),
    }
}

/// Reads a string, without a copy if it has no escapes.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    match inner.contains('\\') {
        false => Some(Cow::Borrowed(inner)),
        true => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}
