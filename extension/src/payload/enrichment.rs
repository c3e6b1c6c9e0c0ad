//! Lookups that complete an event as it is stored: `skillId` gets its `skillName`.
//!
//! They run with the caller's own rights, under prepared plans. A lookup that fails never stops the
//! event: it is stored without the key.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::CString;

use pgrx::pg_sys;

use crate::payload::scalar::scalar_text;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::identity::current_role;
use crate::pg::jsonb::{Container, Value};
use crate::pg::record::record;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session};
use crate::pg::subtransaction::{self, BoundedWaits, fault_of_any};

record! {
    /// One row of `enrichments`, with quoted columns.
    pub(crate) struct EnrichmentRow<'a> {
        name: String,
        target_key: String,
        source_key: String,
        lookup: String,
        match_column: String,
        match_type: String,
        value_column: String,
    }
}

/// A lookup of an event type.
#[derive(Debug)]
pub(crate) struct Enrichment {
    pub(crate) target_key: Box<str>,
    pub(crate) source_key: Box<str>,
    /// The statement of the lookup.
    sql: CString,
}

thread_local! {
    /// The plans by their text. They outlive the registry, which is read again after each change;
    /// there are as many as lookups were defined while this backend has lived.
    static PLANS: RefCell<HashMap<CString, &'static Prepared>> = RefCell::new(HashMap::new());
}

/// A lookup that was asked: by whom, with which statement, and for what.
type Question = (pg_sys::Oid, CString, String);

/// Most answers that one batch keeps; more are looked up again.
const MOST_KEPT: usize = 10_000;

thread_local! {
    /// The answers of the batch that is running, if one is: its events name the same few rows again
    /// and again, and a lookup costs as much as the rest of an event.
    static ANSWERS: RefCell<Option<HashMap<Question, Option<Vec<u8>>>>> = const { RefCell::new(None) };
    /// The lookups of that batch that ran into a lock.
    static LOCKED: RefCell<HashSet<CString>> = RefCell::default();
}

/// How long a lookup waits for a lock, in milliseconds.
const LONGEST_WAIT_MS: i32 = 100;

/// Keeps answers until it is dropped, also on an error.
pub(crate) struct LookupCache(());

impl LookupCache {
    pub(crate) fn keep() -> Self {
        ANSWERS.set(Some(HashMap::new()));
        LookupCache(())
    }
}

impl Drop for LookupCache {
    fn drop(&mut self) {
        ANSWERS.set(None);
        LOCKED.take();
    }
}

impl Enrichment {
    /// `lookup` and the columns are quoted as SQL wants them.
    pub(crate) fn new(row: EnrichmentRow<'_>) -> Option<Self> {
        let EnrichmentRow { lookup, match_column, match_type, value_column, .. } = row;
        let sql = format!(
            "SELECT pg_catalog.to_jsonb(t.{value_column}) FROM {lookup} AS t \
              WHERE t.{match_column} OPERATOR(pg_catalog.=) CAST($1 AS {match_type}) LIMIT 1"
        );
        Some(Enrichment {
            target_key: row.target_key.into(),
            source_key: row.source_key.into(),
            sql: CString::new(sql).ok()?,
        })
    }

    /// Looks `source` up. Returns a jsonb scalar or container of its own, without its length
    /// header; nothing if there is no such row, the value is larger than an event may be, or the
    /// lookup failed.
    pub(crate) fn look_up(&self, source: Value<'_>, most_bytes: usize) -> Option<Vec<u8>> {
        if matches!(source, Value::Null | Value::Container(_)) {
            return None;
        }
        let value = scalar_text(source);
        let is_batch = ANSWERS.with_borrow(Option::is_some);
        if !is_batch {
            return self.ask(&value, most_bytes);
        }
        let question = (current_role(), self.sql.clone(), value.into_owned());
        let known = ANSWERS.with_borrow(|answers| answers.as_ref()?.get(&question).cloned());
        known.unwrap_or_else(|| {
            let answer = self.ask(&question.2, most_bytes);
            ANSWERS.with_borrow_mut(|answers| {
                if let Some(answers) = answers.as_mut().filter(|kept| kept.len() < MOST_KEPT) {
                    answers.insert(question, answer.clone());
                }
            });
            answer
        })
    }

    /// Runs the lookup. Every error counts as "not found", except those that end the statement (a
    /// cancel, a timeout, a shutdown) or doom the transaction.
    fn ask(&self, value: &str, most_bytes: usize) -> Option<Vec<u8>> {
        let value = Text::copy_of(value);
        if LOCKED.with_borrow(|locked| locked.contains(&self.sql)) {
            return None;
        }
        let answer = subtransaction::run(|| {
            let session = Session::begin();
            let _bounded = BoundedWaits::within(LONGEST_WAIT_MS);
            let plan = self.plan();
            plan.execute(&session, Mode::ReadLatest, Params::new([Some(value.datum())]));
            let rows = Rows::last(&session);
            let found = (rows.len() == 1).then(|| rows.get::<Jsonb<'_>>(0, 1)).flatten();
            let found = found.filter(|found| found.size() <= most_bytes);
            found.map(|found| found.bytes().to_vec()).ok_or(())
        });
        let error = match answer {
            Ok(answer) => return answer.ok(),
            Err(error) => error,
        };
        let state = fault_of_any(&error).map(|fault| fault.sqlstate());
        match state.as_deref() {
            // Wait once in a batch, not for each of its events.
            Some("55P03") if ANSWERS.with_borrow(Option::is_some) => {
                LOCKED.with_borrow_mut(|locked| locked.insert(self.sql.clone()));
            }
            Some("40P01" | "53400") => {}
            Some(state) if !matches!(&state[..2], "40" | "53" | "57") => {}
            _ => error.rethrow(),
        }
        None
    }

    /// Returns true if a payload that did not come through `log_event` has a key that the log looks
    /// up.
    pub(crate) fn is_forged(&self, data: Jsonb<'_>) -> bool {
        let root = Container::root(data.bytes());
        [&self.source_key, &self.target_key].iter().all(|key| root.get(key.as_bytes()).is_some())
    }

    fn plan(&self) -> &'static Prepared {
        PLANS.with_borrow_mut(|plans| match plans.get(&self.sql) {
            Some(plan) => *plan,
            None => {
                let sql: &'static CString = Box::leak(Box::new(self.sql.clone()));
                let plan: &'static Prepared =
                    Box::leak(Box::new(Prepared::new(sql.as_c_str(), &[pg_sys::TEXTOID])));
                plans.insert(self.sql.clone(), plan);
                plan
            }
        })
    }
}

/// Returns the value in the form that `look_up` gives.
pub(crate) fn value_of(found: &[u8]) -> Option<Value<'_>> {
    let root = Container::root(found);
    match root.kind() {
        "an object" | "an array" => Some(Value::Container(root)),
        "null" => None,
        _ => root.elements().next(),
    }
}
