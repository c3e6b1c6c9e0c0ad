//! Partitions beside what others put there: event triggers that log, a DEFAULT partition.

use eventlog_tests::{Db, TENANT_A, rows, text};
use postgres::Client;

const DROP_ALL: &str =
    "DO $$ DECLARE p record; BEGIN FOR p IN SELECT partition_name FROM eventlog._partitions LOOP
    EXECUTE format('DROP TABLE eventlog.%I', p.partition_name); END LOOP; END $$";

/// A log without partitions, and an event trigger that logs each command.
fn logging_ddl(when: &str, tags: &str, state: &str) -> (Db, Client) {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping'), eventlog.define_event('ddl'); {DROP_ALL};
             CREATE FUNCTION public.log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM eventlog.log_event('{TENANT_A}', 'ddl', jsonb_build_object('tag', tg_tag)); END $$;
             CREATE EVENT TRIGGER log_ddl ON {when} {tags} EXECUTE FUNCTION public.log_ddl();
             {state}"
        ))
        .unwrap();
    (db, superuser)
}

#[test]
fn an_event_trigger_that_logs_what_makes_the_partition_gets_its_events_in() {
    for (when, tags) in [
        ("ddl_command_end", ""),
        ("ddl_command_start", ""),
        ("ddl_command_start", "WHEN TAG IN ('ALTER TABLE')"),
        ("ddl_command_end", "WHEN TAG IN ('ALTER TABLE')"),
        ("ddl_command_end", "WHEN TAG IN ('COMMENT')"),
        ("ddl_command_start", "WHEN TAG IN ('CREATE TRIGGER')"),
    ] {
        for make in [
            "SELECT eventlog.log_event('{A}', 'ping')",
            "SELECT eventlog.try_log_event('{A}', 'ping')",
            "SELECT written FROM eventlog.log_events('{{A}}', '{ping}', NULL::text[])",
            "CALL eventlog.maintain()",
            "SELECT eventlog.create_log()",
        ] {
            let (db, mut superuser) = logging_ddl(when, tags, "");
            let make = make.replace("{A}", TENANT_A);
            superuser
                .batch_execute(&make)
                .unwrap_or_else(|error| panic!("{when} {tags} {make}: {error:?}"));
            let mut member = db.connect_as("member", TENANT_A);
            member.batch_execute("SELECT eventlog.log_event(NULL, 'ping')").unwrap();
            let now = "SELECT count(*) FROM eventlog._partitions WHERE from_at <= now() AND now() < until_at";
            assert_eq!(text(&mut superuser, now), "1", "{when} {tags} {make}");
            let logged = "SELECT count(*) > 0 FROM eventlog.events WHERE name = 'ddl'";
            assert_eq!(text(&mut superuser, logged), "t", "{when} {tags} {make}");
            // Nothing is left of tables that were not needed.
            let stray = "SELECT count(*) FROM pg_class c WHERE c.relname LIKE 'events_p%' AND c.relkind = 'r' AND NOT c.relispartition";
            assert_eq!(text(&mut superuser, stray), "0", "{when} {tags} {make}");
            let open = "SELECT count(*) FROM pg_class c JOIN eventlog._partitions p ON p.partition_oid = c.oid WHERE NOT c.relrowsecurity OR c.relowner <> 'log_owner'::regrole";
            assert_eq!(text(&mut superuser, open), "0");
        }
    }
}

#[test]
fn an_event_trigger_that_cannot_be_left_out_is_an_error_that_says_so() {
    let (_db, mut superuser) =
        logging_ddl("ddl_command_start", "", "ALTER EVENT TRIGGER log_ddl ENABLE ALWAYS");
    let log = format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')");
    if eventlog_tests::cluster::major_version() >= 17 {
        superuser.batch_execute(&log).unwrap();
        return;
    }
    let refused = eventlog_tests::refused(&mut superuser, &log);
    assert_eq!(refused.code().code(), "55000");
    assert!(refused.hint().is_some_and(|hint| hint.contains("ALTER EVENT TRIGGER")), "{refused:?}");
    superuser.batch_execute(&format!("ALTER EVENT TRIGGER log_ddl ENABLE; {log}")).unwrap();
}

