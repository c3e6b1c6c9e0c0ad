//! What the writer says of events of which nobody knows whether they were written.

use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::{Db, db};
use eventlog_writer::{Error, Event, Options, Outcome, Report, Stats, asynchronous, sync};
use tokio::runtime::{Builder, Runtime};

use crate::common::{LONG, numbered, numbers, options};
use crate::proxy::{Mode, Proxy};

/// Either writer, so that each test is run with both.
enum Writer {
    Sync(sync::Writer),
    Asynchronous(Runtime, asynchronous::Writer),
}

impl Writer {
    fn both(conninfo: &str, options: &Options) -> [Self; 2] {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asynchronous = runtime.block_on(async {
            asynchronous::Writer::connect(conninfo.parse().unwrap(), options.clone())
        });
        [
            Writer::Sync(sync::Writer::connect(conninfo.parse().unwrap(), options.clone())),
            Writer::Asynchronous(runtime, asynchronous),
        ]
    }

    fn log(&self, event: Event) -> bool {
        match self {
            Writer::Sync(writer) => writer.log(event),
            Writer::Asynchronous(_, writer) => writer.log(event),
        }
    }

    /// Logs an event; returns a function that waits for its result.
    fn log_and_wait(&self, event: Event) -> impl FnOnce() -> Result<Outcome, Error> + use<> {
        let wait: Box<dyn FnOnce() -> Result<Outcome, Error> + Send> = match self {
            Writer::Sync(writer) => {
                let writer = writer.clone();
                Box::new(move || writer.log_and_wait(event))
            }
            Writer::Asynchronous(runtime, writer) => {
                let (runtime, writer) = (runtime.handle().clone(), writer.clone());
                Box::new(move || runtime.block_on(writer.log_and_wait(event)))
            }
        };
        let waiting = thread::spawn(wait);
        move || waiting.join().unwrap()
    }

    fn flush(&self) -> bool {
        match self {
            Writer::Sync(writer) => writer.flush(LONG),
            Writer::Asynchronous(runtime, writer) => runtime.block_on(writer.flush(LONG)),
        }
    }

    fn stats(&self) -> Stats {
        match self {
            Writer::Sync(writer) => writer.stats(),
            Writer::Asynchronous(_, writer) => writer.stats(),
        }
    }

