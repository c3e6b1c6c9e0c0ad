//! The pass that verifies: an aggregate over seals, their blocks and events, in the order of tenant, day,
//! kind (seals, blocks, events), and then part and block, or name (by bytes), `created_at` and id. It keeps
//! what it found until the end of the transaction.

use std::cell::RefCell;

use eventlog_seal::block::Block;
use eventlog_seal::check::{DayCheck, Row, StoredBlock, StoredSeal, Verdict};
use eventlog_seal::keys;
use eventlog_seal::record::Seal;
use pgrx::datum::{Date, TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;
use pgrx::{Internal, PgMemoryContexts, pg_sys};

use crate::pg::aggregate::{take_state, with_state};
use crate::pg::call::{Call, export_calls};
use crate::pg::datum::Text;

/// What the rows of the pass are.
const SEAL: i32 = 0;
const BLOCK: i32 = 1;

#[derive(Default)]
struct Checking {
    /// Tenant, and days since 2000.
    group: Option<([u8; 16], i32)>,
    /// Until the first event of the group comes.
    stored: Vec<StoredSeal>,
    check: Option<DayCheck>,
    found: Vec<([u8; 16], i32, Verdict)>,
}

impl Checking {
    fn end_group(&mut self) {
        let Some((tenant_id, day)) = self.group.take() else { return };
        let stored = std::mem::take(&mut self.stored);
        let check = self.check.take().unwrap_or_else(|| DayCheck::new(stored));
        self.found.extend(check.finish().into_iter().map(|verdict| (tenant_id, day, verdict)));
    }

    fn begin_group(&mut self, tenant_id: [u8; 16], day: i32) {
        if self.group != Some((tenant_id, day)) {
            self.end_group();
            self.group = Some((tenant_id, day));
        }
    }

    fn event(&mut self, row: Row) {
        let stored = &mut self.stored;
        self.check.get_or_insert_with(|| DayCheck::new(std::mem::take(stored))).row(row);
    }
}

thread_local! {
    /// What the last pass of this transaction found.
    static CHECKED: RefCell<Option<Checking>> = const { RefCell::new(None) };
}

/// Frees it at the end of a transaction, whatever ends it.
struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        drop(CHECKED.with(|checked| checked.take()));
    }
}

/// Step of `_check_events(kind, tenant_id, day, part, name, created_at, id, hash, events, gone,
/// previous_or_seeds, gone_slots, gone_hashes, keys, first_name, first_at, first_id, lowest_id, highest_id)`.
/// What a kind of row lacks is null; the number of a seal is its id. A stored value of a wrong length becomes
/// one that differs.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the columns of seals, blocks and events")]
fn check_step(
    state: Internal,
    kind: Option<i32>,
    tenant_id: Option<Uuid>,
    day: Option<Date>,
    part: Option<i32>,
    name: Option<Text<'_>>,
    created_at: Option<TimestampWithTimeZone>,
    id: Option<i64>,
    hash: Option<&[u8]>,
    events: Option<i64>,
    gone: Option<i64>,
    previous_or_seeds: Option<&[u8]>,
    gone_slots: Option<&[u8]>,
    gone_hashes: Option<&[u8]>,
    key_list: Option<&[u8]>,
    first_name: Option<Text<'_>>,
    first_at: Option<TimestampWithTimeZone>,
    first_id: Option<i64>,
    lowest_id: Option<i64>,
    highest_id: Option<i64>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |checking: &mut Checking| {
        let (Some(kind), Some(tenant_id), Some(day)) = (kind, tenant_id, day) else { return };
        let (tenant_id, day) = (*tenant_id.as_bytes(), day.to_pg_epoch_days());
        checking.begin_group(tenant_id, day);
        let fixed = |bytes: Option<&[u8]>| bytes.and_then(|b| b.try_into().ok()).unwrap_or([0; 32]);
        let bytes = |name: Option<Text<'_>>| name.map(|name| name.as_str().as_bytes().to_vec());
        match kind {
            SEAL => checking.stored.push(StoredSeal {
                seal: Seal {
                    tenant_id,
                    number: id.unwrap_or_default(),
                    day: super::hashes::unix_day(day),
                    part: part.unwrap_or_default(),
                    events: events.unwrap_or_default(),
                    root: fixed(hash),
                    previous: fixed(previous_or_seeds),
                },
                gone: gone.unwrap_or_default(),
                blocks: Vec::new(),
            }),
            BLOCK => {
                let seal = checking.stored.iter_mut().find(|s| Some(s.seal.part) == part);
                if let Some(seal) = seal {
                    let events = usize::try_from(events.unwrap_or_default()).unwrap_or_default();
                    seal.blocks.push(StoredBlock {
                        block: Block::read(
                            events,
                            hash.unwrap_or_default(),
                            previous_or_seeds.unwrap_or_default(),
                            gone_slots.unwrap_or_default(),
                            gone_hashes.unwrap_or_default(),
                        ),
                        first: bytes(first_name)
                            .zip(first_at)
                            .zip(first_id)
                            .map(|((name, at), id)| (name, at.into_inner(), id)),
                        ids: lowest_id.zip(highest_id),
                        keys: key_list.map(|list| keys::read(list).unwrap_or_default()),
                    });
                }
            }
            _ => checking.event(Row {
                name: bytes(name).unwrap_or_default(),
                created_at: created_at.map(|at| at.into_inner()).unwrap_or_default(),
                id: id.unwrap_or_default(),
                digest: fixed(hash),
            }),
        }
    })
}

/// Keeps what the pass found, and returns how many rows that is.
#[pg_extern(sql = false)]
fn check_final(state: Internal) -> i64 {
    let mut checking = take_state::<Checking>(state).unwrap_or_default();
    checking.end_group();
    let found = checking.found.len() as i64;
    CHECKED.with(|checked| checked.replace(Some(checking)));
    PgMemoryContexts::CurTransactionContext.leak_and_drop_on_delete(AtEnd);
    found
}

/// `(tenant_id, day, part, number, events, gone, differs)`
fn checked(call: Call) -> pg_sys::Datum {
    let mut rows = call.rows();
    CHECKED.with_borrow(|checked| {
        for (tenant_id, day, verdict) in checked.iter().flat_map(|checked| &checked.found) {
            rows.uuid(tenant_id).int(*day);
            match &verdict.seal {
                Some(seal) => {
                    rows.int(seal.part).bigint(seal.number).bigint(seal.events).bigint(verdict.gone)
                }
                None => rows.null().null().null().null(),
            };
            match &verdict.differs {
                Some(differs) => rows.bytes(differs.as_bytes()),
                None => rows.null(),
            };
            rows.end();
        }
    });
    pg_sys::Datum::null()
}

export_calls! {
    checked_seals_wrapper, pg_finfo_checked_seals_wrapper => checked;
}
