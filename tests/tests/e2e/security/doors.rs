//! Functions that act for the log's owner prove their caller: a trigger function that it is on the
//! log's own table, the guard that its caller may insert, a door that its caller is the owner.

use postgres::Client;

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, refused, rows, text};

const EVENT: &str = "'tool_used', '{\"toolName\": \"x\"}'";

/// A log whose tenants come by role, with an event of each tenant; and its superuser.
fn log_by_role() -> (Db, Client) {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "ALTER DATABASE {} SET eventlog.tenant_source = 'role'; SET eventlog.tenant_source = 'role';
             SET ROLE log_owner;
             INSERT INTO eventlog.tenant_roles (role_name, tenant_id)
             VALUES ('member', '{TENANT_A}'), ('reader', '{TENANT_A}'), ('writer', '{TENANT_B}');
             SELECT eventlog.log_event('{TENANT_A}', {EVENT}), eventlog.log_event('{TENANT_B}', {EVENT});
             RESET ROLE",
            db.name
        ))
        .unwrap();
    (db, superuser)
}

fn events_of(superuser: &mut Client, tenant: &str) -> String {
    text(superuser, &format!("SELECT count(*) FROM eventlog.events WHERE tenant_id = '{tenant}'"))
}

#[test]
fn the_trigger_that_erases_a_tenant_is_refused_on_any_table_but_the_one_of_tenants() {
    let (db, mut superuser) = log_by_role();
    let mut member = db.connect("member");
    for timing in ["AFTER DELETE", "BEFORE DELETE", "AFTER UPDATE", "AFTER INSERT"] {
        member
            .batch_execute(&format!(
                "DROP TABLE IF EXISTS pg_temp.t;
                 CREATE TEMP TABLE t (id uuid);
                 INSERT INTO t VALUES ('{TENANT_B}');
                 CREATE TRIGGER x {timing} ON t FOR EACH ROW EXECUTE FUNCTION eventlog.erase_tenant('id')"
            ))
            .unwrap();
        let statement = match &timing[timing.len() - 6..] {
            "DELETE" => "DELETE FROM t",
            "UPDATE" => "UPDATE t SET id = id",
            _ => "INSERT INTO t SELECT id FROM t",
        };
        assert_refused(&mut member, statement, "42501", "erase_tenant()");
    }
    assert_eq!(events_of(&mut superuser, TENANT_B), "1");
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.tenant_roles"), "3");
}

#[test]
fn a_table_of_tenants_that_is_made_anew_under_the_same_name_erases_nobody() {
    let (db, mut superuser) = log_by_role();
    superuser
        .batch_execute(&format!(
            "CREATE TABLE public.tenants (id uuid PRIMARY KEY, parent uuid);
             INSERT INTO public.tenants VALUES ('{TENANT_A}', '{TENANT_B}'), ('{TENANT_B}', NULL);
             SELECT eventlog.reference_tenants('public.tenants');
             GRANT TRIGGER, DELETE ON public.tenants TO member; GRANT USAGE, CREATE ON SCHEMA public TO member"
        ))
        .unwrap();
    // Another key column than the one that the log was told of.
    let mut member = db.connect("member");
    member
        .batch_execute(
            "CREATE TRIGGER x AFTER DELETE ON public.tenants FOR EACH ROW EXECUTE FUNCTION eventlog.erase_tenant('parent')",
        )
        .unwrap();
    superuser.batch_execute("GRANT SELECT ON public.tenants TO member").unwrap();
    assert_refused(
        &mut member,
        &format!("DELETE FROM public.tenants WHERE id = '{TENANT_A}'"),
        "42501",
        "erase_tenant()",
    );
    superuser.batch_execute("DROP TABLE public.tenants").unwrap();
    member
        .batch_execute(&format!(
            "CREATE TABLE public.tenants (id uuid); INSERT INTO public.tenants VALUES ('{TENANT_B}');
             CREATE TRIGGER x AFTER DELETE ON public.tenants FOR EACH ROW EXECUTE FUNCTION eventlog.erase_tenant('id')"
        ))
        .unwrap();
    assert_refused(&mut member, "DELETE FROM public.tenants", "42501", "erase_tenant()");
    assert_eq!(events_of(&mut superuser, TENANT_B), "1");
}

