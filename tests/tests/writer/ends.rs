//! How a writer ends: in bounded time, with an honest report.

use std::io::Read;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::Db;
use eventlog_writer::sync::Writer;

use crate::common::{LONG, config, numbered, numbers, options};

#[test]
fn a_writer_that_is_dropped_without_close_sends_what_it_has() {
    let db = Db::new();
    let writer = Writer::connect(config(&db, "service"), options().linger(LONG));
    let clone = writer.clone();
    for n in 1..=500 {
        writer.log(numbered(n));
    }
    drop(writer);
    clone.log(numbered(501));
    drop(clone);
    assert_eq!(numbers(&mut db.superuser()), (1..=501).collect::<Vec<u64>>());
}

#[test]
fn closed_twice_it_says_the_same_and_takes_nothing_more() {
    let db = Db::new();
    let writer = Writer::connect(config(&db, "service"), options());
    writer.log(numbered(1));
    let report = writer.close(LONG);
    assert!(report.is_complete() && report.stats.written == 1);
    assert!(!writer.log(numbered(2)));
    let clone = writer.clone();
    assert_eq!(clone.close(Duration::ZERO).stats, report.stats);
    assert_eq!(writer.stats().dropped, 1);
    assert!(writer.flush(LONG));
}

#[test]
fn a_panic_of_the_application_costs_no_event() {
    let db = Db::new();
    let config = config(&db, "service");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let writer = Writer::connect(config, options());
        writer.log(numbered(1));
        panic!("the application's own");
    }));
    assert!(panicked.is_err());
    assert_eq!(numbers(&mut db.superuser()), [1]);
}

#[test]
fn a_connector_that_panics_ends_the_writer_and_leaves_nobody_waiting() {
    let writer = Writer::with_connector(options(), || panic!("of the application's connector"));
    let error = writer.log_and_wait(numbered(1)).unwrap_err();
    assert!(error.to_string().contains("before there was an answer"), "{error}");
    assert!(!writer.log(numbered(2)));
    let stats = writer.close(LONG).stats;
    assert_eq!((stats.submitted, stats.dropped), (2, 2), "{stats}");
}

/// Accepts connections and never answers.
fn tarpit() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut sink = [0; 1024];
                while stream.read(&mut sink).is_ok_and(|n| n > 0) {}
            });
        }
    });
    port
}

#[test]
fn a_server_that_never_answers_holds_no_close_up_and_whoever_waits_is_told() {
    let config = format!("host=127.0.0.1 port={} user=u dbname=d", tarpit()).parse().unwrap();
    let writer = Writer::connect(config, options().batch_events(10));
    for n in 1..=25 {
        assert!(writer.log(numbered(n)));
    }
    thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    let report = writer.close(Duration::from_millis(300));
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    // It never got as far as to send them.
    assert_eq!((report.stats.dropped, report.stats.unconfirmed), (25, 0), "{report:?}");
    assert!(!report.is_complete() && report.stats.is_balanced());
    // And dropped without close.
    let config = format!("host=127.0.0.1 port={} user=u dbname=d", tarpit()).parse().unwrap();
    let options = options().close_timeout(Duration::from_millis(200));
    let writer = Writer::connect(config, options);
    writer.log(numbered(1));
    let waiting = writer.clone();
    let waiter = thread::spawn(move || waiting.log_and_wait(numbered(2)));
    thread::sleep(Duration::from_millis(100));
    let report = writer.close(Duration::from_millis(200));
    assert_eq!(report.stats.dropped, 2);
    let error = waiter.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("before there was an answer"), "{error}");
}
