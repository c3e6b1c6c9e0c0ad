//! The JSON types that an event type declares for keys.

use crate::pg::jsonb::Value;

/// A JSON type as `value_types` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ValueType {
    String,
    Number,
    Boolean,
    Array,
    Object,
}

impl ValueType {
    /// Reads a declared type; nothing for what is none.
    pub(crate) fn declared(value: Value<'_>) -> Option<Self> {
        let Value::String(name) = value else { return None };
        Some(match name {
            b"string" => ValueType::String,
            b"number" => ValueType::Number,
            b"boolean" => ValueType::Boolean,
            b"array" => ValueType::Array,
            b"object" => ValueType::Object,
            _ => return None,
        })
    }

    /// Returns the type of a value; nothing for null, which counts as a missing key.
    pub(crate) fn of(value: Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => ValueType::Boolean,
            Value::String(_) => ValueType::String,
            Value::Numeric(_) => ValueType::Number,
            Value::Container(container) if container.is_object() => ValueType::Object,
            Value::Container(_) => ValueType::Array,
        })
    }

    /// Returns the type with its article, for messages.
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            ValueType::String => "a string",
            ValueType::Number => "a number",
            ValueType::Boolean => "a boolean",
            ValueType::Array => "an array",
            ValueType::Object => "an object",
        }
    }
}
