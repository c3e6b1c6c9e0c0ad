//! The rights of the current role in the log.

use std::cell::Cell;

use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::identity::{
    ActAs, current_role, has_rights_of, is_superuser, is_under_policies, may_insert,
};
use crate::registry::log::Log;

/// The current role as the log sees it. Computed once for a role and a generation of the log:
/// changed grants, policies, owners and memberships start a new generation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    role: pg_sys::Oid,
    generation: u64,
    /// True if policies bind it, so that the guard sees what it inserts.
    pub(crate) is_bound: bool,
    /// True if it has the rights of the log's owner.
    pub(crate) is_owner: bool,
    /// True for a superuser, who logs as the owner: triggers and lookups that the log's owner made
    /// must not run with a superuser's rights.
    pub(crate) logs_as_owner: bool,
    /// True if it may insert into `events`.
    is_writer: bool,
    /// True if a policy lets it insert for other tenants.
    pub(crate) is_service: bool,
}

thread_local! {
    static CALLER: Cell<Option<Caller>> = const { Cell::new(None) };
}

impl Log {
    /// Returns the current role.
    pub(crate) fn caller(&self) -> Caller {
        let role = current_role();
        match CALLER.get() {
            Some(caller) if caller.role == role && caller.generation == self.generation() => caller,
            _ => {
                let caller = self.examine(role);
                CALLER.set(Some(caller));
                caller
            }
        }
    }

    fn examine(&self, role: pg_sys::Oid) -> Caller {
        // In a policy, 0 stands for PUBLIC.
        let has = |of: pg_sys::Oid| of == pg_sys::InvalidOid || has_rights_of(role, of);
        Caller {
            role,
            generation: self.generation(),
            is_bound: is_under_policies(self.events, role),
            is_owner: has(self.owner),
            logs_as_owner: role != self.owner && is_superuser(role),
            is_writer: may_insert(role, self.events, c"tenant_id"),
            is_service: self.service_roles.iter().any(|service| has(*service)),
        }
    }

    /// Makes a superuser the log's owner until the result is dropped; other roles stay as they are.
    pub(crate) fn without_superuser(&self, caller: Caller) -> Option<ActAs> {
        caller.logs_as_owner.then(|| ActAs::role(self.owner))
    }

    /// Returns true if the current role may insert into `events`. Asked before anything is done as
    /// the log's owner on its behalf.
    pub(crate) fn is_writer(&self) -> bool {
        self.caller().is_writer
    }

    pub(crate) fn require_writer(&self) -> Result<(), Fault> {
        if self.is_writer() {
            return Ok(());
        }
        Err(Fault::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "permission denied to log events",
        )
        .hint("the log's owner types: SELECT eventlog.grant_writer('<role>');"))
    }
}
