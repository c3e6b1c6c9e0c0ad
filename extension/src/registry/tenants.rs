//! The settings of single tenants, cached by backend as they are asked for: a log may have many
//! tenants, of which a backend sees few.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::pg_sys;

use crate::pg::identity::ActAs;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session, WithoutSeqScan};
use crate::pg::uuid::uuid_datum;

/// Most tenants whose settings a backend caches; then it starts again.
const MOST_KEPT: usize = 10_000;

/// One row of `tenant_settings`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TenantSettings {
    pub(crate) is_opted_out: bool,
    pub(crate) max_bytes: Option<usize>,
    pub(crate) quota: Option<Quota>,
}

/// How many events a minute are allowed, and what happens to more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub(crate) events_per_minute: u64,
    pub(crate) over: OverQuota,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OverQuota {
    Reject,
    Sample,
    Quarantine,
}

thread_local! {
    /// Uses the primary key whatever the statistics say: a plan made while the table was empty
    /// would scan it for ever.
    static FIND: Prepared = const { Prepared::new(
        c"SELECT is_opted_out, max_bytes, events_per_minute, over_quota
            FROM eventlog.tenant_settings WHERE tenant_id OPERATOR(pg_catalog.=) $1",
        &[pg_sys::UUIDOID],
    ) };
}

/// The settings of tenants in one generation of the log.
#[derive(Debug)]
pub(crate) struct Tenants {
    /// True if any tenant has settings.
    has_settings: bool,
    owner: pg_sys::Oid,
    known: RefCell<HashMap<[u8; 16], Option<TenantSettings>>>,
}

impl Tenants {
    pub(crate) fn new(has_settings: bool, owner: pg_sys::Oid) -> Self {
        Tenants { has_settings, owner, known: RefCell::default() }
    }

    /// Returns the settings of a tenant, if it has any.
    pub(crate) fn settings(&self, tenant_id: &[u8; 16]) -> Option<TenantSettings> {
        if !self.has_settings {
            return None;
        }
        let known = self.known.borrow().get(tenant_id).copied();
        known.unwrap_or_else(|| {
            let settings = self.read(tenant_id);
            let mut known = self.known.borrow_mut();
            if known.len() == MOST_KEPT {
                known.clear();
            }
            known.insert(*tenant_id, settings);
            settings
        })
    }

    fn read(&self, tenant_id: &[u8; 16]) -> Option<TenantSettings> {
        let session = Session::begin();
        let _owner = ActAs::role(self.owner);
        let _by_index = WithoutSeqScan::begin();
        let params = Params::new([Some(uuid_datum(tenant_id))]);
        FIND.with(|plan| plan.execute(&session, Mode::ReadLatest, params));
        let rows = Rows::last(&session);
        if rows.len() == 0 {
            return None;
        }
        let positive = |number: i32| usize::try_from(number).unwrap_or(0);
        let over = match rows.get::<String>(0, 4).as_deref() {
            Some("sample") => OverQuota::Sample,
            Some("quarantine") => OverQuota::Quarantine,
            _ => OverQuota::Reject,
        };
        Some(TenantSettings {
            is_opted_out: rows.get(0, 1).unwrap_or(false),
            max_bytes: rows.get::<i32>(0, 2).map(positive),
            quota: rows
                .get::<i32>(0, 3)
                .map(|events| Quota { events_per_minute: positive(events) as u64, over }),
        })
    }
}
