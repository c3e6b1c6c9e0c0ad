//! The few calls of SPI that the event path needs.
//!
//! pgrx's own `Spi` is not used: it assigns a transaction id even for reads, takes the
//! transaction's old snapshot once something was written, and never frees a result.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};

use pgrx::datum::FromDatum;
use pgrx::pg_sys::{self, Datum, Oid};

use crate::pg::identity::current_role;
use crate::pg::transaction::in_parallel_mode;

/// A connection to SPI, ended when it is dropped. After an error PostgreSQL ends it itself, and
/// the innermost connection may be another's by then.
pub(crate) struct Session(());

impl Session {
    pub(crate) fn begin() -> Self {
        // SAFETY: needs a transaction, which every SQL function has.
        unsafe { pg_sys::SPI_connect() };
        Session(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: `begin` connected, and nothing was raised since.
            unsafe { pg_sys::SPI_finish() };
        }
    }
}

/// Parameters of a statement: values, and for each whether it is null.
pub(crate) struct Params<const N: usize> {
    values: [Datum; N],
    nulls: [c_char; N],
}

impl<const N: usize> Params<N> {
    pub(crate) fn new(params: [Option<Datum>; N]) -> Self {
        Params {
            values: params.map(|value| value.unwrap_or(Datum::null())),
            nulls: params.map(|value| if value.is_some() { b' ' } else { b'n' } as c_char),
        }
    }
}

/// How a statement is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    /// Reads what is committed by now (and the transaction's own writes), whatever snapshot the
    /// transaction has; assigns no transaction id, so works on a standby. Inside a parallel
    /// operation PostgreSQL gives no new snapshot, and the query's own is used.
    ReadLatest,
}

/// A statement whose plan is kept for the life of the backend, one for each role that uses it:
/// under row-level security PostgreSQL plans anew whenever the role is another than last time
/// (150 µs), which a pooler that switches roles would pay for each event.
pub(crate) struct Kept {
    sql: &'static CStr,
    types: &'static [Oid],
    plans: RefCell<Vec<(Oid, pg_sys::SPIPlanPtr)>>,
}

/// How many roles a backend keeps plans for; past that the oldest goes.
const ROLES: usize = 16;

impl Kept {
    pub(crate) const fn new(sql: &'static CStr, types: &'static [Oid]) -> Self {
        Kept { sql, types, plans: RefCell::new(Vec::new()) }
    }

    fn plan(&self, _session: &Session) -> pg_sys::SPIPlanPtr {
        let role = current_role();
        if let Some(plan) = self.plans.borrow().iter().find(|(r, _)| *r == role).map(|(_, p)| *p) {
            return plan;
        }
        let mut types = self.types.to_vec();
        // SAFETY: `sql` ends in NUL and `types` has the length given; a plan that SPI_keepplan took
        // lives until SPI_freeplan.
        let plan = unsafe {
            let plan = pg_sys::SPI_prepare_cursor(
                self.sql.as_ptr(),
                types.len() as c_int,
                types.as_mut_ptr(),
                pg_sys::CURSOR_OPT_GENERIC_PLAN as c_int,
            );
            assert!(!plan.is_null(), "SPI refused a statement: {:?}", self.sql);
            pg_sys::SPI_keepplan(plan);
            plan
        };
        let mut plans = self.plans.borrow_mut();
        if plans.len() == ROLES {
            let (_, oldest) = plans.remove(0);
            // SAFETY: kept above, and out of the list now.
            unsafe { pg_sys::SPI_freeplan(oldest) };
        }
        plans.push((role, plan));
        plan
    }

    /// Runs the statement; the number of rows it gave or wrote.
    pub(crate) fn execute<const N: usize>(
        &self,
        session: &Session,
        mode: Mode,
        mut params: Params<N>,
    ) -> u64 {
        assert_eq!(N, self.types.len());
        let plan = self.plan(session);
        // SAFETY: the parameters are of the plan's types and outlive the call. The snapshot is
        // pushed and popped in pairs; after an error PostgreSQL pops it.
        unsafe {
            let code = match mode {
                Mode::Write => pg_sys::SPI_execute_plan(
                    plan,
                    params.values.as_mut_ptr(),
                    params.nulls.as_ptr(),
                    false,
                    0,
                ),
                Mode::ReadLatest => {
                    pg_sys::PushActiveSnapshot(if in_parallel_mode() {
                        pg_sys::GetActiveSnapshot()
                    } else {
                        pg_sys::GetLatestSnapshot()
                    });
                    let code = pg_sys::SPI_execute_plan(
                        plan,
                        params.values.as_mut_ptr(),
                        params.nulls.as_ptr(),
                        true,
                        0,
                    );
                    pg_sys::PopActiveSnapshot();
                    code
                }
            };
            assert!(code > 0, "SPI answered {code} to {:?}", self.sql);
            pg_sys::SPI_processed
        }
    }
}

/// The rows of the statement that was run last, before the session ends.
pub(crate) struct Rows<'s> {
    table: *mut pg_sys::SPITupleTable,
    len: usize,
    _session: &'s Session,
}

impl<'s> Rows<'s> {
    pub(crate) fn last(session: &'s Session) -> Self {
        // SAFETY: SPI's own variables.
        unsafe {
            let table = pg_sys::SPI_tuptable;
            let len = if table.is_null() { 0 } else { pg_sys::SPI_processed as usize };
            Rows { table, len, _session: session }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A column, counted from 1, of a row, counted from 0. The value lives as long as the session.
    pub(crate) fn get<T: FromDatum>(&self, row: usize, column: c_int) -> Option<T> {
        assert!(row < self.len);
        let mut is_null = false;
        // SAFETY: the row is there, and SPI_getbinval answers null for a column that is not; the
        // statements of this crate select what the callers ask for.
        unsafe {
            let tuple = *(*self.table).vals.add(row);
            let datum = pg_sys::SPI_getbinval(tuple, (*self.table).tupdesc, column, &mut is_null);
            T::from_datum(datum, is_null)
        }
    }
}

/// Keeps the planner from choosing a sequential scan until it is dropped, an error on the way
/// included: as `enable_seqscan` does, at the price of writing a variable.
pub(crate) struct ByIndex(bool);

impl ByIndex {
    pub(crate) fn only() -> Self {
        // SAFETY: PostgreSQL's own variable, which only this thread reads; given back on drop,
        // before any other statement is planned.
        unsafe {
            let saved = pg_sys::enable_seqscan;
            pg_sys::enable_seqscan = false;
            ByIndex(saved)
        }
    }
}

impl Drop for ByIndex {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { pg_sys::enable_seqscan = self.0 };
    }
}
