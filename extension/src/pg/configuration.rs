//! Settings of PostgreSQL and hooks of our own.

use std::ffi::{CStr, CString, c_char, c_void};

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use pgrx::pg_sys::submodules::panic::pgrx_extern_c_guard;

/// Hooks of a setting of type string.
pub(crate) trait StringHooks {
    /// Refuses a value with DETAIL and HINT.
    fn check(_value: &CStr) -> Result<(), (String, &'static CStr)> {
        Ok(())
    }

    /// Takes over a value. Runs inside `SET` and at the end of transactions, where nothing may
    /// fail.
    fn assign(_value: Option<&CStr>) {}
}

unsafe extern "C-unwind" fn check_string<H: StringHooks>(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: PostgreSQL passes a place that holds a string that ends in NUL, or NULL; it shows
    // the detail before the memory context ends that is current here.
    unsafe {
        pgrx_extern_c_guard(|| {
            if (*value).is_null() {
                return true;
            }
            let Err((detail, hint)) = H::check(CStr::from_ptr(*value)) else { return true };
            let detail = CString::new(detail).unwrap_or_default();
            pg_sys::GUC_check_errdetail_string = pg_sys::pstrdup(detail.as_ptr());
            pg_sys::GUC_check_errhint_string = pg_sys::pstrdup(hint.as_ptr());
            false
        })
    }
}

unsafe extern "C-unwind" fn assign_string<H: StringHooks>(
    value: *const c_char,
    _extra: *mut c_void,
) {
    // SAFETY: PostgreSQL passes a string that ends in NUL, or NULL.
    unsafe {
        pgrx_extern_c_guard(|| {
            H::assign(if value.is_null() { None } else { Some(CStr::from_ptr(value)) });
        });
    }
}

/// Defines a setting of type string with hooks.
pub(crate) fn define_string<H: StringHooks>(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
    context: GucContext,
    flags: GucFlags,
) {
    // SAFETY: the hooks have the signature that PostgreSQL wants, and are guarded.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            name,
            short,
            long,
            setting,
            context,
            flags,
            Some(check_string::<H>),
            Some(assign_string::<H>),
            None,
        );
    }
}

/// The hook of a setting of type boolean.
pub(crate) trait BoolHook {
    /// Does the same as [`StringHooks::assign`].
    fn assign(value: bool);
}

unsafe extern "C-unwind" fn assign_bool<H: BoolHook>(value: bool, _extra: *mut c_void) {
    // SAFETY: PostgreSQL calls it.
    unsafe { pgrx_extern_c_guard(|| H::assign(value)) };
}

/// Defines a setting of type boolean with a hook.
pub(crate) fn define_bool<H: BoolHook>(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<bool>,
    context: GucContext,
    flags: GucFlags,
) {
    // SAFETY: as above.
    unsafe {
        GucRegistry::define_bool_guc_with_hooks(
            name,
            short,
            long,
            setting,
            context,
            flags,
            None,
            Some(assign_bool::<H>),
            None,
        );
    }
}

/// Returns the flag of a setting whose value is a list with commas.
pub(crate) fn list_flag() -> GucFlags {
    GucFlags::from_bits_retain(pg_sys::GUC_LIST_INPUT as i32)
}

/// Makes a misspelt setting `eventlog.…` an error. Called once, after all settings are defined.
pub(crate) fn reserve_prefix() {
    // SAFETY: both take a string that ends in NUL and keep a copy.
    unsafe {
        #[cfg(feature = "pg14")]
        pg_sys::EmitWarningsOnPlaceholders(c"eventlog".as_ptr());
        #[cfg(not(feature = "pg14"))]
        pg_sys::MarkGUCPrefixReserved(c"eventlog".as_ptr());
    }
}

/// Passes the value of any string setting to `look`; nothing if it was never set.
pub(crate) fn with_value<T>(name: &CStr, look: impl FnOnce(Option<&CStr>) -> T) -> T {
    // SAFETY: with `missing_ok`; the value lives until the setting changes, which `look` does not do.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        look(if value.is_null() { None } else { Some(CStr::from_ptr(value)) })
    }
}

/// Sets a setting of this process, over that of the database and of the role.
pub(crate) fn set(name: &CStr, value: &CStr) {
    // SAFETY: both strings end in NUL.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_OVERRIDE,
        );
    }
}

/// Runs `body` with another value of a setting, as a function with a SET clause does.
fn with_setting<T>(name: &CStr, value: &CStr, body: impl FnOnce() -> T) -> T {
    // SAFETY: as PostgreSQL does it for a function; after an error PostgreSQL ends the level.
    unsafe {
        let level = pg_sys::NewGUCNestLevel();
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        let result = body();
        pg_sys::AtEOXact_GUC(true, level);
        result
    }
}

/// Runs `body` without event triggers. Before PostgreSQL 17 those that are ENABLE ALWAYS still
/// fire.
pub(crate) fn without_event_triggers<T>(body: impl FnOnce() -> T) -> T {
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    let (name, value) = (c"session_replication_role", c"replica");
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    let (name, value) = (c"event_triggers", c"off");
    with_setting(name, value, body)
}
