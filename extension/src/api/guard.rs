//! The guard: a restrictive policy that applies the log's rules to every INSERT of a role that
//! policies bind, however it was written.
//!
//! `log_event` has checked its row already and leaves it on a list; the guard passes a row that is
//! equal, byte for byte, to the next one on that list, and checks every other row in full. (A flag
//! "checked" would be a way around: after an error it stays set, and a trigger of the user may
//! insert while it is up.) The guard also tells `log_event` the row's id, so that a role that may
//! only write needs no RETURNING.

use std::cell::RefCell;

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event;
use crate::event::quota::{self, Admission};
use crate::payload;
use crate::payload::Terms;
use crate::payload::clock;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::spi::now;
use crate::registry::{self, Log};
use crate::tenant;
use crate::write::late;

/// What the guard compares of a row. The tenant is the tenant policy's; each column more costs a
/// writer 1 % of its INSERT, since PostgreSQL prepares the expression anew for each statement.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) actor: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    /// The bits of the weight.
    pub(crate) weight: Option<u32>,
}

/// The rows of one statement of ours that is being executed.
struct Frame {
    rows: &'static [Row<'static>],
    next: usize,
    passed: Passed,
}

/// What the guard saw of the rows of a statement.
#[derive(Default, Debug)]
pub(crate) struct Passed {
    /// The lowest id of all. That is the first row's: an id is drawn before any trigger of the row
    /// can insert another one.
    pub(crate) lowest: Option<i64>,
    /// The ids of the rows on the list, by their place in it, so far as they came.
    pub(crate) ids: Vec<Option<i64>>,
}

