//! The database goes away under load and comes back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use eventlog_tests::{Cluster, TENANT_A, db, rows, scaled};

use crate::server::{Gateway, grant_gateway, make_key, numbered, settle};

#[test]
fn while_the_database_is_away_events_are_taken_until_the_queue_is_full_and_none_is_lost_or_doubled()
{
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    grant_gateway(&cluster, "app");
    let key = make_key(&cluster, "app", TENANT_A, &[]);
    let away = Duration::from_secs(scaled(5, 60) as u64);
    let options = ["--rate-limit", "0", "--key-cache", "100ms", "--queue-events", "2000"];
    let gateway = Gateway::start(&cluster, "app", &options);

    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Vec<(BTreeSet<usize>, usize, usize)> = std::thread::scope(|scope| {
        let client = || {
            let mut http = gateway.http();
            let (mut accepted, mut refused, mut during) = (BTreeSet::new(), 0, 0);
            while !is_over.load(Ordering::Relaxed) {
                let first = next.fetch_add(10, Ordering::Relaxed);
                let answer = http.track(&key, &numbered(first..first + 10).to_string());
                match answer.status {
                    202 => {
                        accepted.extend(first..first + 10);
                        during += 1;
                    }
                    503 => {
                        assert!(answer.header("retry-after").is_some());
                        refused += 1;
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    other => panic!("{other}: {}", answer.text()),
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            (accepted, refused, during)
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        std::thread::sleep(Duration::from_millis(500));
        cluster.stop();
        let mut http = gateway.http();
        assert_eq!(http.get("/healthz").status, 200);
        std::thread::sleep(away);
        assert_eq!(http.get("/readyz").status, 503);
        cluster.start_again();
        std::thread::sleep(Duration::from_secs(2));
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    let mut http = gateway.http();
    settle(&mut http);
    assert_eq!(http.get("/readyz").status, 200);

    let accepted: BTreeSet<usize> = results.iter().flat_map(|(own, ..)| own.clone()).collect();
    let refused: usize = results.iter().map(|(_, refused, _)| refused).sum();
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
    assert_eq!(http.track_and_wait(&key, r#"{"toolName":"t"}"#).status, 200);
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
