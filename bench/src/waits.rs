//! How long writers wait for maintenance: `maintain()` has a partition to drop, which a reader's open
//! transaction holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::{Cluster, TENANT_A, db};
use postgres::Client;

use crate::scale::Scale;
use crate::stats::Target;
use crate::world::SETTINGS;

const WRITERS: usize = 8;

/// Events a second of each writer: a busy machine makes them wait for it, and not for locks.
const STEADY: u32 = 50;
const TURN: Duration = Duration::from_secs(2);

/// What no writer is to wait for maintenance, in milliseconds.
const MOST_MS: f64 = 100.0;

/// Prints how long log_event took, in turns with and without maintain().
pub(crate) fn run(scale: Scale) {
    let most = format!("'{MOST_MS}ms'");
    // The server's log tells who waits for a lock for longer.
    let settings: Vec<_> = SETTINGS
        .iter()
        .copied()
        .chain([("deadlock_timeout", most.as_str()), ("log_lock_waits", "on")])
        .collect();
    let cluster = Cluster::start(&settings);
    db::create_roles(&cluster);
    db::create_log(&cluster, "waits");
    let mut owner = cluster.connect("waits", "log_owner");
    owner.batch_execute("SELECT eventlog.define_event('ping')").expect("the owner's");
    let turns = if scale.rounds > 100 { 10 } else { 2 };

    let (mut alone, mut beside, mut runs) = (Vec::new(), Vec::new(), 0);
    for _ in 0..turns {
        alone.extend(write_during(&cluster, || thread::sleep(TURN)));
        owner
            .batch_execute(
                "SELECT eventlog._make_partition(date_trunc('month', now()) - interval '9 months')",
            )
            .expect("the owner's");
        beside.extend(write_during(&cluster, || runs += drop_beside_reader(&cluster, &mut owner)));
    }
    let logged = alone.len() + beside.len() + 2 * turns * WRITERS;
    let stored = eventlog_tests::text(&mut owner, "SELECT count(*) FROM eventlog.events");
    assert_eq!(stored, logged.to_string(), "every event is in the log");
    // The reader of a partition may wait as long as it likes: those are maintain()'s own waits.
    let log = cluster.log();
    let lock_waits =
        log.lines().filter(|line| line.contains("still waiting for RowExclusiveLock")).count();

    println!("\n{WRITERS} writers of {STEADY} events/s each, without maintain(), and beside it");
    println!(
        "{turns} turns of {TURN:?} each; in each one a partition is due that a reader's open transaction \
         holds;\nthen it ends and the partition is dropped; {runs} runs of maintain()\n"
    );
    println!(
        "  {:<24}{:>10}{:>10}{:>10}{:>12}{:>10}",
        "milliseconds", "median", "p99", "longest", "over 100", "events"
    );
    print("alone", &mut alone);
    print("beside maintain()", &mut beside);
    let longest = beside.last().copied().unwrap_or_default();
    println!("\n  longest wait beside maintain(), ms: {}", Target::AtMost(MOST_MS).judge(longest));
    println!("  waits for a lock over {MOST_MS} ms, by the server's log: {lock_waits}");
}

/// Calls maintain() beside a reader's open transaction until the turn is over, and once more after
/// it; how often.
fn drop_beside_reader(cluster: &Cluster, owner: &mut Client) -> usize {
    const EXPIRED: &str = "SELECT count(*) FROM eventlog.stat_partitions WHERE state = 'expired'";
    let mut reader = connect(cluster);
    reader.batch_execute("BEGIN; SELECT count(*) FROM eventlog.events").expect("it may read");
    let started = Instant::now();
    let mut runs = 0;
    while started.elapsed() < TURN {
        owner.batch_execute("CALL eventlog.maintain()").expect("the owner's");
        runs += 1;
    }
    assert_eq!(eventlog_tests::text(owner, EXPIRED), "1", "a reader has it");
    reader.batch_execute("COMMIT").expect("it has only read");
    // Writers that come in between may leave it to the next run.
    while eventlog_tests::text(owner, EXPIRED) != "0" {
        owner.batch_execute("CALL eventlog.maintain()").expect("the owner's");
        runs += 1;
    }
    runs
}

/// Milliseconds of each event that the writers log as long as it takes.
fn write_during(cluster: &Cluster, what: impl FnOnce()) -> Vec<f64> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let is_over = &is_over;
                scope.spawn(move || write(&mut connect(cluster), number, is_over))
            })
            .collect();
        what();
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
    })
}

fn connect(cluster: &Cluster) -> Client {
    let mut client = cluster.connect("waits", "member");
    client
        .batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'"))
        .expect("a setting for everybody");
    client
}

/// Logs one event after the other, each when its time has come.
fn write(client: &mut Client, number: usize, is_over: &AtomicBool) -> Vec<f64> {
    let statement =
        client.prepare("SELECT eventlog.log_event(NULL, 'ping')").expect("a statement of ours");
    client.execute(&statement, &[]).expect("a first one, not measured");
    let step = Duration::from_secs(1) / STEADY;
    // Not all at once.
    let started = Instant::now() + step * number as u32 / WRITERS as u32;
    let mut latencies = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let due = started + step * latencies.len() as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let called = Instant::now();
        client.execute(&statement, &[]).expect("it may log");
        latencies.push(called.elapsed().as_secs_f64() * 1e3);
    }
    latencies
}

/// Sorts them, too.
fn print(label: &str, latencies: &mut [f64]) {
    latencies.sort_by(f64::total_cmp);
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
    let over = latencies.iter().filter(|latency| **latency > MOST_MS).count();
    println!(
        "  {label:<24}{:>10.2}{:>10.2}{:>10.2}{over:>12}{:>10}",
        at(0.5),
        at(0.99),
        at(1.0),
        latencies.len()
    );
}
