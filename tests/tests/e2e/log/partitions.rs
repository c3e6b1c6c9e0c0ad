//! The partition border: an event whose partition is missing makes it.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use eventlog_tests::{Db, TENANT_A, assert_refused, db, refused, rows, text};
use postgres::Client;

const PING: &str = "SELECT eventlog.log_event(NULL, 'ping')";
const DROP_ALL: &str =
    "DO $$ DECLARE p record; BEGIN FOR p IN SELECT partition_name FROM eventlog._partitions LOOP
    EXECUTE format('DROP TABLE eventlog.%I', p.partition_name); END LOOP; END $$";

/// A log without partitions.
fn bare() -> Db {
    let db = Db::new();
    db.superuser()
        .batch_execute(&format!("SELECT eventlog.define_event('ping'); {DROP_ALL}"))
        .unwrap();
    db
}

fn partitions(client: &mut Client) -> Vec<String> {
    rows(client, "SELECT partition_name || ' ' || from_at || ' ' || until_at FROM eventlog._partitions ORDER BY from_at").concat()
}

fn member(name: &str) -> Client {
    let mut client = db::shared().connect(name, "member");
    client.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
    client
}

/// Logs one event from each of `n` connections at once; the SQLSTATEs of those that failed.
fn all_at_once(db: &Db, n: usize, begin: &'static str) -> Vec<String> {
    let barrier = Arc::new(Barrier::new(n));
    let handles: Vec<_> = (0..n)
        .map(|_| {
            let (name, barrier) = (db.name.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                let mut client = member(&name);
                client.batch_execute(begin).unwrap();
                barrier.wait();
                let result = client.batch_execute(&format!("{PING}; COMMIT"));
                result.err().map(|error| error.code().expect("the server's").code().to_owned())
            })
        })
        .collect();
    handles.into_iter().filter_map(|handle| handle.join().unwrap()).collect()
}

#[test]
fn fifty_connections_that_need_a_partition_at_once_get_one_and_all_events_in() {
    for begin in [
        "BEGIN",
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM eventlog.events",
    ] {
        let db = bare();
        assert_eq!(all_at_once(&db, 50, begin), Vec::<String>::new(), "{begin}");
        let mut superuser = db.superuser();
        assert_eq!(partitions(&mut superuser).len(), 1);
        assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "50");
    }
}

#[test]
fn serializable_transactions_get_their_event_in_or_are_told_to_retry() {
    let db = bare();
    let failed = all_at_once(&db, 30, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    assert!(failed.iter().all(|state| state == "40001"), "{failed:?}");
    let mut superuser = db.superuser();
    assert_eq!(
        text(&mut superuser, "SELECT count(*) FROM eventlog.events"),
        (30 - failed.len()).to_string()
    );
    assert_eq!(partitions(&mut superuser).len(), 1);
}

#[test]
fn a_readers_lock_does_not_hold_the_maker_up() {
    let db = bare();
    let mut analyst = member(&db.name);
    analyst.batch_execute("BEGIN; SELECT count(*) FROM eventlog.events").unwrap();
    assert_eq!(all_at_once(&db, 20, "BEGIN"), Vec::<String>::new());
    analyst.batch_execute("COMMIT").unwrap();
}

#[test]
fn a_maker_in_a_long_transaction_makes_the_others_wait_no_longer_than_the_lock_timeout() {
    let db = bare();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!("ALTER DATABASE {} SET eventlog.lock_timeout = '300ms'", db.name))
        .unwrap();
    let mut long = member(&db.name);
    long.batch_execute(&format!("BEGIN; {PING}")).unwrap();
    let failed = all_at_once(&db, 20, "BEGIN");
    assert_eq!(failed, vec!["55P03"; 20]);
    assert_eq!(text(&mut long, "SELECT eventlog.try_log_event(NULL, 'ping') > 0"), "t");
    long.batch_execute("COMMIT").unwrap();
    assert_eq!(all_at_once(&db, 20, "BEGIN"), Vec::<String>::new());
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "22");
    assert_eq!(partitions(&mut superuser).len(), 1);
}

