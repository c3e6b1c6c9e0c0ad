//! What is done to seals when sealed events are deleted by a retention or an erasure: their leaves are kept,
//! or the roots of subtrees of which all are gone, and their salts are destroyed.
//!
//! The statement that deletes collects the events with the aggregate `collect_gone()`; afterwards
//! `let_collected_go()` changes the blocks that they were in.

use std::cell::RefCell;
use std::collections::BTreeMap;

use eventlog_seal::block::Block;
use eventlog_seal::{Hash, keys};
use pgrx::datum::{Date, IntoDatum, TimestampWithTimeZone, Uuid};
use pgrx::pg_sys::Datum;
use pgrx::prelude::*;
use pgrx::{Internal, PgMemoryContexts, pg_sys};

use crate::error::Fault;
use crate::pg::aggregate::{take_state, with_state};
use crate::pg::call::{Call, export_calls};
use crate::pg::datum::Text;
use crate::pg::spi::{Mode, Params, Prepared, Session};
use crate::pg::uuid::uuid_datum;
use crate::seal::hashes::hash;
use crate::seal::stored::{Bounds, Day, Place};

thread_local! {
    static STORE: Prepared = const { Prepared::new(
        c"UPDATE eventlog.seal_blocks b
             SET first_name = $5, first_at = $6, first_id = $7, lowest_id = $8, highest_id = $9,
                 seeds = $10, gone = $11, gone_hashes = $12, keys = $13
           WHERE b.tenant_id OPERATOR(pg_catalog.=) $1 AND b.day OPERATOR(pg_catalog.=) $2
             AND b.part OPERATOR(pg_catalog.=) $3 AND b.block OPERATOR(pg_catalog.=) $4",
        &[pg_sys::UUIDOID, pg_sys::DATEOID, pg_sys::INT4OID, pg_sys::INT4OID, pg_sys::TEXTOID, pg_sys::TIMESTAMPTZOID,
          pg_sys::INT8OID, pg_sys::INT8OID, pg_sys::INT8OID, pg_sys::BYTEAOID, pg_sys::BYTEAOID, pg_sys::BYTEAOID,
          pg_sys::BYTEAOID],
    ) };
    /// Leaves nothing of a block from which anything could be confirmed.
    static DESTROY: Prepared = const { Prepared::new(
        c"UPDATE eventlog.seal_blocks b SET seeds = ''
           WHERE b.tenant_id OPERATOR(pg_catalog.=) $1 AND b.day OPERATOR(pg_catalog.=) $2
             AND b.part OPERATOR(pg_catalog.=) $3 AND b.block OPERATOR(pg_catalog.=) $4",
        &[pg_sys::UUIDOID, pg_sys::DATEOID, pg_sys::INT4OID, pg_sys::INT4OID],
    ) };
    static COUNT: Prepared = const { Prepared::new(
        c"WITH seal AS (
              UPDATE eventlog.seals s SET gone = s.gone OPERATOR(pg_catalog.+) $4
               WHERE s.tenant_id OPERATOR(pg_catalog.=) $1 AND s.day OPERATOR(pg_catalog.=) $2
                 AND s.part OPERATOR(pg_catalog.=) $3
              RETURNING s.gone OPERATOR(pg_catalog.>=) s.events AS is_gone)
          DELETE FROM eventlog.seal_blocks b
           WHERE b.tenant_id OPERATOR(pg_catalog.=) $1 AND b.day OPERATOR(pg_catalog.=) $2
             AND b.part OPERATOR(pg_catalog.=) $3 AND (SELECT s.is_gone FROM seal s)",
        &[pg_sys::UUIDOID, pg_sys::DATEOID, pg_sys::INT4OID, pg_sys::INT8OID],
    ) };
}

/// Events that were deleted, with their digests.
type Going = Vec<(Place, Hash)>;

/// Those of a statement, by tenant and day.
#[derive(Default)]
struct Collected(BTreeMap<([u8; 16], i32), Going>);

