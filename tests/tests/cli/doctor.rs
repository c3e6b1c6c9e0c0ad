//! `eventlog doctor`: what is damaged is found, the commands that it prints are typed as they stand, and the
//! application works.

use std::process::Command;

use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, db, rows, text};
use postgres::Client;
use serde_json::Value;

use crate::server::{eventlog, failed};

pub(crate) fn run(cluster: &Cluster, database: &str, role: &str, arguments: &[&str]) -> Command {
    let mut command = eventlog(cluster, database, role);
    command.args(arguments);
    command
}

/// What the doctor found, and its exit code.
pub(crate) fn findings_in(
    cluster: &Cluster,
    database: &str,
    role: &str,
) -> (Vec<Value>, Option<i32>) {
    let output = run(cluster, database, role, &["doctor", "--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let findings = serde_json::from_slice(&output.stdout);
    (findings.unwrap_or_else(|error| panic!("{error}: {said}")), output.status.code())
}

fn findings(db: &Db, role: &str) -> (Vec<Value>, Option<i32>) {
    findings_in(db::shared(), &db.name, role)
}

pub(crate) fn wrong(findings: &[Value]) -> Vec<String> {
    let wrong = findings.iter().filter(|finding| finding["state"] == "wrong");
    wrong.map(|finding| finding["fix"].as_str().expect("a command").to_owned()).collect()
}

/// What a check found amiss.
pub(crate) fn amiss<'a>(findings: &'a [Value], check: &str) -> Vec<&'a Value> {
    let is_amiss = |finding: &&Value| {
        finding["check"] == check && (finding["state"] == "wrong" || finding["state"] == "advice")
    };
    findings.iter().filter(is_amiss).collect()
}

/// Types a command as the role that the doctor says.
pub(crate) fn type_in(cluster: &Cluster, database: &str, finding: &Value) {
    let command = finding["fix"].as_str().expect("a command");
    let role = match finding["role"].as_str().expect("a role") {
        "superuser" => "postgres",
        owner => owner,
    };
    // The owner need not be able to log in.
    let sql = format!("SET SESSION AUTHORIZATION {role};\n{command}\n");
    cluster.psql(database, "postgres", &sql).unwrap_or_else(|error| panic!("{command}: {error}"));
}

/// An application of tenant A logs and reads its own events, and no other's; a service logs for B.
pub(crate) fn application_works(cluster: &Cluster, database: &str) {
    let event = |tenant| {
        format!(
            "SELECT eventlog.log_event('{tenant}', 'tool_used', '{{\"toolName\": \"t\"}}') IS NOT NULL"
        )
    };
    let mut service = cluster.connect(database, "service");
    assert_eq!(text(&mut service, &event(TENANT_B)), "t");
    let mut app = cluster.connect(database, "member");
    app.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    assert_eq!(text(&mut app, &event(TENANT_A)), "t");
    let seen = rows(&mut app, "SELECT DISTINCT tenant_id::text FROM eventlog.events");
    assert_eq!(seen, [[TENANT_A]]);
    for refused in [
        "UPDATE eventlog.events SET actor = 'x'",
        "DELETE FROM eventlog.events",
        "UPDATE eventlog.event_types SET max_bytes = 8",
        "INSERT INTO eventlog.events (tenant_id, name) VALUES ('bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb', 'tool_used')",
    ] {
        assert!(app.batch_execute(refused).is_err(), "{refused}");
    }
}

