//! The guard: a restrictive policy that applies the log's rules to every INSERT of a role that
//! policies bind.
//!
//! `log_event` has checked its row before and puts it on a list. The guard passes a row that is
//! equal, byte for byte, to the next one on that list, and checks every other row in full. (A flag
//! "checked" could be abused: after an error it stays set, and a trigger of the user may insert
//! while it is set.) The guard also hands the row's id to `log_event`, so that a role that may only
//! write needs no RETURNING.

use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::given::{is_finite, labels_fit};
use crate::event::quota::{self, Admission};
use crate::payload::check::{self, CheckOptions};
use crate::payload::clock;
use crate::pg::datum::{Jsonb, Text};
use crate::pg::transaction::now;
use crate::registry;
use crate::registry::log::Log;
use crate::tenant;
use crate::write::checked_rows::{Row, was_checked};
use crate::write::late_events;

/// Checks a row for the policy `events_guard` of a log of 0.1.0, which passes neither clock nor
/// tenant.
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

/// Checks a row for the policy `events_guard`: returns true, or raises what is wrong.
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
        // The NOT NULL constraint of the column reports it.
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

/// Applies all rules to a row that did not come through `log_event`: it must be exactly what
/// `log_event` would have stored.
fn check(
    id: Option<i64>,
    row: &Row<'_>,
    data: Jsonb<'_>,
    occurred_at: Option<i64>,
    tenant_id: Option<[u8; 16]>,
) -> Result<(), Fault> {
    let log = registry::current()?;
    // Anybody may call a policy's function; what it does here is for an INSERT only.
    log.require_writer()?;
    if let Some(id) = id.filter(|_| now() < log.watermark) {
        late_events::note(&log, &[(tenant_id, id)], now());
    }
    let event_type = log.find(row.name)?;
    if row.weight.is_some() {
        return Err(Fault::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "weight is set by the log, not by an INSERT",
        )
        .hint("leave the column out"));
    }
    labels_fit(row.actor, row.subject)?;
    is_finite("occurred_at", occurred_at)?;
    let max_bytes = admit(&log, tenant_id)?;
    let options = CheckOptions {
        max_bytes,
        has_actor: row.actor.is_some(),
        has_subject: row.subject.is_some(),
        ..CheckOptions::default()
    };
    let is_changed = check::check(&log.hash_key, event_type, data, options)?.changed;
    let detail = if event_type.name.as_ref() != row.name && !event_type.is_wildcard() {
        "the name is an alias"
    } else if is_changed {
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

/// Applies the settings of the row's tenant and returns its limit of size. The policy of 0.1.0 does
/// not pass the tenant: then it is the connection's, or for a service unknown.
fn admit(log: &Log, tenant_id: Option<[u8; 16]>) -> Result<Option<usize>, Fault> {
    let tenant_id = match tenant_id {
        Some(tenant_id) => tenant_id,
        None if log.caller().is_service => return Ok(None),
        None => tenant::current()?,
    };
    tenant::refuse_all(tenant_id)?;
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
