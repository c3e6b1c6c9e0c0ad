//! Checks a payload: strips nulls, edits keys, applies the rules, promotes actor and subject,
//! bounds the size. Returns what will be stored, or all faults at once.

use std::borrow::Cow;

use pgrx::PgSqlErrorCode;

use crate::error::{Fault, shown};
use crate::limits::{LABEL_BYTES, SUBJECT_PARTS};
use crate::payload::edit::{Edits, Hashes, SetKey};
use crate::payload::event_type::{EventType, KeyRule};
use crate::payload::hash_key::HashKey;
use crate::payload::scalar::equals;
use crate::payload::value_type::ValueType;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::jsonb::{Container, Value, key_order};
use crate::pg::numeric;
use crate::pg::transaction::is_too_deep;

/// What is stored of a payload, and what was taken from it.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    /// The payload itself, if nothing had to change.
    pub(crate) data: Jsonb<'a>,
    pub(crate) changed: bool,
    pub(crate) actor: Option<Text<'a>>,
    pub(crate) subject: Option<Text<'a>>,
}

/// What applies to one event besides the rules of its type.
#[derive(Clone, Copy, Default)]
pub(crate) struct CheckOptions<'a> {
    /// Keys that the log sets, in the order of an object's keys.
    pub(crate) set: &'a [SetKey<'a>],
    /// The limit of the tenant.
    pub(crate) max_bytes: Option<usize>,
    pub(crate) hashes: Hashes,
    /// True if the caller gave an actor, so that none is taken from the payload.
    pub(crate) has_actor: bool,
    /// The same for the subject.
    pub(crate) has_subject: bool,
}

/// Checks `data` against the rules of `event_type`.
pub(crate) fn check<'a>(
    hash_key: &HashKey,
    event_type: &EventType,
    data: Jsonb<'a>,
    options: CheckOptions<'_>,
) -> Result<Checked<'a>, Fault> {
    let given = Container::root(data.bytes());
    if !given.is_object() {
        return Err(Fault::argument(format!(
            "data of event {} must be a JSON object, found {}",
            shown(&event_type.name),
            given.kind()
        )));
    }
    let edits = Edits {
        key_edits: &event_type.key_edits,
        set: options.set,
        hash_key,
        hashes: options.hashes,
    };
    let edited =
        if edits.touch(given)? { Some(Jsonb::copy_of(&edits.write(given)?)) } else { None };
    let root = edited.map_or(given, |edited| Container::root(edited.bytes()));

    let mut faults = Vec::new();
    let mut changed = false;
    let mut actor = None;
    let mut subject = [None; SUBJECT_PARTS];
    let mut rules = event_type.keys.iter().peekable();
    for (key, value) in root.pairs() {
        if matches!(value, Value::Null) {
            changed = true;
            continue;
        }
        if let Value::Container(child) = value {
            changed = changed || child.has_null_keys(is_too_deep)?;
        }
        // Rules whose key sorts before this one have no value in the payload.
        while let Some(rule) = rules.next_if(|rule| key_order(rule.name.as_bytes(), key).is_lt()) {
            missing(rule, &mut faults);
        }
        match rules.next_if(|rule| rule.name.as_bytes() == key) {
            Some(rule) => {
                unfit(rule, value, &mut faults);
                if rule.is_actor && !options.has_actor {
                    actor = Some(value);
                }
                if let Some(part) = rule.subject_part.filter(|_| !options.has_subject) {
                    subject[part] = Some(value);
                }
            }
            None if event_type.allow_other_keys => {}
            None => {
                let key = String::from_utf8_lossy(key);
                faults.push(format!("key {} is not declared", shown(&key)));
            }
        }
    }
    for rule in rules {
        missing(rule, &mut faults);
    }

    let stored = match edited {
        Some(edited) => edited,
        None if changed => Jsonb::copy_of(&edits.write(root)?),
        None => data,
    };
    let most = options.max_bytes.map_or(event_type.max_bytes, |own| own.min(event_type.max_bytes));
    if !faults.is_empty() {
        if let Err(size) = bounded(event_type, &stored, most) {
            faults.push(size.message);
        }
        return Err(broken(event_type, faults));
    }
    bounded(event_type, &stored, most)?;
    let subject_parts = if options.has_subject { 0 } else { event_type.subject_parts };
    Ok(Checked {
        data: stored,
        changed: changed || edited.is_some_and(|edited| edited.bytes() != data.bytes()),
        actor: promoted("actor", &[actor])?,
        subject: promoted("subject", &subject[..subject_parts])?,
    })
}

