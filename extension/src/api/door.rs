//! Doors: public SQL functions that run a private one as the log's owner.
//!
//! The log's owner may put triggers, defaults and rules on the tables. A superuser who calls
//! `set_tenant()` must not run them with a superuser's rights, so the function that touches the
//! tables always runs as the owner. A door is a C function `eventlog.name(…)` or
//! `eventlog._name(…)`; behind it stands `eventlog_private.name(…)` with the same arguments, in a
//! schema that only the log's owner may use. SECURITY DEFINER cannot do this: the extension's
//! functions belong to the superuser who installed it.

use std::thread::LocalKey;

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, Datum, Oid};

use crate::error::Fault;
use crate::pg::call::{Call, export_calls};
use crate::pg::identity::{current_role, require_rights_of};
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session};

thread_local! {
    /// Finds the owner of the log and the function behind a door.
    static BEHIND: Prepared = const { Prepared::new(
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

thread_local! {
    /// Finds out whether a role may check keys, which only `grant_gateway()` lets it.
    static IS_GATEWAY: Prepared = const { Prepared::new(
        c"SELECT pg_catalog.has_column_privilege($1, pg_catalog.to_regclass('eventlog.api_keys'), 'secret_hash', 'SELECT')",
        &[pg_sys::OIDOID],
    ) };
}

thread_local! {
    /// Finds out whether the caller may read the events of a tenant; `_report_tenant()` raises if it is of
    /// another.
    static MAY_READ: Prepared = const { Prepared::new(
        c"SELECT eventlog._report_tenant($1) OPERATOR(pg_catalog.=) $1
                 AND (pg_catalog.has_table_privilege('eventlog.events', 'SELECT'))",
        &[pg_sys::UUIDOID],
    ) };
}

thread_local! {
    /// Finds out whether the caller may manage the webhooks of a tenant: of any as a service, which is marked
    /// by a privilege that the log's owner has too, and of its own by `grant_webhooks()`.
    static MAY_MANAGE: Prepared = const { Prepared::new(
        c"SELECT CASE WHEN pg_catalog.has_column_privilege(pg_catalog.to_regclass('eventlog.log_config'), 'service_roles', 'REFERENCES') THEN true
                      WHEN pg_catalog.has_column_privilege(pg_catalog.to_regclass('eventlog.webhooks'), 'tenant_id', 'REFERENCES')
                      THEN $1 OPERATOR(pg_catalog.=) eventlog.current_tenant() AND $1 OPERATOR(pg_catalog.<>) eventlog.all_tenants() END",
        &[pg_sys::UUIDOID],
    ) };
}

/// Returns the log's owner, if there is a log, and the function behind the door that is being
/// called.
fn behind(call: &Call) -> (Option<Oid>, Oid) {
    let door = call.function();
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

/// Runs the function behind the door as the log's owner: 55000 without a log, 42501 for a caller
/// without the owner's rights.
fn as_owner(call: Call) -> Datum {
    let (owner, function) = behind(&call);
    let Some(owner) = owner else {
        Fault::no_log().raise();
    };
    require_rights_of(owner);
    call.forward(function, owner)
}

/// Runs the function behind the door as the log's owner, for the gateway's role too. The owner has
/// the privilege that marks a gateway, unless it was revoked.
fn as_owner_for_gateway(call: Call) -> Datum {
    let (owner, function) = behind(&call);
    let Some(owner) = owner else {
        Fault::no_log().raise();
    };
    if !is_gateway(current_role()) {
        require_rights_of(owner);
    }
    call.forward(function, owner)
}

fn is_gateway(role: Oid) -> bool {
    let session = Session::begin();
    IS_GATEWAY.with(|plan| {
        plan.execute(&session, Mode::ReadLatest, Params::new([Some(Datum::from(role))]))
    });
    Rows::last(&session).get::<bool>(0, 1) == Some(true)
}

/// Runs the function behind the door as the log's owner, for those who may read the events of the tenant
/// that is its first argument.
fn as_reader(call: Call) -> Datum {
    let (owner, function) = behind(&call);
    let Some(owner) = owner else {
        Fault::no_log().raise();
    };
    let Some(tenant) = call.first_value() else {
        Fault::null("tenant").raise();
    };
    if !holds(&MAY_READ, tenant) {
        Fault::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "permission denied to read events",
        )
        .hint("the log's owner types: SELECT eventlog.grant_reader('<role>');")
        .raise();
    }
    call.forward(function, owner)
}

fn holds(condition: &'static LocalKey<Prepared>, tenant: Datum) -> bool {
    let session = Session::begin();
    condition.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([Some(tenant)])));
    Rows::last(&session).get::<bool>(0, 1) == Some(true)
}

/// Runs the function behind the door as the log's owner, for those who may manage the webhooks of the
/// tenant that is its first argument.
fn as_manager(call: Call) -> Datum {
    let (owner, function) = behind(&call);
    let Some(owner) = owner else {
        Fault::no_log().raise();
    };
    let Some(tenant) = call.first_value() else {
        Fault::null("tenant").raise();
    };
    if !holds(&MAY_MANAGE, tenant) {
        Fault::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "permission denied to manage webhooks",
        )
        .hint("the log's owner types: SELECT eventlog.grant_webhooks('<role>');")
        .raise();
    }
    call.forward(function, owner)
}

/// Runs the function behind the door as the role that is its first argument, for `create_log()`
/// while there is no log. 42501 for a caller without the rights of that role.
fn as_role(call: Call) -> Datum {
    let (_, function) = behind(&call);
    let Some(role) = call.first_oid().filter(|role| *role != Oid::INVALID) else {
        Fault::null("role").raise();
    };
    require_rights_of(role);
    call.forward(function, role)
}

export_calls! {
    as_manager_wrapper, pg_finfo_as_manager_wrapper => as_manager;
    as_owner_wrapper, pg_finfo_as_owner_wrapper => as_owner;
    as_owner_for_gateway_wrapper, pg_finfo_as_owner_for_gateway_wrapper => as_owner_for_gateway;
    as_reader_wrapper, pg_finfo_as_reader_wrapper => as_reader;
    as_role_wrapper, pg_finfo_as_role_wrapper => as_role;
}
