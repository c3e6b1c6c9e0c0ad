//! Events a minute, by tenant: counted across all backends in shared memory if the library is
//! preloaded, else by each backend for itself.
//!
//! Events over quota are counted here first and written to `hygiene_counts` at most once a second
//! and tenant. A row for each refused event would let a flood fill the disk after all, and an event
//! that is refused with an error has no transaction to be counted in.

use std::cell::{Cell, RefCell};

use pgrx::datum::Uuid;
use pgrx::pg_shmem_init;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::event::hygiene::{self, Incident, Kind};
use crate::event::sampling;
use crate::pg::server;
use crate::pg::shared_memory::{Plain, Shared, shared};
use crate::registry::log::Log;
use crate::registry::tenants::{OverQuota, Quota};

/// Tenants in shared memory, about 100 KB; more than these are counted by each backend for itself.
const SLOTS: usize = 2_048;

const MINUTE: i64 = 60_000_000;
const SECOND: i64 = 1_000_000;

/// The count of one tenant of one database.
#[derive(Clone, Copy, Default)]
struct Slot {
    database: u32,
    is_taken: bool,
    tenant_id: [u8; 16],
    /// The minute of the server's clock that `events` belongs to.
    minute: i64,
    events: u64,
    /// Events over quota that are not written yet, and when the last ones were written.
    over: u64,
    written_at: i64,
}

static SHARED: Shared<[Slot; SLOTS]> = shared(c"eventlog quotas");

thread_local! {
    static IS_SHARED: Cell<bool> = const { Cell::new(false) };
    static OWN: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

/// Requests shared memory, if the library is being preloaded. Called once, from `_PG_init`.
pub(crate) fn init() {
    if !server::preloading() {
        return;
    }
    pg_shmem_init!(SHARED = Plain([Slot::default(); SLOTS]));
    // The children of the postmaster inherit it.
    IS_SHARED.set(true);
}

impl Slot {
    fn is_of(&self, database: u32, tenant_id: &[u8; 16]) -> bool {
        self.is_taken && self.database == database && self.tenant_id == *tenant_id
    }

    /// Returns true if nobody needs the slot any more.
    fn is_stale(&self, minute: i64) -> bool {
        !self.is_taken || (self.minute < minute && self.over == 0)
    }
}

/// Returns the tenant's slot, taking a free one if it has none; nothing if there is no room.
///
/// Linear probing from the hash of the tenant id, at most PLACES steps. Slots are never freed one
/// by one, so a stale slot does not end the search.
fn slot<'s>(
    slots: &'s mut [Slot],
    database: u32,
    tenant_id: &[u8; 16],
    minute: i64,
) -> Option<&'s mut Slot> {
    const PLACES: usize = 64;
    let hash = hash_of(tenant_id);
    let mut free = None;
    for step in 0..PLACES.min(slots.len()) {
        let place = (hash as usize).wrapping_add(step) % slots.len();
        if slots[place].is_of(database, tenant_id) {
            return Some(&mut slots[place]);
        }
        if free.is_none() && slots[place].is_stale(minute) {
            free = Some(place);
        }
    }
    let slot = &mut slots[free?];
    *slot = Slot { database, is_taken: true, tenant_id: *tenant_id, minute, ..Slot::default() };
    Some(slot)
}