    fn close(&self, timeout: Duration) -> Report {
        match self {
            Writer::Sync(writer) => writer.close(timeout),
            Writer::Asynchronous(runtime, writer) => runtime.block_on(writer.close(timeout)),
        }
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG, "waited for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Lets the acknowledgement of a written event get lost, calls `then`, and returns the error that the
/// waiting caller gets.
fn lose_an_answer(db: &Db, proxy: &Proxy, writer: &Writer, then: impl FnOnce()) -> Error {
    // Over a connection that is there.
    assert!(writer.log(numbered(1)) && writer.flush());
    proxy.set(Mode::LoseAnswers);
    let told = writer.log_and_wait(numbered(2));
    let mut superuser = db.superuser();
    wait_until("the event", || numbers(&mut superuser).ends_with(&[2]));
    then();
    told().unwrap_err()
}

#[test]
fn a_batch_that_was_written_unheard_and_is_refused_when_it_is_sent_again_is_unconfirmed() {
    for face in 0..2 {
        let db = Db::new();
        let proxy = Proxy::before(db::shared());
        let conninfo = proxy.conninfo(&db.name, "service");
        let [sync, asynchronous] = Writer::both(&conninfo, &options());
        let writer = if face == 0 { sync } else { asynchronous };
        let error = lose_an_answer(&db, &proxy, &writer, || {
            let revoke = "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA eventlog FROM public, service";
            db.superuser().batch_execute(revoke).unwrap();
            proxy.cut(Mode::Forward);
        });
        assert_eq!(error.sqlstate(), Some("42501"), "{error}");
        assert!(error.is_unconfirmed() && !error.is_transient());
        // One that was never sent before is refused, without a doubt.
        let error = writer.log_and_wait(numbered(3))().unwrap_err();
        assert!(error.sqlstate() == Some("42501") && !error.is_unconfirmed());
        let report = writer.close(LONG);
        let expected =
            Stats { submitted: 3, written: 1, rejected: 1, unconfirmed: 1, ..Stats::default() };
        assert_eq!(report.stats, expected);
        assert!(!report.is_complete() && report.stats.is_balanced());
        assert_eq!(numbers(&mut db.superuser()), [1, 2]);
    }
}

#[test]
fn a_batch_that_was_written_unheard_and_is_given_up_is_unconfirmed() {
    for face in 0..2 {
        let db = Db::new();
        let proxy = Proxy::before(db::shared());
        let conninfo = proxy.conninfo(&db.name, "service");
        let options = options().give_up_after(Some(Duration::from_millis(100)));
        let [sync, asynchronous] = Writer::both(&conninfo, &options);
        let writer = if face == 0 { sync } else { asynchronous };
        let error = lose_an_answer(&db, &proxy, &writer, || proxy.cut(Mode::Refuse));
        assert!(error.is_unconfirmed() && error.is_transient(), "{error}");
        // One that never got onto the wire is lost, without a doubt.
        let error = writer.log_and_wait(numbered(3))().unwrap_err();
        assert!(!error.is_unconfirmed(), "{error}");
        let stats = writer.close(LONG).stats;
        let expected =
            Stats { submitted: 3, written: 1, dropped: 1, unconfirmed: 1, ..Stats::default() };
        assert_eq!(stats, expected);
    }
}

#[test]
fn a_batch_whose_answer_was_lost_and_comes_when_it_is_sent_again_is_written_once() {
    for face in 0..2 {
        let db = Db::new();
        let proxy = Proxy::before(db::shared());
        let [sync, asynchronous] = Writer::both(&proxy.conninfo(&db.name, "service"), &options());
        let writer = if face == 0 { sync } else { asynchronous };
        assert!(writer.log(numbered(1)) && writer.flush());
        proxy.set(Mode::LoseAnswers);
        let told = writer.log_and_wait(numbered(2));
        let mut superuser = db.superuser();
        wait_until("the event", || numbers(&mut superuser).ends_with(&[2]));
        proxy.cut(Mode::Forward);
        // The counts tell that it is written; the id is not sent twice.
        assert_eq!(told().unwrap(), Outcome::Written(None));
        let stats = writer.close(LONG).stats;
        assert_eq!(stats, Stats { submitted: 2, written: 2, ..Stats::default() });
        assert_eq!(numbers(&mut superuser), [1, 2]);
    }
}

#[test]
fn what_is_on_the_wire_when_the_time_to_close_is_over_is_unconfirmed_and_the_rest_is_dropped() {
    for face in 0..2 {
        let db = Db::new();
        let conninfo = db::shared().conninfo(&db.name, "service");
        let [sync, asynchronous] = Writer::both(&conninfo, &options().batch_events(10));
        let writer = if face == 0 { sync } else { asynchronous };
        let mut superuser = db.superuser();
        let mut lock = superuser.transaction().unwrap();
        lock.batch_execute("LOCK TABLE eventlog.events").unwrap();
        for n in 1..=25 {
            assert!(writer.log(numbered(n)));
        }
        wait_until("the batch", || {
            let waiting = "SELECT 1 FROM pg_stat_activity WHERE usename = 'service'
                               AND datname = current_database() AND wait_event_type = 'Lock'";
            !db.superuser().query(waiting, &[]).unwrap().is_empty()
        });
        assert_eq!(writer.stats().pending, 25);
        let report = writer.close(Duration::from_millis(100));
        assert_eq!((report.stats.dropped, report.stats.unconfirmed), (15, 10), "{report:?}");
        assert!(report.stats.is_balanced() && !report.is_complete());
        assert_eq!(writer.close(Duration::ZERO).stats, report.stats);
        // And indeed.
        lock.rollback().unwrap();
        wait_until("the events", || numbers(&mut superuser) == Vec::from_iter(1..=10));
        assert_eq!(writer.stats(), report.stats);
    }
}

#[test]
fn an_answer_that_makes_no_sense_is_not_asked_for_again() {
    let answers = [
        (
            "log_events returned no row",
            "SELECT 1::bigint, 0::bigint, 0::bigint, 0::bigint, false, NULL::jsonb WHERE false",
        ),
        (
            "it counts 5 events of 1",
            "SELECT 2::bigint, 3::bigint, 0::bigint, 0::bigint, false, NULL::jsonb",
        ),
        (
            "of log_events cannot be read",
            "SELECT -1::bigint, 0::bigint, 0::bigint, 0::bigint, false, NULL::jsonb",
        ),
        (
            "of log_events cannot be read",
            "SELECT NULL::bigint, 0::bigint, 0::bigint, 0::bigint, false, NULL::jsonb",
        ),
        (
            "of log_events cannot be read",
            "SELECT 1::bigint, 0::bigint, 0::bigint, 0::bigint, false, '7'::jsonb",
        ),
    ];
    let db = Db::new();
    let conninfo = db::shared().conninfo(&db.name, "service");
    for (message, answer) in answers {
        let replace = format!(
            "CREATE OR REPLACE FUNCTION eventlog.log_events(
                 tenant_ids uuid[], names text[], data text[],
                 occurred_at timestamptz[] DEFAULT NULL, actors text[] DEFAULT NULL,
                 subjects text[] DEFAULT NULL, idempotency_keys text[] DEFAULT NULL,
                 producer uuid DEFAULT NULL, batch_number bigint DEFAULT NULL,
                 with_verdicts boolean DEFAULT false,
                 OUT written bigint, OUT duplicate bigint, OUT sampled bigint,
                 OUT rejected bigint, OUT is_repeat boolean, OUT verdicts jsonb
             ) RETURNS SETOF record LANGUAGE sql AS $body$ {answer} $body$"
        );
        db.superuser().batch_execute(&replace).unwrap();
        for writer in Writer::both(&conninfo, &options()) {
            assert!(writer.log(numbered(1)));
            assert!(writer.flush(), "it has an end: {message}");
            let error = writer.log_and_wait(numbered(2))().unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.is_unconfirmed() && !error.is_transient(), "{error}");
            let stats = writer.close(LONG).stats;
            assert_eq!(stats, Stats { submitted: 2, unconfirmed: 2, ..Stats::default() });
        }
    }
}
