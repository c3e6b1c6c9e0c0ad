//! Calls of functions that forward their arguments to another function.

use std::mem::offset_of;

use pgrx::datum::FromDatum;
use pgrx::pg_sys::{self, Datum, FunctionCallInfo, Oid};

use crate::pg::array::Array;
use crate::pg::identity::ActAs;
use crate::pg::rows::RowSink;

/// A call that PostgreSQL makes of one of our functions.
pub(crate) struct Call(FunctionCallInfo);

impl Call {
    /// # Safety
    /// `fcinfo` is what PostgreSQL passed to the function that it is calling.
    pub(crate) unsafe fn new(fcinfo: FunctionCallInfo) -> Self {
        Call(fcinfo)
    }

    /// Returns the function that is called.
    pub(crate) fn function(&self) -> Oid {
        // SAFETY: PostgreSQL fills flinfo for each call.
        unsafe { (*(*self.0).flinfo).fn_oid }
    }

    /// Returns the first argument of a function that declares an oid there; nothing for null.
    pub(crate) fn first_oid(&self) -> Option<Oid> {
        // SAFETY: PostgreSQL passes as many arguments as nargs says.
        let first = unsafe {
            if (*self.0).nargs < 1 {
                return None;
            }
            &(*self.0).args.as_slice(1)[0]
        };
        (!first.isnull).then(|| Oid::from(first.value.value() as u32))
    }

    /// Returns the first argument of a function that declares a type by reference there; nothing for null.
    pub(crate) fn first_value(&self) -> Option<Datum> {
        // SAFETY: as above.
        unsafe {
            if (*self.0).nargs < 1 {
                return None;
            }
            let first = &(*self.0).args.as_slice(1)[0];
            (!first.isnull).then_some(first.value)
        }
    }

    /// Returns the first argument of a function that declares a bytea there; nothing for null.
    pub(crate) fn first_bytes<'a>(&self) -> Option<&'a [u8]> {
        // SAFETY: the declaration in SQL has a bytea there; the value lives as long as the call.
        self.first_value().and_then(|value| unsafe { <&[u8]>::from_datum(value, false) })
    }

    /// Begins the rows that the function returns.
    pub(crate) fn rows(&self) -> RowSink {
        // SAFETY: PostgreSQL made the call.
        unsafe { RowSink::begin(self.0) }
    }

    /// Calls `function` with the same arguments, as `role`.
    pub(crate) fn forward(&self, function: Oid, role: Oid) -> Datum {
        let fcinfo = self.0;
        // SAFETY: the copy has the size that its number of arguments asks for, and the same arguments
        // and place for results; `flinfo` outlives the call. An error of the function comes back as
        // a panic, which drops `_as_role` on its way.
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
            let _as_role = ActAs::role(role);
            let result = pg_sys::ffi::pg_guard_ffi_boundary(|| call(copy));
            (*fcinfo).isnull = (*copy).isnull;
            result
        }
    }
}

/// Returns an argument that is an array, and that only some declarations of the function have; nothing
/// for null, or in a call of another.
pub(crate) fn array_argument(fcinfo: FunctionCallInfo, position: usize) -> Option<Array> {
    // SAFETY: PostgreSQL passes as many arguments as nargs says, and the declarations in SQL have an
    // array there.
    unsafe {
        let has_it = usize::try_from((*fcinfo).nargs).is_ok_and(|given| position < given);
        has_it.then(|| pgrx::fcinfo::pg_getarg(fcinfo, position)).flatten()
    }
}

/// Exports C functions that pass their call to a safe function: `symbol, finfo symbol => function`.
macro_rules! export_calls {
    ($($symbol:ident, $finfo:ident => $function:expr;)*) => {$(
        #[doc(hidden)]
        #[allow(unreachable_pub, reason = "the server looks it up by name")]
        #[unsafe(no_mangle)]
        #[pgrx::pg_guard]
        pub unsafe extern "C-unwind" fn $symbol(
            fcinfo: pgrx::pg_sys::FunctionCallInfo,
        ) -> pgrx::pg_sys::Datum {
            // SAFETY: PostgreSQL calls it.
            ($function)(unsafe { $crate::pg::call::Call::new(fcinfo) })
        }

        /// PostgreSQL asks each C function for its calling convention.
        #[doc(hidden)]
        #[allow(unreachable_pub, reason = "the server looks it up by name")]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn $finfo() -> &'static pgrx::pg_sys::Pg_finfo_record {
            const VERSION_1: pgrx::pg_sys::Pg_finfo_record =
                pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &VERSION_1
        }
    )*};
}

pub(crate) use export_calls;
