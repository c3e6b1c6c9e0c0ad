//! Doors: public SQL functions that run a private one as the log's owner.
//!
//! The log's owner may put triggers, defaults and rules on its tables. A superuser who calls, say,
//! `set_tenant()` must not run them with a superuser's rights, so the function that touches the
//! tables runs as the owner whoever calls. A door is a C function `eventlog.name(…)` or
//! `eventlog._name(…)`; behind it stands `eventlog_private.name(…)` with the same arguments, in a
//! schema that only the log's owner may use. SECURITY DEFINER cannot do this: the extension's
//! functions belong to the superuser who installed it.

use std::mem::offset_of;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo, Oid};
use pgrx::{PgSqlErrorCode, pg_guard};

use crate::error::Fault;
use crate::pg::identity::{As, require_rights_of};
use crate::pg::spi::{Kept, Mode, Params, Rows, Session};

thread_local! {
    /// The owner of the log, and the function behind a door.
    static BEHIND: Kept = const { Kept::new(
        c"SELECT (SELECT c.relowner FROM pg_catalog.pg_class c
                   WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('eventlog.events')),
                 b.oid
            FROM pg_catalog.pg_proc d
            JOIN pg_catalog.pg_proc b
              ON b.proname OPERATOR(pg_catalog.=) pg_catalog.ltrim(d.proname::pg_catalog.text, '_')::pg_catalog.name
             AND b.proargtypes OPERATOR(pg_catalog.=) d.proargtypes
            JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) b.pronamespace
           WHERE d.oid OPERATOR(pg_catalog.=) $1
             AND n.nspname OPERATOR(pg_catalog.=) 'eventlog_private'",
        &[pg_sys::OIDOID],
    ) };
}

/// The log's owner, if there is a log, and the function behind the door that is being called.
fn behind(fcinfo: FunctionCallInfo) -> (Option<Oid>, Oid) {
    // SAFETY: PostgreSQL passes a valid fcinfo with the function it calls.
    let door = unsafe { (*(*fcinfo).flinfo).fn_oid };
    let session = Session::begin();
    BEHIND.with(|plan| {
        plan.execute(&session, Mode::ReadLatest, Params::new([Some(Datum::from(door))]))
    });
    let rows = Rows::last(&session);
    match (rows.len() == 1).then(|| rows.get::<Oid>(0, 2)).flatten() {
        Some(behind) => (rows.get::<Oid>(0, 1), behind),
        None => Fault::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_FUNCTION,
            "there is no function behind this door",
        )
        .hint("ALTER EXTENSION eventlog UPDATE;")
        .raise(),
    }
}

/// Calls the function behind a door with the door's own arguments, as `role`.
fn walk_through(fcinfo: FunctionCallInfo, function: Oid, role: Oid) -> Datum {
    // SAFETY: the copy has the size that its number of arguments asks for, and the same arguments
    // and place for results; `flinfo` outlives the call. What the function raises comes back as a
    // panic, which drops `_owner` on its way.
    unsafe {
        let arguments = usize::try_from((*fcinfo).nargs).unwrap_or(0);
        let size = offset_of!(pg_sys::FunctionCallInfoBaseData, args)
            + arguments * size_of::<pg_sys::NullableDatum>();
        let copy = pg_sys::palloc0(size).cast::<pg_sys::FunctionCallInfoBaseData>();
        std::ptr::copy_nonoverlapping(fcinfo.cast::<u8>(), copy.cast::<u8>(), size);
        let flinfo = pg_sys::palloc0(size_of::<pg_sys::FmgrInfo>()).cast::<pg_sys::FmgrInfo>();
        pg_sys::fmgr_info(function, flinfo);
        (*copy).flinfo = flinfo;
        (*copy).isnull = false;
        let call = (*flinfo).fn_addr.expect("fmgr_info sets it");
        let _owner = As::role(role);
        let result = pg_sys::ffi::pg_guard_ffi_boundary(|| call(copy));
        (*fcinfo).isnull = (*copy).isnull;
        result
    }
}

/// Runs the function behind the door as the log's owner: 55000 without a log, 42501 for a caller
/// without the owner's rights.
///
/// # Safety
/// For PostgreSQL to call.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn as_owner_wrapper(fcinfo: FunctionCallInfo) -> Datum {
    let (owner, function) = behind(fcinfo);
    let Some(owner) = owner else {
        Fault::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "there is no log in this database yet",
        )
        .hint("SELECT eventlog.create_log();")
        .raise();
    };
    require_rights_of(owner);
    walk_through(fcinfo, function, owner)
}

/// Runs the function behind the door as the role that is its first argument, for `create_log()`
/// while there is no log. 42501 for a caller without the rights of that role.
///
/// # Safety
/// For PostgreSQL to call.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn as_role_wrapper(fcinfo: FunctionCallInfo) -> Datum {
    let (_, function) = behind(fcinfo);
    // SAFETY: the doors of this kind are declared with a regrole first.
    let role = unsafe {
        let arguments = (*fcinfo).args.as_slice(1);
        if arguments[0].isnull {
            Oid::INVALID
        } else {
            Oid::from(arguments[0].value.value() as u32)
        }
    };
    if role == Oid::INVALID {
        Fault::null("role").raise();
    }
    require_rights_of(role);
    walk_through(fcinfo, function, role)
}

/// PostgreSQL asks each C function for its calling convention.
macro_rules! version_1 {
    ($($name:ident)*) => {$(
        #[doc(hidden)]
        #[allow(unreachable_pub, reason = "the server looks it up by name")]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn $name() -> &'static pg_sys::Pg_finfo_record {
            const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &VERSION_1
        }
    )*};
}

version_1! { pg_finfo_as_owner_wrapper pg_finfo_as_role_wrapper }
