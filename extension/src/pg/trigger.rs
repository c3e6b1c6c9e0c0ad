//! The relation that a trigger is on.

use pgrx::pg_sys::{self, Oid};
use pgrx::trigger_support::PgTrigger;

// SAFETY: PostgreSQL's own function, as its header declares it, which pgrx leaves out. It may raise:
// called through the guard.
unsafe extern "C-unwind" {
    fn get_partition_parent(relation: Oid, even_if_detached: bool) -> Oid;
}

/// Returns the relation that the trigger is on.
pub(crate) fn relation(trigger: &PgTrigger<'_>) -> Oid {
    // SAFETY: PostgreSQL calls a trigger with the relation it is on, which it keeps open.
    unsafe { (*trigger.trigger_data().tg_relation).rd_id }
}

/// Returns the owner of that relation.
pub(crate) fn owner(trigger: &PgTrigger<'_>) -> Oid {
    // SAFETY: as above.
    unsafe { (*(*trigger.trigger_data().tg_relation).rd_rel).relowner }
}

/// Returns the table that the relation is a partition of, even while it is being detached.
pub(crate) fn partitioned_table(trigger: &PgTrigger<'_>) -> Option<Oid> {
    // SAFETY: as above; a partition has a parent.
    unsafe {
        let relation = *trigger.trigger_data().tg_relation;
        (*relation.rd_rel).relispartition.then(|| {
            pg_sys::ffi::pg_guard_ffi_boundary(|| get_partition_parent(relation.rd_id, true))
        })
    }
}
