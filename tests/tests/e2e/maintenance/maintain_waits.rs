//! Nobody who may not maintain the log holds maintenance up without being named, and no writer waits
//! long for maintenance.

use std::thread;

use eventlog_tests::{Cluster, Db, TENANT_A, assert_refused, db, rows, text};
use postgres::Client;

/// Every advisory lock that 0.1.0 took, held by a role without rights.
const OLD_LOCKS: &str = "SELECT pg_advisory_lock(hashtextextended('eventlog ' || x, 0))
    FROM unnest(ARRAY['maintain', 'partitions', 'erase']) x";

const LAST_RUN: &str =
    "SELECT outcome, array_to_string(actions, '; '), array_to_string(failures, '; ')
    FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1";

const EXPIRED: &str = "SELECT count(*) FROM eventlog.stat_partitions WHERE state = 'expired'";

/// A log with an event, and a partition that is past retention.
fn due(partitions: u32) -> (Db, Client) {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.define_event('ping');
             SELECT eventlog._make_partition(date_trunc('month', now()) - (8 + g) * interval '1 month')
               FROM generate_series(1, {partitions}) g;
             SELECT eventlog.log_event('{TENANT_A}', 'ping')"
        ))
        .unwrap();
    (db, owner)
}

/// Outcome, actions and failures of a run.
fn run(owner: &mut Client) -> [String; 3] {
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    rows(owner, LAST_RUN).remove(0).try_into().unwrap()
}

#[test]
fn a_role_without_rights_holds_nothing_that_the_log_waits_for() {
    let (db, mut owner) = due(1);
    let mut outsider = db.connect("outsider");
    rows(&mut outsider, OLD_LOCKS);
    for purpose in ["partitions", "maintenance", "erasure"] {
        let take = format!("SELECT eventlog_private.take_lock('{purpose}', true, true)");
        assert_refused(&mut outsider, &take, "42501", "permission denied for schema eventlog");
        assert_refused(
            &mut db.connect("member"),
            &take,
            "42501",
            "permission denied for schema eventlog",
        );
    }
    assert_eq!(run(&mut owner)[0], "done");
    assert_eq!(text(&mut owner, EXPIRED), "0");
    // Nor does an erasure, the trigger of a table of tenants, or an event without its partition.
    let mut superuser = db.superuser();
    superuser.batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', 'a')")).unwrap();
    superuser
        .batch_execute(&format!(
            "CREATE TABLE public.tenants (id uuid PRIMARY KEY); INSERT INTO public.tenants VALUES ('{TENANT_A}');
             SELECT eventlog.reference_tenants('public.tenants', 'trigger');
             DO $$ DECLARE p record; BEGIN FOR p IN SELECT partition_name FROM eventlog._partitions LOOP
                EXECUTE format('DROP TABLE eventlog.%I', p.partition_name); END LOOP; END $$;
             SELECT eventlog.log_event('{TENANT_A}', 'ping');
             DELETE FROM public.tenants"
        ))
        .unwrap();
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "0");
}

#[test]
fn an_owner_who_holds_maintenance_up_is_named() {
    let (db, mut owner) = due(1);
    let mut other = db.connect("log_owner");
    other
        .batch_execute(
            "SET application_name = 'by hand'; BEGIN; SELECT eventlog_private.lock_maintenance()",
        )
        .unwrap();
    let pid = text(&mut other, "SELECT pg_backend_pid()");
    let mut superuser = db.superuser();
    let notice = "SELECT eventlog_private.other_maintenance()";
    let told = text(&mut superuser, notice);
    let who = format!(
        "process {pid} of role log_owner, application 'by hand', idle in transaction, in a transaction since 20"
    );
    assert!(told.starts_with(&who), "{told}");
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.maintenance_runs"), "0");
    owner.batch_execute("SET lock_timeout = '200ms'").unwrap();
    let refused = eventlog_tests::refused(
        &mut owner,
        &format!("CALL eventlog.forget_actor('{TENANT_A}', 'a')"),
    );
    assert_eq!(refused.code().code(), "55P03");
    assert!(refused.detail().is_some_and(|detail| detail.starts_with(&who)), "{refused:?}");
    other.batch_execute("COMMIT").unwrap();
    assert_eq!(run(&mut owner)[0], "done");
}

