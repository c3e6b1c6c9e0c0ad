//! A tenant under steady load, beside another at a hundred times its quota.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::{Cluster, TENANT_A, TENANT_B, db};
use postgres::Client;

use crate::scale::Scale;
use crate::world::SETTINGS;

/// Events a second of the tenant that is measured, and how long a turn lasts.
const STEADY: u32 = 200;
const TURN: Duration = Duration::from_secs(2);

/// What the other tenant may log in a minute; it sends as much as one connection can, which is
/// about a hundred times that.
const QUOTA: usize = 2_000;

/// Latencies of the steady tenant, in turns with and without the flood, by what happens to it.
pub(crate) fn run(scale: Scale) {
    let settings: Vec<_> =
        SETTINGS.iter().copied().chain([("shared_preload_libraries", "eventlog")]).collect();
    let cluster = Cluster::start(&settings);
    db::create_roles(&cluster);
    db::create_log(&cluster, "flood");
    let mut owner = cluster.connect("flood", "log_owner");
    let turns = if scale.rounds > 100 { 10 } else { 2 };

    println!("\nA tenant at {STEADY} events/s beside one that floods, the library preloaded");
    println!("{turns} turns of {TURN:?} each, by turns\n");
    println!("  {:<34}{:>10}{:>10}{:>10}{:>14}", "", "p50, µs", "p99, µs", "sent", "flood sent/s");
    let mut quiet = Vec::new();
    let kinds = ["reject", "sample", "quarantine"];
    let mut flooded = kinds.map(|_| (Vec::new(), 0));
    for _ in 0..turns {
        quiet.extend(steady(&mut connect(&cluster, TENANT_B)));
        for (kind, (latencies, sent)) in kinds.iter().zip(&mut flooded) {
            owner
                .batch_execute(&format!(
                    "SELECT eventlog.set_tenant('{TENANT_A}', events_per_minute => {QUOTA}, over_quota => '{kind}')"
                ))
                .expect("the owner sets");
            let ended = AtomicBool::new(false);
            let calls = AtomicUsize::new(0);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut client = connect(&cluster, TENANT_A);
                    while !ended.load(Ordering::Relaxed) {
                        // Rejected is what most of them should be.
                        let _ = client.execute(CALL, &[]);
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                });
                latencies.extend(steady(&mut connect(&cluster, TENANT_B)));
                ended.store(true, Ordering::Relaxed);
            });
            *sent += calls.into_inner();
        }
    }
    // Each turn's first call is not measured.
    let first = 4 * turns;
    let stored = eventlog_tests::text(
        &mut owner,
        &format!("SELECT count(*) FROM eventlog.events WHERE tenant_id = '{TENANT_B}'"),
    );
    let all = quiet.len() + flooded.iter().map(|(latencies, _)| latencies.len()).sum::<usize>();
    print("alone", quiet, 0.0);
    for (kind, (latencies, sent)) in kinds.iter().zip(flooded) {
        let seconds = TURN.as_secs_f64() * turns as f64;
        print(&format!("flood, over_quota {kind}"), latencies, sent as f64 / seconds);
    }
    println!("\n  stored of the steady tenant: {stored} of {}", all + first);
}

const CALL: &str = "SELECT eventlog.log_event(NULL, 'tool_used', '{\"toolName\": \"Bash\", \"hookEvent\": \"PostToolUse\"}')";

fn connect(cluster: &Cluster, tenant: &str) -> Client {
    let mut client = cluster.connect("flood", "member");
    client
        .batch_execute(&format!(
            "SET eventlog.tenant_id = '{tenant}'; SET client_min_messages = error"
        ))
        .expect("settings for everybody");
    client
}

/// µs of each call of a turn, each begun when its time has come.
fn steady(client: &mut Client) -> Vec<f64> {
    let statement = client.prepare(CALL).expect("a statement of ours");
    client.execute(&statement, &[]).expect("a first one, not measured");
    let started = Instant::now();
    let mut latencies = Vec::new();
    while started.elapsed() < TURN {
        let due = started + Duration::from_secs(1) / STEADY * latencies.len() as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let called = Instant::now();
        client.execute(&statement, &[]).expect("every event of the steady tenant is stored");
        latencies.push(called.elapsed().as_secs_f64() * 1e6);
    }
    latencies
}

fn print(label: &str, mut latencies: Vec<f64>, flood: f64) {
    latencies.sort_by(f64::total_cmp);
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
    println!(
        "  {label:<34}{:>10.0}{:>10.0}{:>10}{:>14.0}",
        at(0.5),
        at(0.99),
        latencies.len(),
        flood
    );
}
