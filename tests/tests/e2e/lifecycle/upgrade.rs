//! From 0.1.0 to this version: the new library under the old functions, the new functions on the old
//! tables, and the migrated log, which equals a fresh one object by object.

use eventlog_tests::cluster::run;
use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, catalog, db, refused, rows, text};
use postgres::Client;

const GOOD: &str = r#"'conversation_started', '{"sessionId": 1, "conversationId": 2}'"#;
const OLD: &str = "CREATE EXTENSION eventlog VERSION '0.1.0'";
const NEW: &str = "CREATE EXTENSION eventlog";

/// A database with a log of which every part differs from a new one's, made with what 0.1.0 had.
fn log(create_extension: &str, method: &str) -> Db {
    let db = Db::empty();
    let fill = format!(
        r#"{create_extension};
        SELECT eventlog.create_log(owner => 'log_owner', retention => '1 year');
        CREATE TABLE public.tenants (id uuid PRIMARY KEY);
        ALTER TABLE public.tenants OWNER TO log_owner;
        INSERT INTO public.tenants VALUES ('{TENANT_A}'), ('{TENANT_B}');
        SET SESSION AUTHORIZATION log_owner;
        SELECT eventlog.grant_writer('writer');
        SELECT eventlog.grant_reader('reader');
        SELECT eventlog.grant_writer('member');
        SELECT eventlog.grant_reader('member');
        SELECT eventlog.grant_service('service');
        GRANT SELECT ON eventlog.tenant_settings TO outsider;
        RESET SESSION AUTHORIZATION;
        SELECT eventlog.define_event('own', required_keys => '{{a}}', allowed_values => '{{"a": [1, 2]}}', redact_keys => '{{secret}}');
        SELECT eventlog.add_enrichment('own', 'tenant', 'tenantId', 'public.tenants', 'id', 'id');
        SELECT eventlog.define_event('escalation_triggered', subject_keys => '{{integrationId}}');
        SELECT eventlog.define_event('message_sent', max_bytes => 4096);
        SELECT eventlog.retire_event('plan_updated');
        SELECT eventlog.set_tenant('{TENANT_A}', max_bytes => 1000, events_per_minute => 100000);
        INSERT INTO eventlog.tenant_roles VALUES ('member', '{TENANT_A}');
        SELECT eventlog.log_event(CASE WHEN g % 3 = 0 THEN '{TENANT_A}'::uuid ELSE '{TENANT_B}'::uuid END, {GOOD}, idempotency_key => 'k' || g)
          FROM generate_series(1, 90) g;
        SELECT * FROM eventlog.log_events(ARRAY['{TENANT_A}', '{TENANT_A}']::uuid[], '{{own,bogus}}', ARRAY['{{"a": 1}}', '{{}}'],
            producer => '{TENANT_B}', batch_number => 7);
        SELECT eventlog.log_event('{TENANT_B}', {GOOD}, occurred_at => '2090-01-01');
        SET SESSION AUTHORIZATION log_owner;
        SELECT eventlog.reference_tenants('public.tenants', '{method}');"#
    );
    db::shared().psql(&db.name, "postgres", &fill).unwrap_or_else(|error| panic!("{error}"));
    db
}

fn update(db: &Db) {
    db.superuser().batch_execute("ALTER EXTENSION eventlog UPDATE").unwrap();
}

fn migrate(client: &mut Client) -> String {
    text(client, "SELECT eventlog.migrate_log()")
}

fn layout(db: &Db) -> String {
    text(&mut db.superuser(), "SELECT layout_version FROM eventlog.log_config")
}

/// Every row of every table of layout 1, without the columns that came with later ones.
fn contents(db: &Db) -> Vec<String> {
    let mut superuser = db.superuser();
    let tables = "SELECT relname FROM pg_class
                   WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                     AND relname IN ('events', 'event_types', 'rejected_events', 'idempotency_keys', 'producers',
                                     'tenant_roles', 'enrichments', 'tenant_settings', 'hygiene_counts', 'log_config')
                   ORDER BY 1";
    let tables = rows(&mut superuser, tables).concat();
    assert_eq!(tables.len(), 10);
    tables
        .iter()
        .flat_map(|table| {
            let later = match table.as_str() {
                "event_types" => {
                    "{retention,count_subjects,count_keys,success_values,success_key,optional_keys,value_types,aliases,context_keys}"
                }
                "rejected_events" => "{protocol}",
                "tenant_settings" => "{retention}",
                "log_config" => "{layout_version,service_roles}",
                "tenant_roles" | "producers" => "{role_oid,cluster}",
                _ => "{}",
            };
            let all = format!(
                "SELECT '{table} ' || (to_jsonb(t) - '{later}'::text[])::text FROM eventlog.{table} t ORDER BY 1"
            );
            rows(&mut superuser, &all).concat()
        })
        .collect()
}

