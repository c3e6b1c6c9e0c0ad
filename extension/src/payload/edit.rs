//! Edits a payload while stripping its nulls: removes, hashes or shortens keys at any depth, and
//! sets keys at the root.

use std::cmp::Ordering;

use eventlog_common::{is_absolute_path, shorten_path};
use pgrx::PgSqlErrorCode;

use crate::error::Fault;
use crate::payload::hash_key::{HashKey, is_hash};
use crate::payload::scalar::scalar_text;
use crate::pg::jsonb::{self, Container, Table, Value, key_order};
use crate::pg::transaction::is_too_deep;

/// What is done to the value of a key, the weakest first: inside a key that is hashed, one that is
/// redacted is removed all the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum KeyEdit {
    /// A path becomes `~/…` or its last component.
    Shorten,
    /// Each string, number and boolean becomes its keyed hash.
    Hash,
    /// The key is removed.
    Redact,
}

/// What is done to values that are to be hashed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Hashes {
    #[default]
    Make,
    /// Keeps a value that looks like our hash: events from the quarantine were hashed on the way
    /// in.
    Keep,
    /// Writes `PLACEHOLDER` instead: in a dry run the caller could test whose hash a value is.
    Hide,
}

/// As long as a hash, so that the size is that of what would be stored.
const PLACEHOLDER: &[u8; 64] = b"(its keyed hash, 64 digits, that the log's owner alone is shown)";

/// The edits of keys, in the order of an object's keys.
#[derive(Clone, Default, Debug)]
pub(crate) struct KeyEdits {
    keys: Vec<(Box<[u8]>, KeyEdit)>,
    /// True if each string that is an absolute path is shortened, whatever its key.
    all_paths: bool,
}

impl KeyEdits {
    /// Of two edits for a key the stronger one counts.
    pub(crate) fn new<'k>(key_edits: impl Iterator<Item = (&'k str, KeyEdit)>) -> Self {
        let mut key_edits: Vec<(Box<[u8]>, KeyEdit)> =
            key_edits.map(|(key, edit)| (key.as_bytes().into(), edit)).collect();
        key_edits.sort_by(|(a, first), (b, second)| key_order(a, b).then(second.cmp(first)));
        key_edits.dedup_by(|(a, _), (b, _)| a == b);
        KeyEdits { keys: key_edits, all_paths: false }
    }

    pub(crate) fn with_all_paths(self, all_paths: bool) -> Self {
        KeyEdits { all_paths, ..self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.all_paths
    }

    pub(crate) fn of(&self, key: &[u8]) -> Option<KeyEdit> {
        let place = self.keys.binary_search_by(|(ours, _)| key_order(ours, key)).ok()?;
        Some(self.keys[place].1)
    }

    fn is_path(&self, text: &[u8]) -> bool {
        self.all_paths && is_absolute_path(&String::from_utf8_lossy(text))
    }

    /// Returns the pairs of an object, each with its edit. Both are sorted, so one walk finds all.
    fn apply<'a>(
        &self,
        object: Container<'a>,
    ) -> impl Iterator<Item = (&'a [u8], Value<'a>, Option<KeyEdit>)> {
        let mut key_edits = self.keys.iter().peekable();
        object.pairs().map(move |(key, value)| {
            while key_edits.next_if(|(ours, _)| key_order(ours, key).is_lt()).is_some() {}
            let edit = key_edits.next_if(|(ours, _)| **ours == *key).map(|(_, edit)| *edit);
            (key, value, edit)
        })
    }

    /// Returns a copy that redacts what would be hashed, for want of a hash key.
    pub(crate) fn with_redacted_hashes(&self) -> Self {
        let stronger = |edit: KeyEdit| if edit == KeyEdit::Hash { KeyEdit::Redact } else { edit };
        let keys = self.keys.iter().map(|(key, edit)| (key.clone(), stronger(*edit))).collect();
        KeyEdits { keys, all_paths: self.all_paths }
    }

    /// Returns true if a key in here, at any depth, has an edit.
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
        for (_, value, edit) in self.apply(container) {
            let is_touched = match value {
                _ if edit.is_some() => true,
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

/// A key of the root that the log sets, or removes if there is no value.
#[derive(Clone, Copy)]
pub(crate) struct SetKey<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<Value<'a>>,
}

/// What is done to a payload besides stripping its nulls.
#[derive(Clone, Copy)]
pub(crate) struct Edits<'a> {
    pub(crate) key_edits: &'a KeyEdits,
    /// In the order of an object's keys.
    pub(crate) set: &'a [SetKey<'a>],
    pub(crate) hash_key: &'a HashKey,
    pub(crate) hashes: Hashes,
}

