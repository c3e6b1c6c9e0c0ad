//! A log that nobody tampers with is valid at every moment, whatever is done with it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use eventlog_tests::cluster::run;
use eventlog_tests::random::Random;
use eventlog_tests::{rows, scaled, text};
use postgres::Client;

use crate::maintenance::clock::Server;

use super::stored::assert_computed;
use super::verdicts::{ALL, assert_valid, wrong};

const TENANTS: &[&str] = &[
    "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
    "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb",
    "cccccccc-cccc-4ccc-8ccc-cccccccccccc",
    "dddddddd-dddd-4ddd-8ddd-dddddddddddd",
    "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee",
];

fn setup(server: &Server) {
    let tenants: Vec<String> = TENANTS.iter().map(|tenant| format!("('{tenant}')")).collect();
    server
        .cluster
        .connect("app", "postgres")
        .batch_execute(&format!(
            "CREATE TABLE public.tenants (id uuid PRIMARY KEY);
             INSERT INTO public.tenants VALUES {};
             ALTER TABLE public.tenants OWNER TO log_owner",
            tenants.join(", ")
        ))
        .unwrap();
    server
        .connect()
        .batch_execute(
            "SELECT eventlog.define_event('pong'), eventlog.define_event('pang', sample_rate => 0.5);
             SELECT eventlog.grant_service('member');
             SELECT eventlog.reference_tenants('public.tenants', 'trigger');
             UPDATE eventlog.log_config SET retention = '100 days';
             CREATE TABLE eventlog.history (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz, actor text)",
        )
        .unwrap();
    server.connect().batch_execute(MAINTAIN).unwrap();
}

fn event(random: &mut Random) -> String {
    let name = *random.pick(&["ping", "ping", "pong", "pang"]);
    let data = eventlog_tests::json::object(random, 2).replace('\'', "''");
    format!("'{name}', '{data}', actor => 'user-{}'", random.below(20))
}

/// One thing that a writer does; the number of its events.
fn write(client: &mut Client, random: &mut Random) -> usize {
    let tenant = *random.pick(TENANTS);
    let log = |random: &mut Random| {
        format!("SELECT eventlog.try_log_event('{tenant}', {});", event(random))
    };
    match random.below(8) {
        // A long transaction, whose day may have ended before it writes.
        0 | 1 => {
            client.batch_execute("BEGIN; SELECT count(*) FROM eventlog.event_types").unwrap();
            thread::sleep(Duration::from_millis(random.below(900) as u64));
            client.batch_execute(&(log(random) + &log(random))).unwrap();
            thread::sleep(Duration::from_millis(random.below(100) as u64));
            client.batch_execute(if random.one_in(4) { "ROLLBACK" } else { "COMMIT" }).unwrap();
            2
        }
        2 => {
            client
                .batch_execute(&format!(
                    "BEGIN; {} SAVEPOINT s; {} ROLLBACK TO s; {} COMMIT",
                    log(random),
                    log(random),
                    log(random)
                ))
                .unwrap();
            2
        }
        3 => {
            let batch = format!(
                "SELECT eventlog.log_events(array_fill('{tenant}'::uuid, ARRAY[40]), array_fill('ping'::text, ARRAY[40]), NULL)"
            );
            client.batch_execute(&batch).unwrap();
            40
        }
        4 => {
            client
                .batch_execute(&format!(
                    "INSERT INTO eventlog.events (tenant_id, name, actor) VALUES ('{tenant}', 'pong', 'plain')"
                ))
                .unwrap();
            1
        }
        _ => {
            client.batch_execute(&log(random)).unwrap();
            1
        }
    }
}

/// Events of some days ago, imported, or inserted by the owner into a month that is closed.
fn import(random: &mut Random, round: usize) -> String {
    let (tenant, days) = (*random.pick(TENANTS), 1 + random.below(60));
    let closed = 40 + random.below(40);
    let id = 1_000_000_000 + round * 1_000;
    format!(
        "TRUNCATE eventlog.history;
         INSERT INTO eventlog.history
         SELECT {id} + g, '{tenant}', 'ping', jsonb_build_object('n', g * 1.50), now() - {days} * interval '1 day' - g % 7 * interval '1 minute', 'user-1'
           FROM generate_series(1, 300) g;
         SELECT eventlog.import_events('eventlog.history');
         SELECT eventlog._make_partition(now() - interval '{closed} days');
         INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at)
         SELECT '{tenant}', 'pong', '{{}}', 'user-2', now() - interval '{closed} days' FROM generate_series(1, 20) g"
    )
}

/// What is done with the log in this round.
fn operation(random: &mut Random, round: usize) -> String {
    let tenant = *random.pick(TENANTS);
    match round % 10 {
        0 | 5 => import(random, round),
        1 => format!("CALL eventlog.forget_actor('{tenant}', 'user-{}')", random.below(20)),
        2 => format!(
            "SELECT eventlog.set_tenant('{tenant}', retention => '{} days')",
            2 + random.below(9)
        ),
        3 => format!(
            "SELECT eventlog.define_event('pong', retention => '{} days')",
            2 + random.below(9)
        ),
        4 => format!("DELETE FROM public.tenants WHERE id = '{tenant}'"),
        6 => format!("CALL eventlog.forget_tenant('{tenant}')"),
        // Drops partitions.
        7 => format!("UPDATE eventlog.log_config SET retention = '{} days'", 20 + random.below(20)),
        8 => format!("CALL eventlog.forget_actor('{tenant}', 'user-1')"),
        _ => "UPDATE eventlog.log_config SET retention = '100 days'".to_owned(),
    }
}

