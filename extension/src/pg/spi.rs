//! The part of SPI that the event path needs.
//!
//! pgrx's own `Spi` is not used: it assigns a transaction id even for reads, uses the transaction's
//! old snapshot once something was written, and never frees a result.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};

use pgrx::datum::FromDatum;
use pgrx::pg_sys::{self, Datum, Oid};

use crate::pg::identity::current_role;
use crate::pg::transaction::in_parallel_mode;

/// A connection to SPI that ends when it is dropped. After an error PostgreSQL ends it itself, and
/// the innermost connection may belong to other code by then.
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

/// Parameters of a statement, with their null flags.
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
    /// transaction has; assigns no transaction id, so it works on a standby. Inside a parallel
    /// operation PostgreSQL gives no new snapshot, and the query's own is used.
    ReadLatest,
}

/// A prepared statement, with one plan for each role for the life of the backend: under row-level
/// security PostgreSQL plans again whenever the role differs from the last one (150 µs), which a
/// pooler that switches roles would pay for each event.
pub(crate) struct Prepared {
    source: Source,
    plans: RefCell<Vec<(Oid, pg_sys::SPIPlanPtr)>>,
}

enum Source {
    Written(&'static CStr, &'static [Oid]),
    Built(fn() -> Statement),
}

/// A statement that is put together at its first use.
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) types: Vec<Oid>,
}

/// Most roles that a backend keeps plans for; then the oldest plan is freed.
const ROLES: usize = 16;

impl Prepared {
    pub(crate) const fn new(sql: &'static CStr, types: &'static [Oid]) -> Self {
        Prepared { source: Source::Written(sql, types), plans: RefCell::new(Vec::new()) }
    }

    pub(crate) const fn built(build: fn() -> Statement) -> Self {
        Prepared { source: Source::Built(build), plans: RefCell::new(Vec::new()) }
    }

    fn plan<const N: usize>(&self, _session: &Session) -> pg_sys::SPIPlanPtr {
        let role = current_role();
        if let Some(plan) = self.plans.borrow().iter().find(|(r, _)| *r == role).map(|(_, p)| *p) {
            return plan;
        }
        let (sql, mut types) = match &self.source {
            Source::Written(sql, types) => (Cow::Borrowed(*sql), types.to_vec()),
            Source::Built(build) => {
                let Statement { sql, types } = build();
                (Cow::Owned(CString::new(sql).expect("SQL without a zero byte")), types)
            }
        };
        assert_eq!(N, types.len(), "parameters of {sql:?}");
        // SAFETY: `sql` ends in NUL and `types` has the length given; a plan that SPI_keepplan took
        // lives until SPI_freeplan.
        let plan = unsafe {
            let plan = pg_sys::SPI_prepare_cursor(
                sql.as_ptr(),
                types.len() as c_int,
                types.as_mut_ptr(),
                pg_sys::CURSOR_OPT_GENERIC_PLAN as c_int,
            );
            assert!(!plan.is_null(), "SPI refused a statement: {sql:?}");
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

    /// Runs the statement and returns the number of rows that it returned or wrote.
    pub(crate) fn execute<const N: usize>(
        &self,
        session: &Session,
        mode: Mode,
        mut params: Params<N>,
    ) -> u64 {
        let plan = self.plan::<N>(session);
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
            assert!(code > 0, "SPI answered {code}");
            pg_sys::SPI_processed
        }
    }
}

/// The rows of the last statement; valid until the session ends.
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

    /// Returns the number of a column; nothing if the result has no such column.
    pub(crate) fn column(&self, name: &str) -> Option<c_int> {
        let name = CString::new(name).ok()?;
        // SAFETY: the table of the statement that was run last; the name ends in NUL.
        let number = unsafe { pg_sys::SPI_fnumber((*self.table).tupdesc, name.as_ptr()) };
        (number > 0).then_some(number)
    }

    /// Returns a column, counted from 1, of a row, counted from 0. The value lives as long as the
    /// session.
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

/// Keeps the planner from sequential scans until it is dropped, also on an error. It does what
/// `enable_seqscan` does, and costs only the writing of a variable.
pub(crate) struct WithoutSeqScan(bool);

impl WithoutSeqScan {
    pub(crate) fn begin() -> Self {
        // SAFETY: PostgreSQL's own variable, which only this thread reads; given back on drop,
        // before any other statement is planned.
        unsafe {
            let saved = pg_sys::enable_seqscan;
            pg_sys::enable_seqscan = false;
            WithoutSeqScan(saved)
        }
    }
}

impl Drop for WithoutSeqScan {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { pg_sys::enable_seqscan = self.0 };
    }
}