#[test]
fn a_reader_in_an_open_transaction_is_named_and_the_partition_goes_once_he_has_ended() {
    let cluster = Cluster::start(&[
        // Who waits for longer than this for a lock is told in the server's log.
        ("deadlock_timeout", "'75ms'"),
        ("log_lock_waits", "on"),
    ]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let mut owner = cluster.connect("app", "log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.define_event('ping');
             SELECT eventlog._make_partition(date_trunc('month', now()) - g * interval '1 month') FROM generate_series(9, 12) g",
        )
        .unwrap();
    let mut reader = cluster.connect("app", "member");
    reader
        .batch_execute(&format!(
            "SET application_name = 'a report'; SET eventlog.tenant_id = '{TENANT_A}';
             BEGIN; SELECT count(*) FROM eventlog.events"
        ))
        .unwrap();
    let pid = text(&mut reader, "SELECT pg_backend_pid()");
    let who = format!(
        "process {pid} of role member, application 'a report', idle in transaction, in a transaction since 20"
    );
    // Eight write all the time, each until it has seen the run end.
    let logged: u64 = thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let stopped = std::sync::Arc::new(std::sync::Mutex::new(stopped));
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let (cluster, stopped) = (&cluster, std::sync::Arc::clone(&stopped));
                scope.spawn(move || {
                    let mut writer = cluster.connect("app", "member");
                    writer
                        .batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'"))
                        .unwrap();
                    let mut logged = 0;
                    loop {
                        writer.batch_execute("SELECT eventlog.log_event(NULL, 'ping')").unwrap();
                        logged += 1;
                        let state = stopped.lock().unwrap().try_recv();
                        if state == Err(std::sync::mpsc::TryRecvError::Disconnected) {
                            return logged;
                        }
                    }
                })
            })
            .collect();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mut owner)));
        drop(stop);
        let logged = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        let [outcome, _, failures] = result.unwrap();
        assert_eq!(outcome, "incomplete");
        assert!(failures.contains(&format!("blocked by {who}")), "{failures}");
        assert!(!failures.contains("count(*)"), "the query is nobody's business: {failures}");
        logged
    });
    let blocked = text(&mut owner, "SELECT blocked_by FROM eventlog.stat_maintenance");
    assert!(blocked.contains(&who), "{blocked}");
    assert_eq!(text(&mut owner, EXPIRED), "4");
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(run(&mut owner)[0], "done");
    assert_eq!(text(&mut owner, EXPIRED), "0");
    assert_eq!(text(&mut owner, "SELECT blocked_by FROM eventlog.stat_maintenance"), "∅");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), logged.to_string());
    // No attempt waited for longer than it is to: else the server had told.
    assert_eq!(text(&mut owner, "SELECT eventlog_private.longest_wait_ms()"), "50");
    let log = cluster.log();
    assert!(!log.contains("still waiting for AccessExclusiveLock"), "{log}");
}

#[test]
fn a_role_that_prepared_an_insert_is_named_where_it_holds_up_and_not_waited_for_by_the_rollups() {
    let (db, mut owner) = due(1);
    let mut superuser = db.superuser();
    superuser.batch_execute("GRANT USAGE ON SCHEMA eventlog TO outsider").unwrap();
    let mut outsider = db.connect("outsider");
    outsider
        .batch_execute(&format!(
            "BEGIN; PREPARE p AS INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_A}', 'ping')"
        ))
        .unwrap();
    let pid = text(&mut outsider, "SELECT pg_backend_pid()");
    let who = format!("process {pid} of role outsider, idle in transaction");
    let [outcome, _, failures] = run(&mut owner);
    assert_eq!(outcome, "incomplete");
    assert!(failures.starts_with("drop partition") && failures.contains(&who), "{failures}");
    let blocked = text(&mut owner, "SELECT blocked_by FROM eventlog.stat_maintenance");
    assert!(blocked.contains(&who), "{blocked}");
    let reached = "SELECT rolled_until = announced_until AND rolled_until > now() - interval '2 hours' FROM eventlog.rollup_state";
    assert_eq!(text(&mut owner, reached), "t");
    // Who has written, or will not pass the guard, is waited for.
    let mut writer = db.connect_as("member", TENANT_A);
    for (client, begin) in [
        (&mut writer, "BEGIN; SELECT eventlog.log_event(NULL, 'ping')"),
        (&mut superuser, "BEGIN; LOCK TABLE eventlog.events IN ROW EXCLUSIVE MODE"),
    ] {
        owner
            .batch_execute(
                "UPDATE eventlog.rollup_state SET rolled_until = rolled_until - interval '1 day',
                    announced_until = announced_until - interval '1 day'",
            )
            .unwrap();
        client.batch_execute(begin).unwrap();
        let pid = text(client, "SELECT pg_backend_pid()");
        let [outcome, _, failures] = run(&mut owner);
        assert_eq!(outcome, "incomplete");
        let waits = format!("roll up events: the rollups wait for process {pid} of role ");
        assert!(failures.contains(&waits), "{failures}");
        let blocked = text(&mut owner, "SELECT blocked_by FROM eventlog.stat_maintenance");
        assert!(
            blocked.starts_with(&format!("the rollups wait for process {pid} of")),
            "{blocked}"
        );
        client.batch_execute("COMMIT").unwrap();
        run(&mut owner);
        assert_eq!(text(&mut owner, reached), "t");
    }
    outsider.batch_execute("COMMIT").unwrap();
    assert_eq!(run(&mut owner)[0], "done");
}

