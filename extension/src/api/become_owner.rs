//! Runs the rest of a transaction as the log's owner. `maintain()` and `forget_*()` begin each of
//! their transactions with it.
//!
//! SET ROLE would not be safe: if a superuser calls, a trigger that the owner put on a table of the
//! log could SET ROLE back. PostgreSQL refuses that under the security context set here. An abort
//! restores the caller by itself; before a commit the callback below does.

use pgrx::prelude::*;
use pgrx::{PgXactCallbackEvent, register_xact_callback};

use crate::error::Fault;
use crate::pg::identity::{Identity, require_rights_of};
use crate::registry;

/// Becomes the log's owner until the transaction ends; 42501 for a caller without the owner's
/// rights.
#[pg_extern(sql = false)]
fn become_owner() {
    let owner = registry::require().owner;
    let caller = Identity::current();
    if caller.role == owner {
        return;
    }
    require_rights_of(owner);
    if caller.is_inside_another() {
        // A security-definer function restores its caller on return; restoring again at commit
        // would set the wrong role.
        Fault::new(
            PgSqlErrorCode::ERRCODE_INVALID_TRANSACTION_TERMINATION,
            "not inside a security-definer function",
        )
        .hint("CALL it by itself")
        .raise();
    }
    let acting = caller.with_role(owner);
    acting.assume();
    for event in [PgXactCallbackEvent::PreCommit, PgXactCallbackEvent::PrePrepare] {
        register_xact_callback(event, move || {
            if Identity::current() == acting {
                caller.assume();
            }
        });
    }
}
