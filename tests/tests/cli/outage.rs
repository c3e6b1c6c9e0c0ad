//! The database goes away under load and comes back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use eventlog_tests::{Cluster, TENANT_A, db, rows, scaled};

use crate::server::{Gateway, grant_gateway, make_key, metric, numbered, settle};

/// Events that may wait for the database.
const QUEUE: usize = 2_000;
const BEFORE: usize = 0;
const AWAY: usize = 1;
const BACK: usize = 2;

/// What a client of the outage counted.
#[derive(Default)]
struct Counted {
    accepted: BTreeSet<usize>,
    accepted_away: usize,
    refused_away: usize,
    refused_back: usize,
    /// The longest that an answer took, in any phase.
    slowest: Duration,
}

#[test]
fn while_the_database_is_away_events_are_taken_until_the_queue_is_full_and_none_is_lost_or_doubled()
{
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    grant_gateway(&cluster, "app");
    let key = make_key(&cluster, "app", TENANT_A, &[]);
    let away = Duration::from_secs(scaled(5, 60) as u64);
    let queue = QUEUE.to_string();
    let options = ["--rate-limit", "0", "--key-cache", "100ms", "--queue-events", &queue];
    let gateway = Gateway::start(&cluster, "app", &options);

    let (next, phase) = (AtomicUsize::new(0), AtomicUsize::new(BEFORE));
    let is_over = AtomicBool::new(false);
    let results: Vec<Counted> = std::thread::scope(|scope| {
        let client = || {
            let mut http = gateway.http();
            let mut counted = Counted::default();
            while !is_over.load(Ordering::Relaxed) {
                let first = next.fetch_add(10, Ordering::Relaxed);
                let (asked_in, asked) = (phase.load(Ordering::SeqCst), Instant::now());
                let answer = http.track(&key, &numbered(first..first + 10).to_string());
                counted.slowest = counted.slowest.max(asked.elapsed());
                // Away is what was asked and answered in it.
                let is_away = asked_in == AWAY && phase.load(Ordering::SeqCst) == AWAY;
                match answer.status {
                    202 => {
                        counted.accepted.extend(first..first + 10);
                        counted.accepted_away += if is_away { 10 } else { 0 };
                    }
                    503 => {
                        let seconds = answer.header("retry-after").expect("when to come again");
                        assert!((1..=60).contains(&seconds.parse::<u32>().expect("seconds")));
                        match is_away {
                            true => counted.refused_away += 1,
                            false => counted.refused_back += 1,
                        }
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    other => panic!("{other}: {}", answer.text()),
                }
                // Slow enough that the queue is not full before the server has stopped.
                std::thread::sleep(Duration::from_millis(40));
            }
            counted
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        let mut http = gateway.http();
        while metric(&mut http, "eventlog_events_total{outcome=\"written\"}") < 100 {
            std::thread::sleep(Duration::from_millis(10));
        }
        cluster.stop();
        phase.store(AWAY, Ordering::SeqCst);
        assert_eq!(http.get("/healthz").status, 200);
        std::thread::sleep(away);
        assert_eq!(http.get("/readyz").status, 503);
        let pending = metric(&mut http, "eventlog_events_pending") as usize;
        assert!(pending <= QUEUE && pending > QUEUE - 10, "{pending} wait");
        phase.store(BACK, Ordering::SeqCst);
        cluster.start_again();
        // Load goes on until there is room again, and more is written than had waited.
        let written = metric(&mut http, "eventlog_events_total{outcome=\"written\"}");
        while metric(&mut http, "eventlog_events_total{outcome=\"written\"}")
            < written + 2 * QUEUE as u64
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    let mut http = gateway.http();
    settle(&mut http);
    assert_eq!(http.get("/readyz").status, 200);

    let accepted: BTreeSet<usize> =
        results.iter().flat_map(|counted| counted.accepted.iter().copied()).collect();
    let sum = |of: fn(&Counted) -> usize| results.iter().map(of).sum::<usize>();
    let (accepted_away, refused) = (sum(|own| own.accepted_away), sum(|own| own.refused_away));
    let slowest = results.iter().map(|counted| counted.slowest).max().expect("clients");
    println!(
        "away for {away:?}: {accepted_away} events accepted meanwhile, then {refused} requests \
         refused, and {} after it was back; {} accepted in all; slowest answer {slowest:?}",
        sum(|own| own.refused_back),
        accepted.len()
    );
    assert!(accepted_away > 0, "a known key goes on without the database");
    assert!(accepted_away <= QUEUE, "{accepted_away} are more than the queue holds");
    assert!(refused > 0, "the queue was never full");
    let mut superuser = cluster.connect("app", "postgres");
    let written =
        rows(&mut superuser, "SELECT data ->> 'n' FROM eventlog.events WHERE name = 'tool_used'");
    let numbers: BTreeSet<usize> = written.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(numbers.len(), written.len(), "some are doubled");
    assert_eq!(numbers, accepted);
    let (code, log) = gateway.stop();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_gateway_that_starts_before_its_database_serves_once_that_is_there() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    grant_gateway(&cluster, "app");
    let key = make_key(&cluster, "app", TENANT_A, &[]);
    cluster.stop();
    let gateway = Gateway::start(&cluster, "app", &[]);
    let mut http = gateway.http();
    let answer = http.track(&key, r#"{"toolName":"t"}"#);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    cluster.start_again();
    let mut tries = 0;
    while http.track_and_wait(&key, r#"{"toolName":"t"}"#).status != 200 {
        tries += 1;
        assert!(tries < 1000);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_stop_while_the_database_is_away_says_what_was_lost() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    grant_gateway(&cluster, "app");
    let key = make_key(&cluster, "app", TENANT_A, &[]);
    let options = ["--key-cache", "50ms", "--wait-timeout", "100ms", "--shutdown-timeout", "300ms"];
    let gateway = Gateway::start(&cluster, "app", &options);
    let mut http = gateway.http();
    assert_eq!(http.track(&key, r#"{"toolName":"t"}"#).status, 202);
    settle(&mut http);
    cluster.stop();
    // Known keys go on; who waits is told that it was taken, and no more.
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(60));
        let answer = http.track_and_wait(&key, r#"{"toolName":"t"}"#);
        assert_eq!((answer.status, answer.text().as_str()), (202, r#"{"accepted":1}"#));
    }
    let (code, log) = gateway.stop();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("3 events were not acknowledged"), "{log}");
    cluster.start_again();
}