/// Damage is found by the check, as wrong or as advice; what the check says is typed; then nothing is amiss,
/// and the application works.
#[track_caller]
pub(crate) fn damage_is_mended(
    cluster: &Cluster,
    database: &str,
    damage: &str,
    check: &str,
    state: &str,
) {
    cluster.psql(database, "postgres", damage).unwrap_or_else(|error| panic!("{damage}: {error}"));
    let (ill, _) = findings_in(cluster, database, "postgres");
    let found = amiss(&ill, check);
    assert!(found.iter().any(|finding| finding["state"] == state), "{damage}: {ill:#?}");
    let others =
        ill.iter().filter(|finding| finding["state"] == "wrong" && finding["check"] != check);
    assert_eq!(others.count(), 0, "{damage}: {ill:#?}");
    for finding in &found {
        type_in(cluster, database, finding);
    }
    let (well, code) = findings_in(cluster, database, "postgres");
    assert_eq!((amiss(&well, check), code), (Vec::new(), Some(0)), "{damage}: {found:#?}");
    application_works(cluster, database);
}

/// One damage after the other, to the same log.
#[track_caller]
fn damages_are_mended(check: &str, damages: &[(&str, &str)]) {
    let db = Db::new();
    for (damage, state) in damages {
        damage_is_mended(db::shared(), &db.name, damage, check, state);
    }
}