#[test]
fn a_stronger_lock_on_events_or_on_the_tenants_ends_in_a_lock_timeout() {
    let db = bare();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "ALTER DATABASE {} SET eventlog.lock_timeout = '300ms';
             CREATE TABLE public.tenants (id uuid PRIMARY KEY); INSERT INTO public.tenants VALUES ('{TENANT_A}');
             GRANT REFERENCES, SELECT ON public.tenants TO log_owner;
             SELECT eventlog.reference_tenants('public.tenants', 'foreign_key')",
            db.name
        ))
        .unwrap();
    for lock in [
        "LOCK TABLE eventlog.events IN SHARE UPDATE EXCLUSIVE MODE",
        "LOCK TABLE public.tenants IN ROW EXCLUSIVE MODE",
    ] {
        superuser.batch_execute(&format!("BEGIN; {lock}")).unwrap();
        let failed = all_at_once(&db, 10, "BEGIN");
        assert_eq!(failed, vec!["55P03"; 10], "{lock}");
        superuser.batch_execute("COMMIT").unwrap();
    }
    // Ten that wait for each other, not for a lock that stays, may need longer than that.
    superuser
        .batch_execute(&format!("ALTER DATABASE {} SET eventlog.lock_timeout = '30s'", db.name))
        .unwrap();
    assert_eq!(all_at_once(&db, 10, "BEGIN"), Vec::<String>::new());
    let keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT partition_oid FROM eventlog._partitions)";
    assert_eq!(text(&mut superuser, keys), "1", "the partition has the foreign key");
}

#[test]
fn a_partition_of_a_transaction_that_rolls_back_is_made_again() {
    let db = bare();
    let mut client = member(&db.name);
    client.batch_execute(&format!("BEGIN; {PING}; ROLLBACK; {PING}")).unwrap();
    let mut superuser = db.superuser();
    superuser.batch_execute(&format!("TRUNCATE eventlog.events; {DROP_ALL}")).unwrap();
    client.batch_execute(&format!("BEGIN; SAVEPOINT s; {PING}; ROLLBACK TO s; {PING}; SAVEPOINT s; {PING}; ROLLBACK TO s; COMMIT")).unwrap();
    assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.events"), "1");
    // In a subtransaction of try_log_event and of a batch as well.
    for call in [
        "eventlog.try_log_event(NULL, 'ping')",
        "(SELECT written FROM eventlog.log_events(NULL, '{ping}', NULL::text[]))",
    ] {
        superuser.batch_execute(&format!("TRUNCATE eventlog.events; {DROP_ALL}")).unwrap();
        assert_ne!(text(&mut client, &format!("SELECT {call}")), "∅");
        assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.events"), "1");
    }
}

#[test]
fn a_partition_that_is_detached_under_a_session_is_missed_and_its_name_avoided() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser.batch_execute("SELECT eventlog.define_event('ping')").unwrap();
    let mut client = member(&db.name);
    client.batch_execute(PING).unwrap();
    let name = text(&mut superuser, "SELECT tableoid::regclass FROM eventlog.events");
    superuser
        .batch_execute(&format!("ALTER TABLE eventlog.events DETACH PARTITION {name}"))
        .unwrap();
    client.batch_execute(PING).unwrap();
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "1");
    assert_eq!(
        text(&mut superuser, "SELECT tableoid::regclass FROM eventlog.events"),
        format!("{name}_1")
    );
    // What was detached is as closed as it was.
    assert_refused(&mut client, &format!("SELECT * FROM {name}"), "42501", "permission denied");
}

