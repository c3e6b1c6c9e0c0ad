//! Tenants that share a writer: one that stalls, floods or fills the queue stalls itself.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use eventlog_tests::{Db, TENANT_A, TENANT_B, db, rows, text, wait_for};
use eventlog_writer::sync::Writer;
use eventlog_writer::{Error, Event, Options, WhenFull, asynchronous};
use serde_json::json;
use uuid::Uuid;

use crate::common::{LONG, config, numbered, options, own_cluster};

fn of(tenant: Uuid, n: u64) -> Event {
    Event::new("tool_used").tenant(tenant).data(&json!({ "toolName": "t", "n": n }))
}

/// Either writer.
enum Face {
    Sync(Writer),
    Asynchronous(tokio::runtime::Runtime, asynchronous::Writer),
}

impl Face {
    fn both(db: &Db, options: &Options) -> [Self; 2] {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let config_of = db::shared().conninfo(&db.name, "service").parse().unwrap();
        let asynchronous =
            runtime.block_on(async { asynchronous::Writer::connect(config_of, options.clone()) });
        [
            Face::Sync(Writer::connect(config(db, "service"), options.clone())),
            Face::Asynchronous(runtime, asynchronous),
        ]
    }

    fn log(&self, event: Event) -> bool {
        match self {
            Face::Sync(writer) => writer.log(event),
            Face::Asynchronous(_, writer) => writer.log(event),
        }
    }

    fn stalled(&self) -> Vec<Option<Uuid>> {
        match self {
            Face::Sync(writer) => writer.health().stalled,
            Face::Asynchronous(_, writer) => writer.health().stalled,
        }
    }

    fn close(&self) -> eventlog_writer::Stats {
        match self {
            Face::Sync(writer) => writer.close(LONG).stats,
            Face::Asynchronous(runtime, writer) => runtime.block_on(writer.close(LONG)).stats,
        }
    }
}

#[test]
fn a_tenant_that_holds_a_key_in_an_open_transaction_stalls_itself_and_its_events_stay_in_order() {
    for face in 0..2 {
        let db = Db::new();
        let [sync, asynchronous] = Face::both(&db, &options());
        let writer = if face == 0 { sync } else { asynchronous };
        let stalling: Uuid = TENANT_A.parse().unwrap();
        let mut client = db.connect("service");
        let mut holder = client.transaction().unwrap();
        let hold = format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'tool_used', '{{\"toolName\": \"t\"}}',
                                       idempotency_key => 'held')"
        );
        holder.batch_execute(&hold).unwrap();
        // In the middle of batches of others, whose events come before and after.
        let others: Vec<Uuid> = (1..=20).map(Uuid::from_u128).collect();
        let mut n = 0;
        for round in 0..50 {
            for other in &others {
                n += 1;
                assert!(writer.log(of(*other, n)));
            }
            n += 1;
            let event = of(stalling, n);
            assert!(writer.log(if round == 5 { event.idempotency_key("held") } else { event }));
        }
        let mut superuser = db.superuser();
        let written =
            format!("SELECT count(*) FROM eventlog.events WHERE tenant_id <> '{TENANT_A}'");
        wait_for(&mut superuser, &written, "1000");
        while writer.stalled() != [Some(stalling)] {
            thread::sleep(Duration::from_millis(10));
        }
        holder.commit().unwrap();
        let stats = writer.close();
        assert_eq!((stats.written, stats.duplicate, stats.dropped), (1_049, 1, 0), "{stats}");
        assert!(writer.stalled().is_empty());
        let disorder = "SELECT count(*) FROM (
            SELECT (data ->> 'n')::int < lag((data ->> 'n')::int) OVER (PARTITION BY tenant_id ORDER BY id)
                FROM eventlog.events WHERE data ? 'n') AS o (is_before) WHERE is_before";
        assert_eq!(rows(&mut superuser, disorder), [["0"]]);
    }
}

