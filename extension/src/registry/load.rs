//! Reads the log from its tables.

use pgrx::datum::Uuid;
use pgrx::prelude::*;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::error::Fault;
use crate::generation;
use crate::payload::edit::{KeyEdit, KeyEdits};
use crate::payload::enrichment::{Enrichment, EnrichmentRow};
use crate::payload::event_type::{EventType, EventTypeRow};
use crate::payload::hash_key::HashKey;
use crate::pg::array;
use crate::pg::datum::Text;
use crate::pg::identity::ActAs;
use crate::pg::identity::cluster;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session};
use crate::pg::transaction::in_parallel_mode;
use crate::registry::invalidation::{ROLLUP_STATE, WATCHED, WATCHED_TABLES};
use crate::registry::log::Log;
use crate::registry::tenants::Tenants;
use crate::settings;

thread_local! {
    /// Without to_regclass(): a trigger on the application's own table runs as a role that may have no
    /// right to use the schema.
    static RELATIONS: Prepared = const { Prepared::new(
        c"SELECT relname::pg_catalog.text, oid, relowner FROM pg_catalog.pg_class
           WHERE relnamespace OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_namespace
                   WHERE nspname OPERATOR(pg_catalog.=) 'eventlog')
             AND relname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.name[])
          UNION ALL
          SELECT 'ids', d.objid, 0
            FROM pg_catalog.pg_depend d
           WHERE d.refobjid OPERATOR(pg_catalog.=)
                 (SELECT c.oid FROM pg_catalog.pg_class c
                    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
                   WHERE n.nspname OPERATOR(pg_catalog.=) 'eventlog' AND c.relname OPERATOR(pg_catalog.=) 'events')
             AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
             AND d.refclassid OPERATOR(pg_catalog.=) d.classid
             AND d.deptype OPERATOR(pg_catalog.=) 'i' AND d.refobjsubid OPERATOR(pg_catalog.=) 1",
        &[pg_sys::TEXTARRAYOID],
    ) };
    static EVENT_TYPES: Prepared = const { Prepared::new(
        c"SELECT * FROM eventlog.event_types",
        &[],
    ) };
    static ENRICHMENTS: Prepared = const { Prepared::new(
        c"SELECT name, target_key, source_key, lookup, match_type,
                 pg_catalog.quote_ident(match_column) AS match_column,
                 pg_catalog.quote_ident(value_column) AS value_column
            FROM eventlog.enrichments ORDER BY target_key",
        &[],
    ) };
    static CONFIG: Prepared = const { Prepared::new(
        c"SELECT hash_key_id, EXISTS (SELECT FROM eventlog.tenant_settings) FROM eventlog.log_config",
        &[],
    ) };
    static WATERMARK: Prepared = const { Prepared::new(
        c"SELECT announced_until FROM eventlog.rollup_state",
        &[],
    ) };
    /// Roles that a policy lets insert for other tenants: grant_service makes one, a DBA may make
    /// more.
    static SERVICE_ROLES: Prepared = const { Prepared::new(
        c"SELECT role FROM pg_catalog.pg_policy, pg_catalog.unnest(polroles) AS role
           WHERE polrelid OPERATOR(pg_catalog.=) $1 AND polpermissive
             AND polcmd OPERATOR(pg_catalog.=) ANY (ARRAY['a', '*']::pg_catalog.\"char\"[])
             AND polname OPERATOR(pg_catalog.<>) 'events_tenant_insert'",
        &[pg_sys::OIDOID],
    ) };
    /// Finds the role of a row by its oid on the server that stored it ($1 is this one), by its
    /// name on another server and in a log of layout 1; and only a role that still has the grant it
    /// was given then.
    static TENANT_ROLES: Prepared = const { Prepared::new(
        c"SELECT n.role, n.tenant_id
            FROM (SELECT t.tenant_id, NOT (t.j OPERATOR(pg_catalog.?) 'role_oid') AS is_of_layout_1,
                         CASE WHEN (t.j OPERATOR(pg_catalog.->>) 'cluster') OPERATOR(pg_catalog.=) $1
                              THEN (t.j OPERATOR(pg_catalog.->>) 'role_oid')::pg_catalog.oid
                              ELSE (SELECT r.oid FROM pg_catalog.pg_roles r
                                     WHERE r.rolname OPERATOR(pg_catalog.=) t.role_name) END AS role
                    FROM (SELECT r.role_name, r.tenant_id, pg_catalog.to_jsonb(r) AS j FROM eventlog.tenant_roles r) t) n
           WHERE n.role IS NOT NULL
             AND (n.is_of_layout_1
                  OR EXISTS (SELECT FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) acl
                              WHERE a.attrelid OPERATOR(pg_catalog.=) 'eventlog.tenant_roles'::pg_catalog.regclass
                                AND a.attname OPERATOR(pg_catalog.=) 'tenant_id'
                                AND acl.privilege_type OPERATOR(pg_catalog.=) 'REFERENCES'
                                AND acl.grantee OPERATOR(pg_catalog.=) n.role))",
        &[pg_sys::TEXTOID],
    ) };
}

