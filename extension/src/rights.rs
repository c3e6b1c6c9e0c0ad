//! What the current role may do with the log.

use pgrx::prelude::*;

use crate::error::Fault;
use crate::registry::Log;

impl Log {
    /// Whether the policies of `events` bind the current role.
    pub(crate) fn policies_bind(&self) -> bool {
        // SAFETY: reads the caches; with `noError` it raises nothing.
        let rls = unsafe { pg_sys::check_enable_rls(self.events, pg_sys::InvalidOid, true) };
        rls == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
    }

    /// Whether a policy lets the current role insert for other tenants than its own.
    pub(crate) fn is_service(&self) -> bool {
        // SAFETY: reads the caches.
        let role = unsafe { pg_sys::GetUserId() };
        self.service_roles.iter().any(|service| {
            // In a policy, 0 stands for PUBLIC.
            // SAFETY: as above.
            *service == pg_sys::InvalidOid || unsafe { pg_sys::has_privs_of_role(role, *service) }
        })
    }

    /// Whether the current role may insert into `events`: asked before anything is done as the
    /// log's owner on its behalf.
    pub(crate) fn is_writer(&self) -> bool {
        // SAFETY: reads the caches.
        unsafe {
            let role = pg_sys::GetUserId();
            let column = pg_sys::get_attnum(self.events, c"tenant_id".as_ptr());
            let may_insert = pg_sys::ACL_INSERT as pg_sys::AclMode;
            pg_sys::pg_class_aclcheck(self.events, role, may_insert)
                == pg_sys::AclResult::ACLCHECK_OK
                || pg_sys::pg_attribute_aclcheck(self.events, column, role, may_insert)
                    == pg_sys::AclResult::ACLCHECK_OK
        }
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

/// Refuses to write in a READ ONLY transaction and on a standby, as INSERT does (25006).
pub(crate) fn require_read_write(verb: &std::ffi::CStr) {
    // SAFETY: the name ends in NUL; raises or does nothing.
    unsafe { pg_sys::PreventCommandIfReadOnly(verb.as_ptr()) };
}