/// Hashes all bytes: uuids of versions 1 and 7 share their beginnings.
fn hash_of(tenant_id: &[u8; 16]) -> u64 {
    let [a, b] =
        [0, 8].map(|at| u64::from_ne_bytes(tenant_id[at..at + 8].try_into().expect("eight bytes")));
    (a ^ b.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// Calls `body` with the tenant's slot.
fn with_slot<T>(tenant_id: &[u8; 16], minute: i64, body: impl Fn(&mut Slot) -> T) -> T {
    let database = server::database().to_u32();
    if IS_SHARED.get() {
        let mut slots = SHARED.exclusive();
        if let Some(slot) = slot(&mut slots.0, database, tenant_id, minute) {
            return body(slot);
        }
    }
    OWN.with_borrow_mut(|slots| {
        // A backend keeps the slots of its last tenants.
        let known = slots.iter().position(|slot| slot.is_of(database, tenant_id));
        let place = known.unwrap_or_else(|| {
            slots.retain(|slot| !slot.is_stale(minute));
            let tenant_id = *tenant_id;
            slots.push(Slot { database, is_taken: true, tenant_id, minute, ..Slot::default() });
            slots.len() - 1
        });
        body(&mut slots[place])
    })
}

/// The answer of a quota to an event.
pub(crate) enum Admission {
    Granted,
    /// Over quota, and kept as one of so many events.
    Weighted(f64),
    LeftOut,
    Rejected(Fault),
    Quarantine(Fault),
}

/// Counts an event of the tenant against its quota.
pub(crate) fn admit(tenant_id: &[u8; 16], quota: Quota) -> Admission {
    let most = quota.events_per_minute;
    let events = count(tenant_id, most);
    if events <= most {
        return Admission::Granted;
    }
    let fault = || {
        Fault::new(
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            format!("tenant {} is over its quota of {most} events a minute", Uuid::from_bytes(*tenant_id)),
        )
        .hint("wait for the next minute, or raise it: SELECT eventlog.set_tenant('<tenant>', events_per_minute => <number>);")
    };
    match quota.over {
        OverQuota::Reject => Admission::Rejected(fault()),
        OverQuota::Quarantine => Admission::Quarantine(fault()),
        OverQuota::Sample => {
            // The more events, the fewer are kept: of 100 times the quota 4.6 times the quota, each
            // with the weight of the events it stands for.
            let rate = most as f64 / events as f64;
            if sampling::chance() < rate {
                Admission::Weighted(1.0 / rate)
            } else {
                Admission::LeftOut
            }
        }
    }
}

/// Returns the incident of events over quota, if one is to be written now.
pub(crate) fn due(tenant_id: &[u8; 16], is_due: bool) -> Option<Incident> {
    let over = take_over(tenant_id, is_due);
    (over > 0).then(|| Incident {
        tenant_id: *tenant_id,
        kind: Kind::OverQuota,
        name: Box::default(),
        events: i64::try_from(over).unwrap_or(i64::MAX),
    })
}

/// Writes the tenant's count of events over quota, for a call that stores no event: see `due`.
pub(crate) fn settle(log: &Log, tenant_id: &[u8; 16], is_due: bool) {
    let has_quota = log.settings_of(tenant_id).is_some_and(|settings| settings.quota.is_some());
    if has_quota {
        hygiene::write(log, due(tenant_id, is_due).iter());
    }
}

/// Counts an event of the tenant and returns its number within this minute.
fn count(tenant_id: &[u8; 16], quota: u64) -> u64 {
    let minute = server::clock().div_euclid(MINUTE);
    with_slot(tenant_id, minute, |slot| {
        if slot.minute != minute {
            slot.minute = minute;
            slot.events = 0;
        }
        slot.events += 1;
        if slot.events > quota {
            slot.over += 1;
        }
        slot.events
    })
}

/// Takes back an event that is about to be counted again.
pub(crate) fn take_back(tenant_id: &[u8; 16]) {
    let minute = server::clock().div_euclid(MINUTE);
    with_slot(tenant_id, minute, |slot| {
        if slot.minute == minute {
            slot.events = slot.events.saturating_sub(1);
        }
    });
}

/// Takes the number of events over quota that is to be written now: at most once a second, or all
/// at the end of a batch.
fn take_over(tenant_id: &[u8; 16], is_due: bool) -> u64 {
    let now = server::clock();
    with_slot(tenant_id, now.div_euclid(MINUTE), |slot| {
        if slot.over == 0 || !(is_due || now - slot.written_at >= SECOND) {
            return 0;
        }
        slot.written_at = now;
        std::mem::take(&mut slot.over)
    })
}
