//! The values of the settings. All but `eventlog.tenant_id` are for superusers (and roles with
//! GRANT SET): a connection must not be able to switch off its own audit.

pub(crate) mod databases;
pub(crate) mod define;
pub(crate) mod tenant_setting;

use std::cell::Cell;
use std::ffi::CString;
use std::time::Duration;

use pgrx::guc::{GucSetting, PostgresGucEnum};

use crate::settings::tenant_setting::TenantSetting;

/// Where a connection's tenant comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PostgresGucEnum)]
#[allow(non_camel_case_types)]
pub(crate) enum TenantSource {
    setting,
    jwt,
    role,
}

/// What happens to an event whose name is not in the taxonomy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PostgresGucEnum)]
#[allow(non_camel_case_types)]
pub(crate) enum UnknownName {
    reject,
    quarantine,
    register,
}

static ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
static ALLOW_WILDCARDS: GucSetting<bool> = GucSetting::<bool>::new(false);
static TENANT_ID: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static TENANT_CLAIM: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"tenant_id"));
static TENANT_SOURCE: GucSetting<TenantSource> =
    GucSetting::<TenantSource>::new(TenantSource::setting);
static ON_UNKNOWN_NAME: GucSetting<UnknownName> =
    GucSetting::<UnknownName>::new(UnknownName::reject);
static IDEMPOTENCY_WINDOW: GucSetting<i32> = GucSetting::<i32>::new(86_400);
static REDACT_KEYS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static HASH_KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static HASH_ACTORS: GucSetting<bool> = GucSetting::<bool>::new(false);
static MAX_CLOCK_AHEAD: GucSetting<i32> = GucSetting::<i32>::new(300);
static LOCK_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5_000);
static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static MAINTENANCE_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(300);

thread_local! {
    /// The last value of `eventlog.tenant_id`: reading a string setting costs 30 ns and an
    /// allocation, and every row under policies asks for it.
    static TENANT: Cell<TenantSetting> = const { Cell::new(TenantSetting::Unset) };
}

pub(crate) fn enabled() -> bool {
    ENABLED.get()
}

pub(crate) fn allow_wildcards() -> bool {
    ALLOW_WILDCARDS.get()
}

pub(crate) fn tenant_source() -> TenantSource {
    TENANT_SOURCE.get()
}

pub(crate) fn on_unknown_name() -> UnknownName {
    ON_UNKNOWN_NAME.get()
}

pub(crate) fn idempotency_window_micros() -> i64 {
    i64::from(IDEMPOTENCY_WINDOW.get()) * 1_000_000
}

/// Returns the keys that are removed from every event.
pub(crate) fn redact_keys() -> Vec<String> {
    let list = REDACT_KEYS.get().unwrap_or_default();
    let list = list.to_string_lossy();
    let keys = list.split(',').map(str::trim).filter(|key| !key.is_empty());
    keys.map(str::to_owned).collect()
}

pub(crate) fn hash_key_file() -> Option<String> {
    let path = HASH_KEY_FILE.get()?.to_string_lossy().into_owned();
    Some(path).filter(|path| !path.is_empty())
}

/// Returns true if the actors of all names are hashed.
pub(crate) fn hash_actors() -> bool {
    HASH_ACTORS.get()
}

/// Returns how long an event may wait for a lock of another transaction, in milliseconds.
pub(crate) fn lock_timeout_ms() -> i32 {
    LOCK_TIMEOUT.get()
}

pub(crate) fn max_clock_ahead_micros() -> i64 {
    i64::from(MAX_CLOCK_AHEAD.get()) * 1_000_000
}

pub(crate) fn tenant_setting() -> TenantSetting {
    TENANT.get()
}

pub(crate) fn tenant_claim() -> String {
    TENANT_CLAIM
        .get()
        .map_or_else(|| "tenant_id".to_owned(), |claim| claim.to_string_lossy().into_owned())
}

/// Returns the databases that the background worker maintains.
pub(crate) fn databases() -> Vec<CString> {
    let list = DATABASES.get().unwrap_or_default();
    // The check hook accepts nothing that cannot be parsed.
    databases::parse(list.to_bytes()).unwrap_or_default()
}

pub(crate) fn maintenance_interval() -> Duration {
    Duration::from_secs(MAINTENANCE_INTERVAL.get().unsigned_abs().into())
}