thread_local! {
    static COLLECTED: RefCell<Option<Collected>> = const { RefCell::new(None) };
}

/// Frees them at the end of a transaction, whatever ends it.
struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        drop(COLLECTED.with(|collected| collected.take()));
    }
}

/// Step of `collect_gone(tenant_id, day, name, created_at, id, digest)`.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "what a seal needs of an event")]
fn collect_step(
    state: Internal,
    tenant_id: Uuid,
    day: Date,
    name: Text<'_>,
    created_at: TimestampWithTimeZone,
    id: i64,
    digest: &[u8],
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |collected: &mut Collected| {
        let group = (*tenant_id.as_bytes(), day.to_pg_epoch_days());
        let name = name.as_str().to_owned();
        let place = Place { name, created_at: created_at.into_inner(), id };
        collected.0.entry(group).or_default().push((place, hash(digest)));
    })
}

/// Keeps the events, and returns their number.
#[pg_extern(sql = false)]
fn collect_final(state: Internal) -> i64 {
    let collected = take_state::<Collected>(state).unwrap_or_default();
    let events = collected.0.values().map(Vec::len).sum::<usize>() as i64;
    COLLECTED.with(|kept| kept.replace(Some(collected)));
    PgMemoryContexts::CurTransactionContext.leak_and_drop_on_delete(AtEnd);
    events
}

fn bytes(value: &[u8]) -> Option<Datum> {
    value.into_datum()
}

/// The key of a block.
fn block_key(day: &Day, bounds: &Bounds) -> [Option<Datum>; 4] {
    [
        Some(uuid_datum(&day.tenant_id)),
        Some(Datum::from(day.day)),
        Some(Datum::from(bounds.part)),
        Some(Datum::from(bounds.number)),
    ]
}

/// Stores a block with the events that are left of it.
fn store(session: &Session, day: &Day, index: usize, block: &Block, left: &[Place]) {
    let bounds = &day.blocks[index];
    let [tenant_id, of_day, part, number] = block_key(day, bounds);
    let ids = left.iter().map(|place| place.id);
    let number_of = |value: Option<i64>| value.map(Datum::from);
    let first = left.first();
    let list = bounds.keys.as_ref().map(|_| {
        let keys: Vec<_> = left.iter().map(Place::key).collect();
        keys::write(&keys)
    });
    let params = Params::new([
        tenant_id,
        of_day,
        part,
        number,
        first.map(|place| Text::copy_of(&place.name).datum()),
        number_of(first.map(|place| place.created_at)),
        number_of(first.map(|place| place.id)),
        number_of(ids.clone().min()),
        number_of(ids.max()),
        bytes(&block.seeds()),
        block.gone().and_then(bytes),
        bytes(&block.gone_hashes()),
        list.as_deref().and_then(bytes),
    ]);
    STORE.with(|plan| plan.execute(session, Mode::Write, params));
}

/// Lets events of a block go. They are deleted already.
fn let_go_of_block(session: &Session, day: &Day, index: usize, going: &[(Place, Hash)]) {
    let Some(mut block) = day.blocks[index].block.clone() else { return };
    // If all go, the others need not be read.
    let left: Vec<Place> = if going.len() == block.live() {
        Vec::new()
    } else {
        day.events(session, index, false).into_iter().map(|(place, _)| place).collect()
    };
    if left.len() + going.len() != block.live() {
        // Somebody changed its events, so nobody can say which salt is whose.
        let params = Params::new(block_key(day, &day.blocks[index]));
        DESTROY.with(|plan| plan.execute(session, Mode::Write, params));
        return;
    }
    // The places of those that go among all that were there.
    let mut all: Vec<(&Place, Option<&Hash>)> = left.iter().map(|place| (place, None)).collect();
    all.extend(going.iter().map(|(place, digest)| (place, Some(digest))));
    all.sort_unstable();
    let places: Vec<(usize, Hash)> = all
        .iter()
        .enumerate()
        .filter_map(|(place, (_, digest))| digest.map(|digest| (place, *digest)))
        .collect();
    block.let_go(&places);
    store(session, day, index, &block, &left);
}

