//! The writer with a task of its own: on runtimes of every kind, and as they end.

use std::future::Future;
use std::time::{Duration, Instant};

use eventlog_tests::{Db, db, rows, scaled};
use eventlog_writer::asynchronous::Writer;
use eventlog_writer::{Event, Options, Stats, WhenFull};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Config, NoTls};

use crate::common::{LONG, numbered, numbers, options, own_cluster, tenant};

fn runtimes() -> [Runtime; 2] {
    [
        Builder::new_current_thread().enable_all().build().unwrap(),
        Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
    ]
}

/// Runs the same on both kinds of runtime, each with a database of its own, and then looks at what
/// is stored: the harness must not be used inside a runtime.
fn on_each<F: Future<Output = ()>>(test: impl Fn(Config) -> F, check: impl Fn(Vec<u64>)) {
    for runtime in runtimes() {
        let db = Db::new();
        runtime.block_on(test(of_db(&db, "service")));
        check(numbers(&mut db.superuser()));
    }
}

fn of_db(db: &Db, role: &str) -> Config {
    db::shared().conninfo(&db.name, role).parse().unwrap()
}

#[test]
fn what_is_logged_is_stored_and_whoever_waits_gets_the_id_or_the_fault() {
    let test = async |config: Config| {
        let writer = Writer::connect(config, options());
        for n in 1..=500 {
            assert!(writer.log(numbered(n)));
        }
        assert!(writer.flush(LONG).await);
        assert_eq!(writer.stats().written, 500);
        assert!(writer.log_and_wait(numbered(501)).await.unwrap().is_stored());
        let error = writer.log_and_wait(Event::new("bogus").tenant(tenant())).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("42704"));
        let report = writer.close(LONG).await;
        assert_eq!(
            report.stats,
            Stats { submitted: 502, written: 501, rejected: 1, ..Stats::default() }
        );
        assert_eq!(writer.close(Duration::ZERO).await.stats, report.stats);
        assert!(!writer.log(numbered(502)));
    };
    on_each(test, |stored| assert_eq!(stored, (1..=501).collect::<Vec<u64>>()));
}

#[test]
fn an_event_in_the_callers_transaction_is_there_if_and_only_if_it_commits() {
    let test = async |config: Config| {
        let writer = Writer::connect(config.clone(), options());
        let (mut client, connection) = config.connect(NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        for (n, is_committed) in [(1, false), (2, true)] {
            let transaction = client.transaction().await.unwrap();
            assert!(writer.log_in(&transaction, numbered(n)).await.unwrap().is_stored());
            match is_committed {
                true => transaction.commit().await.unwrap(),
                false => transaction.rollback().await.unwrap(),
            }
        }
        drop(client);
        driver.await.unwrap().unwrap();
    };
    on_each(test, |stored| assert_eq!(stored, [2]));
}

#[test]
fn a_server_that_restarts_costs_nothing_and_doubles_nothing() {
    let cluster = own_cluster();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let all = scaled(3_000, 60_000) as u64;
    let stats = runtime.block_on(async {
        let options = options().queue(100_000, 256 << 20).batch_events(50);
        let writer = Writer::connect(cluster.conninfo("app", "service").parse().unwrap(), options);
        for n in 1..=all {
            assert!(writer.log(numbered(n)));
            if n % 1_000 == 500 {
                tokio::task::block_in_place(|| cluster.crash());
            }
            if n % 10 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        writer.close(LONG).await.stats
    });
    assert_eq!((stats.written, stats.dropped), (all, 0), "{stats}");
    assert_eq!(numbers(&mut cluster.connect("app", "postgres")), (1..=all).collect::<Vec<u64>>());
}

#[test]
fn close_ends_in_its_time_when_the_server_hangs() {
    let test = async |_: Config| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = format!("host=127.0.0.1 port={port} user=u dbname=d").parse().unwrap();
        let writer = Writer::connect(config, options().batch_events(10));
        for n in 1..=25 {
            assert!(writer.log(numbered(n)));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        let report = writer.close(Duration::from_millis(200)).await;
        assert!(began.elapsed() < LONG / 2);
        assert_eq!((report.stats.dropped, report.stats.unconfirmed), (25, 0), "{report:?}");
    };
    on_each(test, |stored| assert!(stored.is_empty()));
}

#[test]
fn a_writer_that_is_dropped_goes_on_while_its_runtime_does() {
    for runtime in runtimes() {
        let db = Db::new();
        let config = of_db(&db, "service");
        runtime.block_on(async {
            let writer = Writer::connect(config, options().linger(LONG));
            for n in 1..=100 {
                writer.log(numbered(n));
            }
            drop(writer);
            // Within its close_timeout, 5 s.
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        assert_eq!(numbers(&mut db.superuser()).len(), 100);
    }
}

#[test]
fn a_runtime_that_ends_first_loses_what_is_queued_and_the_account_says_so() {
    for runtime in runtimes() {
        let writer = runtime.block_on(async {
            let nowhere = "host=/nonexistent user=nobody".parse().unwrap();
            let writer = Writer::connect(nowhere, options());
            for n in 1..=10 {
                assert!(writer.log(numbered(n)));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            writer
        });
        drop(runtime);
        let stats = writer.stats();
        assert_eq!((stats.submitted, stats.dropped, stats.pending), (10, 10, 0), "{stats}");
        assert!(!writer.log(numbered(11)));
    }
}

#[test]
fn whoever_waits_for_room_gets_it_and_log_never_waits() {
    let test = async |config: Config| {
        let options =
            options().queue(1, 1 << 20).linger(Duration::ZERO).when_full(WhenFull::Block(LONG));
        let writer = Writer::connect(config, options);
        let tasks: Vec<_> = (1..=20)
            .map(|n| {
                let writer = writer.clone();
                tokio::spawn(async move { writer.log_and_wait(numbered(n)).await })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap().unwrap().is_stored());
        }
        assert!(writer.log(numbered(21)));
        let began = Instant::now();
        while writer.log(numbered(22)) && began.elapsed() < LONG {}
        assert!(began.elapsed() < LONG / 2, "it drops at once");
        assert!(writer.close(LONG).await.stats.is_balanced());
    };
    on_each(test, |stored| assert!(stored.len() >= 21));
}

#[test]
fn a_disabled_writer_needs_no_runtime() {
    let nowhere = "host=/nonexistent user=nobody".parse().unwrap();
    let writer = Writer::connect(nowhere, Options::new().enabled(false));
    assert!(!writer.log(numbered(1)) && !writer.is_enabled());
    assert_eq!(writer.stats(), Stats::default());
    let db = Db::new();
    assert!(rows(&mut db.superuser(), "SELECT id FROM eventlog.events").is_empty());
}
