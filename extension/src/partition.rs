//! Partitions of `events`: made by the event that needs them, should one be missing.

use std::cell::Cell;

use pgrx::datum::IntoDatum;
use pgrx::pg_sys;

use crate::registry::Log;
use crate::spi::{As, Kept, Mode, Params, Rows, Session, now};

thread_local! {
    /// The generation of the log and the span of `created_at` that is known to be covered, from
    /// (inclusive) and until (exclusive). A partition that comes or goes starts a new generation.
    static COVERED: Cell<(u64, i64, i64)> = const { Cell::new((0, 0, 0)) };

    /// Read as the caller under the latest snapshot.
    static COVERING: Kept = const { Kept::new(
        c"SELECT from_at, until_at FROM eventlog._covering_partition($1)",
        &[pg_sys::TIMESTAMPTZOID],
    ) };
    static MAKE: Kept = const { Kept::new(
        c"SELECT eventlog._make_partition($1)",
        &[pg_sys::TIMESTAMPTZOID],
    ) };
}

/// Makes sure that a row of this transaction has a partition. One comparison where it has; else
/// the catalog is asked, and a missing partition is made as the log's owner, in the caller's
/// transaction, under `eventlog.lock_timeout`.
pub(crate) fn ensure(log: &Log) {
    let now = now();
    let (generation, from, until) = COVERED.get();
    if generation == log.generation() && from <= now && now < until {
        return;
    }
    if find(log, now) || !log.is_writer() {
        // Without the right to write the INSERT will say so; nothing is done on its behalf.
        return;
    }
    let session = Session::begin();
    let _owner = As::role(log.owner);
    MAKE.with(|plan| plan.execute(&session, Mode::Write, Params::new([now.into_datum()])));
}

fn find(log: &Log, now: i64) -> bool {
    let session = Session::begin();
    let found = COVERING
        .with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([now.into_datum()])));
    let rows = Rows::last(&session);
    let span =
        (found == 1).then(|| Some((rows.get::<i64>(0, 1)?, rows.get::<i64>(0, 2)?))).flatten();
    if let Some((from, until)) = span {
        COVERED.set((log.generation(), from, until));
    }
    span.is_some()
}
