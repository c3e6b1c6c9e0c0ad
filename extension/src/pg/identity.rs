//! The current role, its rights, and acting as another role.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Datum, Oid};

use crate::error::Fault;

// SAFETY: PostgreSQL's own function, as its header declares it. It reads a variable and raises
// nothing, so it need not pay for pgrx's guard against errors (60 to 110 instructions a call).
unsafe extern "C-unwind" {
    safe fn GetUserId() -> Oid;
}

/// Returns the role whose rights count now.
pub(crate) fn current_role() -> Oid {
    GetUserId()
}

/// Acts as another role until it is dropped. An error drops it too, and PostgreSQL restores the
/// role once more when it aborts the transaction.
///
/// For a superuser this is a security-restricted operation as well: otherwise a deferred trigger of
/// the other role would run at commit, when the superuser is back (up to PostgreSQL 17).
pub(crate) struct ActAs(Identity);

impl ActAs {
    pub(crate) fn role(role: Oid) -> Self {
        let saved = Identity::current();
        let mut acting = saved.with_role(role);
        if saved.role != role && is_superuser(saved.role) {
            acting.context |= pg_sys::SECURITY_RESTRICTED_OPERATION as c_int;
        }
        acting.assume();
        ActAs(saved)
    }
}

impl Drop for ActAs {
    fn drop(&mut self) {
        self.0.assume();
    }
}

/// A role and the security context that it acts under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) role: Oid,
    context: c_int,
}

impl Identity {
    /// Returns the current role and its context.
    pub(crate) fn current() -> Self {
        let mut identity = Identity { role: Oid::INVALID, context: 0 };
        // SAFETY: reads the backend's identity.
        unsafe { pg_sys::GetUserIdAndSecContext(&mut identity.role, &mut identity.context) };
        identity
    }

    /// Returns true inside a security-definer function, or while acting as another role.
    pub(crate) fn is_inside_another(&self) -> bool {
        self.context != 0
    }

    /// Returns the same context with another role, from which SET ROLE is refused.
    pub(crate) fn with_role(self, role: Oid) -> Self {
        let context = self.context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as c_int;
        Identity { role, context }
    }

    /// Acts under this identity until it is changed again; an abort restores the session's own.
    pub(crate) fn assume(self) {
        // SAFETY: writes the backend's identity.
        unsafe { pg_sys::SetUserIdAndSecContext(self.role, self.context) };
    }
}

/// Returns the system identifier of this server.
pub(crate) fn cluster() -> i64 {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::GetSystemIdentifier() }.cast_signed()
}

/// Returns the current role's name as a parameter; an empty one for a role that was dropped.
pub(crate) fn role_name() -> Datum {
    // SAFETY: with `noerr` a dropped role gives null; a `name` is 64 bytes, zeroed first.
    unsafe {
        let name = pg_sys::GetUserNameFromId(current_role(), true);
        let copy = pg_sys::palloc0(pg_sys::NAMEDATALEN as usize).cast::<c_char>();
        if !name.is_null() {
            let length = CStr::from_ptr(name).to_bytes().len();
            let most = pg_sys::NAMEDATALEN as usize - 1;
            ptr::copy_nonoverlapping(name, copy, length.min(most));
        }
        Datum::from(copy)
    }
}

/// Returns a role's name; nothing if it was dropped.
pub(crate) fn name_of(role: Oid) -> Option<String> {
    // SAFETY: with `noerr` a dropped role gives null; otherwise a string in our memory context.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// Returns a role's name as SQL writes it, or its number if it was dropped.
fn quoted_name(role: Oid) -> String {
    // SAFETY: as above.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            return role.to_u32().to_string();
        }
        CStr::from_ptr(pg_sys::quote_identifier(name)).to_string_lossy().into_owned()
    }
}

/// Returns true if `role` may use the rights of `of` without SET ROLE.
pub(crate) fn has_rights_of(role: Oid, of: Oid) -> bool {
    // SAFETY: reads the caches.
    unsafe { pg_sys::has_privs_of_role(role, of) }
}

/// Returns true if `role` is a member of `of`; a superuser is one of every role.
pub(crate) fn is_member_of(role: Oid, of: Oid) -> bool {
    // SAFETY: reads the caches.
    unsafe { pg_sys::is_member_of_role(role, of) }
}

/// Returns true if `role` is a superuser.
pub(crate) fn is_superuser(role: Oid) -> bool {
    // SAFETY: reads the caches.
    unsafe { pg_sys::superuser_arg(role) }
}

/// Returns true if no policy binds `role`, whatever the table.
pub(crate) fn bypasses_policies(role: Oid) -> bool {
    // SAFETY: reads the caches.
    unsafe { pg_sys::has_bypassrls_privilege(role) }
}

/// Returns true if the policies of `relation` bind `role`.
pub(crate) fn is_under_policies(relation: Oid, role: Oid) -> bool {
    // SAFETY: reads the caches; with `noError` it raises nothing.
    let answer = unsafe { pg_sys::check_enable_rls(relation, role, true) };
    answer == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
}

/// Returns true if `role` may insert into `relation`, or into its column of that name.
pub(crate) fn may_insert(role: Oid, relation: Oid, column: &CStr) -> bool {
    let right = pg_sys::ACL_INSERT as pg_sys::AclMode;
    // SAFETY: reads the caches; the name ends in NUL.
    unsafe {
        pg_sys::pg_class_aclcheck(relation, role, right) == pg_sys::AclResult::ACLCHECK_OK || {
            let column = pg_sys::get_attnum(relation, column.as_ptr());
            pg_sys::pg_attribute_aclcheck(relation, column, role, right)
                == pg_sys::AclResult::ACLCHECK_OK
        }
    }
}

/// Raises 42501 unless the current role has the rights of `owner`.
pub(crate) fn require_rights_of(owner: Oid) {
    if has_rights_of(current_role(), owner) {
        return;
    }
    let owner = quoted_name(owner);
    Fault::new(
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        format!("permission denied: the log belongs to {owner}"),
    )
    .hint(format!("SET ROLE {owner};"))
    .raise();
}