#[test]
fn the_doctor_finds_what_was_broken_and_its_commands_mend_it() {
    let db = Db::new();
    let mut superuser = db.superuser();
    let (well, code) = findings(&db, "postgres");
    assert_eq!((wrong(&well), code), (Vec::new(), Some(0)));
    assert!(well.iter().all(|finding| finding["state"] != "unseen"), "{well:?}");
    superuser
        .batch_execute(
            "ALTER TABLE eventlog.events DISABLE ROW LEVEL SECURITY;
             GRANT SELECT ON eventlog.events TO PUBLIC;
             GRANT DELETE ON eventlog.rejected_events TO \"reader\";
             DROP POLICY events_guard ON eventlog.events;
             DROP TRIGGER events_append_only ON eventlog.events;
             ALTER TABLE eventlog.event_types DISABLE TRIGGER registry_changed;
             ALTER TABLE eventlog.producers OWNER TO postgres;
             CREATE TABLE eventlog.stray ();
             ALTER TABLE eventlog.stray OWNER TO log_owner",
        )
        .unwrap();
    let (ill, code) = findings(&db, "postgres");
    let commands = wrong(&ill);
    assert_eq!(code, Some(1));
    assert_eq!(commands.len(), 7, "{ill:?}");
    let table = run(db::shared(), &db.name, "postgres", &["doctor"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(commands.iter().all(|command| table.contains(command)), "{table}");
    for command in &commands {
        superuser.batch_execute(command).unwrap_or_else(|error| panic!("{command}: {error:?}"));
    }
    let (well, code) = findings(&db, "postgres");
    assert_eq!((wrong(&well), code), (Vec::new(), Some(0)), "{well:?}");
}

#[test]
fn the_doctor_tells_what_is_missing_and_what_it_may_not_see() {
    let empty = Db::empty();
    assert_eq!(wrong(&findings(&empty, "postgres").0), ["CREATE EXTENSION eventlog;"]);
    empty.superuser().batch_execute("CREATE EXTENSION eventlog").unwrap();
    assert_eq!(
        wrong(&findings(&empty, "postgres").0),
        ["SELECT eventlog.create_log(owner => 'ROLE');"]
    );
    let sql = "SELECT eventlog.create_log(); CREATE TABLE public.setting (); ALTER TABLE eventlog.events SET (fillfactor = 100)";
    let _ = empty.superuser().batch_execute(sql);
    empty.superuser().batch_execute("SELECT eventlog.create_log()").unwrap();
    let (found, code) = findings(&empty, "postgres");
    let owner = found.iter().find(|finding| finding["check"] == "owner").unwrap();
    assert_eq!((owner["state"].as_str(), code), (Some("wrong"), Some(1)), "{found:?}");

    let db = Db::new();
    for role in ["log_owner", "reader", "service"] {
        let (found, code) = findings(&db, role);
        assert_eq!((wrong(&found), code), (Vec::new(), Some(0)), "{role}: {found:?}");
    }
    let (found, _) = findings(&db, "reader");
    let unseen = found.iter().filter(|finding| finding["state"] == "unseen");
    assert!(unseen.clone().any(|finding| finding["check"] == "maintenance"), "{found:?}");
    let mut nowhere = run(db::shared(), &db.name, "postgres", &["doctor"]);
    assert!(failed(nowhere.env("PGPORT", "1"), 1).contains("no connection"));
}

#[test]
fn the_doctor_tells_how_far_the_log_is_sealed() {
    let db = Db::new();
    // An application that is connected as the owner is another finding.
    let mut owner = db.superuser();
    owner.batch_execute("SET ROLE log_owner").unwrap();
    let told = |owner: &mut Client, sql: &str| {
        owner.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let (all, code) = findings(&db, "log_owner");
        assert_eq!((wrong(&all), code), (Vec::new(), Some(0)), "{sql}: {all:?}");
        let found: Vec<_> = all.iter().filter(|finding| finding["check"] == "seals").collect();
        assert_eq!(found.len(), 1, "{all:?}");
        let part = |part: &str| found[0][part].as_str().unwrap_or_default().to_owned();
        (part("state"), part("found"), part("fix"))
    };
    let (state, found, _) = told(&mut owner, "SELECT");
    assert_eq!((&state[..], &found[..]), ("ok", "on; no day is sealed yet"));
    let event = format!(
        "SELECT eventlog.create_log(retention => '100 years'), eventlog._make_partition('2026-01-05 00:00+00');
         INSERT INTO eventlog.events (tenant_id, name, data, created_at)
         VALUES ('{TENANT_A}', 'tool_used', '{{\"toolName\": \"t\"}}', '2026-01-05 12:00+00')"
    );
    let (state, found, fix) = told(&mut owner, &event);
    assert_eq!((&state[..], &fix[..]), ("advice", "SELECT * FROM eventlog.stat_maintenance;"));
    assert!(found.ends_with("no day is sealed"), "{found}");
    let (state, found, _) = told(&mut owner, "CALL eventlog.maintain()");
    assert!(state == "ok" && found.starts_with("days are sealed until 20"), "{state} {found}");
    let back = "UPDATE eventlog.seal_state SET sealed_until = '2026-01-07 00:00+00'";
    let (state, found, _) = told(&mut owner, back);
    assert!(state == "advice" && found.ends_with("sealed until 2026-01-07"), "{state} {found}");
    let (state, found, _) = told(&mut owner, "SELECT eventlog.migrate_log(seals => false)");
    assert!(state == "ok" && found.starts_with("off, "), "{state} {found}");
}

#[test]
fn a_policy_that_says_something_else_is_wrong_and_is_made_anew() {
    damages_are_mended(
        "policies",
        &[
            ("ALTER POLICY events_tenant_select ON eventlog.events USING (true)", "wrong"),
            ("ALTER POLICY events_tenant_insert ON eventlog.events WITH CHECK (true)", "wrong"),
            ("ALTER POLICY events_guard ON eventlog.events WITH CHECK (true)", "wrong"),
            ("ALTER POLICY events_guard ON eventlog.events TO reader", "wrong"),
            ("ALTER POLICY events_service_select ON eventlog.events TO service, member", "wrong"),
            (
                "ALTER POLICY late_events_tenant_select ON eventlog.late_events USING (tenant_id IS NULL OR tenant_id = eventlog.current_tenant())",
                "wrong",
            ),
            (
                "DROP POLICY events_guard ON eventlog.events; CREATE POLICY events_guard ON eventlog.events FOR INSERT WITH CHECK (eventlog.guard(id, name, data, actor, subject, weight))",
                "wrong",
            ),
            ("DROP POLICY daily_counts_tenant_select ON eventlog.daily_counts", "wrong"),
            ("DROP POLICY event_types_select ON eventlog.event_types", "wrong"),
            ("CREATE POLICY mine ON eventlog.events FOR SELECT USING (true)", "wrong"),
            (
                "CREATE POLICY mine ON eventlog.events AS RESTRICTIVE FOR SELECT TO reader USING (false)",
                "advice",
            ),
            ("ALTER TABLE eventlog.tenant_roles DISABLE ROW LEVEL SECURITY", "wrong"),
        ],
    );
}

#[test]
fn a_trigger_that_is_missing_off_or_another_is_wrong_and_is_made_anew() {
    let tables = [
        "event_types",
        "tenant_roles",
        "tenant_settings",
        "enrichments",
        "log_config",
        "rollup_state",
    ];
    let gone = tables.map(|table| format!("DROP TRIGGER registry_changed ON eventlog.{table}"));
    let off = tables
        .map(|table| format!("ALTER TABLE eventlog.{table} DISABLE TRIGGER registry_changed"));
    let on_partition = "DO $$ BEGIN EXECUTE format('%s', (SELECT format('DROP TRIGGER events_append_only ON eventlog.%I', partition_name) FROM eventlog._partitions ORDER BY from_at LIMIT 1)); END $$";
    let mut damages: Vec<(&str, &str)> =
        gone.iter().chain(&off).map(|sql| (sql.as_str(), "wrong")).collect();
    damages.extend([
        (on_partition, "wrong"),
        ("ALTER TABLE eventlog.events ENABLE TRIGGER events_append_only", "wrong"),
        ("DROP TRIGGER registry_changed ON eventlog.enrichments; CREATE TRIGGER registry_changed AFTER INSERT ON eventlog.enrichments EXECUTE FUNCTION eventlog.registry_changed(); ALTER TABLE eventlog.enrichments ENABLE ALWAYS TRIGGER registry_changed", "wrong"),
        ("DROP TRIGGER events_append_only ON eventlog.events; CREATE TRIGGER events_append_only BEFORE UPDATE OF actor ON eventlog.events EXECUTE FUNCTION eventlog.events_append_only(); ALTER TABLE eventlog.events ENABLE ALWAYS TRIGGER events_append_only", "wrong"),
        ("CREATE TABLE public.tenants (id uuid PRIMARY KEY); SELECT eventlog.reference_tenants('public.tenants'); ALTER TABLE public.tenants DISABLE TRIGGER eventlog_erase_tenant", "wrong"),
        ("ALTER TABLE public.tenants OWNER TO log_owner; DROP TRIGGER eventlog_erase_tenant ON public.tenants", "wrong"),
    ]);
    damages_are_mended("triggers", &damages);
}

/// An event of two months ago, and a watermark beyond its partition.
const CLOSED: &str = "
    CREATE TABLE public.old AS SELECT 1::bigint AS id, 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb'::uuid AS tenant_id, 'tool_used'::text AS name,
           '{\"toolName\": \"t\"}'::jsonb AS data, now() - interval '2 months' AS created_at;
    GRANT SELECT ON public.old TO log_owner;
    SET ROLE log_owner;
    SELECT * FROM eventlog.import_events('public.old');
    RESET ROLE;
    CALL eventlog.maintain();
    CALL eventlog.maintain();
";

#[test]
fn a_closed_partition_without_its_trigger_is_wrong() {
    let db = Db::new();
    db::shared().psql(&db.name, "postgres", CLOSED).unwrap();
    let (well, _) = findings(&db, "postgres");
    assert_eq!(amiss(&well, "triggers"), Vec::<&Value>::new());
    let on_partitions = |statement: &str| {
        format!(
            "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT tgrelid FROM pg_trigger WHERE tgname = 'late_event' LOOP EXECUTE format('{statement}', t); END LOOP; END $$"
        )
    };
    for damage in ["DROP TRIGGER late_event ON %s", "ALTER TABLE %s DISABLE TRIGGER late_event"] {
        let cluster = db::shared();
        damage_is_mended(cluster, &db.name, &on_partitions(damage), "triggers", "wrong");
        let is_on =
            "SELECT bool_and(tgenabled = 'A')::text FROM pg_trigger WHERE tgname = 'late_event'";
        assert_eq!(text(&mut db.superuser(), is_on), "true", "{damage}");
    }
}

#[test]
fn an_index_that_is_missing_invalid_or_of_other_columns_is_wrong() {
    damages_are_mended(
        "indexes",
        &[
            ("DROP INDEX eventlog.events_tenant_id_created_at_idx", "wrong"),
            (
                "DROP INDEX eventlog.events_tenant_id_name_created_at_idx; CREATE INDEX events_tenant_id_name_created_at_idx ON eventlog.events (tenant_id, name)",
                "wrong",
            ),
            (
                "DROP INDEX eventlog.events_tenant_id_created_at_idx; CREATE INDEX events_tenant_id_created_at_idx ON ONLY eventlog.events (tenant_id, created_at DESC)",
                "wrong",
            ),
            (
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'eventlog.events_tenant_id_created_at_idx'::regclass ORDER BY 1 LIMIT 1)",
                "wrong",
            ),
            (
                "ALTER TABLE eventlog.idempotency_keys DROP CONSTRAINT idempotency_keys_pkey",
                "wrong",
            ),
            (
                "ALTER TABLE eventlog.daily_counts DROP CONSTRAINT daily_counts_pkey, ADD CONSTRAINT daily_counts_pkey PRIMARY KEY (day, tenant_id, name)",
                "wrong",
            ),
            ("DROP INDEX eventlog.rejected_events_tenant_id_created_at_idx", "wrong"),
        ],
    );
}

#[test]
fn an_alias_that_was_written_by_hand_and_is_anothers_is_taken_away() {
    damages_are_mended(
        "taxonomy",
        &[
            (
                "INSERT INTO eventlog.event_types (name, aliases) VALUES ('b', '{tool_used,\"A b\",mine}'), ('a', '{\"A b\"}')",
                "wrong",
            ),
            (
                "UPDATE eventlog.event_types SET aliases = '{message_sent}' WHERE name = 'tool_used'",
                "wrong",
            ),
        ],
    );
}

#[test]
fn an_extra_privilege_is_taken_away_and_no_other() {
    damages_are_mended(
        "grants",
        &[
            ("GRANT UPDATE ON eventlog.event_types TO member", "wrong"),
            ("GRANT DELETE, TRUNCATE ON eventlog.events TO member", "wrong"),
            ("GRANT INSERT ON eventlog.events TO member", "wrong"),
            ("GRANT INSERT (id, created_at) ON eventlog.events TO member", "wrong"),
            ("GRANT UPDATE (actor) ON eventlog.events TO member", "wrong"),
            ("GRANT TRIGGER, REFERENCES ON eventlog.events TO member", "wrong"),
            ("GRANT SELECT ON eventlog.tenant_roles TO member", "advice"),
            ("GRANT SELECT ON eventlog.api_keys TO member", "wrong"),
            ("GRANT USAGE, UPDATE ON SEQUENCE eventlog.events_id_seq TO member", "wrong"),
            ("GRANT SELECT ON eventlog.events TO PUBLIC", "wrong"),
            ("GRANT CREATE ON SCHEMA eventlog TO member", "wrong"),
            (
                "GRANT UPDATE ON eventlog.event_types TO reader WITH GRANT OPTION; SET ROLE reader; GRANT UPDATE ON eventlog.event_types TO member; RESET ROLE; REVOKE GRANT OPTION FOR UPDATE ON eventlog.producers FROM reader",
                "wrong",
            ),
            ("REVOKE SELECT ON eventlog.event_types FROM member", "wrong"),
            ("REVOKE INSERT (actor) ON eventlog.events FROM member", "wrong"),
            (
                "REVOKE USAGE ON SCHEMA eventlog FROM member, service; SET ROLE log_owner; REVOKE USAGE ON SCHEMA eventlog FROM member, service",
                "wrong",
            ),
            ("REVOKE EXECUTE ON FUNCTION eventlog.current_tenant() FROM PUBLIC", "wrong"),
        ],
    );
    let db = Db::new();
    db.superuser().batch_execute("GRANT UPDATE ON eventlog.event_types TO member").unwrap();
    let (found, code) = findings(&db, "postgres");
    assert_eq!(wrong(&found), ["REVOKE UPDATE ON TABLE eventlog.event_types FROM member;"]);
    assert_eq!(code, Some(1));
    // What marks a role that was there when a dump is made is no privilege.
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "INSERT INTO eventlog.tenant_roles (role_name, tenant_id) VALUES ('member', '{TENANT_A}')"
        ))
        .unwrap();
    let (found, _) = findings(&db, "postgres");
    assert!(amiss(&found, "grants").is_empty(), "{found:?}");
}