#[test]
fn a_partitioned_table_of_tenants_erases_whoever_is_deleted() {
    let (_db, mut superuser) = log_by_role();
    superuser
        .batch_execute(&format!(
            "CREATE TABLE public.tenants (id uuid PRIMARY KEY) PARTITION BY HASH (id);
             CREATE TABLE public.tenants_0 PARTITION OF public.tenants FOR VALUES WITH (MODULUS 1, REMAINDER 0);
             INSERT INTO public.tenants VALUES ('{TENANT_B}');
             SELECT eventlog.reference_tenants('public.tenants');
             DELETE FROM public.tenants"
        ))
        .unwrap();
    assert_eq!(events_of(&mut superuser, TENANT_B), "0");
    assert_eq!(events_of(&mut superuser, TENANT_A), "1");
}

#[test]
fn nobody_but_the_log_notes_late_events_or_uses_up_a_quota() {
    let (db, mut superuser) = log_by_role();
    superuser
        .batch_execute(&format!("SELECT eventlog.set_tenant('{TENANT_A}', events_per_minute => 5)"))
        .unwrap();
    let mut reader = db.connect("reader");
    reader
        .batch_execute(
            "CREATE TEMP TABLE t (tenant_id uuid, id bigint, created_at timestamptz);
             CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION eventlog.late_event()",
        )
        .unwrap();
    let late = format!(
        "INSERT INTO t VALUES ('{TENANT_A}', 1, '2001-01-01'), ('{TENANT_B}', 2, '2001-01-01')"
    );
    assert_refused(&mut reader, &late, "42501", "late_event()");
    assert_refused(
        &mut reader,
        "SELECT eventlog.guard(g, 'tool_used', '{\"toolName\": \"x\"}', NULL, NULL, NULL) FROM generate_series(1, 100) g",
        "42501",
        "permission denied to log events",
    );
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.late_events"), "0");
    let mut member = db.connect("member");
    text(&mut member, &format!("SELECT eventlog.log_event(NULL, {EVENT})"));
}

#[test]
fn a_role_that_is_made_again_under_its_name_has_nothing_of_the_former_one() {
    let (db, mut superuser) = log_by_role();
    superuser
        .batch_execute(&format!(
            "DROP ROLE IF EXISTS doors_r; CREATE ROLE doors_r LOGIN;
             SELECT eventlog.grant_service('doors_r');
             INSERT INTO eventlog.tenant_roles (role_name, tenant_id) VALUES ('doors_r', '{TENANT_A}');
             DROP OWNED BY doors_r; DROP ROLE doors_r;
             CREATE ROLE doors_r LOGIN;
             SELECT eventlog.grant_reader('doors_r');
             SELECT eventlog.create_log();
             SELECT eventlog.grant_service('service'); SELECT eventlog.revoke_role('outsider')"
        ))
        .unwrap();
    let count = "SELECT count(*) FROM eventlog.events";
    let mut role = db.connect("doors_r");
    assert_refused(&mut role, count, "42501", "no tenant");
    // The row of the former one is not in the way.
    superuser
        .batch_execute(&format!(
            "INSERT INTO eventlog.tenant_roles (role_name, tenant_id) VALUES ('doors_r', '{TENANT_B}')"
        ))
        .unwrap();
    assert_eq!(text(&mut role, count), "1");
    // A rename follows the role.
    superuser.batch_execute("DROP ROLE IF EXISTS doors_s; ALTER ROLE doors_r RENAME TO doors_s; SELECT eventlog.create_log()").unwrap();
    assert_eq!(text(&mut db.connect("doors_s"), count), "1");
    superuser
        .batch_execute(
            "CREATE ROLE doors_r LOGIN; SELECT eventlog.grant_reader('doors_r');
             SELECT eventlog.grant_service('doors_s'); ALTER ROLE doors_s RENAME TO doors_t;
             SELECT eventlog.create_log(); SELECT eventlog.grant_service('service')",
        )
        .unwrap();
    assert_refused(&mut db.connect("doors_r"), count, "42501", "no tenant");
    assert_eq!(text(&mut db.connect("doors_t"), count), "2");
    superuser.batch_execute("DROP OWNED BY doors_r, doors_t; DROP ROLE doors_r, doors_t").unwrap();
}

