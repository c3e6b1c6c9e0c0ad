//! What the current role may do with the log.

use std::cell::Cell;

use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::identity::{
    As, current_role, has_rights_of, is_superuser, is_under_policies, may_insert,
};
use crate::registry::log::Log;

/// The current role as the log sees it. Worked out once for a role and a generation of the log:
/// grants, policies, ownership and memberships that change start a new generation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    role: pg_sys::Oid,
    generation: u64,
    /// Policies bind it, and so the guard sees what it inserts.
    pub(crate) is_bound: bool,
    /// It has the rights of the log's owner.
    pub(crate) is_owner: bool,
    /// A superuser's: what the log's owner put on its tables and lookups must not run with its rights,
    /// so that it logs as the owner.
    pub(crate) logs_as_owner: bool,
    /// It may insert into `events`.
    is_writer: bool,
    /// A policy lets it insert for other tenants than its own.
    pub(crate) is_service: bool,
}

thread_local! {
    static CALLER: Cell<Option<Caller>> = const { Cell::new(None) };
}

impl Log {
    /// The current role.
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

    /// Makes a superuser the log's owner until it is dropped; everybody else stays as they are.
    pub(crate) fn without_superuser(&self, caller: Caller) -> Option<As> {
        caller.logs_as_owner.then(|| As::role(self.owner))
    }

    /// Whether the current role may insert into `events`: asked before anything is done as the
    /// log's owner on its behalf.
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
