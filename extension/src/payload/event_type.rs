//! One row of `event_types`, in the form that a payload is checked against.

use std::cell::Cell;

use pgrx::PgSqlErrorCode;

use crate::error::{Fault, shown};
use crate::limits::SUBJECT_PARTS;
use crate::payload::edit::{KeyEdit, KeyEdits};
use crate::payload::enrichment::Enrichment;
use crate::payload::scalar::{Scalar, scalars};
use crate::payload::value_type::ValueType;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::jsonb::{Container, Value, key_order};
use crate::pg::record::record;
use crate::settings;

/// In `path_keys`: every string that is an absolute path.
const ALL_PATHS: &str = "*";

/// The key of a payload that holds what is kept of a client's context.
const CONTEXT_KEY: &str = "context";

/// The end of a name that stands for all names with the part before it.
const WILDCARD: &str = ".*";

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

/// The rules of one key.
#[derive(Debug, Default)]
pub(crate) struct KeyRule {
    pub(crate) name: Box<str>,
    pub(crate) required: bool,
    /// The values it may have; `None` if any will do.
    pub(crate) allowed: Option<Vec<Scalar>>,
    pub(crate) value_type: Option<ValueType>,
    pub(crate) is_actor: bool,
    /// Its place in the subject.
    pub(crate) subject_part: Option<usize>,
}

record! {
    /// One row of `event_types`. A new rule needs a column of the table, a field here, and its
    /// effect in [`EventType::new`].
    pub(crate) struct EventTypeRow<'a> {
        name: String,
        status: String,
        successor: Option<String>,
        required_keys: Vec<String>,
        optional_keys: Vec<String>,
        allow_other_keys: bool = true,
        allowed_values: Option<Jsonb<'a>>,
        max_bytes: i32 = 2048,
        actor_key: Option<String>,
        subject_keys: Vec<String>,
        occurred_at_key: Option<String>,
        default_values: Option<Jsonb<'a>>,
        default_when_key: Option<String>,
        sample_rate: f64 = 1.0,
        sample_key: Option<String>,
        redact_keys: Vec<String>,
        hash_keys: Vec<String>,
        hash_actor: bool,
        path_keys: Vec<String>,
        value_types: Option<Jsonb<'a>>,
        aliases: Vec<String>,
        context_keys: Vec<String>,
    }
}

/// An event type.
#[derive(Debug)]
pub(crate) struct EventType {
    pub(crate) name: Box<str>,
    pub(crate) status: Status,
    pub(crate) successor: Option<String>,
    /// Other names of its events.
    pub(crate) aliases: Vec<String>,
    /// In the order of an object's keys, so that one walk compares both.
    pub(crate) keys: Vec<KeyRule>,
    pub(crate) allow_other_keys: bool,
    pub(crate) max_bytes: usize,
    pub(crate) actor_key: Option<String>,
    pub(crate) subject_parts: usize,
    /// 1 if all events are kept.
    pub(crate) sample_rate: f64,
    pub(crate) sample_key: Option<String>,
    /// True if the log sets keys of the payload, or reads the client's clock from it.
    pub(crate) sets_keys: bool,
    pub(crate) occurred_at_key: Option<String>,
    /// A root container; empty if there are none.
    pub(crate) default_values: Box<[u8]>,
    /// A key that a payload must have to get the defaults.
    pub(crate) default_when_key: Option<String>,
    pub(crate) enrichments: Vec<Enrichment>,
    /// Which keys are removed, hashed and shortened, including `eventlog.redact_keys`.
    pub(crate) key_edits: KeyEdits,
    pub(crate) hash_actor: bool,
    /// True once this backend has warned that the name is deprecated, since it read the registry.
    pub(crate) has_warned: Cell<bool>,
}

