//! Errors of batches and events, and what to do about them.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::error::Severity;
use uuid::Uuid;

/// Most characters of an event's name that an error keeps.
const LONGEST_NAME: usize = 100;

/// Why a batch, or one event, was not written.
///
/// The text is the server's message, followed by the SQLSTATE if there is one. It names event types,
/// keys and limits, never values of a payload.
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    sqlstate: Option<String>,
    message: String,
    /// True if what was sent may have been committed.
    leaves_doubt: bool,
    is_unconfirmed: bool,
    /// The number of events it is about, unless it is about one.
    events: Option<u64>,
    /// Name and tenant of the event, or of the first of them.
    about: Option<Arc<(String, Option<Uuid>)>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The kind of an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The server, the network or another transaction: trying again may succeed.
    Transient,
    /// As transient, but on another connection, since this one leads to a standby.
    Reconnect,
    /// Trying again would fail again.
    Permanent,
    /// The event was refused, not the batch.
    Rejected,
    /// The event was never sent, or the writer ended before it was answered.
    Lost,
}

impl Error {
    /// Returns the SQLSTATE (five characters), if the server sent one or the writer refused the event
    /// as the server would have. Errors of the network have none.
    pub fn sqlstate(&self) -> Option<&str> {
        self.sqlstate.as_deref()
    }