#[test]
fn what_an_idle_holder_logs_after_the_watermark_is_counted() {
    let (db, mut owner) = due(0);
    let mut writer = db.connect_as("member", TENANT_A);
    // In a transaction older than the watermark, which it pretends to be by an hour that comes.
    writer
        .batch_execute(
            "BEGIN; PREPARE p AS INSERT INTO eventlog.events (tenant_id, name) VALUES (eventlog.current_tenant(), 'ping')",
        )
        .unwrap();
    owner
        .batch_execute(
            "CREATE OR REPLACE FUNCTION pg_temp.unused() RETURNS void LANGUAGE sql AS '';
             UPDATE eventlog.rollup_state SET announced_until = now() + interval '1 hour', writers = NULL",
        )
        .unwrap();
    // It shows as waiting for its client a moment after its answer is here.
    eventlog_tests::wait_for(&mut owner, "SELECT eventlog_private.writers_have_ended()", "t");
    writer.batch_execute("EXECUTE p; SELECT eventlog.log_event(NULL, 'ping'); COMMIT").unwrap();
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "2");
    owner.batch_execute("SELECT eventlog_private.roll_up()").unwrap();
    while text(&mut owner, "SELECT rolled_until < announced_until FROM eventlog.rollup_state")
        == "t"
    {
        owner.batch_execute("SELECT eventlog_private.roll_up()").unwrap();
    }
    assert_eq!(text(&mut owner, "SELECT sum(events) FROM eventlog.daily_counts"), "3");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.late_events"), "0");
}

#[test]
fn a_prepared_transaction_is_named() {
    let (db, mut owner) = due(1);
    let mut writer = db.connect_as("member", TENANT_A);
    let name = format!("held in {}", db.name);
    writer
        .batch_execute(&format!(
            "BEGIN; SELECT eventlog.log_event(NULL, 'ping'); PREPARE TRANSACTION '{name}'"
        ))
        .unwrap();
    let [outcome, _, failures] = run(&mut owner);
    assert_eq!(outcome, "incomplete");
    let who = format!("prepared transaction '{name}' of role member, prepared at 20");
    assert!(failures.contains(&who), "{failures}");
    writer.batch_execute(&format!("COMMIT PREPARED '{name}'")).unwrap();
    assert_eq!(run(&mut owner)[0], "done");
}

#[test]
fn partitions_that_a_foreign_key_refers_to_stay_and_are_told_and_the_others_go() {
    let (db, mut owner) = due(3);
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "CREATE TABLE public.orders (event_id bigint, event_at timestamptz);
             GRANT REFERENCES ON eventlog.events TO dba; ALTER TABLE public.orders OWNER TO dba;
             GRANT USAGE ON SCHEMA eventlog TO dba;
             SET ROLE dba;
             ALTER TABLE public.orders ADD CONSTRAINT its_event FOREIGN KEY (event_id, event_at) REFERENCES eventlog.events (id, created_at);
             RESET ROLE;
             INSERT INTO eventlog.events (tenant_id, name, created_at)
             SELECT '{TENANT_A}', 'ping', p.from_at FROM eventlog._partitions p WHERE p.until_at < now() - interval '90 days';
             INSERT INTO public.orders SELECT id, created_at FROM eventlog.events ORDER BY created_at LIMIT 1"
        ))
        .unwrap();
    let [outcome, _, failures] = run(&mut owner);
    assert_eq!(outcome, "incomplete");
    assert!(failures.contains("GRANT SELECT ON public.orders TO log_owner;"), "{failures}");
    assert_eq!(text(&mut owner, EXPIRED), "3");
    superuser.batch_execute("GRANT SELECT ON public.orders TO log_owner").unwrap();
    // One that is looked through on a busy machine may be left to the next run.
    for _ in 0..20 {
        run(&mut owner);
        if text(&mut owner, EXPIRED) == "1" {
            break;
        }
    }
    let [outcome, _, failures] = run(&mut owner);
    assert_eq!(outcome, "incomplete");
    let told = "rows of public.orders refer to its events by foreign key its_event; delete those rows, or: ALTER TABLE public.orders DROP CONSTRAINT its_event;";
    assert!(failures.contains(told), "{failures}");
    assert_eq!(text(&mut owner, EXPIRED), "1");
    superuser.batch_execute("ALTER TABLE public.orders DROP CONSTRAINT its_event").unwrap();
    assert_eq!(run(&mut owner)[0], "done");
    assert_eq!(text(&mut owner, EXPIRED), "0");
}

