//! What `eventlog doctor` looks at. Each check is a query that gives a row for each thing to tell:
//! whether it is wrong (else it is advice), what was found, and the command that mends it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio_postgres::{Error, Row, Transaction};

use super::{Finding, State};
use crate::output::Failure;

pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// What is said where the query gives no row.
    pub(super) good: &'static str,
}

impl Check {
    pub(super) fn finding(&self, row: &Row) -> Finding {
        let state = match row.get::<_, Option<bool>>(0) {
            Some(true) => State::Wrong,
            Some(false) => State::Advice,
            None => State::Good,
        };
        let finding = Finding::new(self.name, state, row.get::<_, String>(1));
        match row.get::<_, Option<String>>(2) {
            Some(mend) => finding.mend(mend),
            None => finding,
        }
    }

    pub(super) fn unseen(&self, error: Error) -> Finding {
        let message = error.as_db_error().map_or("no answer", |server| server.message()).to_owned();
        let finding = Finding::new(self.name, State::Unknown, message);
        match error.code().is_some_and(|code| code.code() == "42501") {
            true => finding.mend("as the log's owner or a superuser: eventlog doctor"),
            false => finding,
        }
    }
}

/// Whether there is an extension and a log, on which all else depends.
pub(super) async fn extension(transaction: &Transaction<'_>) -> Result<Vec<Finding>, Failure> {
    const NAME: &str = "extension";
    let sql = "SELECT (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'eventlog'),
                      (SELECT a.default_version::text FROM pg_available_extensions a WHERE a.name = 'eventlog'),
                      to_regclass('eventlog.events') IS NOT NULL, current_database()::text,
                      current_setting('server_version')";
    let rows = transaction.query_typed(sql, &[]).await?;
    let row = rows.first().ok_or_else(|| Failure::new("the server gives no answer"))?;
    let (installed, available): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    let (database, server): (String, String) = (row.get(3), row.get(4));
    let wrong =
        |found: String, mend: &str| Ok(vec![Finding::new(NAME, State::Wrong, found).mend(mend)]);
    let (Some(installed), Some(available)) = (&installed, &available) else {
        return match (installed, available) {
            (Some(installed), _) => wrong(
                format!("{installed} is in {database}, and its files are not on the server"),
                "make install",
            ),
            (None, Some(_)) => {
                wrong(format!("it is not in the database {database}"), "CREATE EXTENSION eventlog;")
            }
            (None, None) => wrong("it is not on the server".to_owned(), "make install"),
        };
    };
    if installed != available {
        let found = format!("{installed} is in {database}, the server has {available}");
        return wrong(found, "ALTER EXTENSION eventlog UPDATE; SELECT eventlog.migrate_log();");
    }
    let found = format!("{installed} in {database}, on PostgreSQL {server}");
    let mut findings = vec![Finding::new(NAME, State::Good, found)];
    if installed != env!("CARGO_PKG_VERSION") {
        let found = format!("this command is of version {}", env!("CARGO_PKG_VERSION"));
        findings.push(Finding::new(NAME, State::Advice, found).mend("install both of one version"));
    }
    if !row.get::<_, bool>(2) {
        let mend = "SELECT eventlog.create_log(owner => 'ROLE');";
        findings.push(Finding::new("log", State::Wrong, "there is no log yet").mend(mend));
    }
    Ok(findings)
}

/// How far the server's clock and this machine's differ. Events have the server's; occurred_at has the
/// client's, which the log leaves out where it is far ahead.
pub(super) async fn clock(transaction: &Transaction<'_>) -> Result<Finding, Failure> {
    const NAME: &str = "clock";
    const MOST_SECONDS: f64 = 5.0;
    let began = Instant::now();
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let sql = "SELECT extract(epoch FROM clock_timestamp())::float8";
    let rows = transaction.query_typed(sql, &[]).await?;
    let travelled = began.elapsed().as_secs_f64();
    let there = rows.first().map_or(here, |row| row.get(0));
    let differ = there - (here + travelled / 2.0);
    if differ.abs() - travelled / 2.0 <= MOST_SECONDS {
        return Ok(Finding::new(
            NAME,
            State::Good,
            "the server's clock agrees with this machine's",
        ));
    }
    let which = if differ > 0.0 { "ahead of" } else { "behind" };
    let found = format!("the server's clock is {:.0} s {which} this machine's", differ.abs());
    Ok(Finding::new(NAME, State::Advice, found).mend("set the clocks by NTP: chronyc tracking"))
}

