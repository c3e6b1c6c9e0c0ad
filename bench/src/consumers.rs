//! What consumers that read cost those who write, and what idle ones cost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, TENANT_A, db};
use postgres::Client;

use crate::scale::Scale;
use crate::stats::{Quartiles, Target};
use crate::world::SETTINGS;

/// Events of a turn.
const EVENTS: usize = 2_000;
/// Consumers that read by turns, each after another pause.
const CONSUMERS: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);
/// Consumers that are there and have nothing to read.
const IDLE: usize = 1_000;

const DATA: &str = r#"{"toolName": "search", "hookEvent": "PostToolUse", "durationMs": 120}"#;
const TARGET: Target = Target::AtMost(1.03);
/// Ways to log, by the number that [`turn`] takes.
pub(crate) const WAYS: [&str; 2] = ["log_event", "log_events, 500 at a time"];

/// Prints medians and ratios. Turns with and without readers follow each other in each round.
pub(crate) fn run(scale: Scale) {
    let rounds = scale.rounds.min(100);
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, "consumers");
    let mut owner = cluster.connect("consumers", "log_owner");
    owner.batch_execute("SELECT eventlog.define_event('tool_used')").expect("a type");
    for number in 0..CONSUMERS {
        let sql = format!("SELECT eventlog.create_consumer('c{number}', '{TENANT_A}')");
        owner.batch_execute(&sql).expect("a consumer");
    }
    let (reads, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut random = Random::seeded(19);
    let mut times = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    thread::scope(|scope| {
        scope.spawn(|| read(&mut connect(&cluster), &reads, &ended));
        let mut client = connect(&cluster);
        // The first round warms up.
        for round in 0..=rounds {
            let mut order = [(0, false), (0, true), (1, false), (1, true)];
            for last in (1..order.len()).rev() {
                order.swap(last, random.below(last + 1));
            }
            for (way, with_readers) in order {
                reads.store(with_readers, Ordering::Relaxed);
                // The reader has heard of it.
                thread::sleep(2 * PAUSE);
                let time = turn(&mut client, way);
                if round > 0 {
                    times[way][usize::from(with_readers)].push(time);
                }
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    println!("\nWriting beside {CONSUMERS} consumers that read, and without");
    println!("{rounds} rounds of {EVENTS} events; µs an event, medians\n");
    println!("  {:<28}{:>9}{:>9}{:>9}   {:<16}target", "", "without", "with", "ratio", "quartiles");
    for (way, [without, with]) in WAYS.iter().zip(&times) {
        let ratio = Quartiles::of_ratios(with, without);
        println!(
            "  {way:<28}{:>9.2}{:>9.2}{:>9.3}   {:<16}{}",
            Quartiles::of(without).median,
            Quartiles::of(with).median,
            ratio.median,
            format!("{:.3} to {:.3}", ratio.first, ratio.third),
            TARGET.judge(ratio.median)
        );
    }
    idle(&cluster, &mut owner, rounds);
}

fn connect(cluster: &Cluster) -> Client {
    let mut client = cluster.connect("consumers", "member");
    let tenant = format!("SET eventlog.tenant_id = '{TENANT_A}'");
    client.batch_execute(&tenant).expect("a setting for everybody");
    client
}

/// Reads with one consumer after the other, and acknowledges.
fn read(client: &mut Client, reads: &AtomicBool, ended: &AtomicBool) {
    for number in (0..CONSUMERS).cycle() {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(PAUSE);
        if !reads.load(Ordering::Relaxed) {
            continue;
        }
        let sql = format!("SELECT max(id) FROM eventlog.read_events_after('c{number}')");
        let last: Option<i64> = client.query_one(&sql, &[]).expect("it goes on").get(0);
        if let Some(last) = last {
            let sql = format!("SELECT eventlog.acknowledge('c{number}', {last})");
            client.batch_execute(&sql).expect("it was read");
        }
    }
}

/// Logs [`EVENTS`] events for the tenant of the connection, and returns the µs of each.
pub(crate) fn turn(client: &mut Client, way: usize) -> f64 {
    let started = Instant::now();
    match way {
        0 => {
            let sql = "SELECT eventlog.log_event(NULL, 'tool_used', $1::text::jsonb)";
            let statement = client.prepare(sql).expect("a statement of ours");
            for _ in 0..EVENTS {
                client.execute(&statement, &[&DATA]).expect("it goes on");
            }
        }
        _ => {
            let sql = "SELECT written FROM eventlog.log_events(NULL, $1, $2)";
            let statement = client.prepare(sql).expect("a statement of ours");
            let (names, data) = (vec!["tool_used"; 500], vec![DATA; 500]);
            for _ in 0..EVENTS / 500 {
                client.execute(&statement, &[&names, &data]).expect("it goes on");
            }
        }
    }
    started.elapsed().as_secs_f64() * 1e6 / EVENTS as f64
}

/// Prints what a look of one consumer costs, alone and among many that are idle.
fn idle(cluster: &Cluster, owner: &mut Client, rounds: usize) {
    let mut client = connect(cluster);
    let catch_up =
        "UPDATE eventlog.consumers SET acknowledged_id = (SELECT max(id) FROM eventlog.events)";
    let mut medians = Vec::new();
    for idle in [0, IDLE] {
        let add = format!(
            "INSERT INTO eventlog.consumers (tenant_id, consumer) SELECT gen_random_uuid(), 'idle' FROM generate_series(1, {idle})"
        );
        owner.batch_execute(&add).expect("consumers");
        owner.batch_execute(catch_up).expect("nothing is left to read");
        let sql = "SELECT count(*) FROM eventlog.read_events_after('c0')";
        let statement = client.prepare(sql).expect("a statement of ours");
        let time = |_| {
            let started = Instant::now();
            client.query_one(&statement, &[]).expect("it goes on");
            started.elapsed().as_secs_f64() * 1e6
        };
        let times: Vec<f64> = (0..rounds * 20).map(time).collect();
        medians.push(Quartiles::of(&times).median);
    }
    println!(
        "\n  A look with nothing to read: {:.0} µs; among {IDLE} idle consumers: {:.0} µs",
        medians[0], medians[1]
    );
}
