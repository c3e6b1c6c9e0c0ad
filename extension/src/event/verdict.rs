//! The result of the checks, and the duty that comes with an event that is not stored.

use std::collections::HashSet;

use crate::error::Fault;
use crate::event::quota;
use crate::event::{Event, Ready};
use crate::registry;
use crate::registry::log::Log;

/// The result of the checks.
pub(crate) enum Verdict<'e, 'a> {
    Ready(Ready<'a>),
    Stopped(Stopped<'e, 'a>),
}

/// Why an event is not stored.
pub(crate) enum Reason {
    /// Sampled out, or its tenant opted out. Nothing is wrong with it.
    LeftOut,
    /// For the quarantine, without an error (`eventlog.on_unknown_name`, a tenant's `over_quota`).
    Quarantine(Fault),
    /// Refused and not kept: a flood must not fill the quarantine.
    OverQuota(Fault),
    /// It breaks a rule.
    Refused(Fault),
}

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        Reason::Refused(fault)
    }
}

/// An event that is not stored. The only ways to its reason settle the quota of its tenant: events
/// over quota are counted in memory first, and a call that stores nothing has to write that count.
#[must_use = "the quota of the tenant must be settled"]
pub(crate) struct Stopped<'e, 'a> {
    event: &'e Event<'a>,
    reason: Reason,
}

/// A [`Reason`] that is not raised.
pub(crate) enum Unraised {
    LeftOut,
    Quarantine(Fault),
}

impl<'e, 'a> Stopped<'e, 'a> {
    pub(super) fn new(event: &'e Event<'a>, reason: Reason) -> Self {
        Stopped { event, reason }
    }

    /// Writes what is due of the tenant's count over quota and returns the reason, for a caller that
    /// raises nothing.
    pub(crate) fn settle(self) -> Reason {
        if let Ok(log) = registry::current()
            && let Some(tenant_id) = self.event.payer(&log)
        {
            quota::settle(&log, &tenant_id, false);
        }
        self.reason
    }

    /// Raises a fault: what was written would be rolled back, so the count stays in memory for the
    /// next call. Settles the quota if there is nothing to raise.
    pub(crate) fn settle_or_raise(self) -> Unraised {
        match self.reason {
            Reason::OverQuota(fault) | Reason::Refused(fault) => fault.raise(),
            Reason::LeftOut | Reason::Quarantine(_) => {}
        }
        match self.settle() {
            Reason::Quarantine(fault) => Unraised::Quarantine(fault),
            _ => Unraised::LeftOut,
        }
    }

    /// Leaves settling to the end of the batch, and returns the reason.
    pub(crate) fn settle_later(self, log: &Log, batch: &mut Unsettled) -> Reason {
        batch.tenants.extend(self.event.payer(log));
        self.reason
    }
}

/// The tenants of a batch whose quota is to be settled at its end.
#[derive(Default)]
#[must_use = "their quota must be settled"]
pub(crate) struct Unsettled {
    tenants: HashSet<[u8; 16]>,
}

impl Unsettled {
    /// Writes all that was counted over quota.
    pub(crate) fn settle(self, log: &Log) {
        for tenant_id in &self.tenants {
            quota::settle(log, tenant_id, true);
        }
    }
}