impl EventType {
    /// `redacted` are the keys that are removed from every event.
    pub(crate) fn new(
        row: EventTypeRow<'_>,
        enrichments: Vec<Enrichment>,
        redacted: &[String],
    ) -> Self {
        let mut keys: Vec<KeyRule> = Vec::new();
        for name in &row.required_keys {
            key(&mut keys, name).required = true;
        }
        for name in row.optional_keys.iter().chain(&row.actor_key) {
            key(&mut keys, name).is_actor |= Some(name) == row.actor_key.as_ref();
        }
        // Keys that the log itself may leave in a payload need no declaration.
        let defaults =
            row.default_values.filter(|values| Container::root(values.bytes()).len() > 0);
        let targets = enrichments.iter().map(|enrichment| enrichment.target_key.to_string());
        for name in row.occurred_at_key.iter().cloned().chain(targets) {
            key(&mut keys, &name);
        }
        for (name, _) in defaults.iter().flat_map(|values| Container::root(values.bytes()).pairs())
        {
            key(&mut keys, &String::from_utf8_lossy(name));
        }
        if !row.context_keys.is_empty() {
            key(&mut keys, CONTEXT_KEY);
        }
        for (part, name) in row.subject_keys.iter().enumerate().take(SUBJECT_PARTS) {
            key(&mut keys, name).subject_part = Some(part);
        }
        if let Some(rules) = row.allowed_values {
            for (name, values) in Container::root(rules.bytes()).pairs() {
                key(&mut keys, &String::from_utf8_lossy(name)).allowed = Some(scalars(values));
            }
        }
        if let Some(types) = row.value_types {
            for (name, value) in Container::root(types.bytes()).pairs() {
                key(&mut keys, &String::from_utf8_lossy(name)).value_type =
                    ValueType::declared(value);
            }
        }
        keys.sort_by(|a, b| key_order(a.name.as_bytes(), b.name.as_bytes()));

        // An actor that is hashed must not stay readable in the payload that it was taken from.
        let hash_actor = row.hash_actor || settings::hash_actors();
        let hashed_actor = row.actor_key.iter().filter(|_| hash_actor);
        let with = |keys: &mut dyn Iterator<Item = &'_ String>, edit| -> Vec<(String, KeyEdit)> {
            keys.map(|key| (key.clone(), edit)).collect()
        };
        let key_edits: Vec<(String, KeyEdit)> = [
            with(&mut row.redact_keys.iter().chain(redacted), KeyEdit::Redact),
            with(&mut row.hash_keys.iter().chain(hashed_actor), KeyEdit::Hash),
            with(&mut row.path_keys.iter().filter(|key| *key != ALL_PATHS), KeyEdit::Shorten),
        ]
        .concat();
        EventType {
            name: row.name.into(),
            status: Status::parse(&row.status),
            successor: row.successor,
            aliases: row.aliases,
            keys,
            allow_other_keys: row.allow_other_keys,
            max_bytes: usize::try_from(row.max_bytes).unwrap_or(0),
            actor_key: row.actor_key,
            subject_parts: row.subject_keys.len().min(SUBJECT_PARTS),
            sample_rate: row.sample_rate,
            sample_key: row.sample_key,
            sets_keys: defaults.is_some()
                || row.occurred_at_key.is_some()
                || !enrichments.is_empty(),
            occurred_at_key: row.occurred_at_key,
            default_values: defaults.map_or_else(Box::default, |values| values.bytes().into()),
            default_when_key: row.default_when_key,
            enrichments,
            key_edits: KeyEdits::new(key_edits.iter().map(|(key, edit)| (&**key, *edit)))
                .with_all_paths(row.path_keys.iter().any(|key| key == ALL_PATHS)),
            hash_actor,
            has_warned: Cell::new(false),
        }
    }

    /// Returns true if it is a rule for all names with a prefix, and no name itself.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.name.ends_with(WILDCARD)
    }

    /// Returns the name under which an event is stored that was given this one: a name or an alias of
    /// this type, or a name that its wildcard covers.
    pub(crate) fn stored_name<'a>(&self, given: Text<'a>) -> Text<'a> {
        match *self.name == *given.as_str() || self.is_wildcard() {
            true => given,
            false => Text::copy_of(&self.name),
        }
    }

    /// Warns of a deprecated name, once until the registry is read again: not each event brings a
    /// message.
    pub(crate) fn warn_if_deprecated(&self) {
        if self.status != Status::Deprecated || self.has_warned.replace(true) {
            return;
        }
        let warning = Fault::new(
            PgSqlErrorCode::ERRCODE_WARNING_DEPRECATED_FEATURE,
            format!("event name {} is deprecated", shown(&self.name)),
        );
        match self.successor_hint() {
            Some(hint) => warning.hint(hint).warn(),
            None => warning.warn(),
        }
    }

    pub(crate) fn successor_hint(&self) -> Option<String> {
        let successor = self.successor.as_ref()?;
        Some(format!("its successor is {}", shown(successor)))
    }

    /// Returns the defaults of keys that a payload does not have.
    pub(crate) fn defaults(&self) -> impl Iterator<Item = (&[u8], Value<'_>)> {
        let values = Some(&self.default_values).filter(|values| !values.is_empty());
        values.into_iter().flat_map(|values| Container::root(values).pairs())
    }
}

fn key<'k>(keys: &'k mut Vec<KeyRule>, name: &str) -> &'k mut KeyRule {
    let at = keys.iter().position(|key| &*key.name == name).unwrap_or_else(|| {
        keys.push(KeyRule { name: name.into(), ..KeyRule::default() });
        keys.len() - 1
    });
    &mut keys[at]
}