impl Edits<'_> {
    /// Returns true if they would change `root`, apart from its nulls.
    pub(crate) fn touch(&self, root: Container<'_>) -> Result<bool, Fault> {
        if !self.set.is_empty() {
            return Ok(true);
        }
        if self.key_edits.is_empty() {
            return Ok(false);
        }
        self.key_edits.touch(root)
    }

    /// Writes an edited copy of the object `root`, in which no object has a null key; arrays keep
    /// theirs.
    pub(crate) fn write(&self, root: Container<'_>) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::with_capacity(root.bytes().len() + 64);
        self.object(&mut out, self.with_set(root), None)?;
        Ok(out)
    }

    /// Writes an edited copy of any value, without setting keys.
    pub(crate) fn write_any(&self, root: Container<'_>) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::with_capacity(root.bytes().len() + 64);
        self.container(&mut out, root, None)?;
        Ok(out)
    }

    /// Returns the pairs of the root, including those that are set.
    fn with_set<'p>(&'p self, root: Container<'p>) -> Vec<(&'p [u8], Value<'p>, Option<KeyEdit>)> {
        let mut set = self.set.iter().peekable();
        let mut pairs = Vec::with_capacity(root.len() + self.set.len());
        let new = |set: &SetKey<'p>| Some((set.key, set.value?, self.key_edits.of(set.key)));
        for pair in self.key_edits.apply(root) {
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
        mut pairs: Vec<(&[u8], Value<'_>, Option<KeyEdit>)>,
        inherited: Option<KeyEdit>,
    ) -> Result<(), Fault> {
        for (_, _, edit) in &mut pairs {
            *edit = (*edit).max(inherited);
        }
        pairs.retain(|(_, value, edit)| {
            !matches!(value, Value::Null) && *edit != Some(KeyEdit::Redact)
        });
        jsonb::pad(out);
        let mut table = Table::object(out, pairs.len());
        for (key, _, _) in &pairs {
            out.extend_from_slice(key);
            table.end_entry(out, jsonb::STRING);
        }
        for (_, value, edit) in &pairs {
            let kind = self.value(out, *value, *edit)?;
            table.end_entry(out, kind);
        }
        Ok(())
    }

    fn container(
        &self,
        out: &mut Vec<u8>,
        container: Container<'_>,
        edit: Option<KeyEdit>,
    ) -> Result<(), Fault> {
        if is_too_deep() {
            return Err(jsonb::TooDeep.into());
        }
        if container.is_object() {
            return self.object(out, self.key_edits.apply(container).collect(), edit);
        }
        jsonb::pad(out);
        let mut table = Table::array(out, &container);
        for value in container.elements() {
            let kind = self.value(out, value, edit)?;
            table.end_entry(out, kind);
        }
        Ok(())
    }

    /// Appends a value and returns its kind.
    fn value(
        &self,
        out: &mut Vec<u8>,
        value: Value<'_>,
        edit: Option<KeyEdit>,
    ) -> Result<u32, Fault> {
        let kind = match (value, edit) {
            (Value::Null, _) => jsonb::NULL,
            (Value::Container(child), _) => {
                self.container(out, child, edit)?;
                jsonb::CONTAINER
            }
            (Value::String(hash), Some(KeyEdit::Hash))
                if self.hashes == Hashes::Keep && is_hash(hash) =>
            {
                out.extend_from_slice(hash);
                jsonb::STRING
            }
            (scalar, Some(KeyEdit::Hash)) => {
                // Hashed even if it is hidden, because the log may have no key.
                let hash = self.hash_key.hash(&scalar_text(scalar))?;
                let is_hidden = self.hashes == Hashes::Hide;
                out.extend_from_slice(if is_hidden { PLACEHOLDER } else { &hash });
                jsonb::STRING
            }
            (Value::String(bytes), edit)
                if edit == Some(KeyEdit::Shorten)
                    || edit.is_none() && self.key_edits.is_path(bytes) =>
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
