//! The findings of the doctor.

use serde::{Serialize, Serializer};

/// The log that the doctor examines.
pub(super) struct Place {
    /// The log's owner, if there is a log.
    pub(super) owner: Option<String>,
    pub(super) is_standby: bool,
}

/// The severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Good,
    /// The check could not run.
    Unknown,
    /// Unusual, but perhaps intended.
    Advice,
    Wrong,
}

impl State {
    /// Returns the name in JSON and other forms for programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Good => "ok",
            State::Unknown => "unseen",
            State::Advice => "advice",
            State::Wrong => "wrong",
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A finding of one check.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) state: State,
    pub(crate) found: String,
    /// The command that fixes it.
    pub(crate) fix: Option<String>,
    /// The role that runs the command: the log's owner, or `superuser`. `None` if it is not SQL.
    pub(crate) role: Option<String>,
}

impl Finding {
    pub(super) fn new(check: &'static str, state: State, found: impl Into<String>) -> Self {
        Finding { check, state, found: found.into(), fix: None, role: None }
    }

    pub(super) fn fix(self, command: impl Into<String>) -> Self {
        Finding { fix: Some(command.into()), ..self }
    }

    /// Sets the role that runs the command; for a standby, the command says to run it on the primary.
    pub(super) fn typed_by(self, role: &str, place: &Place) -> Self {
        let fix = match place.is_standby {
            true => self.fix.map(|fix| format!("on the primary: {fix}")),
            false => self.fix,
        };
        Finding { fix, role: Some(role.to_owned()), ..self }
    }
}
