//! Editing a payload, in the one pass that also strips its nulls: keys removed, hashed or shortened
//! at any depth, keys set at the root.

use std::cmp::Ordering;

use eventlog_common::{is_absolute_path, shorten_path};
use pgrx::PgSqlErrorCode;

use crate::error::Fault;
use crate::payload::hash_key::{HashKey, is_hash};
use crate::payload::scalar::scalar_text;
use crate::pg::jsonb::{self, Container, Table, Value, key_order};
use crate::pg::transaction::is_too_deep;

/// What happens to the value of a key, the weakest first: inside a key that is hashed, one that is
/// redacted goes all the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Rule {
    /// A path becomes `~/…` or its last component.
    Shorten,
    /// Each string, number and boolean becomes its keyed hash.
    Hash,
    /// The key goes.
    Redact,
}

/// What becomes of values that are to be hashed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Hashes {
    #[default]
    Make,
    /// What looks like a hash of ours is one: an event from the quarantine, where it was hashed
    /// already.
    Keep,
    /// `PLACEHOLDER` instead: for a dry run by somebody who could try out who a hash is.
    Hide,
}

/// As long as a hash, so that what would be stored has its size.
const PLACEHOLDER: &[u8; 64] = b"(its keyed hash, 64 digits, that the log's owner alone is shown)";

/// Rules for keys, in the order of an object's keys.
#[derive(Clone, Default, Debug)]
pub(crate) struct Rules {
    keys: Vec<(Box<[u8]>, Rule)>,
    /// Whether each string that is an absolute path is shortened, whatever its key.
    all_paths: bool,
}