#[test]
fn create_log_beside_an_import_or_an_event_without_partition_waits_and_nobody_dies() {
    let (db, mut owner) = due(0);
    owner
        .batch_execute(
            "DO $$ DECLARE p record; BEGIN FOR p IN SELECT partition_name FROM eventlog._partitions LOOP
                EXECUTE format('DROP TABLE eventlog.%I', p.partition_name); END LOOP; END $$;
             DROP INDEX eventlog.events_tenant_id_created_at_idx",
        )
        .unwrap();
    db.superuser()
        .batch_execute(
            "CREATE TABLE public.old (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz);
             GRANT SELECT ON public.old TO log_owner;
             INSERT INTO public.old VALUES (1, gen_random_uuid(), 'ping', '{}', now() - interval '2 years')",
        )
        .unwrap();
    let mut watcher = db.superuser();
    let deadlocks = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{}'", db.name);
    for (n, first) in [
        format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')"),
        "SELECT * FROM eventlog.import_events('public.old')".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let mut client = db.superuser();
        client.batch_execute(&format!("BEGIN; {first}")).unwrap();
        // Whoever waits holds nothing that the other needs.
        let creator = thread::spawn({
            let mut creator = db.superuser();
            creator.batch_execute("SET lock_timeout = '10min'").unwrap();
            move || creator.batch_execute("SELECT eventlog.create_log()")
        });
        let waits = format!(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = '{}' AND query LIKE '%create_log()' AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep')",
            db.name
        );
        while text(&mut watcher, &waits) != "t" {
            assert!(!creator.is_finished(), "{:?}", creator.join());
            thread::sleep(std::time::Duration::from_millis(5));
        }
        let more =
            format!("SELECT eventlog._make_partition(now() - interval '{} years'); COMMIT", 3 + n);
        client.batch_execute(&more).unwrap();
        creator.join().unwrap().unwrap();
        owner.batch_execute("DROP INDEX eventlog.events_tenant_id_created_at_idx").unwrap();
    }
    assert_eq!(text(&mut owner, &deadlocks), "0");
    // A transaction that does not end is named.
    let mut writer = db.connect_as("member", TENANT_A);
    writer.batch_execute("BEGIN; SELECT eventlog.log_event(NULL, 'ping')").unwrap();
    let mut superuser = db.superuser();
    superuser.batch_execute("SET lock_timeout = '300ms'").unwrap();
    let refused = eventlog_tests::refused(&mut superuser, "SELECT eventlog.create_log()");
    assert_eq!(refused.code().code(), "55P03");
    assert!(
        refused.detail().is_some_and(|detail| detail.contains("of role member")),
        "{refused:?}"
    );
}

#[test]
fn whatever_transactions_the_session_prefers_maintain_and_erasures_run_to_their_end() {
    for setting in [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_isolation = 'repeatable read'",
        "default_transaction_read_only = on",
        "default_transaction_deferrable = on",
    ] {
        let (_db, mut owner) = due(1);
        owner.batch_execute(&format!("SET {setting}")).unwrap();
        assert_eq!(run(&mut owner)[0], "done", "{setting}");
        assert_eq!(text(&mut owner, EXPIRED), "0");
        owner
            .batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', 'a')"))
            .unwrap_or_else(|error| panic!("{setting}: {error:?}"));
        owner.batch_execute(&format!("CALL eventlog.forget_tenant('{TENANT_A}')")).unwrap();
        assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "0", "{setting}");
    }
}

#[test]
fn a_statement_timeout_ends_a_run_as_it_ends_everything() {
    let (db, mut owner) = due(1);
    let mut reader = db.superuser();
    reader.batch_execute("BEGIN; SELECT count(*) FROM eventlog.events").unwrap();
    owner.batch_execute("SET statement_timeout = '200ms'").unwrap();
    assert_refused(&mut owner, "CALL eventlog.maintain()", "57014", "statement timeout");
    owner.batch_execute("RESET statement_timeout").unwrap();
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(run(&mut owner)[0], "done");
    let outcomes = "SELECT string_agg(outcome, ' ' ORDER BY id) FROM eventlog.maintenance_runs";
    assert_eq!(text(&mut owner, outcomes), "interrupted done");
}
