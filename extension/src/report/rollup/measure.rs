//! What an event counts for, by the rules of its type: the same as `eventlog._measured_events()`,
//! `_number()`, `_has_failed()` and `_uncountable_column()` say in SQL.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::payload::scalar::scalar_text;
use crate::pg::datum::Jsonb;
use crate::pg::jsonb::{Container, Value};
use crate::pg::numeric;

/// Characters of a value that count.
const VALUE_LENGTH: usize = 200;
/// Longest name, and longest actor and subject, in bytes.
const NAME_BYTES: usize = 128;
const TEXT_BYTES: usize = 512;

/// An event as it is stored.
pub(crate) struct Event<'a> {
    pub(crate) id: i64,
    pub(crate) tenant_id: [u8; 16],
    pub(crate) name: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) actor: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) created_at: i64,
    pub(crate) weight: Option<f32>,
}

impl Event<'_> {
    /// Returns the column that keeps the event out of the rollups.
    pub(crate) fn uncountable_column(&self) -> Option<&'static str> {
        let is_long = |text: Option<&str>| text.is_some_and(|text| text.len() > TEXT_BYTES);
        if self.name.is_empty() || self.name.len() > NAME_BYTES {
            Some("name")
        } else if is_long(self.actor) {
            Some("actor")
        } else if is_long(self.subject) {
            Some("subject")
        } else if self.weight.is_some_and(|weight| !(weight > 0.0 && weight < f32::INFINITY)) {
            Some("weight")
        } else if !Container::root(self.data).is_object() {
            Some("data")
        } else if self.created_at == i64::MIN || self.created_at == i64::MAX {
            Some("created_at")
        } else {
            None
        }
    }
}

/// The rules of an event type that say what its events count for.
pub(crate) struct Rules {
    duration_key: Option<Box<[u8]>>,
    success_key: Option<Box<[u8]>>,
    error_key: Option<Box<[u8]>>,
    success_values: Vec<Box<str>>,
    pub(crate) count_subjects: bool,
    /// Each once.
    pub(crate) count_keys: Vec<Box<str>>,
}

/// The rules of names without an event type of their own.
pub(crate) static NO_RULES: Rules = Rules {
    duration_key: None,
    success_key: None,
    error_key: None,
    success_values: Vec::new(),
    count_subjects: true,
    count_keys: Vec::new(),
};

fn strings(array: Option<Value<'_>>) -> Vec<Box<str>> {
    let Some(Value::Container(array)) = array else { return Vec::new() };
    array.elements().map(|element| scalar_text(element).into()).collect()
}

/// Reads the rules of all event types: an object of rows by name.
pub(crate) fn read(rules: Jsonb<'_>) -> HashMap<Box<str>, Rules> {
    let mut all = HashMap::new();
    for (name, row) in Container::root(rules.bytes()).pairs() {
        let Value::Container(row) = row else { continue };
        let key = |column: &str| match row.get(column.as_bytes()) {
            Some(Value::String(key)) => Some(Box::from(key)),
            _ => None,
        };
        let mut count_keys = strings(row.get(b"count_keys"));
        count_keys.sort_unstable();
        count_keys.dedup();
        let rules = Rules {
            duration_key: key("duration_key"),
            success_key: key("success_key"),
            error_key: key("error_key"),
            success_values: strings(row.get(b"success_values")),
            count_subjects: !matches!(row.get(b"count_subjects"), Some(Value::Bool(false))),
            count_keys,
        };
        all.insert(String::from_utf8_lossy(name).into(), rules);
    }
    all
}

/// What an event counts for.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) weight: f64,
    pub(crate) duration: Option<f64>,
    pub(crate) has_failed: Option<bool>,
}

impl Rules {
    /// Measures an event that can be counted.
    pub(crate) fn measure(&self, event: &Event<'_>) -> Measure {
        let data = Container::root(event.data);
        Measure {
            weight: event.weight.map_or(1.0, f64::from),
            duration: self.duration_key.as_deref().and_then(|key| match data.get(key) {
                Some(Value::Numeric(number)) => numeric::measurable(number),
                _ => None,
            }),
            has_failed: self.has_failed(&data),
        }
    }

    fn has_failed(&self, data: &Container<'_>) -> Option<bool> {
        if self.success_key.is_none() && self.error_key.is_none() {
            return None;
        }
        let success = self.success_key.as_deref().and_then(|key| data.get(key));
        if !self.success_values.is_empty() {
            if let Some(value @ (Value::String(_) | Value::Numeric(_) | Value::Bool(_))) = success {
                let text = scalar_text(value);
                return Some(!self.success_values.iter().any(|known| **known == *text));
            }
            if let Some(Value::Bool(success)) = data.get(b"success") {
                return Some(!success);
            }
        }
        if let Some(Value::Bool(success)) = success {
            return Some(!success);
        }
        self.error_key.as_deref().and_then(|key| data.get(key)).map(|_| true)
    }
}

/// Returns the value of a key as the rollups by keys have it; nothing if the event lacks the key.
pub(crate) fn counted_value<'a>(data: &'a [u8], key: &str) -> Option<Cow<'a, str>> {
    let text = match Container::root(data).get(key.as_bytes())? {
        Value::Null => return None,
        Value::Container(inner) => {
            Jsonb::copy_of(inner.bytes()).to_text().as_str().to_owned().into()
        }
        scalar => scalar_text(scalar),
    };
    Some(match text.char_indices().nth(VALUE_LENGTH) {
        None => text,
        Some((end, _)) => text[..end].to_owned().into(),
    })
}
