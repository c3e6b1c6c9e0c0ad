//! Faults of an event, and how they become PostgreSQL errors.
//!
//! Everything a caller can do wrong is a [`Fault`]: a standard SQLSTATE, a lower-case message, a
//! DETAIL and a HINT. Messages name keys, names, limits and sizes, never a payload's values. Checks
//! return faults instead of raising them, so that `try_log_event` and batches go on without a
//! subtransaction. The table of SQLSTATEs in the documentation mirrors the constructors used here.

use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// What is wrong with one event.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) code: PgSqlErrorCode,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    hint: Option<Hint>,
    /// The SQLSTATE, if it is not a standard one, which `code` cannot hold.
    own_sqlstate: Option<i32>,
}

/// What to do about a fault.
#[derive(Debug, Clone)]
enum Hint {
    Text(String),
    /// Made from the name only when the hint is read: nobody reads the hints of most unknown names,
    /// which go into a batch or into the quarantine.
    Later(fn(&str) -> String, Box<str>),
}

impl Fault {
    pub(crate) fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Fault { code, message: message.into(), detail: None, hint: None, own_sqlstate: None }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(Hint::Text(hint.into()));
        self
    }

    /// Sets a hint that is made from `name` when it is read.
    pub(crate) fn hint_later(mut self, make: fn(&str) -> String, name: &str) -> Self {
        self.hint = Some(Hint::Later(make, name.into()));
        self
    }

    /// Returns the hint as text.
    pub(crate) fn hint_text(&self) -> Option<String> {
        Some(match self.hint.as_ref()? {
            Hint::Text(text) => text.clone(),
            Hint::Later(make, name) => make(name),
        })
    }

    /// Returns 22023: an argument that is wrong whatever the rules of the log.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Fault::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
    }

    /// Returns 22004: a NULL where a value is needed.
    pub(crate) fn null(what: &str) -> Self {
        Fault::new(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            format!("{what} must not be null"),
        )
    }

    /// Returns 55000: `create_log` was not called.
    pub(crate) fn no_log() -> Self {
        Fault::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "there is no log in this database yet",
        )
        .hint("SELECT eventlog.create_log();")
    }

    /// Returns true if the SQLSTATE is not a standard one.
    pub(crate) fn has_own_sqlstate(&self) -> bool {
        self.own_sqlstate.is_some()
    }

    /// Returns the five characters of the SQLSTATE.
    pub(crate) fn sqlstate(&self) -> String {
        unpacked(self.own_sqlstate.unwrap_or(self.code as i32))
    }

    /// Returns true for faults of the event itself, which `try_log_event` turns into a WARNING:
    /// whatever a rule, a constraint or a trigger of the user says about it, under any SQLSTATE.
    /// Faults of the connection, the transaction, a lock, the resources or the server must reach
    /// the caller: a transaction that swallows one and goes on reports success for work that is
    /// lost. (`eventlog_private.is_fault_of_event` does the same in SQL.)
    pub(crate) fn is_of_the_event(&self) -> bool {
        let state = self.sqlstate();
        match &state[..2] {
            "08" | "0B" | "25" | "2D" | "3B" | "40" | "57" | "58" | "F0" | "XX" => false,
            "53" => state == "53400",
            "55" => state != "55P03" && state != "55006",
            _ => true,
        }
    }

    /// Returns message and detail in one line, as the quarantine stores them.
    pub(crate) fn reason(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {}", self.message, detail),
            None => self.message.clone(),
        }
    }

    fn report(self) -> ErrorReport {
        let hint = self.hint_text();
        // pgrx cannot raise a SQLSTATE that is not a standard one.
        let (code, own) = match self.own_sqlstate {
            Some(_) => (PgSqlErrorCode::ERRCODE_RAISE_EXCEPTION, Some(self.sqlstate())),
            None => (self.code, None),
        };
        let detail = match (self.detail, own) {
            (Some(detail), Some(own)) => Some(format!("{detail} (SQLSTATE {own})")),
            (None, Some(own)) => Some(format!("SQLSTATE {own}.")),
            (detail, None) => detail,
        };
        let mut report = ErrorReport::new(code, self.message, pgrx::function_name!());
        if let Some(detail) = detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = hint {
            report = report.set_hint(hint);
        }
        report
    }

    /// Raises the fault as an ERROR.
    pub(crate) fn raise(self) -> ! {
        self.report().report(PgLogLevel::ERROR);
        unreachable!("ERROR does not return")
    }

    /// Reports the fault as a WARNING.
    pub(crate) fn warn(self) {
        self.report().report(PgLogLevel::WARNING);
    }
}

/// Returns the five characters of a SQLSTATE that PostgreSQL packed into a number.
pub(crate) fn unpacked(sqlstate: i32) -> String {
    (0..5).map(|at| char::from(b'0' + ((sqlstate >> (6 * at)) & 0x3f) as u8)).collect()
}

/// Converts an error that was raised below us into a fault; gives the error back if it is not of
/// the event. `raised` is the SQLSTATE that PostgreSQL raised: pgrx reports one that is not
/// standard, as a trigger of the user may raise, as an internal error.
#[allow(clippy::result_large_err, reason = "the error as pgrx has it, on a path that is rare")]
pub(crate) fn fault_of(error: CaughtError, raised: i32) -> Result<Fault, CaughtError> {
    match fault_in(&error, raised) {
        Some(fault) if fault.is_of_the_event() => Ok(fault),
        _ => Err(error),
    }
}

/// Converts any error into a fault; a panic gives nothing.
pub(crate) fn fault_in(error: &CaughtError, raised: i32) -> Option<Fault> {
    let (report, is_postgres) = match error {
        CaughtError::PostgresError(report) => (report, true),
        CaughtError::ErrorReport(report) => (report, false),
        CaughtError::RustPanic { .. } => return None,
    };
    let mut fault = Fault::new(report.sql_error_code(), report.message());
    fault.detail = report.detail().map(str::to_owned);
    fault.hint = report.hint().map(|hint| Hint::Text(hint.to_owned()));
    let is_internal = fault.code == PgSqlErrorCode::ERRCODE_INTERNAL_ERROR;
    if is_postgres && is_internal && raised != fault.code as i32 {
        fault.own_sqlstate = Some(raised);
    }
    Some(fault)
}

/// Quotes a name or key for a message, and cuts it after 80 characters.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}
