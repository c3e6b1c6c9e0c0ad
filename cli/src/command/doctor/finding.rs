//! What the doctor reports.

use serde::Serialize;

/// Where the doctor is.
pub(super) struct Place {
    /// Whose log it is, if there is one.
    pub(super) owner: Option<String>,
    pub(super) is_standby: bool,
}

/// How it stands with something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    #[serde(rename = "ok")]
    Good,
    /// It could not be seen.
    #[serde(rename = "unseen")]
    Unknown,
    /// It may be meant so.
    Advice,
    Wrong,
}

/// What was found of one thing.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) state: State,
    pub(super) found: String,
    /// The command that fixes it.
    pub(super) mend: Option<String>,
    /// The role that types the command: the log's owner, or `superuser`. None where it is not SQL.
    pub(super) role: Option<String>,
}

impl Finding {
    pub(super) fn new(check: &'static str, state: State, found: impl Into<String>) -> Self {
        Finding { check, state, found: found.into(), mend: None, role: None }
    }

    pub(super) fn mend(self, command: impl Into<String>) -> Self {
        Finding { mend: Some(command.into()), ..self }
    }

    /// Who types the command, and where: a standby takes none.
    pub(super) fn typed_by(self, role: &str, place: &Place) -> Self {
        let mend = match place.is_standby {
            true => self.mend.map(|mend| format!("on the primary: {mend}")),
            false => self.mend,
        };
        Finding { mend, role: Some(role.to_owned()), ..self }
    }
}
