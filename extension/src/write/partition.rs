//! Partitions of `events`. An event without one makes it.

use std::cell::Cell;

use pgrx::datum::IntoDatum;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::generation;
use crate::pg::configuration::without_event_triggers;
use crate::pg::identity::ActAs;
use crate::pg::lock;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session};
use crate::pg::transaction::now;
use crate::registry;
use crate::registry::log::Log;

thread_local! {
    /// The generation of the log, and a span of `created_at` in which events have a partition and
    /// are not late: from (inclusive) and until (exclusive). A partition that comes or goes starts
    /// a new generation.
    static COVERED: Cell<(u64, i64, i64)> = const { Cell::new((0, 0, 0)) };

    /// How many of our own calls are making a partition, nested.
    static MAKERS: Cell<u32> = const { Cell::new(0) };

    static COVERING: Prepared = const { Prepared::new(
        c"SELECT from_at, until_at FROM eventlog._covering_partition($1)",
        &[pg_sys::TIMESTAMPTZOID],
    ) };
    static LOCK: Prepared = const { Prepared::new(c"SELECT eventlog._lock_partitions()", &[]) };
    static MAKE: Prepared = const { Prepared::new(
        c"SELECT eventlog._make_partition($1)",
        &[pg_sys::TIMESTAMPTZOID],
    ) };
}

/// Makes sure that a row of this transaction has a partition, and returns true if it is late for
/// the rollups. Usually that is one comparison; otherwise the catalog is read, and a missing
/// partition is made as the log's owner, in the caller's transaction, under
/// `eventlog.lock_timeout`. The caller may write.
pub(crate) fn ensure(log: &Log) -> bool {
    // Take the INSERT's own lock now. Dropping or detaching a partition needs a stronger one, so
    // the partition found below stays until the INSERT.
    lock::for_insert(log.events);
    let now = now();
    if is_known(now) {
        return false;
    }
    // Read now that events is locked: a session that announces a later watermark waits for this
    // one.
    let watermark = registry::require().watermark;
    let is_late = now < watermark;
    if find(log, now, watermark) {
        return is_late;
    }
    let session = Session::begin();
    let _owner = ActAs::role(log.owner);
    // Another session may be making it. Its work is only visible to the latest snapshot, which a
    // REPEATABLE READ transaction has only here.
    LOCK.with(|plan| plan.execute(&session, Mode::Write, Params::new([])));
    if !find(log, now, watermark) {
        make(&session, now);
    }
    is_late
}

/// Makes the partition. That may fire an event trigger that logs an event, whose partition is still
/// missing: it is made in the nested call, without firing event triggers again, and the outer
/// `_make_partition()` finds it made.
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
            "an event trigger logs an event while the partition of that event is being made",
        )
        .hint("ALTER EVENT TRIGGER <name> ENABLE; an event trigger that is ENABLE ALWAYS fires even then")
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
    let _owner = ActAs::role(log.owner);
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
