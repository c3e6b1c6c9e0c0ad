//! The trigger on the application's table of tenants: deleting a tenant also erases what
//! `forget_tenant()` would (`sql/80_erasure/forget.sql` has the list).

use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::datum::Text;
use crate::pg::identity::ActAs;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session};
use crate::pg::trigger;
use crate::pg::uuid::uuid_datum;
use crate::registry;
use crate::registry::log::Log;

thread_local! {
    static ERASE: Prepared = const { Prepared::new(
        c"SELECT eventlog_private.erase_tenant_rows($1)",
        &[pg_sys::UUIDOID],
    ) };
    /// Until ALTER EXTENSION … UPDATE is run, the functions are those of 0.1.0.
    static HAS_ERASE: Prepared = const { Prepared::new(
        c"SELECT pg_catalog.to_regprocedure('eventlog_private.erase_tenant_rows(uuid)') IS NOT NULL",
        &[],
    ) };
    static IS_TABLE: Prepared = const { Prepared::new(
        c"SELECT eventlog_private.is_table_of_tenants($1, $2)",
        &[pg_sys::OIDOID, pg_sys::TEXTOID],
    ) };
    static IS_TABLE_OF_0_1_0: Prepared = const { Prepared::new(
        c"SELECT tenants_key OPERATOR(pg_catalog.=) $2::pg_catalog.name
                 AND (pg_catalog.to_regclass(tenants_table)::pg_catalog.oid OPERATOR(pg_catalog.=) $1
                      OR EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors($1) AS a (relation)
                                  WHERE a.relation OPERATOR(pg_catalog.=) pg_catalog.to_regclass(tenants_table)))
            FROM eventlog.log_config",
        &[pg_sys::OIDOID, pg_sys::TEXTOID],
    ) };
    static ERASE_OF_0_1_0: Prepared = const { Prepared::new(
        c"WITH e AS (DELETE FROM eventlog.events WHERE tenant_id OPERATOR(pg_catalog.=) $1),
               r AS (DELETE FROM eventlog.rejected_events
                      WHERE tenant_id OPERATOR(pg_catalog.=) $1 OR claimed_tenant_id OPERATOR(pg_catalog.=) $1),
               h AS (DELETE FROM eventlog.hygiene_counts WHERE tenant_id OPERATOR(pg_catalog.=) $1),
               s AS (DELETE FROM eventlog.tenant_settings WHERE tenant_id OPERATOR(pg_catalog.=) $1)
          DELETE FROM eventlog.idempotency_keys WHERE tenant_id OPERATOR(pg_catalog.=) $1",
        &[pg_sys::UUIDOID],
    ) };
}

/// Returns true if `relation` is the table that reference_tenants() was given: anybody may put the
/// trigger on a table of their own. Until ALTER EXTENSION … UPDATE only the table's name can be
/// compared.
fn is_table_of_tenants(log: &Log, relation: pg_sys::Oid, key: Option<&str>) -> bool {
    let session = Session::begin();
    let _owner = ActAs::role(log.owner);
    let key = key.map(|key| Text::copy_of(key).datum());
    HAS_ERASE.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([])));
    let is_newest = Rows::last(&session).get::<bool>(0, 1).unwrap_or(false);
    let question = if is_newest { &IS_TABLE } else { &IS_TABLE_OF_0_1_0 };
    let params = Params::new([Some(pg_sys::Datum::from(relation)), key]);
    question.with(|plan| plan.execute(&session, Mode::ReadLatest, params));
    let rows = Rows::last(&session);
    rows.len() == 1 && rows.get::<bool>(0, 1).unwrap_or(false)
}

/// Runs after DELETE for each row; the trigger's argument is the key column. It acts as the log's
/// owner: a SECURITY DEFINER function of a superuser would run the owner's triggers as the
/// superuser.
#[pg_extern(sql = false)]
fn erase_tenant(fcinfo: pg_sys::FunctionCallInfo) {
    trigger::run(fcinfo, "erase_tenant", on_erase_tenant);
}

fn on_erase_tenant(on: &PgTrigger<'_>) {
    let log = registry::require();
    let key = on.extra_args().ok().and_then(|arguments| arguments.first().cloned());
    let relation = trigger::relation(on);
    let is_after_delete = on.event().fired_by_delete() && on.event().fired_after();
    if !is_after_delete || !is_table_of_tenants(&log, relation, key.as_deref()) {
        Fault::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "erase_tenant() is for AFTER DELETE on the table of tenants that the log was told of",
        )
        .hint("the log's owner types: SELECT eventlog.reference_tenants('<table>', tenant_key => '<column>');")
        .raise();
    }
    let tenant = key.zip(on.old()).and_then(|(key, old)| old.get_by_name::<Uuid>(&key).ok());
    let Some(tenant) = tenant else {
        Fault::argument("erase_tenant() is for AFTER DELETE FOR EACH ROW on a table of tenants")
            .hint("SELECT eventlog.reference_tenants('<table>', tenant_key => '<column>');")
            .raise();
    };
    if let Some(tenant) = tenant {
        let session = Session::begin();
        let _owner = ActAs::role(log.owner);
        let params = Params::new([Some(uuid_datum(tenant.as_bytes()))]);
        HAS_ERASE.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([])));
        let has_erase = Rows::last(&session).get::<bool>(0, 1).unwrap_or(false);
        let erase = if has_erase { &ERASE } else { &ERASE_OF_0_1_0 };
        erase.with(|plan| plan.execute(&session, Mode::Write, params));
    }
}