/// Reads until nothing changes meanwhile. After several attempts the next call tries again.
pub(crate) fn load() -> Result<Rc<Log>, Fault> {
    for _ in 0..8 {
        let generation = generation::current();
        let log = Rc::new(Log::read_all(generation)?);
        if generation::current() == generation {
            return Ok(log);
        }
    }
    Err(Fault::new(
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        "the event types changed again and again while they were read",
    ))
}

impl Log {
    fn read_all(generation: u64) -> Result<Log, Fault> {
        let session = Session::begin();
        let watched = WATCHED_TABLES.iter().map(|name| Some(Text::copy_of(name).datum()));
        let watched = Params::new([Some(array::of(pg_sys::TEXTOID, watched))]);
        RELATIONS.with(|plan| plan.execute(&session, Mode::ReadLatest, watched));
        let rows = Rows::last(&session);
        let relations: HashMap<String, (pg_sys::Oid, pg_sys::Oid)> = (0..rows.len())
            .filter_map(|row| Some((rows.get(row, 1)?, (rows.get(row, 2)?, rows.get(row, 3)?))))
            .collect();
        let find = |name: &str| relations.get(name).copied().ok_or_else(Fault::no_log);
        let (events, owner) = find("events")?;
        let (ids, _) = find("ids")?;
        for (watched, name) in WATCHED.iter().zip(WATCHED_TABLES) {
            let relation = match find(name) {
                Err(_) if name == ROLLUP_STATE => pg_sys::InvalidOid,
                found => found?.0,
            };
            watched.store(relation.to_u32(), Ordering::Relaxed);
        }

        let events_oid = Params::new([Some(pg_sys::Datum::from(events))]);
        SERVICE_ROLES.with(|plan| plan.execute(&session, Mode::ReadLatest, events_oid));
        let rows = Rows::last(&session);
        let service_roles = (0..rows.len()).filter_map(|row| rows.get(row, 1)).collect();

        let _owner = ActAs::role(owner);
        CONFIG.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([])));
        let rows = Rows::last(&session);
        let (hash_key_id, has_settings) = match rows.len() {
            0 => (None, false),
            _ => (rows.get::<String>(0, 1), rows.get::<bool>(0, 2).unwrap_or(false)),
        };
        let watermark = match relations.contains_key(ROLLUP_STATE) {
            true => read_watermark(&session),
            false => i64::MIN,
        };
        let redacted = settings::redact_keys();
        let mut log = Log {
            generation,
            is_provisional: in_parallel_mode(),
            owner,
            events,
            ids,
            types: HashMap::new(),
            aliases: HashMap::new(),
            tenants_of_roles: HashMap::new(),
            hash_key: HashKey::accepted(hash_key_id),
            redacted: KeyEdits::new(redacted.iter().map(|key| (&**key, KeyEdit::Redact))),
            tenants: Tenants::new(has_settings, owner),
            service_roles,
            watermark,
        };
        let mut enrichments = read_enrichments(&session);
        EVENT_TYPES.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([])));
        for row in EventTypeRow::read(&Rows::last(&session)) {
            let enrichments = enrichments.remove(&row.name).unwrap_or_default();
            let event_type = EventType::new(row, enrichments, &redacted);
            log.types.insert(event_type.name.clone(), Rc::new(event_type));
        }
        log.add_aliases();
        let cluster = Text::copy_of(&cluster().to_string());
        let cluster = Params::new([Some(cluster.datum())]);
        TENANT_ROLES.with(|plan| plan.execute(&session, Mode::ReadLatest, cluster));
        let rows = Rows::last(&session);
        for row in 0..rows.len() {
            if let (Some(role), Some(tenant)) = (rows.get(row, 1), rows.get::<Uuid>(row, 2)) {
                log.tenants_of_roles.insert(role, *tenant.as_bytes());
            }
        }
        Ok(log)
    }
}

fn read_watermark(session: &Session) -> i64 {
    WATERMARK.with(|plan| plan.execute(session, Mode::ReadLatest, Params::new([])));
    let rows = Rows::last(session);
    let watermark = (rows.len() == 1).then(|| rows.get::<i64>(0, 1)).flatten();
    watermark.unwrap_or(i64::MIN)
}

/// Reads the lookups of each name, as the log's owner.
fn read_enrichments(session: &Session) -> HashMap<String, Vec<Enrichment>> {
    ENRICHMENTS.with(|plan| plan.execute(session, Mode::ReadLatest, Params::new([])));
    let mut enrichments: HashMap<String, Vec<Enrichment>> = HashMap::new();
    for mut row in EnrichmentRow::read(&Rows::last(session)) {
        let name = std::mem::take(&mut row.name);
        enrichments.entry(name).or_default().extend(Enrichment::new(row));
    }
    enrichments
}