/// What an application and a DBA do all day, each in a transaction that is rolled back.
fn assert_the_log_works(db: &Db) {
    let roll_back = |client: &mut Client, statements: &str| {
        client.batch_execute(&format!("BEGIN; {statements}; ROLLBACK")).unwrap_or_else(|error| {
            panic!("{statements}\n{error:?}");
        });
    };
    for role in ["writer", "member", "service"] {
        let mut client = db.connect_as(role, TENANT_A);
        roll_back(
            &mut client,
            &format!(
                "SELECT eventlog.log_event(NULL, {GOOD});
                 SELECT eventlog.try_log_event(NULL, 'bogus', '{{}}');
                 SELECT eventlog.try_log_event(NULL, {GOOD});
                 SELECT * FROM eventlog.log_events(NULL, '{{own,bogus}}', ARRAY['{{\"a\": 1}}', '{{}}'], producer => '{TENANT_A}', batch_number => 1);
                 SELECT * FROM eventlog.log_events('[{{\"name\": \"own\", \"data\": {{\"a\": 2}}}}]');
                 SELECT * FROM eventlog.validate_event({GOOD});
                 SELECT eventlog.current_tenant();
                 INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('{TENANT_A}', {GOOD})"
            ),
        );
        assert_refused(&mut client, "SELECT eventlog.log_event(NULL, 'bogus')", "42704", "bogus");
        let plain =
            format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_A}', 'own')");
        assert_refused(&mut client, &plain, "23514", "breaks 1 rule");
        let seen = "SELECT eventlog.log_event(NULL, 'own', '{}', idempotency_key => 'k3')";
        if role != "service" {
            assert_refused(&mut client, seen, "23514", "breaks 1 rule");
        }
    }
    let mut reader = db.connect_as("reader", TENANT_B);
    assert_eq!(text(&mut reader, "SELECT count(*) FROM eventlog.events"), "61");
    for view in ["stat_rejected", "stat_hygiene"] {
        rows(&mut reader, &format!("SELECT * FROM eventlog.{view}"));
    }
    let mut owner = db.connect("log_owner");
    roll_back(
        &mut owner,
        &format!(
            "SELECT eventlog.define_event('newer', required_keys => '{{b}}');
             SELECT eventlog.define_event('own', max_bytes => 100);
             SELECT eventlog.retire_event('own');
             SELECT eventlog.add_enrichment('newer', 'x', 'b', 'public.tenants', 'id', 'id');
             SELECT eventlog.drop_enrichment('newer', 'x');
             SELECT eventlog.set_tenant('{TENANT_B}', is_opted_out => true);
             SELECT eventlog.reset_tenant('{TENANT_A}');
             SELECT eventlog.taxonomy_export();
             SELECT * FROM eventlog.replay_rejected();
             CREATE TEMP TABLE old AS SELECT 1::bigint AS id, tenant_id, name, data, now() AS created_at FROM eventlog.events LIMIT 1;
             SELECT * FROM eventlog.import_events('old');
             SELECT eventlog.grant_writer('outsider');
             SELECT eventlog.grant_reader('outsider');
             SELECT eventlog.grant_service('outsider');
             SELECT eventlog.revoke_role('service');
             DELETE FROM public.tenants WHERE id = '{TENANT_A}';
             SELECT eventlog.reference_tenants('public.tenants', 'none')"
        ),
    );
    assert_refused(&mut owner, "UPDATE eventlog.events SET name = 'x'", "0A000", "append-only");
    // A partition that is missing is made.
    let partition = text(
        &mut owner,
        "SELECT partition_name FROM eventlog._partitions ORDER BY from_at LIMIT 1",
    );
    roll_back(
        &mut owner,
        &format!(
            "DROP TABLE eventlog.{partition}; SELECT eventlog.log_event('{TENANT_A}', {GOOD})"
        ),
    );
}

