//! Faults of an event, and how they become PostgreSQL errors.
//!
//! Everything a caller can do wrong is a [`Fault`] with a standard SQLSTATE, a lower-case message
//! that names keys, names, limits and sizes but never a payload's values, a DETAIL and a HINT.
//! Checks return faults instead of raising them, so that `try_log_event` and batches can go on
//! without a subtransaction. The README's table of SQLSTATEs mirrors the constructors used here.

use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// What is wrong with one event.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) code: PgSqlErrorCode,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Fault { code, message: message.into(), detail: None, hint: None }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An argument that no rule of the log can make right: 22023.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Fault::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
    }

    /// A NULL where a value is needed: 22004.
    pub(crate) fn null(what: &str) -> Self {
        Fault::new(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            format!("{what} must not be null"),
        )
    }

    /// The five characters of the SQLSTATE.
    pub(crate) fn sqlstate(&self) -> String {
        let code = self.code as isize;
        (0..5).map(|i| char::from(b'0' + ((code >> (6 * i)) & 0x3f) as u8)).collect()
    }

    /// True for faults of the event itself, which `try_log_event` turns into a WARNING. The rest
    /// (deadlock, cancel, resources, internal) must reach the caller: a transaction that goes on
    /// after swallowing one of them lies.
    pub(crate) fn is_of_the_event(&self) -> bool {
        let state = self.sqlstate();
        matches!(&state[..2], "22" | "23" | "42" | "54") || state == "55000"
    }

    /// Message and detail in one line, as the quarantine keeps them.
    pub(crate) fn reason(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {}", self.message, detail),
            None => self.message.clone(),
        }
    }

    fn report(self) -> ErrorReport {
        let mut report = ErrorReport::new(self.code, self.message, pgrx::function_name!());
        if let Some(detail) = self.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = self.hint {
            report = report.set_hint(hint);
        }
        report
    }

    /// Raises the fault as an ERROR.
    pub(crate) fn raise(self) -> ! {
        self.report().report(PgLogLevel::ERROR);
        unreachable!("ERROR does not return")
    }

    /// Says the fault as a WARNING.
    pub(crate) fn warn(self) {
        self.report().report(PgLogLevel::WARNING);
    }
}

/// The fault in an error that PostgreSQL raised below us, or the error back if it is not one of
/// the event's.
#[allow(clippy::result_large_err, reason = "the error as pgrx has it, on a path that is rare")]
pub(crate) fn fault_of(error: CaughtError) -> Result<Fault, CaughtError> {
    let fault = match &error {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
            let mut fault = Fault::new(report.sql_error_code(), report.message());
            fault.detail = report.detail().map(str::to_owned);
            fault.hint = report.hint().map(str::to_owned);
            fault
        }
        CaughtError::RustPanic { .. } => return Err(error),
    };
    if fault.is_of_the_event() { Ok(fault) } else { Err(error) }
}

/// A name or key as a message may show it: quoted, and cut where it is absurdly long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}
