//! An event on its way in: the checks that every verb shares.

pub(crate) mod check;
pub(crate) mod hygiene;
pub(crate) mod quarantine;
pub(crate) mod quota;
pub(crate) mod sampling;

use std::rc::Rc;

use pgrx::datum::{TimestampWithTimeZone, Uuid};

use crate::error::Fault;
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

/// What the quarantine knows of an event that comes from there: its values were hashed already, and
/// it survived sampling.
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
    /// How many events the row stands for, where that is not one.
    pub(crate) weight: Option<f32>,
    /// What is counted once the event is stored.
    pub(crate) incidents: Vec<Incident>,
}

/// What the checks say of an event.
pub(crate) enum Verdict<'a> {
    Ready(Ready<'a>),
    /// For the quarantine without an error (`eventlog.on_unknown_name`, a tenant's `over_quota`).
    Quarantine(Fault),
    /// Not logged, and rightly so: sampled out, or its tenant opted out.
    LeftOut,
    /// Refused and not kept: a flood must not fill the quarantine.
    OverQuota(Fault),
}
