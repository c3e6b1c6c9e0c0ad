//! The log of a database as a backend knows it.

use pgrx::prelude::*;
use std::collections::HashMap;
use std::rc::Rc;

use crate::payload::edit::Rules;
use crate::payload::event_type::{EventType, Status};
use crate::payload::hash_key::HashKey;
use crate::registry::tenants::{TenantSettings, Tenants};
use crate::settings;

/// Longest name of an event, in bytes (a CHECK of `event_types` says the same).
pub(crate) const LONGEST_NAME: usize = 128;

/// The log of this database.
#[derive(Debug)]
pub(crate) struct Log {
    pub(super) generation: u64,
    /// Read inside a parallel query, under its snapshot: good until the query ends.
    pub(super) is_provisional: bool,
    pub(crate) owner: pg_sys::Oid,
    pub(crate) events: pg_sys::Oid,
    /// The sequence of the identity column.
    pub(crate) ids: pg_sys::Oid,
    pub(super) types: HashMap<Box<str>, Rc<EventType>>,
    pub(super) tenants_of_roles: HashMap<pg_sys::Oid, [u8; 16]>,
    pub(crate) hash_key: HashKey,
    /// What applies to an event of an unknown name: `eventlog.redact_keys`.
    pub(crate) redacted: Rules,
    pub(crate) tenants: Tenants,
    pub(crate) service_roles: Vec<pg_sys::Oid>,
    /// An event created before this moment is late for the rollups.
    pub(crate) watermark: i64,
}

impl Log {
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.lookup(name).is_some()
    }

    /// The type of a name whatever its status, for what it keeps out of the log.
    pub(crate) fn rules_of(&self, name: &str) -> Option<&Rc<EventType>> {
        self.lookup(name)
    }

    /// A wildcard's own row is a rule, not a name.
    pub(super) fn lookup(&self, name: &str) -> Option<&Rc<EventType>> {
        let own = self.types.get(name).filter(|event_type| !event_type.name.ends_with(".*"));
        own.or_else(|| self.wildcard(name))
    }

    fn wildcard(&self, name: &str) -> Option<&Rc<EventType>> {
        if !settings::allow_wildcards() || !is_well_formed(name) {
            return None;
        }
        name.rmatch_indices('.')
            .find_map(|(dot, _)| self.types.get(&*format!("{}.*", &name[..dot])))
    }

    /// The settings of a tenant, if it has some.
    pub(crate) fn settings_of(&self, tenant_id: &[u8; 16]) -> Option<TenantSettings> {
        self.tenants.settings(tenant_id)
    }

    /// The names that an event may have; not the wildcards.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let is_name = |event_type: &&Rc<EventType>| {
            event_type.status != Status::Retired && !event_type.name.ends_with(".*")
        };
        self.types.values().filter(is_name).map(|event_type| &*event_type.name)
    }

    /// Changes whenever a watched table did.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn tenant_of_role(&self, role: pg_sys::Oid) -> Option<[u8; 16]> {
        self.tenants_of_roles.get(&role).copied()
    }
}

/// What a CHECK of `event_types` says of a name.
pub(crate) fn is_well_formed(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'))
}