#[test]
fn what_is_neither_the_extensions_nor_the_logs_is_named_and_moved_away() {
    damages_are_mended(
        "objects",
        &[
            (
                "CREATE FUNCTION eventlog.log_event(uuid, text) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
                "wrong",
            ),
            ("CREATE TABLE eventlog.stray (id serial PRIMARY KEY)", "wrong"),
            (
                "CREATE VIEW eventlog.stat_mine AS SELECT 1 AS one; ALTER VIEW eventlog.stat_mine OWNER TO log_owner",
                "advice",
            ),
            (
                "CREATE TYPE eventlog.mine AS ENUM ('a'); CREATE TYPE eventlog.pair AS (a int, b int)",
                "advice",
            ),
            (
                "DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE eventlog.events DETACH PARTITION eventlog.%I', partition_name) FROM eventlog._partitions ORDER BY from_at DESC LIMIT 1); END $$",
                "advice",
            ),
        ],
    );
}

#[test]
fn partitions_that_are_missing_or_in_the_way_are_named() {
    let drop = |which: &str| {
        format!(
            "DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE eventlog.%I', partition_name) FROM eventlog._partitions ORDER BY from_at {which} LIMIT 1); END $$"
        )
    };
    let fallback = "CREATE TABLE eventlog.other PARTITION OF eventlog.events DEFAULT; ALTER TABLE eventlog.other OWNER TO log_owner; ALTER TABLE eventlog.other ENABLE ROW LEVEL SECURITY";
    let with_row = format!(
        "DROP TABLE public.other; {}; {fallback}; INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('{TENANT_A}', 'tool_used', '{{\"toolName\": \"t\"}}')",
        drop("")
    );
    damages_are_mended(
        "partitions",
        &[
            (&drop(""), "wrong"),
            (&drop("OFFSET 2"), "wrong"),
            (fallback, "wrong"),
            (&with_row, "wrong"),
            (
                "CREATE TABLE public.notes (id bigint, created_at timestamptz, FOREIGN KEY (id, created_at) REFERENCES eventlog.events)",
                "advice",
            ),
        ],
    );
}

#[test]
fn events_of_a_partition_that_are_in_no_report_are_counted_by_the_command() {
    let damage = format!(
        "UPDATE eventlog.rollup_state SET rolled_until = date_trunc('hour', now()), announced_until = date_trunc('hour', now());
         SET ROLE log_owner; SELECT eventlog._make_partition(now() - interval '40 days');
         INSERT INTO eventlog.events (id, tenant_id, name, data, created_at) OVERRIDING SYSTEM VALUE
         VALUES (99, '{TENANT_A}', 'tool_used', '{{\"toolName\": \"t\"}}', now() - interval '40 days');
         DELETE FROM eventlog.late_events; RESET ROLE"
    );
    damages_are_mended("rollups", &[(&damage, "wrong")]);
}