fn missing(rule: &KeyRule, faults: &mut Vec<String>) {
    if rule.required {
        faults.push(format!("required key {} is missing", shown(&rule.name)));
    }
}

/// Adds a fault for a value of another type than declared, or else for one that is not allowed.
fn unfit(rule: &KeyRule, value: Value<'_>, faults: &mut Vec<String>) {
    if let (Some(declared), Some(found)) = (rule.value_type, ValueType::of(value))
        && declared != found
    {
        let (declared, found) = (declared.with_article(), found.with_article());
        faults.push(format!("key {} must be {declared}, found {found}", shown(&rule.name)));
    } else if let Some(allowed) = &rule.allowed
        && !allowed.iter().any(|one| equals(one, value))
    {
        faults.push(format!("key {} has a value that is not allowed", shown(&rule.name)));
    }
}

fn bounded(event_type: &EventType, stored: &Jsonb<'_>, most: usize) -> Result<(), Fault> {
    if stored.size() <= most {
        return Ok(());
    }
    let fault = Fault::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!(
            "payload of event {} is too large: {} bytes, limit {most}",
            shown(&event_type.name),
            stored.size(),
        ),
    );
    let wanted = stored.size().next_multiple_of(1024);
    Err(if most < event_type.max_bytes {
        fault.hint(format!(
            "the limit is the tenant's own: SELECT eventlog.set_tenant('<tenant>', max_bytes => {wanted});"
        ))
    } else {
        fault.hint(format!(
            "log less, or raise the limit: SELECT eventlog.define_event('{}', max_bytes => {wanted});",
            event_type.name,
        ))
    })
}

fn broken(event_type: &EventType, faults: Vec<String>) -> Fault {
    const SHOWN: usize = 20;
    let all = faults.len();
    let rules = if all == 1 { "rule" } else { "rules" };
    let mut detail = faults[..all.min(SHOWN)].join("; ");
    if all > SHOWN {
        detail.push_str(&format!("; and {} more", all - SHOWN));
    }
    Fault::new(
        PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
        format!("payload of event {} breaks {all} {rules}", shown(&event_type.name)),
    )
    .detail(detail)
    .hint(format!(
        "the rules: SELECT * FROM eventlog.event_types WHERE name = '{}';",
        event_type.name
    ))
}

/// Joins the scalars as text with `/`; returns nothing unless all are there and none is empty.
fn promoted<'a>(what: &str, parts: &[Option<Value<'_>>]) -> Result<Option<Text<'a>>, Fault> {
    let mut text: Cow<'_, str> = Cow::Borrowed("");
    for (place, part) in parts.iter().enumerate() {
        let part = match part {
            Some(Value::String(bytes)) => String::from_utf8_lossy(bytes),
            Some(Value::Numeric(bytes)) => numeric::to_text(bytes).into(),
            Some(Value::Bool(value)) => value.to_string().into(),
            Some(Value::Null | Value::Container(_)) | None => return Ok(None),
        };
        if part.is_empty() {
            return Ok(None);
        }
        if place == 0 {
            text = part;
        } else {
            text.to_mut().push('/');
            text.to_mut().push_str(&part);
        }
    }
    if parts.is_empty() {
        return Ok(None);
    }
    label_fits(what, &text)?;
    Ok(Some(Text::copy_of(&text)))
}

/// Refuses an actor or subject that is too long: 22023.
pub(crate) fn label_fits(what: &str, text: &str) -> Result<(), Fault> {
    if text.len() <= LABEL_BYTES {
        return Ok(());
    }
    Err(Fault::argument(format!("{what} is too long: {} bytes, limit {LABEL_BYTES}", text.len())))
}