pub(super) const ALL: [Check; 12] = [
    Check {
        name: "layout",
        good: "the tables are those of this version",
        sql: "SELECT true, format('the tables are of layout %s, this version has %s', c.layout_version, eventlog._layout_version()),
                     'SELECT eventlog.migrate_log();'
                FROM eventlog.log_config c WHERE c.layout_version <> eventlog._layout_version()",
    },
    Check {
        name: "owner",
        good: "a role of its own",
        sql: "SELECT r.rolsuper,
                     format(CASE WHEN r.rolsuper THEN 'the log belongs to %s, a superuser: what works for the log runs with all rights'
                                 ELSE 'the log belongs to %s, which has connections: the policies do not bind an owner' END, r.rolname),
                     'CREATE ROLE log_owner; ALTER TABLE eventlog.events OWNER TO log_owner; and eventlog doctor for the others'
                FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
               WHERE c.oid = 'eventlog.events'::regclass
                 AND (r.rolsuper OR EXISTS (SELECT FROM pg_stat_activity a
                                             WHERE a.usesysid = r.oid AND a.datname = current_database()
                                               AND a.application_name NOT IN ('psql', 'eventlog') AND a.pid <> pg_backend_pid()))
              UNION ALL
              SELECT true, format('%s belongs to %s, the log to %s', t.oid::regclass, pg_get_userbyid(t.relowner), pg_get_userbyid(e.relowner)),
                     format('ALTER TABLE %s OWNER TO %I;', t.oid::regclass, pg_get_userbyid(e.relowner))
                FROM pg_class e, pg_class t
               WHERE e.oid = 'eventlog.events'::regclass AND t.relnamespace = 'eventlog'::regnamespace
                 AND t.relkind IN ('r', 'p') AND t.relowner <> e.relowner",
    },
    Check {
        name: "policies",
        good: "row-level security is on, with its policies",
        sql: "SELECT true, format('row-level security is off on %s', c.oid::regclass),
                     format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', c.oid::regclass)
                FROM pg_class c
               WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
              UNION ALL
              SELECT true, format('the policy %s is missing on eventlog.%I', w.policy, w.relation),
                     'SELECT eventlog.create_log();'
                FROM (SELECT 'events_guard' AS policy, 'events'::name AS relation
                      UNION ALL SELECT 'events_tenant_insert', 'events'
                      UNION ALL SELECT t || '_tenant_select', t FROM eventlog_private.tenants_tables() AS t) w
               WHERE NOT EXISTS (SELECT FROM pg_policy p
                                  WHERE p.polrelid = to_regclass(format('eventlog.%I', w.relation)) AND p.polname = w.policy)",
    },
    Check {
        name: "triggers",
        good: "the log is append-only, and its caches hear of changes",
        sql: "SELECT true, format('the trigger %s is missing or off on eventlog.%I', w.name, w.relation),
                     'SELECT eventlog.create_log();'
                FROM (VALUES ('events_append_only', 'events'), ('registry_changed', 'event_types'),
                             ('registry_changed', 'tenant_settings'), ('registry_changed', 'enrichments')) AS w (name, relation)
               WHERE NOT EXISTS (SELECT FROM pg_trigger t
                                  WHERE t.tgrelid = to_regclass(format('eventlog.%I', w.relation)) AND t.tgname = w.name
                                    AND t.tgenabled = 'A')",
    },
    Check {
        name: "grants",
        good: "nobody was granted more than grant_writer, grant_reader and their like grant",
        sql: "SELECT true, format('%s may %s on %s', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,
                                  string_agg(a.privilege_type, ', '), c.oid::regclass),
                     format('REVOKE ALL ON %s FROM %s;', c.oid::regclass,
                            CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
                FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
               WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p') AND a.grantee <> c.relowner
                 AND (a.grantee = 0 OR c.relispartition OR a.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE'))
               GROUP BY a.grantee, c.oid
              UNION ALL
              SELECT false, 'no role but the owner may log events', 'SELECT eventlog.grant_writer(''ROLE'');'
               WHERE NOT EXISTS (SELECT FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) a
                                  WHERE t.attrelid = 'eventlog.events'::regclass AND a.privilege_type = 'INSERT')
                 AND NOT EXISTS (SELECT FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
                                  WHERE c.oid = 'eventlog.events'::regclass AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner)
              UNION ALL
              SELECT false, format('%s goes past row-level security, and may use the log', r.rolname),
                     format('ALTER ROLE %I NOBYPASSRLS;', r.rolname)
                FROM pg_roles r
               WHERE r.rolbypassrls AND NOT r.rolsuper AND r.rolcanlogin AND has_schema_privilege(r.oid, 'eventlog', 'USAGE')",
    },
    Check {
        name: "partitions",
        good: "they reach on without a gap, and none is past its time",
        sql: "SELECT true, 'no partition holds what is logged now', 'CALL eventlog.maintain();'
               WHERE eventlog._covered_until() IS NULL
              UNION ALL
              SELECT false, format('they reach until %s only', eventlog._covered_until()), 'CALL eventlog.maintain();'
                FROM eventlog.log_config c WHERE eventlog._covered_until() < now() + least(c.premake, '1 month')
              UNION ALL
              SELECT false, format('%s of them are past the log''s retention of %s', count(*), min(c.retention)), 'CALL eventlog.maintain();'
                FROM eventlog._partitions p, eventlog.log_config c WHERE p.until_at <= now() - c.retention HAVING count(*) > 0
              UNION ALL
              SELECT false, format('the DEFAULT partition %s makes attaching and dropping others block writers', i.inhrelid::regclass),
                     format('ALTER TABLE eventlog.events DETACH PARTITION %s;', i.inhrelid::regclass)
                FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'eventlog.events'::regclass AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
              UNION ALL
              SELECT NULL, format('%s, which reach until %s', count(*), eventlog._covered_until()), NULL
                FROM eventlog._partitions HAVING eventlog._covered_until() IS NOT NULL",
    },
    Check {
        name: "settings",
        good: "as they are by default, as far as it matters",
        sql: "SELECT true, 'eventlog.enabled is off: nothing is logged', 'ALTER SYSTEM RESET eventlog.enabled; SELECT pg_reload_conf();'
               WHERE NOT current_setting('eventlog.enabled')::boolean
              UNION ALL
              SELECT true, 'names are to be hashed, and eventlog.hash_key_file is not set: their events are refused',
                     'ALTER SYSTEM SET eventlog.hash_key_file = ''/path/to/key''; SELECT pg_reload_conf();'
               WHERE coalesce(current_setting('eventlog.hash_key_file', true), '') = ''
                 AND EXISTS (SELECT FROM eventlog.event_types t WHERE t.status <> 'retired' AND (t.hash_actor OR t.hash_keys <> '{}'))
              UNION ALL
              SELECT false, 'eventlog.on_unknown_name is register: a typing error becomes a name',
                     'ALTER SYSTEM SET eventlog.on_unknown_name = ''quarantine''; SELECT pg_reload_conf();'
               WHERE current_setting('eventlog.on_unknown_name') = 'register'
              UNION ALL
              SELECT NULL, format('tenants by %s, unknown names: %s', current_setting('eventlog.tenant_source'),
                                  current_setting('eventlog.on_unknown_name')), NULL",
    },
    Check {
        name: "preload",
        good: "the library is preloaded",
        sql: "SELECT false, 'the library is not preloaded: no worker, and quotas are counted by each connection',
                     format('ALTER SYSTEM SET shared_preload_libraries = %s; and restart the server',
                            quote_literal(concat_ws(', ', nullif(l.list, ''), 'eventlog')))
                FROM (SELECT current_setting('shared_preload_libraries') AS list) l
               WHERE NOT EXISTS (SELECT FROM unnest(string_to_array(l.list, ',')) AS n
                                  WHERE regexp_replace(btrim(n, ' \"'), '^.*/', '') = 'eventlog')",
    },
    Check {
        name: "worker",
        good: "it serves this database",
        sql: "SELECT false, 'eventlog.databases does not name this database: nothing maintains it, unless pg_cron or a shell does',
                     format('ALTER SYSTEM SET eventlog.databases = %s; SELECT pg_reload_conf();',
                            quote_literal(concat_ws(', ', nullif(current_setting('eventlog.databases', true), ''), current_database())))
               WHERE NOT coalesce(current_database() = ANY (
                         SELECT btrim(n, ' \"') FROM unnest(string_to_array(current_setting('eventlog.databases', true), ',')) AS n), false)
              UNION ALL
              SELECT true, 'eventlog.databases names this database, and the worker does not run',
                     'restart the server with eventlog in shared_preload_libraries; its log tells why it ended'
               WHERE current_database() = ANY (
                         SELECT btrim(n, ' \"') FROM unnest(string_to_array(current_setting('eventlog.databases', true), ',')) AS n)
                 AND pg_has_role('pg_read_all_stats', 'USAGE')
                 AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.backend_type = 'eventlog launcher')",
    },
    Check {
        name: "maintenance",
        good: "nothing is due",
        sql: "SELECT false,
                     format('the last run %s: %s', s.last_outcome, array_to_string(s.last_failures, '; ')), 'CALL eventlog.maintain();'
                FROM eventlog.stat_maintenance s WHERE s.last_failures <> '{}'
              UNION ALL
              SELECT coalesce(s.last_finished_at < now() - interval '7 days', false),
                     format('%s tasks are due, and maintain() %s', cardinality(s.due),
                            coalesce('ended last ' || s.last_finished_at::text, 'never ran')),
                     'CALL eventlog.maintain();'
                FROM eventlog.stat_maintenance s
               WHERE s.due <> '{}' AND coalesce(s.last_finished_at, '-infinity') < now() - interval '1 day'
              UNION ALL
              SELECT false, s.blocked_by, 'SELECT pg_terminate_backend(PID);'
                FROM eventlog.stat_maintenance s WHERE s.blocked_by IS NOT NULL",
    },
    Check {
        name: "quarantine",
        good: "nothing was refused in the last day",
        sql: "SELECT false, format('%s events were refused in the last day, most of them as %s: %s', sum(r.events), (array_agg(r.sqlstate ORDER BY r.events DESC))[1],
                                   (array_agg(r.reason ORDER BY r.events DESC))[1]),
                     'SELECT * FROM eventlog.stat_rejected;'
                FROM (SELECT q.sqlstate, q.reason, count(*) AS events FROM eventlog.rejected_events q
                       WHERE q.created_at > now() - interval '1 day' GROUP BY 1, 2) r
              HAVING count(*) > 0",
    },
    Check {
        name: "taxonomy",
        good: "it has names",
        sql: "SELECT true, 'the log knows no name', 'SELECT eventlog.define_event(''NAME'');'
               WHERE NOT EXISTS (SELECT FROM eventlog.event_types t WHERE t.status <> 'retired')
              UNION ALL
              SELECT NULL, format('%s names, %s of them retired', count(*), count(*) FILTER (WHERE t.status = 'retired')), NULL
                FROM eventlog.event_types t HAVING count(*) > 0",
    },
];