/// A fresh log of this version with the same history, as it is to be.
fn assert_like_a_fresh_one(db: &Db, method: &str) {
    let fresh = log(NEW, method);
    let (mut upgraded, mut fresh) = (db.superuser(), fresh.superuser());
    catalog::assert_equal(&catalog::lines(&mut fresh), &catalog::lines(&mut upgraded));
    let types = "SELECT name, retention, count_subjects FROM eventlog.event_types ORDER BY name";
    // Defined anew before there was count_subjects: not the starter's any more.
    let own = ["escalation_triggered", "∅", "t"].map(str::to_owned).to_vec();
    let without = |client: &mut Client| {
        let mut types = rows(client, types);
        types.retain(|row| row[0] != own[0]);
        types
    };
    assert_eq!(without(&mut fresh), without(&mut upgraded));
    assert!(rows(&mut upgraded, types).contains(&own));
    assert_eq!(layout_of(&mut fresh), layout_of(&mut upgraded));
}

fn layout_of(client: &mut Client) -> String {
    text(client, "SELECT layout_version FROM eventlog.log_config")
}

#[test]
fn an_upgraded_log_works_at_every_step_and_ends_like_a_fresh_one_with_its_data_unchanged() {
    for method in ["foreign_key", "trigger"] {
        let db = log(OLD, method);
        let before = contents(&db);
        assert!(before.len() > 200, "{}", before.len());
        // The library is the new one already.
        assert_the_log_works(&db);
        update(&db);
        assert_eq!(layout(&db), "1");
        assert_the_log_works(&db);
        assert_eq!(contents(&db), before);
        assert_eq!(migrate(&mut db.connect("log_owner")), "2");
        assert_the_log_works(&db);
        assert_eq!(contents(&db), before);
        assert_like_a_fresh_one(&db, method);
        // Once more is nothing.
        update(&db);
        assert_eq!(migrate(&mut db.connect("log_owner")), "2");
        assert_eq!(contents(&db), before);
        assert_like_a_fresh_one(&db, method);
    }
}

#[test]
fn open_sessions_and_their_prepared_statements_live_through_both_steps() {
    let db = log(OLD, "none");
    let mut writer = db.connect_as("writer", TENANT_A);
    let mut owner = db.connect("log_owner");
    writer
        .batch_execute(
            "PREPARE log (text, jsonb) AS SELECT eventlog.log_event(NULL, $1, $2);
             PREPARE plain (text, jsonb) AS INSERT INTO eventlog.events (tenant_id, name, data)
                 VALUES (eventlog.current_tenant(), $1, $2)",
        )
        .unwrap();
    owner
        .batch_execute("PREPARE types AS SELECT name, max_bytes FROM eventlog.event_types")
        .unwrap();
    let use_them = |writer: &mut Client, owner: &mut Client| {
        writer.batch_execute(&format!("EXECUTE log ({GOOD}); EXECUTE plain ({GOOD})")).unwrap();
        owner
            .batch_execute(
                "EXECUTE types;
                 SELECT eventlog.define_event('own', max_bytes => 3000);
                 SELECT * FROM eventlog.replay_rejected();
                 SELECT eventlog.taxonomy_export()",
            )
            .unwrap();
    };
    use_them(&mut writer, &mut owner);
    update(&db);
    use_them(&mut writer, &mut owner);
    migrate(&mut owner);
    use_them(&mut writer, &mut owner);
    owner.batch_execute("SELECT eventlog.define_event('own', retention => '1 day')").unwrap();
    use_them(&mut writer, &mut owner);
}

#[test]
fn what_needs_the_new_layout_says_so_and_how_to_get_it() {
    let db = log(OLD, "none");
    update(&db);
    let mut owner = db.connect("log_owner");
    for call in [
        "eventlog.define_event('own', retention => '1 day')",
        "eventlog.define_event('own', count_subjects => false)",
        "eventlog.define_event('own', aliases => '{Own}')",
        "eventlog.define_event('own', value_types => '{}')",
        &format!("eventlog.set_tenant('{TENANT_A}', retention => '1 day')"),
        "eventlog.taxonomy_import(eventlog.taxonomy_export())",
    ] {
        let outcome = refused(&mut owner, &format!("SELECT {call}"));
        assert_eq!(outcome.code().code(), "55000", "{outcome:?}");
        assert_eq!(outcome.message(), "the log has layout 1, this needs 2", "{call}");
        assert_eq!(outcome.hint(), Some("SELECT eventlog.migrate_log();"), "{call}");
    }
    migrate(&mut owner);
    assert!(
        rows(&mut owner, "SELECT * FROM eventlog.taxonomy_import(eventlog.taxonomy_export())")
            .is_empty()
    );
}

