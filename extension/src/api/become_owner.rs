//! The rest of a transaction as the log's owner: what `maintain()` and `forget_*()` begin each of
//! their transactions with.
//!
//! Not by SET ROLE: where a superuser calls, a trigger of the owner's on a table of the log could
//! SET ROLE back. PostgreSQL refuses that under the context that is set here. An abort restores the
//! identity by itself; before a commit it is restored by the callback below.

use pgrx::prelude::*;
use pgrx::{PgXactCallbackEvent, register_xact_callback};

use crate::error::Fault;
use crate::pg::identity::{Identity, require_rights_of};
use crate::registry;

/// Becomes the log's owner until the transaction ends; 42501 for a caller without its rights.
#[pg_extern(sql = false)]
fn become_owner() {
    let owner = match registry::current() {
        Ok(log) => log.owner,
        Err(no_log) => no_log.raise(),
    };
    let caller = Identity::current();
    if caller.role == owner {
        return;
    }
    require_rights_of(owner);
    if caller.is_inside_another() {
        // Who is restored on the way out of such a function must not be restored once more.
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