#[test]
fn a_default_partition_takes_events_until_maintenance_moves_them_where_they_belong() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping'); {DROP_ALL};
             CREATE TABLE eventlog.events_rest PARTITION OF eventlog.events DEFAULT;
             ALTER TABLE eventlog.events_rest OWNER TO log_owner;
             INSERT INTO eventlog.events (tenant_id, name, created_at)
             SELECT '{TENANT_A}', 'ping', now() - n * interval '40 days' FROM generate_series(0, 2) n"
        ))
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    member.batch_execute("SELECT eventlog.log_event(NULL, 'ping')").unwrap();
    let places = "SELECT DISTINCT tableoid::regclass FROM eventlog.events";
    assert_eq!(rows(&mut superuser, places), [["eventlog.events_rest"]]);
    let mut owner = db.connect("log_owner");
    let mut run = || {
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
        rows(
            &mut owner,
            "SELECT outcome, array_to_string(failures, '; ') FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1",
        )
        .concat()
    };
    // Somebody writes to it who does not end.
    member.batch_execute("BEGIN; SELECT eventlog.log_event(NULL, 'ping')").unwrap();
    let [outcome, failures] = run().try_into().unwrap();
    assert_eq!(outcome, "incomplete");
    assert!(
        failures.contains("make partition") && failures.contains("of role member"),
        "{failures}"
    );
    member.batch_execute("SELECT eventlog.log_event(NULL, 'ping'); COMMIT").unwrap();
    assert_eq!(run(), ["done", ""]);
    let rest =
        "SELECT count(*) FROM eventlog.events_rest WHERE created_at > now() - interval '1 day'";
    assert_eq!(text(&mut superuser, rest), "0");
    member.batch_execute("SELECT eventlog.log_event(NULL, 'ping')").unwrap();
    // Each is there and counted once, wherever it was when.
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "7");
    assert_eq!(text(&mut superuser, "SELECT sum(events) FROM eventlog.daily_counts"), "2");
    let wrong = "SELECT count(*) FROM eventlog.verify_rollups() WHERE NOT is_sealed";
    assert_eq!(text(&mut superuser, wrong), "0");
    superuser
        .batch_execute(
            "SELECT eventlog._make_partition(created_at) FROM eventlog.events ORDER BY created_at LIMIT 1",
        )
        .unwrap();
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.late_events"), "0");
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "7");
    assert_eq!(text(&mut superuser, wrong), "0");
}

#[test]
fn a_default_partition_that_is_large_is_left_to_a_command_and_events_go_on() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping'); {DROP_ALL};
             CREATE TABLE eventlog.events_rest PARTITION OF eventlog.events DEFAULT;
             ALTER TABLE eventlog.events_rest OWNER TO log_owner;
             ALTER TABLE eventlog.events_rest ALTER COLUMN data SET STORAGE PLAIN;
             INSERT INTO eventlog.events (tenant_id, name, data)
             SELECT '{TENANT_A}', 'ping', jsonb_build_object('x', repeat('x', 4100)) FROM generate_series(1, 8300) n"
        ))
        .unwrap();
    let mut owner = db.connect("log_owner");
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let failure = text(&mut owner, "SELECT failures[1] FROM eventlog.maintenance_runs");
    assert!(
        failure.contains("the DEFAULT partition eventlog.events_rest may hold events from")
            && failure.ends_with("SELECT eventlog.create_log();"),
        "{failure}"
    );
    db.connect_as("member", TENANT_A)
        .batch_execute("SELECT eventlog.log_event(NULL, 'ping')")
        .unwrap();
    superuser.batch_execute("SELECT eventlog.create_log()").unwrap();
    assert_eq!(text(&mut owner, "SELECT count(*) FROM ONLY eventlog.events_rest"), "0");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "8301");
}