#[test]
fn a_log_of_layout_1_quarantines_events_of_other_protocols_without_naming_the_protocol() {
    let db = log(OLD, "none");
    update(&db);
    let mut owner = db.connect("log_owner");
    let call = format!(
        "SELECT rejected FROM eventlog.log_events('{{{TENANT_A}}}', '{{No such}}', ARRAY['{{{{}}}}'], NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{{segment}}')"
    );
    let before = "SELECT count(*) FROM eventlog.rejected_events WHERE name = 'No such'";
    assert_eq!(text(&mut owner, &call), "1");
    assert_eq!(text(&mut owner, before), "1");
    migrate(&mut owner);
    assert_eq!(text(&mut owner, &call), "1");
    let kept = "SELECT protocol FROM eventlog.rejected_events WHERE name = 'No such' ORDER BY id";
    assert_eq!(rows(&mut owner, kept).concat(), ["∅", "segment"]);
}

/// Finds what reads a column or a table that an older log does not have.
#[test]
fn no_function_and_no_view_stumbles_over_an_older_layout() {
    let db = log(OLD, "none");
    update(&db);
    let mut superuser = db.superuser();
    let calls = rows(
        &mut superuser,
        "SELECT format(CASE prokind WHEN 'p' THEN 'CALL eventlog.%I(%s)' ELSE 'SELECT * FROM eventlog.%I(%s)' END, proname,
                       (SELECT string_agg('NULL::' || t::regtype, ', ') FROM unnest(proargtypes) AS t))
           FROM pg_proc WHERE pronamespace = 'eventlog'::regnamespace AND prorettype <> 'trigger'::regtype AND proname !~ '^_'
         UNION ALL
         SELECT 'SELECT * FROM ' || oid::regclass FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace AND relkind = 'v'",
    );
    assert!(calls.len() > 25, "{calls:?}");
    for call in calls {
        superuser.batch_execute("BEGIN").unwrap();
        if let Err(error) = superuser.simple_query(&call[0]) {
            let error = eventlog_tests::ask::db_error(error, &call[0]);
            assert!(
                !["42703", "42P01", "42883"].contains(&error.code().code()),
                "{call:?}\n{error:?}"
            );
        }
        superuser.batch_execute("ROLLBACK").unwrap();
    }
    assert_eq!(layout(&db), "1");
}

#[test]
fn only_the_logs_owner_migrates_and_what_is_made_is_the_owners_whoever_of_those_types_it() {
    let db = log(OLD, "trigger");
    update(&db);
    for role in ["writer", "reader", "member", "service", "outsider"] {
        let mut client = db.connect(role);
        assert_refused(&mut client, "SELECT eventlog.migrate_log()", "42501", "permission denied");
    }
    // A trigger of the owner's must not get the rights of a superuser who migrates.
    let mut owner = db.connect("log_owner");
    let mut superuser = db.superuser();
    superuser.batch_execute("CREATE SCHEMA traps AUTHORIZATION log_owner").unwrap();
    owner
        .batch_execute(
            "CREATE TABLE traps.ran_as (role_name name, session_name name);
             CREATE FUNCTION traps.note() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO traps.ran_as VALUES (current_user, session_user); RETURN NULL; END $$;
             CREATE TRIGGER note AFTER UPDATE ON eventlog.log_config FOR EACH STATEMENT EXECUTE FUNCTION traps.note();
             CREATE TRIGGER note AFTER UPDATE ON eventlog.event_types FOR EACH STATEMENT EXECUTE FUNCTION traps.note()",
        )
        .unwrap();
    assert_eq!(migrate(&mut superuser), "2");
    assert_eq!(text(&mut superuser, "SELECT current_user"), "postgres");
    let ran = rows(&mut superuser, "SELECT DISTINCT role_name, session_name FROM traps.ran_as");
    assert_eq!(ran, [["log_owner", "postgres"]]);
    superuser.batch_execute("DROP SCHEMA traps CASCADE").unwrap();
    assert_like_a_fresh_one(&db, "trigger");
}

