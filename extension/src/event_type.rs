//! One row of `event_types`, in the form in which a payload is checked against it.

use crate::datum::Jsonb;
use crate::jsonb::{Container, Value, key_order};
use crate::payload::MOST_SUBJECT_PARTS;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Active,
    Deprecated,
    Retired,
}

impl Status {
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "active" => Status::Active,
            "deprecated" => Status::Deprecated,
            _ => Status::Retired,
        }
    }
}

/// A value that a key may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool(bool),
    String(Box<[u8]>),
    Numeric(Box<[u8]>),
}

/// What the type says of one key.
#[derive(Debug, Default)]
pub(crate) struct Key {
    pub(crate) name: Box<str>,
    pub(crate) required: bool,
    /// The values it may have; `None` where any will do.
    pub(crate) allowed: Option<Vec<Scalar>>,
    pub(crate) is_actor: bool,
    /// Its place in the subject.
    pub(crate) subject_part: Option<usize>,
}

/// One type of event.
#[derive(Debug)]
pub(crate) struct EventType {
    pub(crate) name: Box<str>,
    pub(crate) status: Status,
    pub(crate) successor: Option<String>,
    /// In the order of an object's keys, so that one walk compares both.
    pub(crate) keys: Vec<Key>,
    pub(crate) allow_other_keys: bool,
    pub(crate) max_bytes: usize,
    pub(crate) subject_parts: usize,
}

impl EventType {
    #[allow(clippy::too_many_arguments, reason = "the columns of event_types")]
    pub(crate) fn new(
        name: String,
        status: Status,
        successor: Option<String>,
        required_keys: &[String],
        optional_keys: &[String],
        allow_other_keys: bool,
        allowed_values: Option<Jsonb<'_>>,
        max_bytes: i32,
        actor_key: Option<String>,
        subject_keys: &[String],
    ) -> Self {
        let mut keys: Vec<Key> = Vec::new();
        for name in required_keys {
            key(&mut keys, name).required = true;
        }
        for name in optional_keys.iter().chain(&actor_key) {
            key(&mut keys, name).is_actor |= Some(name) == actor_key.as_ref();
        }
        for (part, name) in subject_keys.iter().enumerate().take(MOST_SUBJECT_PARTS) {
            key(&mut keys, name).subject_part = Some(part);
        }
        if let Some(rules) = allowed_values {
            for (name, values) in Container::root(rules.bytes()).pairs() {
                key(&mut keys, &String::from_utf8_lossy(name)).allowed = Some(scalars(values));
            }
        }
        keys.sort_by(|a, b| key_order(a.name.as_bytes(), b.name.as_bytes()));
        EventType {
            name: name.into(),
            status,
            successor,
            keys,
            allow_other_keys,
            max_bytes: usize::try_from(max_bytes).unwrap_or(0),
            subject_parts: subject_keys.len().min(MOST_SUBJECT_PARTS),
        }
    }
}

fn key<'k>(keys: &'k mut Vec<Key>, name: &str) -> &'k mut Key {
    let at = keys.iter().position(|key| &*key.name == name).unwrap_or_else(|| {
        keys.push(Key { name: name.into(), ..Key::default() });
        keys.len() - 1
    });
    &mut keys[at]
}

fn scalars(values: Value<'_>) -> Vec<Scalar> {
    let Value::Container(array) = values else { return Vec::new() };
    array
        .elements()
        .filter_map(|value| match value {
            Value::Bool(value) => Some(Scalar::Bool(value)),
            Value::String(bytes) => Some(Scalar::String(bytes.into())),
            Value::Numeric(bytes) => Some(Scalar::Numeric(bytes.into())),
            Value::Null | Value::Container(_) => None,
        })
        .collect()
}