#[test]
fn a_schema_that_was_planted_before_the_extension_is_refused() {
    let db = Db::empty();
    let mut superuser = db.superuser();
    superuser.batch_execute(&format!("ALTER DATABASE {} OWNER TO dba", db.name)).unwrap();
    let mut dba = db.connect("dba");
    dba.batch_execute(
        "CREATE SCHEMA eventlog;
         CREATE TABLE eventlog.rollup_state (only_row boolean PRIMARY KEY DEFAULT true, rolled_until timestamptz,
                                             announced_until timestamptz, writers text[])",
    )
    .unwrap();
    assert_refused(&mut superuser, "CREATE EXTENSION eventlog", "42501", "rollup_state");
    superuser
        .batch_execute("ALTER SCHEMA eventlog OWNER TO postgres; CREATE EXTENSION eventlog")
        .unwrap();
    // The table is still somebody else's.
    assert_refused(
        &mut superuser,
        "SELECT eventlog.create_log(owner => 'log_owner')",
        "55000",
        "rollup_state belongs to dba",
    );
    // A function beside those of the extension, where there is none.
    superuser
        .batch_execute(
            "DROP TABLE eventlog.rollup_state; SELECT eventlog.create_log(owner => 'log_owner');
             DROP EXTENSION eventlog CASCADE",
        )
        .unwrap();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute("CREATE FUNCTION eventlog.create_log(owner text) RETURNS text LANGUAGE sql AS 'SELECT owner'")
        .unwrap();
    assert_refused(&mut superuser, "CREATE EXTENSION eventlog", "42501", "create_log");
    owner.batch_execute("DROP FUNCTION eventlog.create_log(text)").unwrap();
    superuser.batch_execute("CREATE EXTENSION eventlog; SELECT eventlog.create_log()").unwrap();
    for statement in [
        "CREATE FUNCTION eventlog.create_log(owner text) RETURNS text LANGUAGE sql AS 'SELECT owner'",
        "CREATE PROCEDURE eventlog.maintain() LANGUAGE sql AS 'SELECT 1'",
    ] {
        assert_refused(&mut owner, statement, "42501", "in a schema of the log");
    }
    superuser.batch_execute("CREATE SCHEMA own AUTHORIZATION log_owner").unwrap();
    owner.batch_execute("CREATE FUNCTION own.f() RETURNS int LANGUAGE sql AS 'SELECT 1'").unwrap();
    assert_refused(
        &mut owner,
        "ALTER FUNCTION own.f() SET SCHEMA eventlog",
        "42501",
        "in a schema of the log",
    );
}

