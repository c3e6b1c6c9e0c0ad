//! A call of the clients `pg-eventlog` in an application, while the events are sent to the gateway.

use std::path::Path;
use std::process::Command;

use eventlog_tests::{Cluster, db};

use crate::gateway::{DATABASE, settle, start};
use crate::scale::Scale;
use crate::writer::SETTINGS;

/// What a call should take at most, in µs: its 99th percentile.
const TARGETS: [(&str, &str, f64); 2] = [
    ("JavaScript", "javascript/tests/bench.mjs", 50.0),
    ("Python", "python/tests/bench.py", 100.0),
];

/// Medians and 99th percentiles of `track`, at a steady rate and as fast as it goes.
pub(crate) fn run(scale: Scale) {
    let events = if scale.rounds > 100 { "20000" } else { "2000" };
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, DATABASE);
    let gateway = start(&cluster);
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients");
    println!("\nA call of the clients, µs, while the gateway on the same machine takes the events");
    println!(
        "{events} calls each; JSON: the payload's JSON alone, at most 1,000 a second; steady: as many"
    );
    println!("calls of track; flood: calls without a pause\n");
    println!("  {:<14}{:<10}{:>10}{:>10}{:>12}   target", "", "", "p50", "p99", "longest");
    for (name, program, target) in TARGETS {
        let mut command = Command::new(if program.ends_with(".py") { "python3" } else { "node" });
        let output = command
            .arg(clients.join(program))
            .arg(events)
            .env("EVENTLOG_URL", format!("http://{}", gateway.address))
            .env("EVENTLOG_KEY", &gateway.key)
            .env("PYTHONPATH", clients.join("python/src"))
            .output()
            .expect("node and python3");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        // A line of each kind: its name, the median, the 99th percentile and the longest.
        for line in said.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let times: Vec<f64> =
                words[1..].iter().map(|word| word.parse().expect("a time")).collect();
            let verdict = match (words[0], times[1] <= target) {
                ("JSON", _) => String::new(),
                (_, true) => format!("   p99 ≤ {target:.0}  PASS"),
                (_, false) => format!("   p99 ≤ {target:.0}  missed"),
            };
            println!(
                "  {name:<14}{:<10}{:>10.1}{:>10.1}{:>12.0}{verdict}",
                words[0], times[0], times[1], times[2]
            );
        }
        settle(gateway.address);
    }
}
