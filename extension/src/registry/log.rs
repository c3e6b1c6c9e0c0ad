//! The cached log of a database.

use pgrx::prelude::*;
use std::collections::HashMap;
use std::rc::Rc;

use crate::limits::NAME_BYTES;
use crate::payload::edit::KeyEdits;
use crate::payload::event_type::{EventType, Status};
use crate::payload::hash_key::HashKey;
use crate::registry::tenants::{TenantSettings, Tenants};
use crate::settings;

/// The entry of a name in the taxonomy.
pub(crate) enum Lookup<'l> {
    Known(&'l Rc<EventType>),
    /// The type is there, but takes no more events.
    Retired(&'l Rc<EventType>),
    Unknown,
}

/// The log of this database.
#[derive(Debug)]
pub(crate) struct Log {
    pub(super) generation: u64,
    /// Read inside a parallel query, under its snapshot: valid until the query ends.
    pub(super) is_provisional: bool,
    pub(crate) owner: pg_sys::Oid,
    pub(crate) events: pg_sys::Oid,
    /// The sequence of the identity column.
    pub(crate) ids: pg_sys::Oid,
    pub(super) types: HashMap<Box<str>, Rc<EventType>>,
    /// Other names under which events of a type arrive. A name wins over an alias.
    pub(super) aliases: HashMap<Box<str>, Rc<EventType>>,
    pub(super) tenants_of_roles: HashMap<pg_sys::Oid, [u8; 16]>,
    pub(crate) hash_key: HashKey,
    /// Edits of an event with an unknown name: `eventlog.redact_keys`.
    pub(crate) redacted: KeyEdits,
    pub(crate) tenants: Tenants,
    pub(crate) service_roles: Vec<pg_sys::Oid>,
    /// An event created before this moment is late for the rollups.
    pub(crate) watermark: i64,
}

impl Log {
    /// Returns the type of a name whatever its status, for the values that it keeps out of the log.
    pub(crate) fn any_type_of(&self, name: &str) -> Option<&Rc<EventType>> {
        self.row_of(name)
    }

    /// Finds the type of a name: its own row; or the one that has it as an alias; or, where wildcards
    /// are allowed, the longest prefix's.
    pub(crate) fn lookup(&self, name: &str) -> Lookup<'_> {
        match self.row_of(name) {
            Some(event_type) if event_type.status == Status::Retired => Lookup::Retired(event_type),
            Some(event_type) => Lookup::Known(event_type),
            None => Lookup::Unknown,
        }
    }

    /// A wildcard's own row is a rule, not a name.
    fn row_of(&self, name: &str) -> Option<&Rc<EventType>> {
        let own = self.types.get(name).filter(|event_type| !event_type.is_wildcard());
        own.or_else(|| self.aliases.get(name)).or_else(|| self.wildcard(name))
    }

    fn wildcard(&self, name: &str) -> Option<&Rc<EventType>> {
        if !settings::allow_wildcards() || !is_well_formed(name) {
            return None;
        }
        name.rmatch_indices('.')
            .find_map(|(dot, _)| self.types.get(&*format!("{}.*", &name[..dot])))
    }

    /// Returns the settings of a tenant, if it has any.
    pub(crate) fn settings_of(&self, tenant_id: &[u8; 16]) -> Option<TenantSettings> {
        self.tenants.settings(tenant_id)
    }

    /// Returns the names and aliases that an event may have, without wildcards.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let is_name = |event_type: &Rc<EventType>| {
            event_type.status != Status::Retired && !event_type.is_wildcard()
        };
        let names = self.types.values().filter(move |event_type| is_name(event_type));
        let names = names.map(|event_type| &*event_type.name);
        let aliases = self.aliases.iter().filter(move |(_, event_type)| is_name(event_type));
        names.chain(aliases.map(|(alias, _)| &**alias))
    }

    /// Adds the aliases of all types. The table keeps them apart, but for rows that were written by
    /// hand: a name wins over an alias, and of two types that have one the first by its name.
    pub(super) fn add_aliases(&mut self) {
        let mut types: Vec<&Rc<EventType>> = self.types.values().collect();
        types.retain(|event_type| !event_type.aliases.is_empty() && !event_type.is_wildcard());
        types.sort_by(|a, b| a.name.cmp(&b.name));
        for event_type in types {
            for alias in
                event_type.aliases.iter().filter(|alias| !self.types.contains_key(&***alias))
            {
                let free = self.aliases.entry(alias.as_str().into());
                free.or_insert_with(|| Rc::clone(event_type));
            }
        }
    }

    /// Returns the generation that the log was read in.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn tenant_of_role(&self, role: pg_sys::Oid) -> Option<[u8; 16]> {
        self.tenants_of_roles.get(&role).copied()
    }
}

/// Returns true if a CHECK of `event_types` would accept the name.
pub(crate) fn is_well_formed(name: &str) -> bool {
    name.len() <= NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'))
}
