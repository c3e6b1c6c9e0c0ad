//! What can go wrong with a batch, and whether trying again helps.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::error::Severity;

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
    /// The SQLSTATE, where the server gave one.
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

#[cfg(test)]
mod tests {
    use super::{Error, Kind};

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
