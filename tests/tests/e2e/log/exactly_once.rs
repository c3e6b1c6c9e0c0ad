//! Each event once: numbered batches that come again, and idempotency keys.

use std::thread;
use std::time::Duration;

use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, assert_refused, db, rows, scaled, text};
use postgres::Client;

const PRODUCER: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";

/// A batch of `n` good events with its number.
fn batch(number: i64, n: usize) -> String {
    format!(
        "SELECT written, duplicate, rejected, is_repeat FROM eventlog.log_events(NULL, array_fill('ping'::text, ARRAY[{n}]),
            array_fill('{{\"batch\": {number}}}'::text, ARRAY[{n}]), producer => '{PRODUCER}', batch_number => {number})"
    )
}

fn open() -> Db {
    let db = Db::new();
    db.superuser().batch_execute("SELECT eventlog.define_event('ping')").unwrap();
    db
}

fn count(client: &mut Client) -> String {
    text(client, "SELECT count(*) FROM eventlog.events")
}

#[test]
fn a_batch_that_is_sent_again_writes_nothing_and_returns_the_counts_of_then() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    let mixed = format!(
        "SELECT written, duplicate, rejected, is_repeat, verdicts IS NULL FROM eventlog.log_events(NULL, '{{ping,pong,ping}}',
            NULL::text[], producer => '{PRODUCER}', batch_number => 1, with_verdicts => true)"
    );
    assert_eq!(rows(&mut member, &mixed), [["2", "0", "1", "f", "f"]]);
    for _ in 0..3 {
        assert_eq!(rows(&mut member, &mixed), [["2", "0", "1", "t", "t"]]);
    }
    // From another connection too, and after other batches only the last is remembered.
    let mut other = db.connect_as("member", TENANT_A);
    assert_eq!(rows(&mut other, &mixed), [["2", "0", "1", "t", "t"]]);
    assert_eq!(rows(&mut other, &batch(2, 5)), [["5", "0", "0", "f"]]);
    assert_refused(
        &mut member,
        &mixed,
        "22023",
        "batch_number 1 of the producer is below its last one, 2",
    );
    assert_eq!(count(&mut member), "7");
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.rejected_events"), "1");
    // A gap is taken and counted.
    assert_eq!(rows(&mut member, &batch(6, 1)), [["1", "0", "0", "f"]]);
    let kept = "SELECT role_name, batch_number, batches, gaps, written FROM eventlog.producers";
    assert_eq!(rows(&mut db.superuser(), kept), [["member", "6", "3", "3", "1"]]);
}

#[test]
fn a_batch_whose_transaction_rolled_back_was_never_sent() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    member.batch_execute("BEGIN").unwrap();
    assert_eq!(rows(&mut member, &batch(1, 3)), [["3", "0", "0", "f"]]);
    assert_eq!(rows(&mut member, &batch(1, 3)), [["3", "0", "0", "t"]]);
    member.batch_execute("ROLLBACK").unwrap();
    assert_eq!(count(&mut member), "0");
    assert_eq!(rows(&mut member, &batch(1, 3)), [["3", "0", "0", "f"]]);
    assert_eq!(count(&mut member), "3");
}

#[test]
fn two_connections_that_send_the_same_batch_at_once_write_it_once() {
    let db = open();
    let rounds = scaled(30, 500);
    let name = db.name.clone();
    let send = move |name: String| {
        let mut client = db::shared().connect(&name, "member");
        client.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
        let mut repeats = 0;
        for number in 0..rounds {
            // The faster one may be a batch ahead: then the number is below the last.
            match client.simple_query(&batch(number as i64, 20)) {
                Ok(answer) => {
                    if let postgres::SimpleQueryMessage::Row(row) = &answer[1] {
                        assert_eq!(row.get(0), Some("20"));
                        repeats += usize::from(row.get(3) == Some("t"));
                    }
                }
                Err(error) => {
                    assert_eq!(error.code().unwrap().code(), "22023", "{error:?}");
                    repeats += 1;
                }
            }
        }
        repeats
    };
    let (first, second) = (name.clone(), name);
    let handles = [thread::spawn(move || send(first)), thread::spawn(move || send(second))];
    let repeats: usize = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
    assert_eq!(repeats, rounds, "each batch was new once and a repeat once");
    assert_eq!(count(&mut db.superuser()), (rounds * 20).to_string());
}

