//! Strings, numbers and booleans: as text, and as values that a key may have.

use std::borrow::Cow;

use crate::pg::jsonb::Value;
use crate::pg::numeric;

/// Returns a string, number or boolean as text; an empty text for anything else.
pub(crate) fn scalar_text(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::String(bytes) => String::from_utf8_lossy(bytes),
        Value::Numeric(bytes) => numeric::to_text(bytes).into(),
        Value::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
        Value::Null | Value::Container(_) => Cow::Borrowed(""),
    }
}

/// A value that a key may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool(bool),
    String(Box<[u8]>),
    Numeric(Box<[u8]>),
}

pub(crate) fn scalars(values: Value<'_>) -> Vec<Scalar> {
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

pub(crate) fn equals(allowed: &Scalar, value: Value<'_>) -> bool {
    match (allowed, value) {
        (Scalar::Bool(a), Value::Bool(b)) => *a == b,
        (Scalar::String(a), Value::String(b)) => **a == *b,
        (Scalar::Numeric(a), Value::Numeric(b)) => **a == *b || numeric::equal(a, b),
        _ => false,
    }
}
