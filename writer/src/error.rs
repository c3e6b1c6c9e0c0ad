//! What can go wrong with a batch, and whether trying again helps.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::error::Severity;
use uuid::Uuid;

use crate::Event;

/// Why a batch, or one event, was not written.
///
/// Its text names keys, names and limits, never a payload's values.
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    sqlstate: Option<String>,
    message: String,
    /// Whether what was sent may have been committed, for all that this error says.
    leaves_doubt: bool,
    is_unconfirmed: bool,
    /// How many events it is about, where it is about more or less than one.
    events: Option<u64>,
    /// Name and tenant of the event, where it is about one.
    about: Option<Arc<(String, Option<Uuid>)>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What kind of trouble it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The server, the network or another transaction: the same again may go well.
    Transient,
    /// As transient, but on another connection: this one is to a standby.
    Reconnect,
    /// Trying again would fail again.
    Permanent,
    /// The event was refused, not the batch.
    Rejected,
    /// It was never sent, or nobody knows whether it arrived.
    Lost,
}

impl Error {
    /// The SQLSTATE, where the server gave one, or would have.
    pub fn sqlstate(&self) -> Option<&str> {
        self.sqlstate.as_deref()
    }

    /// Whether the same batch may go well later: connection and resource trouble, deadlocks, a
    /// server that restarts. The writer tries those again by itself.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, Kind::Transient | Kind::Reconnect)
    }

    /// Whether the event may have been written all the same: it was sent, and nothing came back
    /// that says what became of it.
    pub fn is_unconfirmed(&self) -> bool {
        self.is_unconfirmed
    }

    /// How many events it is about, since it was last said: one, where it is the answer for an event.
    pub fn events(&self) -> u64 {
        self.events.unwrap_or(1)
    }

    /// Name of the event that it is about, or of the first one.
    pub fn event_name(&self) -> Option<&str> {
        self.about.as_ref().map(|about| about.0.as_str())
    }

    /// Tenant of the event that it is about, or of the first one.
    pub fn tenant_id(&self) -> Option<Uuid> {
        self.about.as_ref().and_then(|about| about.1)
    }

    /// The same, of this event.
    pub(crate) fn about(self, event: &Event) -> Self {
        let name = event.name.as_str();
        // As much of it as a log has room for.
        let name: String = name.chars().take(100).collect();
        Error { about: Some(Arc::new((name, event.tenant_id))), ..self }
    }

    /// The same, of so many events.
    pub(crate) fn of_events(self, events: u64) -> Self {
        Error { events: Some(events), ..self }
    }

    /// Its text without the SQLSTATE.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether it was never sent, or given up.
    pub(crate) fn is_lost(&self) -> bool {
        self.kind == Kind::Lost
    }

    /// Whether what was sent may have been committed.
    pub(crate) fn leaves_doubt(&self) -> bool {
        self.leaves_doubt
    }

    /// The same, of events that may have been written.
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

    /// An answer that is none: the statement was acknowledged, and nobody knows what it did. Sent
    /// again it would be answered alike.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Error { leaves_doubt: true, ..Error::new(Kind::Permanent, message) }
    }

    /// By DESIGN section 5: transient are 08, 40, 53 except 53400, 55P03, 55006, 57 except 57P04.
    pub(crate) fn kind_of(sqlstate: &str) -> Kind {
        match (&sqlstate[..sqlstate.len().min(2)], sqlstate) {
            (_, "25006") => Kind::Reconnect,
            (_, "53400" | "57P04") => Kind::Permanent,
            ("08" | "40" | "53" | "57", _) | (_, "55P03" | "55006") => Kind::Transient,
            _ => Kind::Permanent,
        }
    }

    /// What a connector says: while the queue holds, all of it may pass, a server that starts or has
    /// too many connections as well as a password that is being changed.
    pub(crate) fn from_connector(error: Box<dyn StdError + Send + Sync>) -> Self {
        match error.downcast::<tokio_postgres::Error>() {
            Ok(error) => Error { kind: Kind::Transient, ..Error::from(*error) },
            Err(error) => Error::connection(error),
        }
    }

    /// A connection string that is none.
    pub(crate) fn from_config(error: tokio_postgres::Error) -> Self {
        let message = error.to_string();
        Error { source: Some(Arc::new(error)), ..Error::new(Kind::Permanent, message) }
    }

    /// Whether the connection is of no use any more.
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

    /// Trouble on the way to the server.
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
        // An ERROR undid the statement. With anything else the connection ends, and that may be
        // after the commit; 40003 says so itself.
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

/// What helps against a batch that was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cure {
    /// The same again: the trouble is on the way, or of the server.
    Again,
    /// One of its tenants waits for somebody; the others need not.
    Apart,
    /// It takes too long, or too much: less at once.
    Less,
    /// One of its events is refused: look for it.
    Search,
    /// Nothing: all of them are refused, whatever they are.
    Nothing,
}

impl Error {
    /// What helps, after so many tries of the same batch.
    pub(crate) fn cure(&self, tries: u32) -> Cure {
        let Some(sqlstate) = self.sqlstate() else {
            return if self.is_transient() { Cure::Again } else { Cure::Nothing };
        };
        match (sqlstate.get(..2).unwrap_or_default(), sqlstate) {
            _ if self.leaves_doubt && self.is_transient() => Cure::Again,
            _ if self.leaves_doubt => Cure::Nothing,
            (_, "55P03" | "55006") => Cure::Apart,
            // Once is bad luck.
            ("40", _) => {
                if tries > 1 {
                    Cure::Apart
                } else {
                    Cure::Again
                }
            }
            (_, "57014" | "53200") => Cure::Less,
            _ if self.is_transient() => Cure::Again,
            // The right to log, the function, the log itself, the database: not one event's fault.
            ("08" | "0A" | "28" | "3D" | "3F" | "42" | "53" | "57", _) | (_, "55000") => {
                Cure::Nothing
            }
            _ => Cure::Search,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cure, Error, Kind};

    #[test]
    fn what_helps_depends_on_whose_fault_it_is() {
        let cure = |code: &str, tries| {
            let error = Error::rejected(Some(code.to_owned()), "no");
            error.with_kind(Error::kind_of(code)).cure(tries)
        };
        for (code, expected) in [
            ("55P03", Cure::Apart),
            ("40P01", Cure::Again),
            ("57014", Cure::Less),
            ("53200", Cure::Less),
            ("53300", Cure::Again),
            ("57P01", Cure::Again),
            ("P0001", Cure::Search),
            ("22021", Cure::Search),
            ("54000", Cure::Search),
            ("XX000", Cure::Search),
            ("42501", Cure::Nothing),
            ("42883", Cure::Nothing),
            ("55000", Cure::Nothing),
            ("", Cure::Search),
        ] {
            assert_eq!(cure(code, 1), expected, "{code}");
        }
        assert_eq!(cure("40P01", 2), Cure::Apart);
        assert_eq!(Error::connection("reset").cure(9), Cure::Again);
        assert_eq!(Error::protocol("no row").cure(1), Cure::Nothing);
    }

    #[test]
    fn what_may_go_well_later_is_transient_and_nothing_else() {
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