/// Objects that somebody planted are neither used nor replaced.
#[test]
fn the_search_path_of_who_migrates_does_not_matter() {
    let db = log(OLD, "none");
    let planted = "SELECT 'planted' WHERE false";
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "CREATE FUNCTION public.to_regclass(text) RETURNS regclass LANGUAGE sql AS $$ {planted} ; SELECT 1/0; SELECT NULL::regclass $$;
             CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 1/0; SELECT now() $$;
             CREATE TABLE public.event_types (name text);
             SET search_path = public, pg_catalog;
             ALTER EXTENSION eventlog UPDATE;
             SELECT eventlog.migrate_log();
             RESET search_path;
             DROP TABLE public.event_types; DROP FUNCTION public.to_regclass; DROP FUNCTION public.clock_timestamp"
        ))
        .unwrap();
    assert_like_a_fresh_one(&db, "none");
}

#[test]
fn an_extension_without_a_log_is_updated_and_then_makes_a_new_log() {
    let db = Db::empty();
    let mut superuser = db.superuser();
    superuser.batch_execute(OLD).unwrap();
    update(&db);
    assert_refused(&mut superuser, "SELECT eventlog.migrate_log()", "55000", "there is no log");
    let fresh = Db::empty();
    fresh.superuser().batch_execute(NEW).unwrap();
    for db in [&db, &fresh] {
        db.superuser().batch_execute("SELECT eventlog.create_log(owner => 'log_owner')").unwrap();
    }
    assert_eq!(migrate(&mut superuser), "2");
    catalog::assert_equal(&catalog::lines(&mut fresh.superuser()), &catalog::lines(&mut superuser));
}

#[test]
fn create_log_on_an_older_log_migrates_it_too() {
    let db = log(OLD, "trigger");
    let before = contents(&db);
    update(&db);
    db.superuser().batch_execute("SELECT eventlog.create_log()").unwrap();
    assert_eq!(contents(&db), before);
    assert_like_a_fresh_one(&db, "trigger");
}

#[test]
fn a_dump_of_an_older_log_is_restored_where_only_this_version_is_and_migrated_there() {
    let db = log(OLD, "foreign_key");
    let before = contents(&db);
    let cluster = db::shared();
    let dump = run(cluster.client("pg_dump").arg(&db.name));
    let other = Db::empty();
    cluster.psql(&other.name, "postgres", &dump).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(contents(&other), before);
    assert_the_log_works(&other);
    migrate(&mut other.connect("log_owner"));
    assert_eq!(contents(&other), before);
    assert_like_a_fresh_one(&other, "foreign_key");
}

#[test]
fn a_log_of_a_newer_extension_is_left_alone() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser.batch_execute("UPDATE eventlog.log_config SET layout_version = 1000").unwrap();
    for call in ["migrate_log()", "create_log()", "define_event('x', retention => '1 day')"] {
        let outcome = refused(&mut superuser, &format!("SELECT eventlog.{call}"));
        assert_eq!(outcome.code().code(), "55000", "{call}");
        assert_eq!(outcome.hint(), Some("ALTER EXTENSION eventlog UPDATE;"), "{call}");
    }
}

#[test]
fn who_may_read_an_older_log_may_read_what_a_newer_layout_brings() {
    let db = log(OLD, "none");
    update(&db);
    let mut superuser = db.superuser();
    // As if the table of producers were new, and a reader's.
    superuser
        .batch_execute(
            "ALTER FUNCTION eventlog_private.relations() RENAME TO former_relations;
             CREATE FUNCTION eventlog_private.relations()
                 RETURNS TABLE (table_name name, layout integer, readers_see text, is_cached boolean, key text)
                 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
                 SELECT r.table_name, CASE r.table_name WHEN 'producers' THEN 2 ELSE r.layout END,
                        CASE r.table_name WHEN 'producers' THEN 'all' ELSE r.readers_see END, r.is_cached, r.key
                   FROM eventlog_private.former_relations() r $$;
             REVOKE SELECT ON eventlog.rejected_events FROM member",
        )
        .unwrap();
    migrate(&mut superuser);
    let readers = "SELECT grantee::regrole FROM pg_class, aclexplode(relacl)
                    WHERE oid = 'eventlog.producers'::regclass AND grantee <> relowner AND privilege_type = 'SELECT' ORDER BY 1";
    assert_eq!(rows(&mut superuser, readers), [["reader"], ["service"]]);
}
