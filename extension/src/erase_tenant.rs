//! The trigger on the application's table of tenants: a tenant that is deleted takes along what
//! `forget_tenant()` would erase (`sql/190_forget.sql` has the list).

use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::uuid_datum;
use crate::registry;
use crate::spi::{As, Kept, Mode, Params, Rows, Session};

thread_local! {
    static ERASE: Kept = const { Kept::new(
        c"SELECT eventlog_private.erase_tenant_rows($1)",
        &[pg_sys::UUIDOID],
    ) };
    /// While ALTER EXTENSION … UPDATE is still to be typed, the functions are those of 0.1.0.
    static HAS_ERASE: Kept = const { Kept::new(
        c"SELECT pg_catalog.to_regprocedure('eventlog_private.erase_tenant_rows(uuid)') IS NOT NULL",
        &[],
    ) };
    static ERASE_OF_0_1_0: Kept = const { Kept::new(
        c"WITH e AS (DELETE FROM eventlog.events WHERE tenant_id OPERATOR(pg_catalog.=) $1),
               r AS (DELETE FROM eventlog.rejected_events
                      WHERE tenant_id OPERATOR(pg_catalog.=) $1 OR claimed_tenant_id OPERATOR(pg_catalog.=) $1),
               h AS (DELETE FROM eventlog.hygiene_counts WHERE tenant_id OPERATOR(pg_catalog.=) $1),
               s AS (DELETE FROM eventlog.tenant_settings WHERE tenant_id OPERATOR(pg_catalog.=) $1)
          DELETE FROM eventlog.idempotency_keys WHERE tenant_id OPERATOR(pg_catalog.=) $1",
        &[pg_sys::UUIDOID],
    ) };
}

/// After DELETE, for each row; the argument of the trigger is the key column. Runs as the log's
/// owner: as a superuser's SECURITY DEFINER it would run the log owner's own triggers as that one.
#[pg_trigger]
fn erase_tenant<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, std::convert::Infallible> {
    let key = trigger.extra_args().ok().and_then(|arguments| arguments.first().cloned());
    let tenant = key.zip(trigger.old()).and_then(|(key, old)| old.get_by_name::<Uuid>(&key).ok());
    let Some(tenant) = tenant else {
        Fault::argument("erase_tenant() is for AFTER DELETE FOR EACH ROW on a table of tenants")
            .hint("SELECT eventlog.reference_tenants('<table>', tenant_key => '<column>');")
            .raise();
    };
    if let Some(tenant) = tenant {
        let log = match registry::current() {
            Ok(log) => log,
            Err(no_log) => no_log.raise(),
        };
        let session = Session::begin();
        let _owner = As::role(log.owner);
        let params = Params::new([Some(uuid_datum(tenant.as_bytes()))]);
        HAS_ERASE.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([])));
        let has_erase = Rows::last(&session).get::<bool>(0, 1).unwrap_or(false);
        let erase = if has_erase { &ERASE } else { &ERASE_OF_0_1_0 };
        erase.with(|plan| plan.execute(&session, Mode::Write, params));
    }
    Ok(None)
}