thread_local! {
    /// Innermost last: a trigger on `events` may log events of its own.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// Runs `insert`, a statement that inserts `rows` in this order, with the rows on the list.
pub(crate) fn with_checked<T>(rows: &[Row<'_>], insert: impl FnOnce() -> T) -> (T, Passed) {
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            FRAMES.with_borrow_mut(|frames| frames.pop());
        }
    }

    // SAFETY: the frame goes before this function returns, also on an error (a panic to Rust), so
    // the borrow it holds ends before `rows` does.
    let rows = unsafe { std::mem::transmute::<&[Row<'_>], &'static [Row<'static>]>(rows) };
    let frame = Frame { rows, next: 0, passed: Passed::default() };
    FRAMES.with_borrow_mut(|frames| frames.push(frame));
    let _pop = Pop;
    let result = insert();
    let passed = FRAMES.with_borrow_mut(|frames| {
        frames.last_mut().map(|frame| std::mem::take(&mut frame.passed)).unwrap_or_default()
    });
    (result, passed)
}

fn was_checked(id: Option<i64>, row: &Row<'_>) -> bool {
    FRAMES.with_borrow_mut(|frames| {
        let Some(frame) = frames.last_mut() else { return false };
        if let Some(id) = id {
            frame.passed.lowest = Some(frame.passed.lowest.map_or(id, |lowest| lowest.min(id)));
        }
        // The next one, unless a trigger of the user skipped or changed rows before this one.
        let Some(ahead) = frame.rows[frame.next..].iter().position(|checked| checked == row) else {
            return false;
        };
        frame.passed.ids.resize(frame.next + ahead, None);
        frame.passed.ids.push(id);
        frame.next += ahead + 1;
        true
    })
}

/// The check of the policy `events_guard` of a log of 0.1.0, which shows neither clock nor tenant.
#[pg_extern(sql = false)]
fn guard(
    id: Option<i64>,
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
    weight: Option<f32>,
) -> bool {
    guard_of_tenant(id, name, data, actor, subject, weight, None, None)
}

/// The check of the policy `events_guard`: true, or an error that says what is wrong.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the columns of events")]
fn guard_of_tenant(
    id: Option<i64>,
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
    weight: Option<f32>,
    occurred_at: Option<TimestampWithTimeZone>,
    tenant_id: Option<Uuid>,
) -> bool {
    let (Some(name), Some(data)) = (name, data) else {
        // The NOT NULL of the column says which.
        return true;
    };
    let row = Row {
        name: name.as_str(),
        data: data.bytes(),
        actor: actor.map(|actor| actor.as_str()),
        subject: subject.map(|subject| subject.as_str()),
        weight: weight.map(f32::to_bits),
    };
    if was_checked(id, &row) {
        return true;
    }
    let tenant_id = tenant_id.map(|tenant_id| *tenant_id.as_bytes());
    match check(id, &row, data, occurred_at.map(|at| at.into_inner()), tenant_id) {
        Ok(()) => true,
        Err(fault) => fault.raise(),
    }
}

/// All the rules, for a row that did not come through `log_event`: it must be just what
/// `log_event` would have stored.
fn check(
    id: Option<i64>,
    row: &Row<'_>,
    data: Jsonb<'_>,
    occurred_at: Option<i64>,
    tenant_id: Option<[u8; 16]>,
) -> Result<(), Fault> {
    let log = registry::current()?;
    // Everybody may call a policy's function; what it does here is for an INSERT only.
    log.require_writer()?;
    if let Some(id) = id.filter(|_| now() < log.watermark) {
        late::note(&log, &[(tenant_id, id)], now());
    }
    let event_type = log.find(row.name)?;
    if row.weight.is_some() {
        return Err(Fault::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "weight is set by the log, not by an INSERT",
        )
        .hint("leave the column out"));
    }
    event::labels_fit(row.actor, row.subject)?;
    event::is_finite("occurred_at", occurred_at)?;
    let max_bytes = admit(&log, tenant_id)?;
    let terms = Terms {
        max_bytes,
        has_actor: row.actor.is_some(),
        has_subject: row.subject.is_some(),
        ..Terms::default()
    };
    let is_changed = payload::check(&log, event_type, data, terms)?.changed;
    let detail = if is_changed {
        "the log would strip a null, or redact, hash or shorten a value"
    } else if event_type.hash_actor && row.actor.is_some() {
        "the log would hash the actor"
    } else if row.actor == Some("") || row.subject == Some("") {
        "an empty actor or subject is none"
    } else if occurred_at.and_then(clock::clamped).is_some() {
        "occurred_at is further ahead than eventlog.max_clock_ahead"
    } else if event_type.enrichments.iter().any(|enrichment| enrichment.is_forged(data)) {
        "a key is one that the log looks up"
    } else {
        return Ok(());
    };
    Err(Fault::new(
        PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
        "payload is not in the form in which the log stores it",
    )
    .detail(detail)
    .hint("SELECT eventlog.log_event(tenant_id, name, data);"))
}

/// The settings of the row's tenant; the policy of 0.1.0 does not show it, and then it is the
/// connection's, or for a service nobody's. Its limit of size comes back.
fn admit(log: &Log, tenant_id: Option<[u8; 16]>) -> Result<Option<usize>, Fault> {
    let tenant_id = match tenant_id {
        Some(tenant_id) => tenant_id,
        None if log.caller().is_service => return Ok(None),
        None => tenant::current()?,
    };
    let Some(settings) = log.settings_of(&tenant_id) else { return Ok(None) };
    if settings.is_opted_out {
        return Err(Fault::new(
            PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
            "the tenant opted out of the log",
        )
        .hint("SELECT eventlog.log_event(tenant_id, name, data); leaves its events out"));
    }
    match settings.quota.map(|quota| quota::admit(&tenant_id, quota)) {
        Some(Admission::Rejected(fault) | Admission::Quarantine(fault)) => Err(fault),
        // A plain INSERT can neither be left out nor weigh more.
        Some(Admission::LeftOut | Admission::Weighted(_)) => Err(Fault::new(
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            "the tenant is over its quota of events a minute",
        )
        .hint("SELECT eventlog.log_event(tenant_id, name, data); samples")),
        Some(Admission::Granted) | None => Ok(settings.max_bytes),
    }
}