    /// Returns true if the same batch may succeed later: trouble with the connection or with resources,
    /// a deadlock, a server that restarts. The writer tries those again by itself.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, Kind::Transient | Kind::Reconnect)
    }

    /// Returns true if the event may be in the log all the same: it was sent, and no answer came.
    pub fn is_unconfirmed(&self) -> bool {
        self.is_unconfirmed
    }

    /// Returns the number of events that the error is about: 1 for the result of an event, and in a
    /// notice all events since the last notice of the kind.
    pub fn events(&self) -> u64 {
        self.events.unwrap_or(1)
    }

    /// Returns the name of the event, or of the first one: at most 100 characters. `None` if it is not
    /// about single events, such as an error of the connection.
    pub fn event_name(&self) -> Option<&str> {
        self.about.as_ref().map(|about| about.0.as_str())
    }

    /// Returns the tenant of the event, or of the first one, unless it is the connection's own.
    pub fn tenant_id(&self) -> Option<Uuid> {
        self.about.as_ref().and_then(|about| about.1)
    }

    /// Returns the error with name and tenant of the event that it is about.
    pub(crate) fn with_event(self, name: &str, tenant_id: Option<Uuid>) -> Self {
        let name: String = name.chars().take(LONGEST_NAME).collect();
        Error { about: Some(Arc::new((name, tenant_id))), ..self }
    }

    /// Returns true if the other error has the same event name and SQLSTATE. The writer's own errors
    /// have no SQLSTATE, but their messages have sizes only behind a colon.
    pub(crate) fn is_of_kind(&self, other: &Error) -> bool {
        let lead = |error: &Error| error.message.split(':').next().map(str::to_owned);
        self.sqlstate == other.sqlstate
            && self.event_name() == other.event_name()
            && (self.sqlstate.is_some() || lead(self) == lead(other))
    }

    /// Returns the error with the number of events that it is about.
    pub(crate) fn of_events(self, events: u64) -> Self {
        Error { events: Some(events), ..self }
    }

    /// Returns the text without the SQLSTATE.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns true if the event was never sent, or was given up.
    pub(crate) fn is_lost(&self) -> bool {
        self.kind == Kind::Lost
    }

    /// Returns true if what was sent may have been committed.
    pub(crate) fn leaves_doubt(&self) -> bool {
        self.leaves_doubt
    }

    /// Returns the error as one of events that may have been written.
    pub(crate) fn unconfirmed(self) -> Self {
        Error { is_unconfirmed: true, ..self }
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            sqlstate: None,
            message: message.into(),
            leaves_doubt: false,
            is_unconfirmed: false,
            events: None,
            about: None,
            source: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_kind(self, kind: Kind) -> Self {
        Error { kind, ..self }
    }

    pub(crate) fn rejected(sqlstate: Option<String>, message: impl Into<String>) -> Self {
        Error { sqlstate, ..Error::new(Kind::Rejected, message) }
    }

    pub(crate) fn lost(message: impl Into<String>) -> Self {
        Error::new(Kind::Lost, message)
    }

    /// Returns the error for a reply that could not be read. The server acknowledged the statement;
    /// retrying would give the same reply.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Error { leaves_doubt: true, ..Error::new(Kind::Permanent, message) }
    }

    /// Returns the kind by SQLSTATE. Transient are the classes 08, 40, 53 (without 53400) and 57
    /// (without 57P04), and 55P03 and 55006. 25006 (read-only transaction) is what a standby says.
    pub(crate) fn kind_of(sqlstate: &str) -> Kind {
        match (&sqlstate[..sqlstate.len().min(2)], sqlstate) {
            (_, "25006") => Kind::Reconnect,
            (_, "53400" | "57P04") => Kind::Permanent,
            ("08" | "40" | "53" | "57", _) | (_, "55P03" | "55006") => Kind::Transient,
            _ => Kind::Permanent,
        }
    }

    /// Returns the error of a connector as a transient one. All of them may pass while the queue holds
    /// the events: a server that starts or has too many connections, a password that is changed.
    pub(crate) fn from_connector(error: Box<dyn StdError + Send + Sync>) -> Self {
        match error.downcast::<tokio_postgres::Error>() {
            Ok(error) => Error { kind: Kind::Transient, ..Error::from(*error) },
            Err(error) => Error::connection(error),
        }
    }

    /// Returns the error for a connection string that cannot be read.
    pub(crate) fn from_config(error: tokio_postgres::Error) -> Self {
        let message = error.to_string();
        Error { source: Some(Arc::new(error)), ..Error::new(Kind::Permanent, message) }
    }

    /// Returns true if the connection must be replaced.
    pub(crate) fn loses_connection(&self) -> bool {
        match self.sqlstate() {
            Some(sqlstate) => {
                self.kind == Kind::Reconnect
                    || sqlstate.starts_with("08")
                    || sqlstate.starts_with("57P")
            }
            None => true,
        }
    }

    /// Returns an error of the network or of the connection.
    pub(crate) fn connection(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source: Box<dyn StdError + Send + Sync> = source.into();
        let message = source.to_string();
        let error = Error::new(Kind::Transient, message);
        Error { leaves_doubt: true, source: Some(source.into()), ..error }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(server) = error.as_db_error() else { return Error::connection(error) };
        let sqlstate = server.code().code().to_owned();
        let message = server.message().to_owned();
        let kind = Error::kind_of(&sqlstate);
        // An ERROR undid the statement. With FATAL the connection ends, which may be after the
        // commit; 40003 (completion unknown) says so itself.
        let is_undone = server.parsed_severity() == Some(Severity::Error)
            && !sqlstate.starts_with("08")
            && sqlstate != "40003";
        Error {
            sqlstate: Some(sqlstate),
            leaves_doubt: !is_undone,
            source: Some(Arc::new(error)),
            ..Error::new(kind, message)
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sqlstate {
            Some(sqlstate) => write!(f, "{} (SQLSTATE {sqlstate})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// What to do with a batch that was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Remedy {
    /// Send it again: the network or the server is in trouble.
    Retry,
    /// Send its tenants apart: one of them waits for a lock, the others need not.
    SplitTenants,
    /// Send fewer events at once: it took too long, or too much memory.
    Shrink,
    /// Search for the one event that is refused, by halving.
    Bisect,
    /// Give it up: the server refuses all events.
    GiveUp,
}

impl Error {
    /// Returns what to do after so many tries of the same batch.
    pub(crate) fn remedy(&self, tries: u32) -> Remedy {
        let Some(sqlstate) = self.sqlstate() else {
            return if self.is_transient() { Remedy::Retry } else { Remedy::GiveUp };
        };
        match (sqlstate.get(..2).unwrap_or_default(), sqlstate) {
            _ if self.leaves_doubt && self.is_transient() => Remedy::Retry,
            _ if self.leaves_doubt => Remedy::GiveUp,
            (_, "55P03" | "55006") => Remedy::SplitTenants,
            // A single deadlock or serialization failure is bad luck.
            ("40", _) => {
                if tries > 1 {
                    Remedy::SplitTenants
                } else {
                    Remedy::Retry
                }
            }
            (_, "57014" | "53200") => Remedy::Shrink,
            _ if self.is_transient() => Remedy::Retry,
            // No right to log, no function, no log, no database: not one event's fault.
            ("08" | "0A" | "28" | "3D" | "3F" | "42" | "53" | "57", _) | (_, "55000") => {
                Remedy::GiveUp
            }
            _ => Remedy::Bisect,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Kind, Remedy};

    #[test]
    fn the_remedy_depends_on_what_is_at_fault() {
        let remedy = |code: &str, tries| {
            let error = Error::rejected(Some(code.to_owned()), "no");
            error.with_kind(Error::kind_of(code)).remedy(tries)
        };
        for (code, expected) in [
            ("55P03", Remedy::SplitTenants),
            ("40P01", Remedy::Retry),
            ("57014", Remedy::Shrink),
            ("53200", Remedy::Shrink),
            ("53300", Remedy::Retry),
            ("57P01", Remedy::Retry),
            ("P0001", Remedy::Bisect),
            ("22021", Remedy::Bisect),
            ("54000", Remedy::Bisect),
            ("XX000", Remedy::Bisect),
            ("42501", Remedy::GiveUp),
            ("42883", Remedy::GiveUp),
            ("55000", Remedy::GiveUp),
            ("", Remedy::Bisect),
        ] {
            assert_eq!(remedy(code, 1), expected, "{code}");
        }
        assert_eq!(remedy("40P01", 2), Remedy::SplitTenants);
        assert_eq!(Error::connection("reset").remedy(9), Remedy::Retry);
        assert_eq!(Error::protocol("no row").remedy(1), Remedy::GiveUp);
    }

    #[test]
    fn only_errors_that_may_pass_are_transient() {
        for code in
            ["08006", "08001", "40001", "40P01", "53100", "53200", "53300", "55P03", "55006"]
        {
            assert_eq!(Error::kind_of(code), Kind::Transient, "{code}");
        }
        for code in ["57014", "57P01", "57P02", "57P03"] {
            assert_eq!(Error::kind_of(code), Kind::Transient, "{code}");
        }
        assert_eq!(Error::kind_of("25006"), Kind::Reconnect);
        for code in ["53400", "57P04", "42501", "42704", "55000", "22023", "XX000", "", "5"] {
            assert_eq!(Error::kind_of(code), Kind::Permanent, "{code}");
        }
    }
}