#[test]
fn a_tenant_that_fills_the_queue_leaves_room_for_the_others() {
    let cluster = own_cluster();
    cluster.stop();
    let options = options().queue(1_000, 1 << 24);
    let writer = Writer::connect(cluster.config("app", "service"), options);
    let (flooding, other) = (TENANT_A.parse().unwrap(), TENANT_B.parse().unwrap());
    assert!(writer.log(of(other, 1)) && writer.log(of(flooding, 1)));
    let taken = (0..2_000).filter(|n| writer.log(of(flooding, *n))).count();
    assert!((490..=510).contains(&taken), "{taken}");
    for n in 2..=200 {
        assert!(writer.log(of(other, n)), "{}", writer.stats());
    }
    cluster.start_again();
    let stats = writer.close(LONG).stats;
    assert_eq!(stats.dropped as usize, 2_000 - taken, "{stats}");
    let stored = format!(
        "SELECT count(*) FROM eventlog.events WHERE tenant_id = '{TENANT_B}' AND data ? 'n'"
    );
    assert_eq!(text(&mut cluster.connect("app", "postgres"), &stored), "200");
}

#[test]
fn failures_and_drops_are_said_at_once() {
    let db = Db::new();
    let heard = Arc::new(Mutex::new(Vec::<Error>::new()));
    let into = Arc::clone(&heard);
    let options = options()
        .queue(10, 1 << 20)
        .on_error(move |error| into.lock().unwrap().push(error.clone()));
    let mut nowhere = config(&db, "service");
    nowhere.dbname("no_such_database");
    let writer = Writer::connect(nowhere, options);
    assert!(writer.log(numbered(1)));
    while heard.lock().unwrap().is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    let first = heard.lock().unwrap()[0].clone();
    assert_eq!((first.sqlstate(), first.is_transient()), (Some("3D000"), true), "{first}");
    let health = writer.health();
    assert!(!health.is_reaching && health.failing_for.is_some());
    assert_eq!(health.last_failure.unwrap().sqlstate(), Some("3D000"));
    for n in 2..=300 {
        writer.log(numbered(n));
    }
    let second = heard.lock().unwrap()[1].clone();
    assert!(second.to_string().contains("the queue is full"), "{second}");
    let stats = writer.close(Duration::from_millis(10)).stats;
    assert_eq!(stats.dropped, 300, "{stats}");
    let lost = heard.lock().unwrap()[1..].iter().map(Error::events).sum::<u64>();
    assert_eq!(lost, 300, "all of them are said: {:?}", heard.lock().unwrap());
}

#[test]
fn the_longest_times_are_for_ever() {
    let db = Db::new();
    let options = options()
        .linger(Duration::MAX)
        .retry(Duration::MAX, Duration::MAX)
        .give_up_after(Some(Duration::MAX))
        .close_timeout(Duration::MAX)
        .lock_timeout(Some(Duration::MAX))
        .when_full(WhenFull::Block(Duration::MAX))
        .queue(1, 1 << 20);
    for writer in Face::both(&db, &options) {
        match &writer {
            Face::Sync(writer) => {
                for n in 1..=3 {
                    assert!(writer.log_and_wait(numbered(n)).unwrap().is_stored());
                }
                // And of another tenant, from when on locks have their time.
                let other = of(TENANT_B.parse().unwrap(), 4);
                assert!(writer.log(other) && writer.flush(Duration::MAX));
            }
            Face::Asynchronous(runtime, writer) => runtime.block_on(async {
                for n in 1..=4 {
                    assert!(writer.log_and_wait(numbered(n)).await.unwrap().is_stored());
                }
                assert!(writer.flush(Duration::MAX).await);
            }),
        }
        assert_eq!(writer.close().written, 4);
    }
}

#[test]
fn an_asynchronous_writer_that_is_dropped_outside_of_a_runtime_ends_in_its_time() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let probe = Arc::new(());
    let held = Arc::clone(&probe);
    let options = options().close_timeout(Duration::from_millis(50));
    let writer = runtime.block_on(async {
        asynchronous::Writer::with_connector(options, move || {
            let held = Arc::clone(&held);
            // A server that never answers.
            Box::pin(async move {
                std::future::pending::<()>().await;
                drop(held);
                Err("never".into())
            })
        })
    });
    assert!(writer.log(numbered(1)));
    thread::sleep(Duration::from_millis(20));
    drop(writer);
    while Arc::strong_count(&probe) > 1 {
        thread::sleep(Duration::from_millis(5));
    }
}
