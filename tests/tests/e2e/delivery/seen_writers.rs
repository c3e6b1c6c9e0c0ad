//! A transaction that has drawn an id is seen until it ends, also while it is being prepared.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::{Cluster, TENANT_A, db, scaled};

/// Odd while a transaction has drawn an id and not ended; a new number for each.
type Turn = AtomicU64;

fn write(cluster: &Cluster, turn: &Turn, is_over: &AtomicBool) {
    let mut client = cluster.connect("app", "log_owner");
    while !is_over.load(Ordering::SeqCst) {
        let log = format!("BEGIN; SELECT eventlog.log_event('{TENANT_A}', 'ping')");
        client.batch_execute(&log).expect("an event");
        turn.fetch_add(1, Ordering::SeqCst);
        client.batch_execute("PREPARE TRANSACTION 'one'").expect("prepared");
        // A look that began before it was prepared ends meanwhile.
        thread::sleep(Duration::from_millis(3));
        turn.fetch_add(1, Ordering::SeqCst);
        client.batch_execute("COMMIT PREPARED 'one'").expect("committed");
    }
}

#[test]
fn a_transaction_is_seen_at_every_moment_while_it_is_being_prepared() {
    let cluster = Cluster::start(&[("max_prepared_transactions", "10")]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let mut owner = cluster.connect("app", "log_owner");
    owner.batch_execute("INSERT INTO eventlog.event_types (name) VALUES ('ping')").expect("a type");
    let (turn, is_over) = (Turn::new(0), AtomicBool::new(false));
    let looks = [
        "SELECT count(*) FROM eventlog_private.drawing_transactions()",
        "SELECT count(*) FROM unnest(eventlog_private.writing_transactions())",
    ]
    .map(|sql| owner.prepare(sql).expect("a look"));
    let time = Duration::from_secs(scaled(6, 300) as u64);

    let seen = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&cluster, &turn, &is_over));
        let begin = Instant::now();
        let mut seen = [0u64; 2];
        let mut unseen = [0u64; 2];
        while begin.elapsed() < time {
            for (number, look) in looks.iter().enumerate() {
                let before = turn.load(Ordering::SeqCst);
                let found: i64 = owner.query_one(look, &[]).expect("a look").get(0);
                let is_one = before % 2 == 1 && turn.load(Ordering::SeqCst) == before;
                seen[number] += u64::from(is_one && found > 0);
                unseen[number] += u64::from(is_one && found == 0);
            }
        }
        is_over.store(true, Ordering::SeqCst);
        writer.join().expect("no panic");
        println!("seen {seen:?}, not seen {unseen:?}");
        assert_eq!(unseen, [0, 0]);
        seen
    });
    assert!(seen.iter().all(|seen| *seen > 20), "{seen:?}");
}
