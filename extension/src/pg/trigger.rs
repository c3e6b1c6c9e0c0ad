//! Running as a trigger, and the relation that a trigger is on.

use std::ffi::{CStr, CString};

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Oid};
use pgrx::trigger_support::PgTrigger;

use crate::error::Fault;

// SAFETY: PostgreSQL's own function, as its header declares it, which pgrx leaves out. It may raise:
// called through the guard.
unsafe extern "C-unwind" {
    fn get_partition_parent(relation: Oid, even_if_detached: bool) -> Oid;
}

/// Runs the body of a trigger's function; 39P01 if it is called as a function. pgrx's `#[pg_trigger]` raises
/// XX000 then.
pub(crate) fn run(fcinfo: pg_sys::FunctionCallInfo, name: &str, body: impl FnOnce(&PgTrigger<'_>)) {
    // SAFETY: PostgreSQL calls with a valid fcinfo, which outlives the call.
    let trigger = unsafe { PgTrigger::from_fcinfo(&*fcinfo) };
    match trigger {
        Ok(trigger) => body(&trigger),
        Err(_) => Fault::new(
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            format!("{name}() can only be called as a trigger"),
        )
        .raise(),
    }
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

/// Returns the text of a column in the row as the statement leaves it; nothing for null, or if
/// there is no such column.
pub(crate) fn value(trigger: &PgTrigger<'_>, column: &str) -> Option<String> {
    let data = trigger.trigger_data();
    let is_update = trigger.event().fired_by_update();
    text_of(trigger, if is_update { data.tg_newtuple } else { data.tg_trigtuple }, column)
}

/// Returns the text of a column in the row before an UPDATE.
pub(crate) fn value_before(trigger: &PgTrigger<'_>, column: &str) -> Option<String> {
    text_of(trigger, trigger.trigger_data().tg_trigtuple, column)
}

fn text_of(trigger: &PgTrigger<'_>, row: pg_sys::HeapTuple, column: &str) -> Option<String> {
    let column = CString::new(column).ok()?;
    // SAFETY: the row of a row trigger is of its relation, which PostgreSQL keeps open. The text is
    // copied before the next call may free it.
    unsafe {
        let description = (*trigger.trigger_data().tg_relation).rd_att;
        let number = pg_sys::SPI_fnumber(description, column.as_ptr());
        if row.is_null() || number <= 0 {
            return None;
        }
        let text = pg_sys::SPI_getvalue(row, description, number);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
