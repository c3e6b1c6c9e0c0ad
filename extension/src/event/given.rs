//! What the caller gave, and its limits.

use crate::error::Fault;
use crate::event::Event;
use crate::limits::KEY_BYTES;
use crate::payload::check::label_fits;
use crate::pg::datum::{Jsonb, Text};

/// What the caller gave besides the tenant and the name.
pub(super) struct Given<'a> {
    pub(super) data: Jsonb<'a>,
    pub(super) actor: Option<Text<'a>>,
    pub(super) subject: Option<Text<'a>>,
    pub(super) occurred_at: Option<i64>,
    pub(super) idempotency_key: Option<Text<'a>>,
}

impl<'a> Given<'a> {
    /// An empty actor would turn all strangers into one person, so an empty text counts as none.
    pub(super) fn of(event: &Event<'a>) -> Self {
        let not_empty = |text: Option<Text<'a>>| text.filter(|text| !text.as_str().is_empty());
        Given {
            data: event.data.unwrap_or_else(Jsonb::empty_object),
            actor: not_empty(event.actor),
            subject: not_empty(event.subject),
            occurred_at: event.occurred_at.map(|at| at.into_inner()),
            idempotency_key: event.idempotency_key,
        }
    }

    /// Checks the limits of everything but the payload: 22023 for what is too long or infinite.
    pub(super) fn fits(&self) -> Result<(), Fault> {
        is_finite("occurred_at", self.occurred_at)?;
        labels_fit(self.actor.map(|a| a.as_str()), self.subject.map(|s| s.as_str()))?;
        match self.idempotency_key.map(|key| key.as_str().len()) {
            Some(length) if length > KEY_BYTES => Err(Fault::argument(format!(
                "idempotency_key is too long: {length} bytes, limit {KEY_BYTES}"
            ))),
            _ => Ok(()),
        }
    }
}

/// Refuses an infinite clock: 22023.
pub(crate) fn is_finite(what: &str, at: Option<i64>) -> Result<(), Fault> {
    const POSTGRES_INFINITIES: [i64; 2] = [i64::MIN, i64::MAX];
    if at.is_some_and(|at| POSTGRES_INFINITIES.contains(&at)) {
        return Err(Fault::argument(format!("{what} must be finite")));
    }
    Ok(())
}

/// Refuses an actor or subject that is too long: 22023.
pub(crate) fn labels_fit(actor: Option<&str>, subject: Option<&str>) -> Result<(), Fault> {
    actor.map_or(Ok(()), |actor| label_fits("actor", actor))?;
    subject.map_or(Ok(()), |subject| label_fits("subject", subject))
}