#[test]
fn another_role_that_guesses_the_producer_changes_nothing() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    let mut writer = db.connect_as("writer", TENANT_B);
    assert_eq!(rows(&mut member, &batch(1, 2)), [["2", "0", "0", "f"]]);
    assert_eq!(rows(&mut writer, &batch(1_000_000, 1)), [["1", "0", "0", "f"]]);
    assert_eq!(rows(&mut member, &batch(1, 2)), [["2", "0", "0", "t"]]);
    assert_eq!(rows(&mut member, &batch(2, 2)), [["2", "0", "0", "f"]]);
    assert_refused(&mut writer, "SELECT * FROM eventlog.producers", "42501", "permission denied");
    // A producer that was trimmed begins anew with any number.
    db.superuser().batch_execute("DELETE FROM eventlog.producers").unwrap();
    assert_eq!(rows(&mut member, &batch(7, 1)), [["1", "0", "0", "f"]]);
    assert_refused(&mut member, &batch(6, 1), "22023", "below its last one, 7");
}

#[test]
fn a_batch_survives_a_killed_server_once_whether_it_was_acknowledged_or_not() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    cluster.psql("app", "postgres", "SELECT eventlog.define_event('ping')").unwrap();
    let connect = || {
        let mut client = cluster.connect("app", "member");
        client.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
        client
    };
    for round in 0..scaled(2, 20) as i64 {
        // Killed between the commit and its acknowledgement: the client never heard, sends again.
        let committed = 2 * round;
        let mut client = connect();
        client.batch_execute(&batch(committed, 10)).unwrap();
        cluster.crash();
        assert_eq!(rows(&mut connect(), &batch(committed, 10)), [["10", "0", "0", "t"]]);
        // Killed before the commit: never written, then once.
        let mut client = connect();
        client.batch_execute(&format!("BEGIN; {}", batch(committed + 1, 10))).unwrap();
        cluster.crash();
        let mut client = connect();
        assert_eq!(count(&mut client), (10 * (committed + 1)).to_string());
        assert_eq!(rows(&mut client, &batch(committed + 1, 10)), [["10", "0", "0", "f"]]);
    }
}

#[test]
fn an_idempotency_key_gives_the_first_events_id_back() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    let call =
        |key: &str| format!("SELECT eventlog.log_event(NULL, 'ping', idempotency_key => '{key}')");
    let first = text(&mut member, &call("a"));
    for verb in ["log_event", "try_log_event"] {
        assert_eq!(text(&mut member, &call("a").replace("log_event", verb)), first);
    }
    assert_ne!(text(&mut member, &call("b")), first);
    assert_eq!(count(&mut member), "2");
    // Keys of tenants are apart, and those of a rolled-back transaction were never seen.
    let mut other = db.connect_as("member", TENANT_B);
    assert_ne!(text(&mut other, &call("a")), first);
    member.batch_execute(&format!("BEGIN; {}; ROLLBACK", call("c"))).unwrap();
    member
        .batch_execute(&format!("BEGIN; SAVEPOINT s; {}; ROLLBACK TO s; COMMIT", call("c")))
        .unwrap();
    text(&mut member, &call("c"));
    assert_eq!(count(&mut member), "3");
    // The owner's events have keys as well; an event that is refused takes none.
    let mut owner = db.connect_as("log_owner", TENANT_A);
    assert_eq!(text(&mut owner, &call("a")), first);
    assert_refused(
        &mut member,
        "SELECT eventlog.log_event(NULL, 'pong', idempotency_key => 'd')",
        "42704",
        "pong",
    );
    text(&mut member, &call("d"));
    assert_eq!(count(&mut member), "4");
}

#[test]
fn a_key_older_than_the_window_counts_as_new() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    let call = "SELECT eventlog.log_event(NULL, 'ping', idempotency_key => 'a')";
    let first = text(&mut member, call);
    db.superuser().batch_execute("UPDATE eventlog.idempotency_keys SET created_at = now() - interval '23 hours 59 minutes'").unwrap();
    assert_eq!(text(&mut member, call), first);
    db.superuser().batch_execute("UPDATE eventlog.idempotency_keys SET created_at = now() - interval '24 hours 1 second'").unwrap();
    let second = text(&mut member, call);
    assert_ne!(second, first);
    assert_eq!(text(&mut member, call), second);
    assert_eq!(count(&mut member), "2");
}

#[test]
fn keys_inside_a_batch_are_seen_across_batches_and_within_one() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    let call = |keys: &str, n: usize| {
        format!(
            "SELECT written, duplicate, rejected, (SELECT string_agg(concat(v ->> 'id', CASE WHEN v ? 'is_duplicate' THEN 'd' END), ' ') FROM jsonb_array_elements(verdicts) v)
               FROM eventlog.log_events(NULL, array_fill('ping'::text, ARRAY[{n}]), NULL, idempotency_keys => '{keys}', with_verdicts => true)"
        )
    };
    assert_eq!(
        rows(&mut member, &call("{a,b,a,NULL,a,NULL}", 6)),
        [["4", "2", "0", "1 2 1d 3 1d 4"]]
    );
    assert_eq!(rows(&mut member, &call("{b,c,NULL,a}", 4)), [["2", "2", "0", "2d 5 6 1d"]]);
    assert_eq!(count(&mut member), "6");
    // A bad element takes no key from the good one behind it.
    let answer = rows(
        &mut member,
        "SELECT written, duplicate, rejected FROM eventlog.log_events(NULL, '{pong,ping,ping}', NULL, idempotency_keys => '{z,z,z}')",
    );
    assert_eq!(answer, [["1", "1", "1"]]);
}

