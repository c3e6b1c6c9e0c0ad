//! What an upgrade from 0.1.0 finds in its way: grants that a DBA changed, functions of users that stand
//! on the extension's, objects of others, columns that have a name of the newer layout.

use eventlog_tests::{Db, TENANT_A, assert_refused, refused, rows, text};

fn old_log() -> Db {
    let db = Db::empty();
    db.superuser()
        .batch_execute(
            "CREATE EXTENSION eventlog VERSION '0.1.0'; SELECT eventlog.create_log(owner => 'log_owner');
             SELECT eventlog.grant_reader('reader')",
        )
        .unwrap();
    db
}

#[test]
fn grants_on_functions_and_views_stay_as_a_dba_made_them() {
    let db = old_log();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "DO $$ DECLARE f regprocedure; BEGIN
                 FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'eventlog'::regnamespace
                             AND proname IN ('define_event', 'set_tenant', 'retire_event') LOOP
                     EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC; GRANT EXECUTE ON FUNCTION %1$s TO dba', f);
                 END LOOP;
             END $$;
             REVOKE SELECT ON eventlog.stat_hygiene FROM PUBLIC;
             ALTER EXTENSION eventlog UPDATE",
        )
        .unwrap();
    let may = |role: &str, name: &str| {
        format!(
            "SELECT bool_and(has_function_privilege('{role}', oid, 'EXECUTE')) FROM pg_proc
              WHERE pronamespace = 'eventlog'::regnamespace AND proname = '{name}'"
        )
    };
    for name in ["define_event", "set_tenant", "retire_event"] {
        assert_eq!(text(&mut superuser, &may("dba", name)), "t", "{name}");
        assert_eq!(text(&mut superuser, &may("outsider", name)), "f", "{name}");
    }
    assert_eq!(text(&mut superuser, &may("outsider", "summary")), "t");
    let mut reader = db.connect_as("reader", TENANT_A);
    assert_refused(
        &mut reader,
        "SELECT * FROM eventlog.stat_hygiene",
        "42501",
        "permission denied",
    );
    text(&mut reader, "SELECT count(*) FROM eventlog.stat_rejected");
}

#[test]
fn functions_of_users_that_stand_on_one_with_other_arguments_go_on() {
    let db = old_log();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE FUNCTION public.limit_tenant(t uuid) RETURNS void LANGUAGE sql
                 BEGIN ATOMIC SELECT eventlog.set_tenant(t, max_bytes => 100); END;
             CREATE FUNCTION public.define(n text) RETURNS void LANGUAGE sql
                 BEGIN ATOMIC SELECT eventlog.define_event(n, required_keys => '{a}'); END;
             ALTER EXTENSION eventlog UPDATE",
        )
        .unwrap();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT public.limit_tenant('{TENANT_A}'), public.define('own');
             SELECT eventlog.migrate_log();
             SELECT public.limit_tenant('{TENANT_A}'), public.define('other'), eventlog.set_tenant('{TENANT_A}', over_quota => 'sample')"
        ))
        .unwrap();
    assert_eq!(
        text(
            &mut owner,
            "SELECT concat_ws(' ', max_bytes, over_quota) FROM eventlog.tenant_settings"
        ),
        "100 sample"
    );
    assert_eq!(
        text(&mut owner, "SELECT count(*) FROM eventlog.event_types WHERE required_keys = '{a}'"),
        "2"
    );
}

#[test]
fn what_is_in_the_way_of_a_migration_is_named_with_the_command() {
    for (damage, sqlstate, named) in [
        ("ALTER TABLE eventlog.event_types ADD COLUMN retention text", "42804", "column retention"),
        ("ALTER TABLE eventlog.enrichments OWNER TO dba", "55000", "enrichments belongs to dba"),
        (
            "DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE eventlog.%I OWNER TO dba', partition_name) FROM eventlog._partitions ORDER BY from_at LIMIT 1); END $$",
            "55000",
            "belongs to dba",
        ),
        ("CREATE TABLE eventlog.own (a int)", "55000", "own belongs to postgres"),
    ] {
        let db = old_log();
        let mut superuser = db.superuser();
        superuser.batch_execute(damage).unwrap();
        superuser.batch_execute("ALTER EXTENSION eventlog UPDATE").unwrap();
        let mut owner = db.connect("log_owner");
        let error = refused(&mut owner, "SELECT eventlog.migrate_log()");
        assert_eq!(error.code().code(), sqlstate, "{error:?}");
        assert!(error.message().contains(named), "{error:?}");
        // What the hint says, typed.
        let hint = error.hint().expect("a command");
        let command = hint.rsplit(": ").next().expect("the command");
        superuser.batch_execute(command).unwrap_or_else(|error| panic!("{command}\n{error:?}"));
        assert_eq!(text(&mut owner, "SELECT eventlog.migrate_log()"), "2");
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
    }
}

#[test]
fn starter_names_that_nobody_changed_get_what_reports_read_and_no_other_name_does() {
    let db = old_log();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "UPDATE eventlog.event_types SET max_bytes = 4096 WHERE name = 'artifact_synced';
             UPDATE eventlog.event_types SET description = 'Ours.' WHERE name = 'artifact_removed';
             UPDATE eventlog.event_types SET success_key = 'success' WHERE name = 'artifact_updated';
             UPDATE eventlog.event_types SET optional_keys = '{}' WHERE name = 'tool_used';
             DELETE FROM eventlog.event_types WHERE name = 'artifact_searched'",
        )
        .unwrap();
    let changed = ["artifact_synced", "artifact_removed", "artifact_updated", "tool_used"];
    let types = "SELECT to_jsonb(t) - '{retention,count_subjects,count_keys,success_values,value_types,aliases,context_keys,created_at}'::text[] FROM eventlog.event_types t
                  WHERE name = ANY ('{artifact_synced,artifact_removed,artifact_updated,tool_used}') ORDER BY name";
    let before = rows(&mut superuser, types);
    assert_eq!(before.len(), changed.len());
    superuser
        .batch_execute("ALTER EXTENSION eventlog UPDATE; SELECT eventlog.migrate_log()")
        .unwrap();
    assert_eq!(rows(&mut superuser, types), before);
    let read = "SELECT name, optional_keys, success_key, success_values FROM eventlog.event_types
                 WHERE name <> ALL ('{artifact_synced,artifact_removed,artifact_updated,tool_used,artifact_searched}') ORDER BY 1";
    let fresh = rows(&mut Db::new().superuser(), read);
    assert_eq!(fresh.len(), 13);
    assert_eq!(rows(&mut superuser, read), fresh);
    // What is kept of a payload is as it was.
    assert_eq!(
        text(
            &mut superuser,
            "SELECT count(*) FROM eventlog.event_types WHERE path_keys <> '{}' OR success_values <> '{}' AND success_key <> 'result'"
        ),
        "0"
    );
}
