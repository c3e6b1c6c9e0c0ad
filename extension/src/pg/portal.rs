//! Statements that are run as those of a client.

use std::ffi::CStr;
use std::ptr;

use pgrx::pg_sys;

/// Runs a CALL as a client would, in transactions of its own: the procedure may end transactions.
/// For a worker that is connected and in no transaction. SPI cannot do it, even if it is told not to
/// be atomic: after a COMMIT PostgreSQL "cannot execute SQL without an outer snapshot or portal". An
/// error leaves everything to the caller's abort.
pub(crate) fn call(statement: &'static CStr) {
    let query = statement;
    // SAFETY: the calls and their order are those of PostgreSQL's exec_simple_query; the trees are
    // made in a context that outlives the transactions that the procedure ends.
    unsafe {
        pg_sys::StartTransactionCommand();
        pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let statements = pg_sys::pg_parse_query(query.as_ptr());
        let statement = (*(*statements).elements).ptr_value.cast::<pg_sys::RawStmt>();
        #[cfg(feature = "pg14")]
        let queries = pg_sys::pg_analyze_and_rewrite(
            statement,
            query.as_ptr(),
            ptr::null_mut(),
            0,
            ptr::null_mut(),
        );
        #[cfg(not(feature = "pg14"))]
        let queries = pg_sys::pg_analyze_and_rewrite_fixedparams(
            statement,
            query.as_ptr(),
            ptr::null(),
            0,
            ptr::null_mut(),
        );
        let plans = pg_sys::pg_plan_queries(queries, query.as_ptr(), 0, ptr::null_mut());
        pg_sys::PopActiveSnapshot();

        let portal = pg_sys::CreatePortal(c"".as_ptr(), true, true);
        (*portal).visible = false;
        let tag = pg_sys::CommandTag::CMDTAG_CALL;
        pg_sys::PortalDefineQuery(portal, ptr::null(), query.as_ptr(), tag, plans, ptr::null_mut());
        pg_sys::PortalStart(portal, ptr::null_mut(), 0, ptr::null_mut());
        let nowhere = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone);
        let (all, is_top_level) = (std::ffi::c_long::MAX, true);
        #[cfg(not(feature = "pg18"))]
        pg_sys::PortalRun(portal, all, is_top_level, true, nowhere, nowhere, ptr::null_mut());
        #[cfg(feature = "pg18")]
        pg_sys::PortalRun(portal, all, is_top_level, nowhere, nowhere, ptr::null_mut());
        pg_sys::PortalDrop(portal, false);
        pg_sys::CommitTransactionCommand();
    }
}
