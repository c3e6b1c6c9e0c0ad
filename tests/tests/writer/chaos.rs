//! Servers that go away: nothing is lost, nothing is there twice.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::{Cluster, rows, scaled, text};
use eventlog_writer::sync::Writer;
use eventlog_writer::{Event, Options, WhenFull};

use crate::common::{LONG, numbered, numbers, options, own_cluster};

/// Submits 1,000 events a second until it is told to stop; how many.
fn steadily(writer: &Writer, has_ended: &AtomicBool, submitted: &AtomicU64) {
    let began = Instant::now();
    while !has_ended.load(Ordering::Relaxed) {
        let due = began.elapsed().as_millis() as u64;
        while submitted.load(Ordering::Relaxed) < due {
            let n = submitted.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(writer.log(numbered(n)), "{}", writer.stats());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_outage_loses_nothing_that_the_queue_holds_and_all_is_written_in_order_after_it() {
    let cluster = own_cluster();
    let outage = Duration::from_secs(scaled(3, 60) as u64);
    let options = options().queue(100_000, 256 << 20);
    let writer = Writer::connect(cluster.config("app", "service"), options);
    let (has_ended, submitted) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| steadily(&writer, &has_ended, &submitted));
        thread::sleep(Duration::from_millis(300));
        cluster.stop();
        thread::sleep(outage);
        cluster.start_again();
        thread::sleep(Duration::from_millis(500));
        has_ended.store(true, Ordering::Relaxed);
    });
    let stats = writer.close(LONG).stats;
    let all = submitted.into_inner();
    assert_eq!((stats.submitted, stats.written, stats.dropped), (all, all, 0), "{stats}");
    let expected: Vec<u64> = (1..=all).collect();
    assert_eq!(numbers(&mut cluster.connect("app", "postgres")), expected);
}

#[test]
fn killed_backends_and_crashed_servers_leave_each_event_there_once() {
    let cluster = own_cluster();
    let options = options().queue(100_000, 256 << 20).batch_events(50);
    let writer = Writer::connect(cluster.config("app", "service"), options);
    let (has_ended, submitted) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| steadily(&writer, &has_ended, &submitted));
        for round in 0..scaled(4, 20) {
            thread::sleep(Duration::from_millis(200 + 37 * round as u64 % 100));
            match round % 3 {
                0 => kill_backend(&cluster),
                1 => cluster.crash(),
                _ => terminate(&cluster),
            }
        }
        thread::sleep(Duration::from_millis(300));
        has_ended.store(true, Ordering::Relaxed);
    });
    let stats = writer.close(LONG).stats;
    let all = submitted.into_inner();
    assert_eq!((stats.submitted, stats.written, stats.dropped), (all, all, 0), "{stats}");
    let mut stored = numbers(&mut cluster.connect("app", "postgres"));
    stored.sort_unstable();
    assert_eq!(stored, (1..=all).collect::<Vec<u64>>());
}

/// `kill -9` of the writer's backend: the server restarts all of them.
fn kill_backend(cluster: &Cluster) {
    let Ok(mut client) = cluster.config("app", "postgres").connect(postgres::NoTls) else { return };
    let pids = rows(&mut client, "SELECT pid FROM pg_stat_activity WHERE usename = 'service'");
    for pid in pids {
        Command::new("kill").args(["-9", &pid[0]]).status().unwrap();
    }
    drop(client);
    wait_until_up(cluster);
}

fn terminate(cluster: &Cluster) {
    let Ok(mut client) = cluster.config("app", "postgres").connect(postgres::NoTls) else { return };
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'";
    client.batch_execute(sql).unwrap();
}

fn wait_until_up(cluster: &Cluster) {
    let until = Instant::now() + LONG;
    thread::sleep(Duration::from_millis(50));
    while Instant::now() < until {
        let client = cluster.config("app", "postgres").connect(postgres::NoTls);
        if client.is_ok_and(|mut client| client.batch_execute("SELECT 1").is_ok()) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("the server did not come back");
}

#[test]
fn a_full_queue_makes_log_wait_where_it_may() {
    let cluster = own_cluster();
    cluster.stop();
    let wait = Duration::from_millis(300);
    let options = options().queue(10, 1 << 20).when_full(WhenFull::Block(wait));
    let writer = Writer::connect(cluster.config("app", "service"), options);
    for n in 1..=10 {
        assert!(writer.log(numbered(n)));
    }
    let began = Instant::now();
    assert!(!writer.log(numbered(11)), "the server is down");
    assert!(began.elapsed() >= wait);
    // With the server back there is room soon.
    let (sender, writer) = (&writer, &writer);
    thread::scope(|scope| {
        scope.spawn(|| cluster.start_again());
        let mut is_taken = false;
        for _ in 0..200 {
            is_taken = sender.log(numbered(12));
            if is_taken {
                break;
            }
        }
        assert!(is_taken);
    });
    let stats = writer.close(LONG).stats;
    assert_eq!(stats.written + stats.dropped + stats.rejected, stats.submitted, "{stats}");
    let stored = numbers(&mut cluster.connect("app", "postgres"));
    assert_eq!((stored.first(), stored.last()), (Some(&1), Some(&12)));
}

#[test]
fn a_read_only_standby_is_left_for_the_server_that_takes_its_place() {
    let primary = own_cluster();
    let standby = primary.standby();
    // As a name that points to whichever server: first the standby, then the primary.
    let (first, then) = (standby.config("app", "service"), primary.config("app", "service"));
    let mut calls = 0;
    let writer = Writer::with_connector(options(), move || {
        calls += 1;
        let config = if calls == 1 { &first } else { &then };
        Ok(Box::new(Box::new(config.connect(postgres::NoTls)?)))
    });
    writer.log(numbered(1));
    let stats = writer.close(LONG).stats;
    assert_eq!(stats.written, 1, "{stats}");
    assert_eq!(
        text(&mut primary.connect("app", "postgres"), "SELECT count(*) FROM eventlog.events"),
        "1"
    );
}

#[test]
fn a_batch_that_keeps_failing_is_given_up_after_its_time_if_it_has_one() {
    let nowhere = "host=/nonexistent user=nobody".parse().unwrap();
    let options = Options::new()
        .enabled(true)
        .linger(Duration::ZERO)
        .retry(Duration::from_millis(5), Duration::from_millis(20))
        .give_up_after(Some(Duration::from_millis(100)));
    let writer = Writer::connect(nowhere, options);
    let error = writer.log_and_wait(Event::new("tool_used")).unwrap_err();
    assert!(error.is_transient(), "{error}");
    let stats = writer.stats();
    assert_eq!((stats.submitted, stats.dropped), (1, 1), "{stats}");
}
