//! The role whose rights count, and acting as another one.

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

/// The role whose rights count now.
pub(crate) fn current_role() -> Oid {
    GetUserId()
}

/// Acts as another role until it is dropped; an error on the way drops it too, and PostgreSQL
/// restores the role once more when it aborts the transaction.
///
/// For a superuser it is a security-restricted operation as well: a deferred trigger of the other
/// role's would run at commit, when the superuser is back (up to PostgreSQL 17).
pub(crate) struct As {
    role: Oid,
    context: c_int,
}

impl As {
    pub(crate) fn role(role: Oid) -> Self {
        let mut saved = As { role: Oid::INVALID, context: 0 };
        // SAFETY: reads and writes the backend's identity, and asks for a role's attribute.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut saved.role, &mut saved.context);
            let mut context = saved.context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as c_int;
            if saved.role != role && pg_sys::superuser_arg(saved.role) {
                context |= pg_sys::SECURITY_RESTRICTED_OPERATION as c_int;
            }
            pg_sys::SetUserIdAndSecContext(role, context);
        }
        saved
    }
}

impl Drop for As {
    fn drop(&mut self) {
        // SAFETY: gives back what `role` found.
        unsafe { pg_sys::SetUserIdAndSecContext(self.role, self.context) };
    }
}

/// The current role and its security context.
pub(crate) fn identity() -> (pg_sys::Oid, i32) {
    let mut identity = (pg_sys::InvalidOid, 0);
    // SAFETY: reads the backend's identity.
    unsafe { pg_sys::GetUserIdAndSecContext(&mut identity.0, &mut identity.1) };
    identity
}

/// The number of this server's data, its system identifier.
pub(crate) fn cluster() -> i64 {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::GetSystemIdentifier() }.cast_signed()
}

/// The current role's name as a parameter; empty for a role that was dropped.
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

/// A role's name as SQL writes it.
fn quoted_name(role: Oid) -> String {
    // SAFETY: with `noerr` a role that is gone gives null; both strings live in our memory context.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            return role.to_u32().to_string();
        }
        CStr::from_ptr(pg_sys::quote_identifier(name)).to_string_lossy().into_owned()
    }
}

/// 42501 unless the current role has the rights of `owner`.
pub(crate) fn require_rights_of(owner: Oid) {
    // SAFETY: both are roles.
    if unsafe { pg_sys::has_privs_of_role(current_role(), owner) } {
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
