//! The hashes, for SQL.

use std::cell::RefCell;

use eventlog_seal::form::{self, Columns, Form, unix_micros};
use eventlog_seal::record::{DayDigest, Receipt, Seal};
use eventlog_seal::{Hash, tree};
use pgrx::datum::{Date, TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::datum::{Jsonb, Text};
use crate::seal::payload;

/// Days from 1970-01-01 to 2000-01-01, from where PostgreSQL counts.
const POSTGRES_EPOCH: i32 = 10_957;

thread_local! {
    static FORM: RefCell<Form> = RefCell::default();
}

/// Returns days since 1970, given those since 2000.
pub(super) fn unix_day(day: i32) -> i32 {
    day.saturating_add(POSTGRES_EPOCH)
}

/// Reads a hash; 22023 if it has another length.
pub(super) fn hash(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap_or_else(|_| {
        Fault::argument(format!("a hash has 32 bytes, got {}", bytes.len())).raise()
    })
}

/// Returns the digest of an event; null if a column is null that no event lacks.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the columns of an event")]
fn event_digest(
    id: Option<i64>,
    tenant_id: Option<Uuid>,
    name: Option<Text<'_>>,
    data: Option<Jsonb<'_>>,
    actor: Option<Text<'_>>,
    subject: Option<Text<'_>>,
    occurred_at: Option<TimestampWithTimeZone>,
    created_at: Option<TimestampWithTimeZone>,
    weight: Option<f32>,
) -> Option<Vec<u8>> {
    let (id, tenant_id, name, data, created_at) = (id?, tenant_id?, name?, data?, created_at?);
    let columns = Columns {
        id,
        tenant_id: *tenant_id.as_bytes(),
        created_at: unix_micros(created_at.into_inner()),
        occurred_at: occurred_at.map(|at| unix_micros(at.into_inner())),
        weight,
        name: name.as_str().as_bytes(),
        actor: actor.as_ref().map(|actor| actor.as_str().as_bytes()),
        subject: subject.as_ref().map(|subject| subject.as_str().as_bytes()),
    };
    FORM.with_borrow_mut(|form| {
        let written = payload::write(data.bytes(), form.begin(&columns));
        Some(if written.is_some() { form.digest() } else { form::damaged(id) }.to_vec())
    })
}

/// Returns the hash of a seal.
#[pg_extern(sql = false)]
fn seal_hash(
    tenant_id: Uuid,
    number: i64,
    day: Date,
    part: i32,
    events: i64,
    root: &[u8],
    previous: &[u8],
) -> Vec<u8> {
    let seal = Seal {
        tenant_id: *tenant_id.as_bytes(),
        number,
        day: unix_day(day.to_pg_epoch_days()),
        part,
        events,
        root: hash(root),
        previous: hash(previous),
    };
    seal.hash().to_vec()
}

/// Returns the hash of a receipt.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the columns of a receipt")]
fn receipt_hash(
    tenant_id: Uuid,
    id: i64,
    first_day: Date,
    last_day: Date,
    events: i64,
    call: Text<'_>,
    role_name: Text<'_>,
    at: TimestampWithTimeZone,
) -> Vec<u8> {
    let receipt = Receipt {
        tenant_id: *tenant_id.as_bytes(),
        id,
        first_day: unix_day(first_day.to_pg_epoch_days()),
        last_day: unix_day(last_day.to_pg_epoch_days()),
        events,
        call: call.as_str(),
        role_name: role_name.as_str(),
        at: unix_micros(at.into_inner()),
    };
    receipt.hash().to_vec()
}

/// Returns the digest of a day.
#[pg_extern(sql = false)]
fn day_digest(number: i64, day: Date, root: &[u8], previous: &[u8]) -> Vec<u8> {
    let day = unix_day(day.to_pg_epoch_days());
    DayDigest { number, day, root: hash(root), previous: hash(previous) }.hash().to_vec()
}

fn hashes(leaves: &pgrx::Array<'_, &[u8]>) -> Vec<Hash> {
    leaves.iter().map(|leaf| leaf.map_or_else(|| Fault::null("a leaf").raise(), hash)).collect()
}

/// Returns the root of the tree over hashes.
#[pg_extern(sql = false)]
fn tree_root(leaves: pgrx::Array<'_, &[u8]>) -> Vec<u8> {
    tree::root(&hashes(&leaves)).to_vec()
}

/// Returns the steps from a leaf, counted from 1, to the root of the tree over hashes, as JSON.
#[pg_extern(sql = false)]
fn tree_path<'a>(leaves: pgrx::Array<'a, &'a [u8]>, place: i64) -> Text<'a> {
    let leaves = hashes(&leaves);
    let index = usize::try_from(place - 1).ok().filter(|index| *index < leaves.len());
    let Some(index) = index else {
        Fault::argument(format!("there are {} leaves, got place {place}", leaves.len())).raise()
    };
    Text::copy_of(&super::proof::steps_json(&tree::path(&leaves, index)))
}
