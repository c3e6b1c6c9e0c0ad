//! Reading the log from its tables.

use pgrx::datum::Uuid;
use pgrx::prelude::*;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::error::Fault;
use crate::generation;
use crate::payload::edit::{Rule, Rules};
use crate::payload::enrichment::Enrichment;
use crate::payload::event_type::{Definition, EventType};
use crate::payload::hash_key::HashKey;
use crate::pg::datum::Text;
use crate::pg::identity::As;
use crate::pg::server;
use crate::pg::spi::{Kept, Mode, Params, Rows, Session};
use crate::pg::transaction::in_parallel_mode;
use crate::registry::invalidation::{ROLLUP_STATE, WATCHED, WATCHED_TABLES};
use crate::registry::log::Log;
use crate::registry::tenants::Tenants;
use crate::settings;

thread_local! {
    static RELATIONS: Kept = const { Kept::new(
        c"SELECT relname::pg_catalog.text, oid, relowner FROM pg_catalog.pg_class
           WHERE relnamespace OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_namespace
                   WHERE nspname OPERATOR(pg_catalog.=) 'eventlog')
             AND relname OPERATOR(pg_catalog.=) ANY (ARRAY['events', 'event_types', 'enrichments', 'tenant_settings',
                                                               'tenant_roles', 'log_config', 'rollup_state'])
          UNION ALL
          SELECT 'ids', d.objid, 0
            FROM pg_catalog.pg_depend d
           WHERE d.refobjid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('eventlog.events')
             AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
             AND d.refclassid OPERATOR(pg_catalog.=) d.classid
             AND d.deptype OPERATOR(pg_catalog.=) 'i' AND d.refobjsubid OPERATOR(pg_catalog.=) 1",
        &[],
    ) };
    static EVENT_TYPES: Kept = const { Kept::new(
        c"SELECT name, status, successor, required_keys, optional_keys, allow_other_keys,
                 allowed_values, max_bytes, actor_key, subject_keys, occurred_at_key, default_values,
                 default_when_key, sample_rate, sample_key, redact_keys, hash_keys, hash_actor, path_keys
            FROM eventlog.event_types",
        &[],
    ) };
    static ENRICHMENTS: Kept = const { Kept::new(
        c"SELECT name, target_key, source_key, lookup, pg_catalog.quote_ident(match_column),
                 match_type, pg_catalog.quote_ident(value_column)
            FROM eventlog.enrichments ORDER BY target_key",
        &[],
    ) };
    static CONFIG: Kept = const { Kept::new(
        c"SELECT hash_key_id, EXISTS (SELECT FROM eventlog.tenant_settings) FROM eventlog.log_config",
        &[],
    ) };
    static WATERMARK: Kept = const { Kept::new(
        c"SELECT announced_until FROM eventlog.rollup_state",
        &[],
    ) };
    /// Whom a policy lets insert for other tenants: grant_service makes one, a DBA may make more.
    static SERVICE_ROLES: Kept = const { Kept::new(
        c"SELECT role FROM pg_catalog.pg_policy, pg_catalog.unnest(polroles) AS role
           WHERE polrelid OPERATOR(pg_catalog.=) $1 AND polpermissive
             AND polcmd OPERATOR(pg_catalog.=) ANY (ARRAY['a', '*']::pg_catalog.\"char\"[])
             AND polname OPERATOR(pg_catalog.<>) 'events_tenant_insert'",
        &[pg_sys::OIDOID],
    ) };
    /// The role of a row by its oid on the server that noted it ($1 is this one), by its name elsewhere
    /// and in a log of layout 1; and only a role with the grant that it was given then.
    static TENANT_ROLES: Kept = const { Kept::new(
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

/// Reads until nothing changed meanwhile. A change that goes on for ever is left to the next call.
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
        RELATIONS.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([])));
        let rows = Rows::last(&session);
        let relations: HashMap<String, (pg_sys::Oid, pg_sys::Oid)> = (0..rows.len())
            .filter_map(|row| Some((rows.get(row, 1)?, (rows.get(row, 2)?, rows.get(row, 3)?))))
            .collect();
        let find = |name: &str| {
            relations.get(name).copied().ok_or_else(|| {
                Fault::new(
                    PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "there is no log in this database yet",
                )
                .hint("SELECT eventlog.create_log();")
            })
        };
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

        let _owner = As::role(owner);
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
            tenants_of_roles: HashMap::new(),
            hash_key: HashKey::accepted(hash_key_id),
            redacted: Rules::new(redacted.iter().map(|key| (&**key, Rule::Redact))),
            tenants: Tenants::new(has_settings, owner),
            service_roles,
            watermark,
        };
        let mut enrichments = read_enrichments(&session);
        EVENT_TYPES.with(|plan| plan.execute(&session, Mode::ReadLatest, Params::new([])));
        let rows = Rows::last(&session);
        for row in 0..rows.len() {
            if let Some(mut definition) = read_type(&rows, row) {
                definition.enrichments = enrichments.remove(&definition.name).unwrap_or_default();
                let event_type = EventType::new(definition, &redacted);
                log.types.insert(event_type.name.clone(), Rc::new(event_type));
            }
        }
        let cluster = Text::copy_of(&server::system_identifier().to_string());
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

fn read_type<'r>(rows: &Rows<'r>, row: usize) -> Option<Definition<'r>> {
    let keys = |column| -> Vec<String> {
        rows.get::<Vec<Option<String>>>(row, column)
            .unwrap_or_default()
            .into_iter()
            .flatten()
            .collect()
    };
    Some(Definition {
        name: rows.get(row, 1)?,
        status: rows.get(row, 2)?,
        successor: rows.get(row, 3),
        required_keys: keys(4),
        optional_keys: keys(5),
        allow_other_keys: rows.get(row, 6).unwrap_or(true),
        allowed_values: rows.get(row, 7),
        max_bytes: rows.get(row, 8).unwrap_or(2048),
        actor_key: rows.get(row, 9),
        subject_keys: keys(10),
        occurred_at_key: rows.get(row, 11),
        default_values: rows.get(row, 12),
        default_when_key: rows.get(row, 13),
        sample_rate: rows.get(row, 14).unwrap_or(1.0),
        sample_key: rows.get(row, 15),
        redact_keys: keys(16),
        hash_keys: keys(17),
        hash_actor: rows.get(row, 18).unwrap_or(false),
        path_keys: keys(19),
        enrichments: Vec::new(),
    })
}

/// The lookups of each name, as the log's owner.
fn read_enrichments(session: &Session) -> HashMap<String, Vec<Enrichment>> {
    ENRICHMENTS.with(|plan| plan.execute(session, Mode::ReadLatest, Params::new([])));
    let rows = Rows::last(session);
    let mut enrichments: HashMap<String, Vec<Enrichment>> = HashMap::new();
    for row in 0..rows.len() {
        let text = |column| rows.get::<String>(row, column).unwrap_or_default();
        let lookup = (text(4), text(5), text(6), text(7));
        let enrichment =
            Enrichment::new(text(2), text(3), &lookup.0, &lookup.1, &lookup.2, &lookup.3);
        enrichments.entry(text(1)).or_default().extend(enrichment);
    }
    enrichments
}