#[test]
fn partitions_fit_between_neighbours_whatever_the_interval_time_zone_and_date_style() {
    for (interval, zone, style) in [
        ("1 hour", "Pacific/Chatham", "SQL, DMY"),
        ("1 day", "America/St_Johns", "German"),
        ("1 week", "Asia/Kathmandu", "Postgres, MDY"),
        ("3 months", "UTC", "ISO"),
        ("1 year", "Australia/Lord_Howe", "SQL, MDY"),
    ] {
        let db = bare();
        let mut owner = db.superuser();
        owner.batch_execute(&format!("SET timezone = '{zone}'; SET datestyle = '{style}'; UPDATE eventlog.log_config SET partition_interval = '{interval}'")).unwrap();
        for day in [
            "2026-03-28 12:30:00+00",
            "2026-03-29 00:59:59+00",
            "2024-02-29 23:59:59.999999+00",
            "2026-12-31 23:59:59+00",
            "1970-01-01 00:00:00+00",
        ] {
            owner.batch_execute(&format!("SELECT eventlog._make_partition('{day}'::timestamptz); SELECT eventlog._make_partition('{day}'::timestamptz)")).unwrap();
            let covering = format!("SELECT count(*) FROM eventlog._covering_partition('{day}')");
            assert_eq!(text(&mut owner, &covering), "1", "{interval} {zone} {day}");
        }
        // Another interval from now on: the new ones leave the old ones alone.
        owner.batch_execute("UPDATE eventlog.log_config SET partition_interval = '1 month'; SELECT eventlog_private.make_partitions()").unwrap();
        owner.batch_execute("SELECT eventlog._make_partition('2026-03-15'::timestamptz); SELECT eventlog._make_partition('2026-03-31 12:00+00'::timestamptz)").unwrap();
        let overlapping = "SELECT count(*) FROM (SELECT from_at, lag(until_at) OVER (ORDER BY from_at) AS before FROM eventlog._partitions) p WHERE before > from_at";
        assert_eq!(text(&mut owner, overlapping), "0");
        let mut client = member(&db.name);
        client
            .batch_execute(&format!("SET timezone = '{zone}'; SET datestyle = '{style}'; {PING}"))
            .unwrap();
        assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.events"), "1");
    }
}

#[test]
fn only_a_writer_makes_partitions_and_its_own_lock_timeout_is_kept() {
    let db = bare();
    let mut superuser = db.superuser();
    let mut reader = db.connect_as("reader", TENANT_A);
    assert_refused(&mut reader, PING, "42501", "permission denied");
    let mut client = member(&db.name);
    assert_refused(&mut client, "SELECT eventlog._make_partition(now())", "42501", "");
    let plain =
        format!("INSERT INTO eventlog.events (tenant_id, name) VALUES ('{TENANT_A}', 'ping')");
    assert_refused(&mut client, &plain, "23514", "no partition");
    assert_eq!(partitions(&mut superuser).len(), 0);
    client.batch_execute("SET lock_timeout = '123ms'").unwrap();
    client.batch_execute(&format!("BEGIN; SET LOCAL lock_timeout = '77ms'; {PING}")).unwrap();
    assert_eq!(text(&mut client, "SHOW lock_timeout"), "77ms");
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(text(&mut client, "SHOW lock_timeout"), "123ms");
    assert_eq!(partitions(&mut superuser).len(), 1);
}

#[test]
fn a_trigger_of_another_table_makes_a_partition_and_one_on_events_cannot() {
    let db = bare();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE TABLE public.orders (id int); GRANT ALL ON public.orders TO member;
             CREATE FUNCTION public.log_order() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM eventlog.log_event(NULL, 'ping'); RETURN NEW; END $$;
             CREATE TRIGGER log_order AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION public.log_order()",
        )
        .unwrap();
    let mut client = member(&db.name);
    client.batch_execute("INSERT INTO public.orders SELECT generate_series(1, 10)").unwrap();
    assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.events"), "10");
    superuser
        .batch_execute(
            "CREATE FUNCTION public.again() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF pg_trigger_depth() = 1 THEN PERFORM eventlog._make_partition(now() + interval '5 years'); END IF;
                    RETURN NEW;
                END $$;
             CREATE TRIGGER again BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.again()",
        )
        .unwrap();
    let error =
        refused(&mut superuser, &format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')"));
    assert_eq!(error.code().code(), "55006", "{error:?}");
}

#[test]
fn writers_go_on_while_partitions_are_dropped_under_them() {
    let db = Db::new();
    db.superuser().batch_execute("SELECT eventlog.define_event('ping')").unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (name, stop) = (db.name.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                let mut client = member(&name);
                let mut logged = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    client.batch_execute(PING).unwrap_or_else(|error| panic!("{error:?}"));
                    logged += 1;
                }
                logged
            })
        })
        .collect();
    let mut superuser = db.superuser();
    for _ in 0..15 {
        thread::sleep(Duration::from_millis(50));
        superuser.batch_execute(DROP_ALL).unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let logged: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    assert!(logged > 100, "{logged}");
    // The last event may have come before the last DROP.
    member(&db.name).batch_execute(PING).unwrap();
    assert_eq!(partitions(&mut superuser).len(), 1);
}
