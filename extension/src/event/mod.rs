//! An event on its way in: what the caller gave, the checks that every function applies, and what
//! happens to an event that is not stored.

pub(crate) mod check;
pub(crate) mod given;
pub(crate) mod hygiene;
pub(crate) mod quarantine;
pub(crate) mod quota;
pub(crate) mod sampling;
pub(crate) mod verdict;

use std::rc::Rc;

use pgrx::datum::{TimestampWithTimeZone, Uuid};

use crate::event::hygiene::Incident;
use crate::pg::datum::{Jsonb, Text};
use crate::registry::caller::Caller;
use crate::registry::log::Log;

/// An event as the caller gave it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Event<'a> {
    pub(crate) tenant_id: Option<Uuid>,
    pub(crate) name: Option<Text<'a>>,
    pub(crate) data: Option<Jsonb<'a>>,
    pub(crate) occurred_at: Option<TimestampWithTimeZone>,
    pub(crate) actor: Option<Text<'a>>,
    pub(crate) subject: Option<Text<'a>>,
    pub(crate) idempotency_key: Option<Text<'a>>,
    pub(crate) replay: Option<Replay>,
}

impl<'a> Event<'a> {
    /// Builds an event from the arguments of `log_event`, in their order.
    pub(crate) fn new(
        tenant_id: Option<Uuid>,
        name: Option<Text<'a>>,
        data: Option<Jsonb<'a>>,
        occurred_at: Option<TimestampWithTimeZone>,
        actor: Option<Text<'a>>,
        subject: Option<Text<'a>>,
        idempotency_key: Option<Text<'a>>,
    ) -> Self {
        Event {
            tenant_id,
            name,
            data,
            occurred_at,
            actor,
            subject,
            idempotency_key,
            ..Event::default()
        }
    }
}

/// An event that is replayed from the quarantine: its values were hashed on the way in, and it
/// survived sampling.
#[derive(Clone, Copy)]
pub(crate) struct Replay {
    pub(crate) weight: Option<f32>,
}

/// An event that passed every check, as it will be stored.
pub(crate) struct Ready<'a> {
    pub(crate) log: Rc<Log>,
    pub(crate) caller: Caller,
    pub(crate) tenant_id: [u8; 16],
    pub(crate) name: Text<'a>,
    pub(crate) data: Jsonb<'a>,
    pub(crate) occurred_at: Option<i64>,
    pub(crate) actor: Option<Text<'a>>,
    pub(crate) subject: Option<Text<'a>>,
    /// How many events the row stands for, if not one.
    pub(crate) weight: Option<f32>,
    /// Written to `hygiene_counts` once the event is stored.
    pub(crate) incidents: Vec<Incident>,
}
