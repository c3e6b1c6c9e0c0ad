//! PostgreSQL's own locks.

use pgrx::pg_sys::{self, Oid};

/// The locks that conflict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strength {
    Shared,
    Exclusive,
}

fn tag(database: Oid, class: Oid, object: Oid, part: u16) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        locktag_field1: database.to_u32(),
        locktag_field2: class.to_u32(),
        locktag_field3: object.to_u32(),
        locktag_field4: part,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    }
}

/// Takes the lock of an INSERT until the transaction ends. Raises on a lock timeout.
pub(crate) fn for_insert(relation: Oid) {
    // SAFETY: of a relation that is gone it locks nothing but its number.
    unsafe {
        pg_sys::LockRelationOid(relation, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
    }
}

/// Locks a part of a relation of this database until the transaction ends, waiting for the lock or
/// not; returns false if it could not be taken. Raises on a lock timeout and in recovery.
pub(crate) fn part_of_relation(
    relation: Oid,
    part: u16,
    strength: Strength,
    may_wait: bool,
) -> bool {
    let tag = tag(crate::pg::server::database(), pg_sys::RelationRelationId, relation, part);
    let mode = match strength {
        Strength::Shared => pg_sys::ShareLock,
        Strength::Exclusive => pg_sys::ExclusiveLock,
    };
    // SAFETY: a lock of the transaction.
    let got = unsafe { pg_sys::LockAcquire(&tag, mode as pg_sys::LOCKMODE, false, !may_wait) };
    got != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

/// Returns true if a command keeps, or waits to keep, everybody from connecting to the database:
/// DROP DATABASE, renaming, moving or copying it. Such a command takes a lock that conflicts with
/// the one that each connection takes at its start.
pub(crate) fn is_database_wanted(database: Oid) -> bool {
    let tag = tag(Oid::INVALID, pg_sys::DatabaseRelationId, database, 0);
    let mode = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: a lock of the session, given back at once; it does not wait.
    unsafe {
        let got = pg_sys::LockAcquire(&tag, mode, true, true);
        if got == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
            return true;
        }
        pg_sys::LockRelease(&tag, mode, true);
    }
    false
}
