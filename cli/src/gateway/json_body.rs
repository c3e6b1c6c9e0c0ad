//! Reads the fields of a small JSON object. Refusals name the field and never show its value.

use axum::body::Body;
use axum::http::HeaderMap;
use serde_json::{Map, Value};

use super::analytics::parameter::is_filters;
use super::key::Key;
use super::problem::{Problem, shown};
use super::state::Gateway;
use super::track::body;

/// Most bytes of such a body.
const MAX_BYTES: usize = 64 << 10;
/// Most texts of an array.
const MAX_TEXTS: usize = 100;
/// Most bytes of each.
const MAX_TEXT: usize = 2048;

/// The fields that were not read yet.
pub(super) struct Fields {
    left: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    pub(super) async fn read(
        gateway: &Gateway,
        key: &Key,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, Problem> {
        let text = body::read(gateway, key, headers, body).await?;
        if text.len() > MAX_BYTES {
            return Err(Problem::too_large(format!(
                "the body is too large: limit {MAX_BYTES} bytes"
            )));
        }
        match serde_json::from_str(&text) {
            Ok(Value::Object(left)) => Ok(Fields { left, known: Vec::new() }),
            _ => Err(Problem::bad_request("the body must be a JSON object")),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(
        &mut self,
        name: &'static str,
        most: usize,
    ) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= most && !text.contains('\0') => {
                Ok(Some(text))
            }
            Some(_) => {
                Err(must_be(name, &format!("text of at most {most} bytes without a zero byte")))
            }
        }
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Problem> {
        let fault = || must_be(name, &format!("an array of 1 to {MAX_TEXTS} texts"));
        let Some(value) = self.take(name) else { return Ok(None) };
        let Value::Array(values) = value else { return Err(fault()) };
        let text = |value| match value {
            Value::String(text) if text.len() <= MAX_TEXT && !text.contains('\0') => Some(text),
            _ => None,
        };
        let texts: Option<Vec<String>> = values.into_iter().map(text).collect();
        let texts = texts.filter(|texts| (1..=MAX_TEXTS).contains(&texts.len()));
        texts.map(Some).ok_or_else(fault)
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(must_be(name, "true or false")),
        }
    }

    pub(super) fn filters(&mut self, name: &'static str) -> Result<Option<Value>, Problem> {
        match self.take(name) {
            Some(value) if !is_filters(&value) || value.to_string().contains("\\u0000") => {
                Err(must_be(name, "an object, or an array of objects"))
            }
            value => Ok(value),
        }
    }

    /// Refuses fields that nobody read.
    pub(super) fn end(self) -> Result<(), Problem> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(Problem::bad_request(format!(
                "unknown key {}; known are {}",
                shown(name),
                self.known.join(", ")
            ))),
        }
    }
}

fn must_be(name: &str, what: &str) -> Problem {
    Problem::bad_request(format!("{name} must be {what}"))
}