const MAINTAIN: &str = "CALL eventlog.maintain(trust_clock => true)";

/// Erasures wait for maintenance.
const PATIENT: &str = "LOAD 'eventlog'; SET eventlog.lock_timeout = '10min'";

/// All events of days that are sealed are in seals, which lack no others.
fn assert_all_sealed(client: &mut Client) {
    let sql = "
        SELECT (SELECT count(*) FROM eventlog.events e, eventlog.seal_state s WHERE e.created_at < s.sealed_until)
               - (SELECT coalesce(sum(events - gone), 0) FROM eventlog.seals), (SELECT count(*) FROM eventlog.unsealed_events)";
    assert_eq!(rows(client, sql), [["0", "0"]]);
}

#[test]
fn an_untouched_log_is_valid_at_every_moment() {
    stay_valid(scaled(4, 50), scaled(10, 40), false);
}

/// With few writers: while the clock is behind the watermark, all that they log is late.
#[test]
fn a_log_stays_valid_when_the_clock_goes_back() {
    stay_valid(2, scaled(8, 30), true);
}

fn stay_valid(writers: usize, rounds: usize, goes_back: bool) {
    let server = Server::start("+0");
    setup(&server);
    let (is_over, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut random = Random::new();
    let mut hours = 0;
    thread::scope(|scope| {
        for _ in 0..writers {
            let (server, is_over, written) = (&server, &is_over, &written);
            let mut random = Random::seeded(random.bits());
            scope.spawn(move || {
                let mut client = server.cluster.connect("app", "member");
                while !is_over.load(Ordering::Relaxed) {
                    written.fetch_add(write(&mut client, &mut random), Ordering::Relaxed);
                    // Others want the machine as well.
                    thread::sleep(Duration::from_millis(random.below(20) as u64));
                }
            });
        }
        // Somebody who verifies all the time.
        let verifier = scope.spawn(|| {
            let mut client = server.connect();
            let mut verified = 0;
            while !is_over.load(Ordering::Relaxed) {
                let tenant = TENANTS.get(verified % 6).copied().unwrap_or(ALL);
                let wrong = wrong(&mut client, tenant);
                assert!(wrong.is_empty(), "while writers write: {wrong:#?}");
                verified += 1;
            }
            verified
        });
        // Maintenance all the time, as of the background worker.
        let maintainer = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                server.connect().batch_execute(MAINTAIN).unwrap();
                thread::sleep(Duration::from_millis(50));
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..rounds {
                // Until the writers have done something.
                let enough = written.load(Ordering::Relaxed) + 200;
                while written.load(Ordering::Relaxed) < enough
                    && !verifier.is_finished()
                    && !maintainer.is_finished()
                {
                    thread::sleep(Duration::from_millis(10));
                }
                hours = match round % 3 {
                    2 if goes_back => hours - 30,
                    _ => hours + 20 + random.below(30),
                };
                server.set(&format!("+{hours}h"));
                let mut owner = server.cluster.connect("app", "postgres");
                owner.batch_execute(PATIENT).unwrap();
                let sql = operation(&mut random, round);
                owner.batch_execute(&sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
                assert_valid(&mut owner, &sql);
                owner.batch_execute(MAINTAIN).unwrap();
                assert_valid(&mut owner, &format!("maintain() after {sql}"));
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        maintainer.join().expect("the maintenance");
        println!("verified {} times", verifier.join().expect("the verifier"));
        result.unwrap();
    });
    server.set(&format!("+{}h", hours + 48));
    let mut owner = server.connect();
    for _ in 0..3 {
        owner.batch_execute(MAINTAIN).unwrap();
    }
    assert_valid(&mut owner, "at the end");
    assert_computed(&mut owner);
    assert_all_sealed(&mut owner);
    let done = "SELECT count(*) FILTER (WHERE part > 0) > 0, count(*) FILTER (WHERE gone > 0) > 0,
        count(DISTINCT tenant_id) > 3, count(DISTINCT day) > 5, (SELECT count(*) FROM eventlog.seal_receipts) > 3 FROM eventlog.seals";
    assert_eq!(rows(&mut owner, done), [["t"; 5]]);
    let outcome = "SELECT outcome || array_to_string(failures, '; ') FROM eventlog.maintenance_runs ORDER BY id DESC LIMIT 1";
    assert_eq!(text(&mut owner, outcome), "done");
    drop(owner);

    let cluster = &server.cluster;
    cluster.connect("postgres", "postgres").batch_execute("CREATE DATABASE copy").unwrap();
    let dump = run(cluster.client("pg_dump").arg("app"));
    cluster.psql("copy", "postgres", &dump).unwrap_or_else(|error| panic!("{error}"));
    let mut copy = cluster.connect("copy", "postgres");
    assert_valid(&mut copy, "in a copy");
    assert_computed(&mut copy);
}