/// Lets events of a tenant's day go, and returns how many of them were sealed.
fn let_go_of_day(tenant_id: [u8; 16], day: i32, going: Going) -> i64 {
    let session = Session::begin();
    let day = Day::load(&session, tenant_id, day, Mode::Write);
    let mut by_block: BTreeMap<usize, Going> = BTreeMap::new();
    for (place, digest) in going {
        if let Some(index) = day.block_of(&place) {
            by_block.entry(index).or_default().push((place, digest));
        }
    }
    let mut by_part: BTreeMap<i32, i64> = BTreeMap::new();
    for (index, going) in &by_block {
        let_go_of_block(&session, &day, *index, going);
        *by_part.entry(day.blocks[*index].part).or_default() += going.len() as i64;
    }
    for (part, gone) in &by_part {
        let params = Params::new([
            Some(uuid_datum(&day.tenant_id)),
            Some(Datum::from(day.day)),
            Some(Datum::from(*part)),
            Some(Datum::from(*gone)),
        ]);
        COUNT.with(|plan| plan.execute(&session, Mode::Write, params));
    }
    by_part.values().sum()
}

/// `(tenant_id, day, events)`: lets the collected events go.
fn let_collected_go(call: Call) -> Datum {
    let collected = COLLECTED.with(|kept| kept.take()).unwrap_or_default();
    let mut gone = Vec::new();
    for ((tenant_id, day), going) in collected.0 {
        gone.push((tenant_id, day, let_go_of_day(tenant_id, day, going)));
    }
    let mut rows = call.rows();
    for (tenant_id, day, events) in &gone {
        rows.uuid(tenant_id).int(*day).bigint(*events).end();
    }
    Datum::null()
}

/// Lists the events of each block of a tenant's day, as a supplement has them: whatever comes to that day
/// later is in none of its seals.
#[pg_extern(sql = false)]
fn list_events_of_seals(tenant_id: Uuid, day: Date) {
    let session = Session::begin();
    let day = Day::load(&session, *tenant_id.as_bytes(), day.to_pg_epoch_days(), Mode::Write);
    for index in 0..day.blocks.len() {
        if day.blocks[index].keys.is_some() {
            continue;
        }
        let keys: Vec<_> =
            day.events(&session, index, false).iter().map(|(place, _)| place.key()).collect();
        let list = keys::write(&keys);
        let [tenant_id, of_day, part, number] = block_key(&day, &day.blocks[index]);
        let params = Params::new([tenant_id, of_day, part, number, bytes(&list)]);
        LIST.with(|plan| plan.execute(&session, Mode::Write, params));
    }
}

thread_local! {
    static LIST: Prepared = const { Prepared::new(
        c"UPDATE eventlog.seal_blocks b SET keys = $5
           WHERE b.tenant_id OPERATOR(pg_catalog.=) $1 AND b.day OPERATOR(pg_catalog.=) $2
             AND b.part OPERATOR(pg_catalog.=) $3 AND b.block OPERATOR(pg_catalog.=) $4",
        &[pg_sys::UUIDOID, pg_sys::DATEOID, pg_sys::INT4OID, pg_sys::INT4OID, pg_sys::BYTEAOID],
    ) };
}

/// `(created_at, id)` of a list of events; 22023 if it is none.
fn seal_keys(call: Call) -> Datum {
    let list = call.first_bytes().and_then(keys::read);
    let Some(list) = list else { Fault::argument("not a list of events of a seal").raise() };
    let mut rows = call.rows();
    for (created_at, id) in list {
        rows.bigint(created_at).bigint(id).end();
    }
    Datum::null()
}

export_calls! {
    seal_keys_wrapper, pg_finfo_seal_keys_wrapper => seal_keys;
    let_collected_go_wrapper, pg_finfo_let_collected_go_wrapper => let_collected_go;
}
