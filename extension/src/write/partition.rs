//! Partitions of `events`: made by the event that needs them, should one be missing.

use std::cell::Cell;

use pgrx::datum::IntoDatum;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::generation;
use crate::pg::configuration::without_event_triggers;
use crate::pg::identity::As;
use crate::pg::lock;
use crate::pg::spi::{Kept, Mode, Params, Rows, Session};
use crate::pg::transaction::now;
use crate::registry;
use crate::registry::log::Log;

thread_local! {
    /// The generation of the log and the span of `created_at` that is known to be covered and not
    /// to be late, from (inclusive) and until (exclusive). A partition that comes or goes starts a new generation.
    static COVERED: Cell<(u64, i64, i64)> = const { Cell::new((0, 0, 0)) };

    /// How many of our own calls are making a partition, one inside the other.
    static MAKERS: Cell<u32> = const { Cell::new(0) };

    static COVERING: Kept = const { Kept::new(
        c"SELECT from_at, until_at FROM eventlog._covering_partition($1)",
        &[pg_sys::TIMESTAMPTZOID],
    ) };
    static LOCK: Kept = const { Kept::new(c"SELECT eventlog._lock_partitions()", &[]) };
    static MAKE: Kept = const { Kept::new(
        c"SELECT eventlog._make_partition($1)",
        &[pg_sys::TIMESTAMPTZOID],
    ) };
}

/// Makes sure that a row of this transaction has a partition, for a caller that may write, and tells
/// whether it is late for the rollups. One comparison where it has and is not; else the catalog is
/// asked, and a missing partition is made as the log's owner, in the caller's transaction, under
/// `eventlog.lock_timeout`.
pub(crate) fn ensure(log: &Log) -> bool {
    // The lock that the INSERT takes anyway, a little earlier: whoever drops or detaches a
    // partition wants a stronger one, so what is found below stays until the INSERT.
    lock::for_insert(log.events);
    let now = now();
    if is_known(now) {
        return false;
    }
    // As it is now that events is locked: who announces a watermark later waits for this one.
    let watermark = match registry::current() {
        Ok(log) => log.watermark,
        Err(no_log) => no_log.raise(),
    };
    let is_late = now < watermark;
    if find(log, now, watermark) {
        return is_late;
    }
    let session = Session::begin();
    let _owner = As::role(log.owner);
    // Another session may be making it: its work is looked for under the latest snapshot, which a
    // REPEATABLE READ transaction has here only.
    LOCK.with(|plan| plan.execute(&session, Mode::Write, Params::new([])));
    if !find(log, now, watermark) {
        make(&session, now);
    }
    is_late
}

/// Makes the partition. What that does may fire an event trigger that logs it, for which the
/// partition is still missing: it is then made in there, without telling event triggers of it once
/// more, and `_make_partition()` further out finds it made.
fn make(session: &Session, now: i64) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            MAKERS.set(MAKERS.get() - 1);
        }
    }
    let makers = MAKERS.get();
    MAKERS.set(makers + 1);
    let _leave = Leave;
    let execute =
        || MAKE.with(|plan| plan.execute(session, Mode::Write, Params::new([now.into_datum()])));
    match makers {
        0 => execute(),
        1 => without_event_triggers(execute),
        _ => Fault::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "an event trigger logs an event for what makes the partition of that event",
        )
        .hint("ALTER EVENT TRIGGER <name> ENABLE; one that is ENABLE ALWAYS cannot be left out")
        .raise(),
    };
}

fn is_known(now: i64) -> bool {
    let (generation, from, until) = COVERED.get();
    generation == generation::current() && from <= now && now < until
}

fn find(log: &Log, now: i64, watermark: i64) -> bool {
    let generation = generation::current();
    let session = Session::begin();
    let _owner = As::role(log.owner);
    let found = COVERING
        .with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([now.into_datum()])));
    let rows = Rows::last(&session);
    let span =
        (found == 1).then(|| Some((rows.get::<i64>(0, 1)?, rows.get::<i64>(0, 2)?))).flatten();
    if let Some((from, until)) = span {
        COVERED.set((generation, from.max(watermark), until));
    }
    span.is_some()
}