impl Rules {
    /// Of two rules for a key the stronger one counts.
    pub(crate) fn new<'k>(rules: impl Iterator<Item = (&'k str, Rule)>) -> Self {
        let mut rules: Vec<(Box<[u8]>, Rule)> =
            rules.map(|(key, rule)| (key.as_bytes().into(), rule)).collect();
        rules.sort_by(|(a, first), (b, second)| key_order(a, b).then(second.cmp(first)));
        rules.dedup_by(|(a, _), (b, _)| a == b);
        Rules { keys: rules, all_paths: false }
    }

    pub(crate) fn with_all_paths(self, all_paths: bool) -> Self {
        Rules { all_paths, ..self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.all_paths
    }

    pub(crate) fn of(&self, key: &[u8]) -> Option<Rule> {
        let place = self.keys.binary_search_by(|(ours, _)| key_order(ours, key)).ok()?;
        Some(self.keys[place].1)
    }

    fn is_path(&self, text: &[u8]) -> bool {
        self.all_paths && is_absolute_path(&String::from_utf8_lossy(text))
    }

    /// The pairs of an object, each with its rule: both are sorted, so one walk finds all.
    fn apply<'a>(
        &self,
        object: Container<'a>,
    ) -> impl Iterator<Item = (&'a [u8], Value<'a>, Option<Rule>)> {
        let mut rules = self.keys.iter().peekable();
        object.pairs().map(move |(key, value)| {
            while rules.next_if(|(ours, _)| key_order(ours, key).is_lt()).is_some() {}
            let rule = rules.next_if(|(ours, _)| **ours == *key).map(|(_, rule)| *rule);
            (key, value, rule)
        })
    }

    /// As these, but what would be hashed is redacted: for want of a key.
    pub(crate) fn with_redacted_hashes(&self) -> Self {
        let stronger = |rule: Rule| if rule == Rule::Hash { Rule::Redact } else { rule };
        let keys = self.keys.iter().map(|(key, rule)| (key.clone(), stronger(*rule))).collect();
        Rules { keys, all_paths: self.all_paths }
    }

    /// Whether a key in here, at any depth, has a rule.
    fn touch(&self, container: Container<'_>) -> Result<bool, Fault> {
        if is_too_deep() {
            return Err(jsonb::TooDeep.into());
        }
        if !container.is_object() {
            for value in container.elements() {
                let is_touched = match value {
                    Value::Container(child) => self.touch(child)?,
                    Value::String(text) => self.is_path(text),
                    _ => false,
                };
                if is_touched {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        for (_, value, rule) in self.apply(container) {
            let is_touched = match value {
                _ if rule.is_some() => true,
                Value::Container(child) => self.touch(child)?,
                Value::String(text) => self.is_path(text),
                _ => false,
            };
            if is_touched {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A key of the root that the log sets, or removes where there is no value.
#[derive(Clone, Copy)]
pub(crate) struct Set<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<Value<'a>>,
}

/// What is done to a payload besides stripping its nulls.
#[derive(Clone, Copy)]
pub(crate) struct Edits<'a> {
    pub(crate) rules: &'a Rules,
    /// In the order of an object's keys.
    pub(crate) set: &'a [Set<'a>],
    pub(crate) hash_key: &'a HashKey,
    pub(crate) hashes: Hashes,
}

impl Edits<'_> {
    /// Whether they would change `root`, its nulls aside.
    pub(crate) fn touch(&self, root: Container<'_>) -> Result<bool, Fault> {
        if !self.set.is_empty() {
            return Ok(true);
        }
        if self.rules.is_empty() {
            return Ok(false);
        }
        self.rules.touch(root)
    }

    /// A copy of the object `root`, edited, in which no object has a null key; arrays keep theirs.
    pub(crate) fn write(&self, root: Container<'_>) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::with_capacity(root.bytes().len() + 64);
        self.object(&mut out, self.with_set(root), None)?;
        Ok(out)
    }

    /// As `write`, of any value, and without setting keys.
    pub(crate) fn write_any(&self, root: Container<'_>) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::with_capacity(root.bytes().len() + 64);
        self.container(&mut out, root, None)?;
        Ok(out)
    }

    /// The pairs of the root, the set ones among them.
    fn with_set<'p>(&'p self, root: Container<'p>) -> Vec<(&'p [u8], Value<'p>, Option<Rule>)> {
        let mut set = self.set.iter().peekable();
        let mut pairs = Vec::with_capacity(root.len() + self.set.len());
        let new = |set: &Set<'p>| Some((set.key, set.value?, self.rules.of(set.key)));
        for pair in self.rules.apply(root) {
            while let Some(before) = set.next_if(|set| key_order(set.key, pair.0).is_lt()) {
                pairs.extend(new(before));
            }
            match set.next_if(|set| key_order(set.key, pair.0) == Ordering::Equal) {
                Some(instead) => pairs.extend(new(instead)),
                None => pairs.push(pair),
            }
        }
        pairs.extend(set.filter_map(new));
        pairs
    }

    fn object(
        &self,
        out: &mut Vec<u8>,
        mut pairs: Vec<(&[u8], Value<'_>, Option<Rule>)>,
        inherited: Option<Rule>,
    ) -> Result<(), Fault> {
        for (_, _, rule) in &mut pairs {
            *rule = (*rule).max(inherited);
        }
        pairs.retain(|(_, value, rule)| {
            !matches!(value, Value::Null) && *rule != Some(Rule::Redact)
        });
        jsonb::pad(out);
        let mut table = Table::object(out, pairs.len());
        for (key, _, _) in &pairs {
            out.extend_from_slice(key);
            table.end_entry(out, jsonb::STRING);
        }
        for (_, value, rule) in &pairs {
            let kind = self.value(out, *value, *rule)?;
            table.end_entry(out, kind);
        }
        Ok(())
    }

    fn container(
        &self,
        out: &mut Vec<u8>,
        container: Container<'_>,
        rule: Option<Rule>,
    ) -> Result<(), Fault> {
        if is_too_deep() {
            return Err(jsonb::TooDeep.into());
        }
        if container.is_object() {
            return self.object(out, self.rules.apply(container).collect(), rule);
        }
        jsonb::pad(out);
        let mut table = Table::array(out, &container);
        for value in container.elements() {
            let kind = self.value(out, value, rule)?;
            table.end_entry(out, kind);
        }
        Ok(())
    }

    /// Appends a value; its kind.
    fn value(&self, out: &mut Vec<u8>, value: Value<'_>, rule: Option<Rule>) -> Result<u32, Fault> {
        let kind = match (value, rule) {
            (Value::Null, _) => jsonb::NULL,
            (Value::Container(child), _) => {
                self.container(out, child, rule)?;
                jsonb::CONTAINER
            }
            (Value::String(hash), Some(Rule::Hash))
                if self.hashes == Hashes::Keep && is_hash(hash) =>
            {
                out.extend_from_slice(hash);
                jsonb::STRING
            }
            (scalar, Some(Rule::Hash)) => {
                // Made in any case: the log may have no key.
                let hash = self.hash_key.hash(&scalar_text(scalar))?;
                let is_hidden = self.hashes == Hashes::Hide;
                out.extend_from_slice(if is_hidden { PLACEHOLDER } else { &hash });
                jsonb::STRING
            }
            (Value::String(bytes), rule)
                if rule == Some(Rule::Shorten) || rule.is_none() && self.rules.is_path(bytes) =>
            {
                let path = String::from_utf8_lossy(bytes);
                out.extend_from_slice(shorten_path(&path).as_bytes());
                jsonb::STRING
            }
            (Value::String(bytes), _) => {
                out.extend_from_slice(bytes);
                jsonb::STRING
            }
            (Value::Numeric(bytes), _) => {
                jsonb::pad(out);
                out.extend_from_slice(bytes);
                jsonb::NUMERIC
            }
            (Value::Bool(true), _) => jsonb::TRUE,
            (Value::Bool(false), _) => jsonb::FALSE,
        };
        // Hashes make short values longer: 10 million booleans would not fit an entry.
        if out.len() > jsonb::LENGTH as usize {
            return Err(Fault::new(
                PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!("payload with its hashes is larger than {} bytes", jsonb::LENGTH),
            ));
        }
        Ok(kind)
    }
}
