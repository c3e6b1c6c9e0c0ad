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
    hint: Option<Hint>,
    /// The SQLSTATE where `code`, which has the standard ones only, does not know it.
    own_sqlstate: Option<i32>,
}

/// What to do about a fault.
#[derive(Debug, Clone)]
enum Hint {
    Text(String),
    /// Made of this name when somebody is shown it: for most unknown names, in a batch or on their
    /// way into the quarantine, nobody is.
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

    /// With a hint that is made of `name` once somebody reads it.
    pub(crate) fn hint_later(mut self, make: fn(&str) -> String, name: &str) -> Self {
        self.hint = Some(Hint::Later(make, name.into()));
        self
    }

    /// The hint, for somebody who reads it.
    pub(crate) fn hint_text(&self) -> Option<String> {
        Some(match self.hint.as_ref()? {
            Hint::Text(text) => text.clone(),
            Hint::Later(make, name) => make(name),
        })
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

    /// Whether its SQLSTATE is no standard one.
    pub(crate) fn has_own_sqlstate(&self) -> bool {
        self.own_sqlstate.is_some()
    }

    /// The five characters of the SQLSTATE.
    pub(crate) fn sqlstate(&self) -> String {
        let code = self.own_sqlstate.map_or(self.code as isize, |own| own as isize);
        (0..5).map(|i| char::from(b'0' + ((code >> (6 * i)) & 0x3f) as u8)).collect()
    }

    /// True for faults of the event itself, which `try_log_event` turns into a WARNING: whatever a
    /// rule, a constraint or a trigger of the user may say of it, under any SQLSTATE. What is of the
    /// connection, the transaction, a lock, the resources or the server must reach the caller: a
    /// transaction that goes on after swallowing one of those lies.
    /// (`eventlog_private.is_of_the_event` says the same to SQL.)
    pub(crate) fn is_of_the_event(&self) -> bool {
        let state = self.sqlstate();
        match &state[..2] {
            "08" | "0B" | "25" | "2D" | "3B" | "40" | "57" | "58" | "F0" | "XX" => false,
            "53" => state == "53400",
            "55" => state != "55P03" && state != "55006",
            _ => true,
        }
    }

    /// Message and detail in one line, as the quarantine keeps them.
    pub(crate) fn reason(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {}", self.message, detail),
            None => self.message.clone(),
        }
    }

    fn report(self) -> ErrorReport {
        let hint = self.hint_text();
        // pgrx cannot raise a SQLSTATE that is no standard one.
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

    /// Says the fault as a WARNING.
    pub(crate) fn warn(self) {
        self.report().report(PgLogLevel::WARNING);
    }
}

/// The fault in an error that was raised below us, or the error back if it is not one of the event's.
/// `raised` is the SQLSTATE as PostgreSQL knows it: pgrx takes one that is not standard, as a trigger
/// of the user may raise, for an internal error.
#[allow(clippy::result_large_err, reason = "the error as pgrx has it, on a path that is rare")]
pub(crate) fn fault_of(error: CaughtError, raised: i32) -> Result<Fault, CaughtError> {
    match fault_in(&error, raised) {
        Some(fault) if fault.is_of_the_event() => Ok(fault),
        _ => Err(error),
    }
}

/// Any error as a fault, but for a panic.
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

/// A name or key as a message may show it: quoted, and cut where it is absurdly long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}