#[test]
fn batches_with_the_same_keys_in_opposite_order_do_not_deadlock() {
    let db = open();
    let rounds = scaled(20, 300);
    let run = move |name: String, descending: bool| {
        let mut client = db::shared().connect(&name, "member");
        client
            .batch_execute(&format!(
                "SET eventlog.tenant_id = '{TENANT_A}'; SET deadlock_timeout = '50ms'"
            ))
            .ok();
        client.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
        let order = if descending { "DESC" } else { "ASC" };
        for round in 0..rounds {
            client
                .batch_execute(&format!(
                    "SELECT * FROM eventlog.log_events(NULL, array_fill('ping'::text, ARRAY[50]), NULL,
                        idempotency_keys => (SELECT array_agg('{round}-' || g ORDER BY g {order}) FROM generate_series(1, 50) g))"
                ))
                .unwrap_or_else(|error| panic!("{error:?}"));
        }
    };
    let handles: Vec<_> = [true, false, true, false]
        .into_iter()
        .map(|descending| {
            let name = db.name.clone();
            thread::spawn(move || run(name, descending))
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
    assert_eq!(count(&mut db.superuser()), (rounds * 50).to_string());
}

#[test]
fn a_race_for_one_key_has_one_winner_and_the_others_get_its_id() {
    let db = open();
    let rounds = scaled(50, 1_000);
    let handles: Vec<_> = (0..4)
        .map(|_| {
            let name = db.name.clone();
            thread::spawn(move || {
                let mut client = db::shared().connect(&name, "member");
                client.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).unwrap();
                (0..rounds)
                    .map(|i| text(&mut client, &format!("SELECT eventlog.log_event(NULL, 'ping', idempotency_key => 'race {i}')")))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let ids: Vec<Vec<String>> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
    assert!(ids.iter().all(|other| *other == ids[0]));
    assert_eq!(count(&mut db.superuser()), rounds.to_string());
}

#[test]
fn repeatable_read_sees_keys_and_batches_of_others_or_is_told_to_retry() {
    let db = open();
    let mut old = db.connect_as("member", TENANT_A);
    old.batch_execute(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM eventlog.events",
    )
    .unwrap();
    let mut other = db.connect_as("member", TENANT_A);
    let call = "SELECT eventlog.log_event(NULL, 'ping', idempotency_key => 'a')";
    let id = text(&mut other, call);
    other.batch_execute(&batch(1, 1)).unwrap();
    assert_eq!(text(&mut old, call), id, "a key is looked up under the latest snapshot");
    let error = eventlog_tests::refused(&mut old, &batch(1, 1));
    assert_eq!(error.code().code(), "40001", "{error:?}");
    old.batch_execute("ROLLBACK").unwrap();
    assert_eq!(rows(&mut old, &batch(1, 1)), [["1", "0", "0", "t"]]);

    // Waits for a transaction that holds the key, then takes its word.
    other
        .batch_execute("BEGIN; SELECT eventlog.log_event(NULL, 'ping', idempotency_key => 'b')")
        .unwrap();
    let waiting = thread::spawn(move || {
        text(&mut old, "SELECT eventlog.log_event(NULL, 'ping', idempotency_key => 'b')")
    });
    thread::sleep(Duration::from_millis(200));
    other.batch_execute("COMMIT").unwrap();
    assert_eq!(
        waiting.join().unwrap(),
        text(&mut other, "SELECT eventlog.log_event(NULL, 'ping', idempotency_key => 'b')")
    );
    assert_eq!(count(&mut other), "3");
}

/// A plan made while the table was empty must not scan it for ever.
#[test]
fn keys_are_looked_up_by_the_primary_key_however_the_table_grows() {
    let db = open();
    db.superuser().batch_execute("ANALYZE eventlog.idempotency_keys").unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    for i in 0..300 {
        text(
            &mut member,
            &format!("SELECT eventlog.log_event(NULL, 'ping', idempotency_key => 'k{i}')"),
        );
    }
    let scans = "SELECT sum(seq_scan) || ' ' || (sum(idx_scan) > 300) FROM pg_stat_user_tables WHERE relname = 'idempotency_keys'";
    drop(member);
    let mut superuser = db.superuser();
    let mut seen = String::new();
    for _ in 0..100 {
        seen = text(&mut superuser, scans);
        if seen.ends_with("true") {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(seen, "0 true");
}