/// What a superuser types of the manual, on a log whose owner put triggers, at once and deferred, on
/// every one of its tables.
#[test]
fn a_superuser_who_types_what_the_manual_says_never_runs_the_owners_code_as_superuser() {
    let (db, mut superuser) = log_by_role();
    superuser
        .batch_execute(&format!(
            "CREATE SCHEMA own AUTHORIZATION log_owner;
             CREATE TABLE public.tenants (id uuid PRIMARY KEY);
             INSERT INTO public.tenants VALUES ('{TENANT_A}'), ('{TENANT_B}'), (gen_random_uuid());
             GRANT SELECT, REFERENCES ON public.tenants TO log_owner;
             CREATE TABLE public.source AS SELECT 5::bigint AS id, '{TENANT_A}'::uuid AS tenant_id, 'tool_used' AS name,
                 '{{\"toolName\": \"x\"}}'::jsonb AS data, now() AS created_at;
             GRANT SELECT ON public.source TO log_owner"
        ))
        .unwrap();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "CREATE TABLE own.seen (who name, what text);
             CREATE FUNCTION own.spy() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                     RAISE EXCEPTION 'runs as superuser: % of %', TG_OP, TG_TABLE_NAME;
                 END IF;
                 INSERT INTO own.seen VALUES (current_user, TG_TABLE_NAME);
                 RETURN NULL;
             END $$;
             DO $$
             DECLARE relation regclass;
             BEGIN
                 FOR relation IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'eventlog'::regnamespace
                                    AND c.relkind IN ('r', 'p') AND NOT c.relispartition LOOP
                     EXECUTE format('CREATE TRIGGER spy AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION own.spy()', relation);
                     EXECUTE format('CREATE TRIGGER spies AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION own.spy()', relation);
                 END LOOP;
             END $$",
        )
        .unwrap();
    for statement in [
        "SELECT eventlog.create_log(retention => '80 days', taxonomies => '{billing}')".to_owned(),
        "SELECT eventlog.migrate_log()".to_owned(),
        "SELECT eventlog.grant_writer('outsider'), eventlog.grant_reader('outsider')".to_owned(),
        "SELECT eventlog.grant_service('outsider'), eventlog.revoke_role('outsider')".to_owned(),
        "SELECT eventlog.define_event('newer', required_keys => '{a}')".to_owned(),
        "SELECT eventlog.retire_event('newer')".to_owned(),
        format!("SELECT eventlog.set_tenant('{TENANT_A}', max_bytes => 1000)"),
        format!("SELECT eventlog.reset_tenant('{TENANT_A}')"),
        "SELECT eventlog.reference_tenants('public.tenants')".to_owned(),
        "SELECT eventlog.add_enrichment('tool_used', 'x', 'toolName', 'public.source', 'name', 'name')".to_owned(),
        "SELECT eventlog.drop_enrichment('tool_used', 'x')".to_owned(),
        "SELECT * FROM eventlog.import_events('public.source')".to_owned(),
        "SELECT * FROM eventlog.taxonomy_import(eventlog.taxonomy_export(), apply => true)".to_owned(),
        format!("SELECT eventlog.log_event('{TENANT_A}', {EVENT}, idempotency_key => 'k')"),
        format!("SELECT eventlog.try_log_event('{TENANT_A}', {EVENT}), eventlog.try_log_event('{TENANT_A}', 'no_such_name', '{{}}')"),
        format!("SELECT * FROM eventlog.log_events(ARRAY['{TENANT_A}']::uuid[], '{{tool_used}}', '{{NULL}}', producer => gen_random_uuid(), batch_number => 1)"),
        "SELECT * FROM eventlog.replay_rejected()".to_owned(),
        "SELECT * FROM eventlog.verify_rollups()".to_owned(),
        "CALL eventlog.maintain()".to_owned(),
        format!("CALL eventlog.forget_actor('{TENANT_A}', 'somebody')"),
        format!("DELETE FROM public.tenants WHERE id = '{TENANT_A}'"),
        format!("CALL eventlog.forget_tenant('{TENANT_B}')"),
    ] {
        superuser.batch_execute(&statement).unwrap_or_else(|error| panic!("{statement}\n{error:?}"));
    }
    assert_eq!(rows(&mut superuser, "SELECT DISTINCT who FROM own.seen"), [["log_owner"]]);
    let seen = rows(&mut superuser, "SELECT DISTINCT what FROM own.seen ORDER BY 1").concat();
    for table in ["event_types", "events", "log_config", "rejected_events", "tenant_settings"] {
        assert!(seen.iter().any(|name| name == table), "{table} {seen:?}");
    }

    // A deferred trigger would run at commit, when the superuser is back.
    owner
        .batch_execute(
            "DROP TRIGGER spy ON eventlog.tenant_settings;
             CREATE CONSTRAINT TRIGGER late_spy AFTER INSERT OR UPDATE ON eventlog.tenant_settings
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION own.spy()",
        )
        .unwrap();
    let error = refused(
        &mut superuser,
        &format!("SELECT eventlog.set_tenant('{TENANT_A}', max_bytes => 1000)"),
    );
    assert!(error.message().contains("deferred trigger"), "{error:?}");
    owner
        .batch_execute(&format!("SELECT eventlog.set_tenant('{TENANT_A}', max_bytes => 1000)"))
        .unwrap();
}

