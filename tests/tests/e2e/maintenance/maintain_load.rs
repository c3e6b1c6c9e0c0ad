//! maintain() beside writers and readers at full speed, and cut short by crashes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, db, rows, scaled, text};
use postgres::Client;

/// Partitions that are past retention, and one that is missing ahead.
const TURN_OVER: &str = "
    SELECT eventlog._make_partition(now() - g * interval '1 month') FROM generate_series(5, 7) g;
    DO $$ BEGIN
        PERFORM set_config('lock_timeout', '100ms', true);
        EXECUTE format('DROP TABLE eventlog.%I', (SELECT max(partition_name) FROM eventlog._partitions));
    EXCEPTION WHEN lock_not_available THEN NULL;
    END $$";

#[test]
fn eight_writers_and_four_readers_never_see_an_error_while_partitions_come_and_go() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner.batch_execute("SELECT eventlog.define_event('ping')").unwrap();
    let (is_over, written, slowest) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let rounds = scaled(6, 50);
    thread::scope(|scope| {
        for number in 0..8 {
            let (is_over, written, slowest, db) = (&is_over, &written, &slowest, &db);
            scope.spawn(move || {
                let mut client = db.connect_as("member", TENANT_A);
                while !is_over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let events = if number % 2 == 0 {
                        client.batch_execute("SELECT eventlog.log_event(NULL, 'ping')").unwrap();
                        1
                    } else {
                        let written = text(&mut client, "SELECT written FROM eventlog.log_events(NULL, '{ping,ping,ping}', NULL)");
                        assert_eq!(written, "3");
                        3
                    };
                    written.fetch_add(events, Ordering::Relaxed);
                    slowest.fetch_max(begun.elapsed().as_millis() as u64, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..4 {
            let (is_over, db) = (&is_over, &db);
            scope.spawn(move || {
                let mut client = db.connect_as("member", TENANT_A);
                while !is_over.load(Ordering::Relaxed) {
                    client.batch_execute("SELECT count(*) FROM eventlog.events").unwrap();
                }
            });
        }
        // A panic here must not leave the others at work for ever.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..rounds {
                owner.batch_execute(TURN_OVER).unwrap();
                owner.batch_execute("CALL eventlog.maintain()").unwrap();
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        result.unwrap();
    });
    owner.batch_execute("CALL eventlog.maintain()").unwrap();
    let written = written.into_inner();
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), written.to_string());
    assert_eq!(
        text(&mut owner, "SELECT count(*) FROM eventlog.stat_partitions WHERE state = 'expired'"),
        "0"
    );
    let deadlocks = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{}'", db.name);
    assert_eq!(text(&mut owner, &deadlocks), "0");
    let slowest = slowest.into_inner();
    println!("{rounds} rounds, {written} events, the slowest statement took {slowest} ms");
    // lock_timeout is 5 s; the rest is the machine's.
    assert!(slowest < 10_000, "a writer waited {slowest} ms");
}

fn fill(client: &mut Client) {
    client
        .batch_execute(&format!(
            "SELECT eventlog._make_partition(now() - g * interval '1 month') FROM generate_series(1, 6) g;
             INSERT INTO eventlog.events (tenant_id, name, actor, data, created_at)
             SELECT CASE g % 3 WHEN 0 THEN '{TENANT_A}'::uuid ELSE '{TENANT_B}'::uuid END, 'ping', 'a' || g % 50, '{{}}',
                    now() - g * interval '1 month' / 6000
               FROM generate_series(1, 30000) g;
             SELECT eventlog.set_tenant('{TENANT_A}', retention => '7 days')"
        ))
        .unwrap();
}

#[test]
fn a_crash_at_any_moment_of_maintenance_leaves_a_log_that_the_next_run_finishes() {
    let mut random = Random::seeded(7);
    for round in 0..scaled(3, 20) {
        let cluster = Cluster::start(&[]);
        db::create_roles(&cluster);
        db::create_log(&cluster, "app");
        let mut owner = cluster.connect("app", "log_owner");
        owner.batch_execute("SELECT eventlog.define_event('ping')").unwrap();
        fill(&mut owner);
        let total = text(&mut owner, "SELECT count(*) FROM eventlog.events");
        let wait =
            Duration::from_millis(random.below(if round % 2 == 0 { 400 } else { 1500 }) as u64);
        let mut victim = cluster.connect("app", "log_owner");
        let running =
            thread::spawn(move || victim.batch_execute("CALL eventlog.maintain()").is_ok());
        thread::sleep(wait);
        cluster.crash();
        let finished = running.join().unwrap();
        let mut owner = cluster.connect("app", "log_owner");
        owner.batch_execute("CALL eventlog.maintain()").unwrap();
        println!(
            "round {round}: crash after {wait:?}, the run had {}",
            if finished { "ended" } else { "not ended" }
        );
        let last = rows(
            &mut owner,
            "SELECT outcome, failures FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1",
        );
        assert_eq!(last, [["done", "{}"]]);
        assert_eq!(
            text(
                &mut owner,
                "SELECT sum(events) FROM eventlog.daily_counts d, eventlog.rollup_state s WHERE d.day < s.rolled_until"
            ),
            text(
                &mut owner,
                &format!(
                    "SELECT {total} - count(*) FROM eventlog.events e, eventlog.rollup_state s WHERE e.created_at >= s.rolled_until"
                )
            )
        );
        let faults = "SELECT count(*) FROM eventlog.verify_rollups() WHERE NOT is_sealed";
        assert_eq!(text(&mut owner, faults), "0");
        let expired = format!(
            "SELECT count(*) FROM eventlog.events e WHERE e.created_at < now() - interval '5 months'
                OR (e.tenant_id = '{TENANT_A}' AND e.created_at < now() - interval '8 days')"
        );
        assert_eq!(text(&mut owner, &expired), "0");
        assert_eq!(text(&mut owner, "SELECT due = '{}' FROM eventlog.stat_maintenance"), "t");
        let closed = "SELECT count(*) FROM pg_class c JOIN eventlog._partitions p ON p.partition_oid = c.oid WHERE NOT c.relrowsecurity OR c.relowner <> 'log_owner'::regrole";
        assert_eq!(text(&mut owner, closed), "0");
    }
}
