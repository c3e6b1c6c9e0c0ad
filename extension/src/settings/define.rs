//! The definitions of the settings: names, bounds, descriptions and hooks.

use std::ffi::CStr;

use pgrx::guc::{GucContext, GucFlags, GucRegistry};

use crate::generation;
use crate::pg::configuration::{
    BoolHook, StringHooks, define_bool, define_string, list_flag, reserve_prefix,
};
use crate::settings::databases;
use crate::settings::tenant_setting::{self, TenantSetting};
use crate::settings::{
    ALLOW_WILDCARDS, DATABASES, ENABLED, HASH_ACTORS, HASH_KEY_FILE, IDEMPOTENCY_WINDOW,
    LOCK_TIMEOUT, MAINTENANCE_INTERVAL, MAX_CLOCK_AHEAD, ON_UNKNOWN_NAME, REDACT_KEYS, TENANT,
    TENANT_CLAIM, TENANT_ID, TENANT_SOURCE,
};

/// `eventlog.databases`.
enum DatabasesHooks {}

impl StringHooks for DatabasesHooks {
    fn check(value: &CStr) -> Result<(), (String, &'static CStr)> {
        const HINT: &CStr = c"separate names by commas; put a name in double quotes if it has a comma, a quote or a space at an end";
        databases::parse(value.to_bytes()).map(drop).map_err(|reason| (reason, HINT))
    }
}

/// `eventlog.tenant_id`.
enum TenantHooks {}

impl StringHooks for TenantHooks {
    fn assign(value: Option<&CStr>) {
        let parse = |value: &CStr| tenant_setting::parse(value.to_bytes());
        TENANT.set(value.map_or(TenantSetting::Unset, parse));
    }
}

/// Settings that the registry depends on: the next call reads it again.
enum RegistryHooks {}

impl StringHooks for RegistryHooks {
    fn assign(_value: Option<&CStr>) {
        generation::bump();
    }
}

impl BoolHook for RegistryHooks {
    fn assign(_value: bool) {
        generation::bump();
    }
}

/// Defines the settings and reserves the prefix, so that a misspelt one is an error.
pub(crate) fn init() {
    GucRegistry::define_bool_guc(
        c"eventlog.enabled",
        c"Enables logging of events.",
        c"Default on. Off: log_event and try_log_event return NULL, log_events zeros, and nothing is written.",
        &ENABLED,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"eventlog.allow_wildcards",
        c"Enables names that end in \".*\" in event_types.",
        c"Default off. On: an unknown name gets the type of the longest \"prefix.*\" that covers it.",
        &ALLOW_WILDCARDS,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"eventlog.tenant_source",
        c"Sets where a connection's tenant comes from.",
        c"setting (default): eventlog.tenant_id; jwt: a claim of request.jwt.claims; role: the table tenant_roles.",
        &TENANT_SOURCE,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"eventlog.tenant_claim",
        c"Sets the claim of request.jwt.claims that holds the tenant.",
        c"Default tenant_id; a path such as app_metadata.tenant_id for a claim inside another.",
        &TENANT_CLAIM,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"eventlog.on_unknown_name",
        c"Sets what happens to an event whose name is not in event_types.",
        c"reject (default): 42704; quarantine: a row in rejected_events and a WARNING; register: the name is added.",
        &ON_UNKNOWN_NAME,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"eventlog.idempotency_window",
        c"Sets how long an idempotency key is remembered.",
        c"In seconds, 1 to 2592000 (30 days), default 86400 (a day): an older key counts as new.",
        &IDEMPOTENCY_WINDOW,
        1,
        2_592_000,
        GucContext::Suset,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_string_guc(
        c"eventlog.hash_key_file",
        c"Sets the file with the key of keyed hashes.",
        c"Its bytes are the key, at least 16; a line end at the end does not count. Only the server's user may read it.",
        &HASH_KEY_FILE,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"eventlog.max_clock_ahead",
        c"Sets how far occurred_at may be ahead of the server's clock.",
        c"In seconds, 0 to 31536000 (a year), default 300: a time further ahead is replaced by the server's clock.",
        &MAX_CLOCK_AHEAD,
        0,
        31_536_000,
        GucContext::Suset,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"eventlog.lock_timeout",
        c"Sets how long an idempotency key, a producer, a missing partition and migrate_log() wait for a lock.",
        c"In milliseconds, 1 to 600000, default 5000; a shorter lock_timeout of the session wins.",
        &LOCK_TIMEOUT,
        1,
        600_000,
        GucContext::Suset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"eventlog.maintenance_interval",
        c"Sets how often the background worker calls maintain().",
        c"In seconds, 1 to 2592000 (30 days), default 300: from the start of a run to the start of the next.",
        &MAINTENANCE_INTERVAL,
        1,
        2_592_000,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    define_string::<DatabasesHooks>(
        c"eventlog.databases",
        c"Sets the databases whose log the background worker maintains.",
        c"A list separated by commas, default empty; the library must be in shared_preload_libraries.",
        &DATABASES,
        GucContext::Sighup,
        list_flag(),
    );
    define_string::<TenantHooks>(
        c"eventlog.tenant_id",
        c"Sets the tenant of this connection, if eventlog.tenant_source is setting.",
        c"A uuid; empty means no tenant, which sees and writes nothing.",
        &TENANT_ID,
        GucContext::Userset,
        GucFlags::default(),
    );
    define_bool::<RegistryHooks>(
        c"eventlog.hash_actors",
        c"Hashes the actors of all names, as hash_actor does for one.",
        c"Default off. On: an actor, and the value of actor_key, become HMAC-SHA-256 under the key in eventlog.hash_key_file.",
        &HASH_ACTORS,
        GucContext::Suset,
        GucFlags::default(),
    );
    define_string::<RegistryHooks>(
        c"eventlog.redact_keys",
        c"Sets keys that are removed from every event, at any depth.",
        c"A list separated by commas, default empty; event types may have redact_keys of their own.",
        &REDACT_KEYS,
        GucContext::Suset,
        GucFlags::default(),
    );
    reserve_prefix();
}
