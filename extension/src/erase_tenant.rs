//! The trigger on the application's table of tenants: a tenant that is deleted takes its events, its
//! quarantine, its counts and settings and its idempotency keys along.

use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::uuid_datum;
use crate::registry;
use crate::spi::{As, Kept, Mode, Params, Session};

thread_local! {
    static EVENTS: Kept = const { Kept::new(
        c"DELETE FROM eventlog.events WHERE tenant_id OPERATOR(pg_catalog.=) $1",
        &[pg_sys::UUIDOID],
    ) };
    static REJECTED: Kept = const { Kept::new(
        c"DELETE FROM eventlog.rejected_events
           WHERE tenant_id OPERATOR(pg_catalog.=) $1 OR claimed_tenant_id OPERATOR(pg_catalog.=) $1",
        &[pg_sys::UUIDOID],
    ) };
    static COUNTS: Kept = const { Kept::new(
        c"DELETE FROM eventlog.hygiene_counts WHERE tenant_id OPERATOR(pg_catalog.=) $1",
        &[pg_sys::UUIDOID],
    ) };
    static SETTINGS: Kept = const { Kept::new(
        c"DELETE FROM eventlog.tenant_settings WHERE tenant_id OPERATOR(pg_catalog.=) $1",
        &[pg_sys::UUIDOID],
    ) };
    static KEYS: Kept = const { Kept::new(
        c"DELETE FROM eventlog.idempotency_keys WHERE tenant_id OPERATOR(pg_catalog.=) $1",
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
        for plan in [&EVENTS, &REJECTED, &COUNTS, &SETTINGS, &KEYS] {
            let params = Params::new([Some(uuid_datum(tenant.as_bytes()))]);
            plan.with(|plan| plan.execute(&session, Mode::Write, params));
        }
    }
    Ok(None)
}
