//! The trigger on the application's table of tenants that keeps their names: a tenant that is
//! created or renamed there has its name in the log at once.
//!
//! The name comes from the row that the application writes, so nobody ever reads that table on
//! behalf of the log: neither the log's owner, who would run the code that the table's owner put
//! behind it, nor a superuser.

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::datum::Text;
use crate::pg::identity::ActAs;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session};
use crate::pg::trigger;
use crate::pg::uuid::{parse_uuid, uuid_datum};
use crate::registry;
use crate::registry::log::Log;

thread_local! {
    static IS_TABLE: Prepared = const { Prepared::new(
        c"SELECT eventlog_private.is_table_of_names($1, $2, $3)",
        &[pg_sys::OIDOID, pg_sys::TEXTOID, pg_sys::TEXTOID],
    ) };
    static NOTE: Prepared = const { Prepared::new(
        c"SELECT eventlog_private.note_name($1, $2)",
        &[pg_sys::UUIDOID, pg_sys::TEXTOID],
    ) };
}

/// Returns true if `relation` is the table that reference_tenants() was given, with these columns:
/// anybody may put the trigger on a table of their own.
fn is_table_of_names(log: &Log, relation: pg_sys::Oid, columns: &[String]) -> bool {
    let [key, name] = columns else { return false };
    let session = Session::begin();
    let _owner = ActAs::role(log.owner);
    let params = Params::new([
        Some(pg_sys::Datum::from(relation)),
        Some(Text::copy_of(key).datum()),
        Some(Text::copy_of(name).datum()),
    ]);
    IS_TABLE.with(|plan| plan.execute(&session, Mode::ReadLatest, params));
    let rows = Rows::last(&session);
    rows.len() == 1 && rows.get::<bool>(0, 1).unwrap_or(false)
}

/// Runs after INSERT or UPDATE for each row; the trigger's arguments are the columns of the key and
/// of the name.
#[pg_extern(sql = false)]
fn name_tenant(fcinfo: pg_sys::FunctionCallInfo) {
    trigger::run(fcinfo, "name_tenant", on_name_tenant);
}

fn on_name_tenant(on: &PgTrigger<'_>) {
    // Without a log there is nothing to name, and no reason to refuse the application's row.
    let Ok(log) = registry::current() else { return };
    let event = on.event();
    let is_after = event.fired_after() && (event.fired_by_insert() || event.fired_by_update());
    let columns = on.extra_args().unwrap_or_default();
    let is_ours = is_table_of_names(&log, trigger::relation(on), &columns);
    if !(is_after && event.fired_for_row() && is_ours) {
        Fault::new(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "name_tenant() is for the table of tenants whose names the log was told to keep",
        )
        .hint("the log's owner types: SELECT eventlog.reference_tenants('<table>', name_column => '<column>');")
        .raise();
    }
    let [key, name] = &columns[..] else { return };
    if event.fired_by_update()
        && [key, name]
            .iter()
            .all(|column| trigger::value_before(on, column) == trigger::value(on, column))
    {
        return;
    }
    let tenant = trigger::value(on, key).and_then(|text| parse_uuid(text.as_bytes()));
    if let Some(tenant) = tenant {
        let session = Session::begin();
        let name = trigger::value(on, name).map(|name| Text::copy_of(&name).datum());
        let _owner = ActAs::role(log.owner);
        let params = Params::new([Some(uuid_datum(&tenant)), name]);
        NOTE.with(|plan| plan.execute(&session, Mode::Write, params));
    }
}
