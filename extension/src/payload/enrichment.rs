//! Lookups that explain an event as it is stored: `skillId` gets its `skillName`.
//!
//! They run with the caller's own rights, under plans that are kept. A lookup that fails for
//! whatever reason of its own never stops the event: it goes in without the key.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::CString;

use pgrx::pg_sys;

use crate::payload::scalar::scalar_text;
use crate::pg::attempt::{BoundedWaits, attempt, fault_of_any};
use crate::pg::datum::{Jsonb, Text};
use crate::pg::identity::current_role;
use crate::pg::jsonb::{Container, Value};
use crate::pg::spi::{Kept, Mode, Params, Rows, Session};

/// One row of `enrichments`.
#[derive(Debug)]
pub(crate) struct Enrichment {
    pub(crate) target_key: Box<str>,
    pub(crate) source_key: Box<str>,
    /// The statement that looks a value up.
    sql: CString,
}

thread_local! {
    /// The plans, by their text: they outlive the registry, which is read anew with each change,
    /// and there are no more of them than lookups were ever defined while the backend lived.
    static PLANS: RefCell<HashMap<CString, &'static Kept>> = RefCell::new(HashMap::new());
}

/// What was looked up: by whom, with which statement, and for what.
type Question = (pg_sys::Oid, CString, String);

/// Answers that one batch keeps; past that it looks up again.
const MOST_KEPT: usize = 10_000;

thread_local! {
    /// The answers of the batch that is under way, if one is: its events name the same few rows
    /// again and again, and a lookup costs as much as the rest of an event.
    static ANSWERS: RefCell<Option<HashMap<Question, Option<Vec<u8>>>>> = const { RefCell::new(None) };
    /// The lookups of that batch that somebody holds a lock against.
    static LOCKED: RefCell<HashSet<CString>> = RefCell::default();
}

/// How long a lookup waits for a lock, in milliseconds.
const LONGEST_WAIT_MS: i32 = 100;

/// Keeps answers until it is dropped, an error on the way included.
pub(crate) struct Answers(());

impl Answers {
    pub(crate) fn keep() -> Self {
        ANSWERS.set(Some(HashMap::new()));
        Answers(())
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        ANSWERS.set(None);
        LOCKED.take();
    }
}

impl Enrichment {
    /// `lookup` and the columns are quoted as SQL wants them.
    pub(crate) fn new(
        target_key: String,
        source_key: String,
        lookup: &str,
        match_column: &str,
        match_type: &str,
        value_column: &str,
    ) -> Option<Self> {
        let sql = format!(
            "SELECT pg_catalog.to_jsonb(t.{value_column}) FROM {lookup} AS t \
              WHERE t.{match_column} OPERATOR(pg_catalog.=) CAST($1 AS {match_type}) LIMIT 1"
        );
        Some(Enrichment {
            target_key: target_key.into(),
            source_key: source_key.into(),
            sql: CString::new(sql).ok()?,
        })
    }

    /// What `source` is looked up as: a jsonb scalar or container of its own, without its length
    /// header; nothing where there is none, or it is larger than an event may be, or the lookup failed.
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

    /// Whatever fails in the lookup is the lookup's, but for what ends the statement (a cancel, a
    /// timeout, a shutdown) or dooms the transaction.
    fn ask(&self, value: &str, most_bytes: usize) -> Option<Vec<u8>> {
        let value = Text::copy_of(value);
        if LOCKED.with_borrow(|locked| locked.contains(&self.sql)) {
            return None;
        }
        let answer = attempt(|| {
            let session = Session::begin();
            let _bounded = BoundedWaits::within(LONGEST_WAIT_MS);
            let plan = self.plan();
            plan.execute(&session, Mode::ReadLatest, Params::new([Some(value.datum())]));
            let rows = Rows::last(&session);
            let found = (rows.len() == 1).then(|| rows.get::<Jsonb<'_>>(0, 1)).flatten();
            let found = found.filter(|found| found.size() <= most_bytes);
            found.map(|found| found.bytes().to_vec())
        });
        let error = match answer {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        let state = fault_of_any(&error).map(|fault| fault.sqlstate());
        match state.as_deref() {
            // Once in a batch, or each of its events would wait.
            Some("55P03") if ANSWERS.with_borrow(Option::is_some) => {
                LOCKED.with_borrow_mut(|locked| locked.insert(self.sql.clone()));
            }
            Some("40P01" | "53400") => {}
            Some(state) if !matches!(&state[..2], "40" | "53" | "57") => {}
            _ => error.rethrow(),
        }
        None
    }

    /// Whether a payload that did not come through `log_event` claims what the log looks up.
    pub(crate) fn is_forged(&self, data: Jsonb<'_>) -> bool {
        let root = Container::root(data.bytes());
        [&self.source_key, &self.target_key].iter().all(|key| root.get(key.as_bytes()).is_some())
    }

    fn plan(&self) -> &'static Kept {
        PLANS.with_borrow_mut(|plans| match plans.get(&self.sql) {
            Some(plan) => *plan,
            None => {
                let sql: &'static CString = Box::leak(Box::new(self.sql.clone()));
                let plan: &'static Kept =
                    Box::leak(Box::new(Kept::new(sql.as_c_str(), &[pg_sys::TEXTOID])));
                plans.insert(self.sql.clone(), plan);
                plan
            }
        })
    }
}

/// The value that a lookup gave, from the form in which `look_up` gives it.
pub(crate) fn value_of(found: &[u8]) -> Option<Value<'_>> {
    let root = Container::root(found);
    match root.kind() {
        "an object" | "an array" => Some(Value::Container(root)),
        "null" => None,
        _ => root.elements().next(),
    }
}
