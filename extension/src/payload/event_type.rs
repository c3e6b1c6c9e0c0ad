//! One row of `event_types`, in the form in which a payload is checked against it.

use std::cell::Cell;

use pgrx::PgSqlErrorCode;

use crate::error::{Fault, shown};
use crate::payload::edit::{Rule, Rules};
use crate::payload::enrichment::Enrichment;
use crate::payload::scalar::{Scalar, scalars};
use crate::pg::datum::Jsonb;
use crate::pg::jsonb::{Container, Value, key_order};
use crate::settings;

/// In `path_keys`: every string that is an absolute path.
const ALL_PATHS: &str = "*";

/// Most keys that a subject is joined from (a CHECK of `event_types` says the same).
pub(crate) const MOST_SUBJECT_PARTS: usize = 8;

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

/// One row of `event_types` with its lookups, as it was read.
#[derive(Default)]
pub(crate) struct Definition<'a> {
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) successor: Option<String>,
    pub(crate) required_keys: Vec<String>,
    pub(crate) optional_keys: Vec<String>,
    pub(crate) allow_other_keys: bool,
    pub(crate) allowed_values: Option<Jsonb<'a>>,
    pub(crate) max_bytes: i32,
    pub(crate) actor_key: Option<String>,
    pub(crate) subject_keys: Vec<String>,
    pub(crate) occurred_at_key: Option<String>,
    pub(crate) default_values: Option<Jsonb<'a>>,
    pub(crate) default_when_key: Option<String>,
    pub(crate) sample_rate: f64,
    pub(crate) sample_key: Option<String>,
    pub(crate) redact_keys: Vec<String>,
    pub(crate) hash_keys: Vec<String>,
    pub(crate) hash_actor: bool,
    pub(crate) path_keys: Vec<String>,
    pub(crate) enrichments: Vec<Enrichment>,
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
    pub(crate) actor_key: Option<String>,
    pub(crate) subject_parts: usize,
    /// 1 where all are kept.
    pub(crate) sample_rate: f64,
    pub(crate) sample_key: Option<String>,
    /// Whether the log sets keys of the payload, or reads the client's clock from it.
    pub(crate) sets_keys: bool,
    pub(crate) occurred_at_key: Option<String>,
    /// A root container; empty where there are none.
    pub(crate) default_values: Box<[u8]>,
    /// Key that a payload must have to get them.
    pub(crate) default_when_key: Option<String>,
    pub(crate) enrichments: Vec<Enrichment>,
    /// What is removed, hashed and shortened, `eventlog.redact_keys` among it.
    pub(crate) rules: Rules,
    pub(crate) hash_actor: bool,
    /// Whether this backend has warned already that the name is deprecated.
    pub(crate) has_warned: Cell<bool>,
}

impl EventType {
    /// `redacted` are the keys that are removed from every event.
    pub(crate) fn new(row: Definition<'_>, redacted: &[String]) -> Self {
        let mut keys: Vec<Key> = Vec::new();
        for name in &row.required_keys {
            key(&mut keys, name).required = true;
        }
        for name in row.optional_keys.iter().chain(&row.actor_key) {
            key(&mut keys, name).is_actor |= Some(name) == row.actor_key.as_ref();
        }
        // What the log itself may leave in a payload needs no declaration.
        let defaults =
            row.default_values.filter(|values| Container::root(values.bytes()).len() > 0);
        let targets = row.enrichments.iter().map(|enrichment| enrichment.target_key.to_string());
        for name in row.occurred_at_key.iter().cloned().chain(targets) {
            key(&mut keys, &name);
        }
        for (name, _) in defaults.iter().flat_map(|values| Container::root(values.bytes()).pairs())
        {
            key(&mut keys, &String::from_utf8_lossy(name));
        }
        for (part, name) in row.subject_keys.iter().enumerate().take(MOST_SUBJECT_PARTS) {
            key(&mut keys, name).subject_part = Some(part);
        }
        if let Some(rules) = row.allowed_values {
            for (name, values) in Container::root(rules.bytes()).pairs() {
                key(&mut keys, &String::from_utf8_lossy(name)).allowed = Some(scalars(values));
            }
        }
        keys.sort_by(|a, b| key_order(a.name.as_bytes(), b.name.as_bytes()));

        // An actor that is hashed would be readable in the payload that it was taken from.
        let hash_actor = row.hash_actor || settings::hash_actors();
        let hashed_actor = row.actor_key.iter().filter(|_| hash_actor);
        let with = |keys: &mut dyn Iterator<Item = &'_ String>, rule| -> Vec<(String, Rule)> {
            keys.map(|key| (key.clone(), rule)).collect()
        };
        let rules: Vec<(String, Rule)> = [
            with(&mut row.redact_keys.iter().chain(redacted), Rule::Redact),
            with(&mut row.hash_keys.iter().chain(hashed_actor), Rule::Hash),
            with(&mut row.path_keys.iter().filter(|key| *key != ALL_PATHS), Rule::Shorten),
        ]
        .concat();
        EventType {
            name: row.name.into(),
            status: Status::parse(&row.status),
            successor: row.successor,
            keys,
            allow_other_keys: row.allow_other_keys,
            max_bytes: usize::try_from(row.max_bytes).unwrap_or(0),
            actor_key: row.actor_key,
            subject_parts: row.subject_keys.len().min(MOST_SUBJECT_PARTS),
            sample_rate: row.sample_rate,
            sample_key: row.sample_key,
            sets_keys: defaults.is_some()
                || row.occurred_at_key.is_some()
                || !row.enrichments.is_empty(),
            occurred_at_key: row.occurred_at_key,
            default_values: defaults.map_or_else(Box::default, |values| values.bytes().into()),
            default_when_key: row.default_when_key,
            enrichments: row.enrichments,
            rules: Rules::new(rules.iter().map(|(key, rule)| (&**key, *rule)))
                .with_all_paths(row.path_keys.iter().any(|key| key == ALL_PATHS)),
            hash_actor,
            has_warned: Cell::new(false),
        }
    }

    /// Warns of a deprecated name: once in a connection, or each event would bring a message.
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

    /// What a key gets where the payload has none.
    pub(crate) fn defaults(&self) -> impl Iterator<Item = (&[u8], Value<'_>)> {
        let values = Some(&self.default_values).filter(|values| !values.is_empty());
        values.into_iter().flat_map(|values| Container::root(values).pairs())
    }
}

fn key<'k>(keys: &'k mut Vec<Key>, name: &str) -> &'k mut Key {
    let at = keys.iter().position(|key| &*key.name == name).unwrap_or_else(|| {
        keys.push(Key { name: name.into(), ..Key::default() });
        keys.len() - 1
    });
    &mut keys[at]
}