#[test]
fn create_log_mends_policies_and_triggers_that_were_altered() {
    let (db, mut superuser) = log_by_role();
    let state = "SELECT (SELECT string_agg(concat_ws(' ', polrelid::regclass, polname, polpermissive, polcmd, pg_get_expr(polqual, polrelid),
                                                     pg_get_expr(polwithcheck, polrelid), polroles::text), E'\\n' ORDER BY polrelid::regclass::text, polname) FROM pg_policy)
                     || (SELECT string_agg(concat_ws(' ', tgrelid::regclass, tgname, tgenabled, tgtype, tgfoid::regproc), E'\\n' ORDER BY tgrelid::regclass::text, tgname)
                           FROM pg_trigger WHERE NOT tgisinternal)
                     || (SELECT string_agg(oid::regclass::text, ' ' ORDER BY relname) FROM pg_class WHERE relrowsecurity)";
    let before = text(&mut superuser, state);
    superuser
        .batch_execute(
            "ALTER POLICY events_tenant_select ON eventlog.events USING (true);
             ALTER POLICY events_guard ON eventlog.events WITH CHECK (true);
             DROP POLICY events_tenant_insert ON eventlog.events;
             ALTER POLICY events_service_select ON eventlog.events TO PUBLIC;
             ALTER TABLE eventlog.rejected_events DISABLE ROW LEVEL SECURITY;
             ALTER TABLE eventlog.event_types DISABLE TRIGGER registry_changed;
             DROP TRIGGER registry_changed ON eventlog.tenant_roles;
             DROP TRIGGER events_append_only ON eventlog.events;
             CREATE TRIGGER events_append_only BEFORE UPDATE OF actor ON eventlog.events
                FOR EACH STATEMENT EXECUTE FUNCTION eventlog.events_append_only()",
        )
        .unwrap();
    assert_ne!(text(&mut superuser, state), before);
    db.connect("log_owner").batch_execute("SELECT eventlog.create_log()").unwrap();
    assert_eq!(text(&mut superuser, state), before);
}

#[test]
fn an_owner_who_was_replaced_and_strict_default_privileges_are_mended_by_create_log() {
    let db = Db::empty();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
             CREATE EXTENSION eventlog; SELECT eventlog.create_log(owner => 'log_owner')",
        )
        .unwrap();
    db.connect("log_owner").batch_execute("SELECT eventlog.grant_writer('member')").unwrap();
    let log = format!("SELECT eventlog.log_event('{TENANT_A}', {EVENT})");
    text(&mut db.connect_as("member", TENANT_A), &log);
    superuser
        .batch_execute("REASSIGN OWNED BY log_owner TO dba; SELECT eventlog.create_log()")
        .unwrap();
    text(&mut db.connect_as("member", TENANT_A), &log);
    db.connect("dba").batch_execute("SELECT eventlog.grant_reader('member')").unwrap();
    db.connect("dba").batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(
        text(&mut db.connect_as("member", TENANT_A), "SELECT count(*) FROM eventlog.events"),
        "2"
    );
    superuser
        .batch_execute("ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC")
        .unwrap();
}
