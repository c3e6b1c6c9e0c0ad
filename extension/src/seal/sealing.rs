//! The pass that seals: an aggregate over events in the order of tenant, day, name (by bytes), `created_at`
//! and id. It keeps what it made until the end of the transaction, for the functions that return it as rows.

use std::cell::RefCell;

use eventlog_seal::block::Block;
use eventlog_seal::keys::{self, Key};
use eventlog_seal::{BLOCK, Hash, tree};
use pgrx::datum::{Date, TimestampWithTimeZone, Uuid};
use pgrx::prelude::*;
use pgrx::{Internal, PgMemoryContexts, pg_sys};

use crate::pg::aggregate::{take_state, with_state};
use crate::pg::call::{Call, export_calls};
use crate::pg::datum::Text;
use crate::pg::random::strong_random;
use crate::pg::rows::RowSink;
use crate::seal::hashes::hash;

/// A tenant's day, whose events are sealed together.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Group {
    tenant_id: [u8; 16],
    /// Days since 2000-01-01.
    day: i32,
}

struct NewSeal {
    of: Group,
    events: i64,
    root: Hash,
}

struct NewBlock {
    of: Group,
    number: i32,
    first: (String, i64, i64),
    ids: (i64, i64),
    keys: Option<Vec<u8>>,
    block: Block,
}

/// What the pass has made, and the group and block that it is at.
#[derive(Default)]
struct Sealing {
    seals: Vec<NewSeal>,
    blocks: Vec<NewBlock>,
    group: Option<(Group, bool)>,
    events: i64,
    /// The roots of the blocks of this group.
    roots: Vec<Hash>,
    digests: Vec<Hash>,
    keys: Vec<Key>,
    first: Option<(String, i64, i64)>,
}

impl Sealing {
    fn add(&mut self, group: Group, is_supplement: bool, name: &str, key: Key, digest: Hash) {
        if self.group.is_none_or(|(current, _)| current != group) {
            self.end_group();
            self.group = Some((group, is_supplement));
        }
        if self.first.is_none() {
            self.first = Some((name.to_owned(), key.0, key.1));
        }
        self.digests.push(digest);
        self.keys.push(key);
        self.events += 1;
        if self.digests.len() == BLOCK {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        let (Some((of, is_supplement)), Some(first)) = (self.group, self.first.take()) else {
            return;
        };
        let block = Block::seal(&self.digests, strong_random());
        let ids = self.keys.iter().map(|(_, id)| *id);
        let ids = (ids.clone().min().unwrap_or(first.2), ids.max().unwrap_or(first.2));
        let number = self.roots.len() as i32;
        self.roots.push(*block.hash());
        let keys = is_supplement.then(|| keys::write(&self.keys));
        self.blocks.push(NewBlock { of, number, first, ids, keys, block });
        self.digests.clear();
        self.keys.clear();
    }

    fn end_group(&mut self) {
        self.end_block();
        if let Some((of, _)) = self.group.take() {
            self.seals.push(NewSeal { of, events: self.events, root: tree::root(&self.roots) });
        }
        self.roots.clear();
        self.events = 0;
    }
}

thread_local! {
    /// What the last pass of this transaction made.
    static SEALED: RefCell<Option<Sealing>> = const { RefCell::new(None) };
}

/// Frees it at the end of a transaction, whatever ends it.
struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        drop(SEALED.with(|sealed| sealed.take()));
    }
}

/// Step of `seal_events(tenant_id, day, is_supplement, name, created_at, id, digest)`.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "what a seal needs of an event")]
fn seal_step(
    state: Internal,
    tenant_id: Uuid,
    day: Date,
    is_supplement: bool,
    name: Text<'_>,
    created_at: TimestampWithTimeZone,
    id: i64,
    digest: &[u8],
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |sealing: &mut Sealing| {
        let group = Group { tenant_id: *tenant_id.as_bytes(), day: day.to_pg_epoch_days() };
        let key = (created_at.into_inner(), id);
        sealing.add(group, is_supplement, name.as_str(), key, hash(digest));
    })
}

/// Keeps what the pass made, and returns the number of events.
#[pg_extern(sql = false)]
fn seal_final(state: Internal) -> i64 {
    let mut sealing = take_state::<Sealing>(state).unwrap_or_default();
    sealing.end_group();
    let events = sealing.seals.iter().map(|seal| seal.events).sum();
    SEALED.with(|sealed| sealed.replace(Some(sealing)));
    PgMemoryContexts::CurTransactionContext.leak_and_drop_on_delete(AtEnd);
    events
}

fn rows(call: Call, of: fn(&Sealing, &mut RowSink)) -> pg_sys::Datum {
    let mut rows = call.rows();
    SEALED.with_borrow(|sealed| {
        if let Some(sealed) = sealed {
            of(sealed, &mut rows);
        }
    });
    pg_sys::Datum::null()
}

/// `(tenant_id, day, events, root)`
fn seal_rows(sealing: &Sealing, rows: &mut RowSink) {
    for NewSeal { of, events, root } in &sealing.seals {
        rows.uuid(&of.tenant_id).int(of.day).bigint(*events).bytes(root).end();
    }
}

/// `(tenant_id, day, block, events, first_name, first_at, first_id, lowest_id, highest_id, hash, seeds, keys)`
fn block_rows(sealing: &Sealing, rows: &mut RowSink) {
    for NewBlock { of, number, first: (name, at, id), ids, keys, block } in &sealing.blocks {
        rows.uuid(&of.tenant_id)
            .int(of.day)
            .int(*number)
            .int(block.events() as i32)
            .bytes(name.as_bytes())
            .bigint(*at)
            .bigint(*id)
            .bigint(ids.0)
            .bigint(ids.1)
            .bytes(block.hash())
            .bytes(&block.seeds());
        match keys {
            Some(keys) => rows.bytes(keys),
            None => rows.null(),
        };
        rows.end();
    }
}

export_calls! {
    sealed_seals_wrapper, pg_finfo_sealed_seals_wrapper => |call| rows(call, seal_rows);
    sealed_blocks_wrapper, pg_finfo_sealed_blocks_wrapper => |call| rows(call, block_rows);
}
