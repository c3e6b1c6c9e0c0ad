//! A consumer reads every committed event, in order, whatever writers do, where `id > last` loses some.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, TENANT_A, TENANT_B, db, rows, scaled, text};
use postgres::Client;

use crate::maintenance::rollups::{TYPES, act};

/// Reads with a consumer in any isolation, acknowledges, and now and then does not commit. Ends once
/// nothing has come three times after the end, with a look before each.
fn read(client: &mut Client, call: &str, ends: &AtomicBool) -> Vec<i64> {
    let mut random = Random::new();
    let mut ids: Vec<i64> = Vec::new();
    let mut empty = 0;
    while empty < 3 {
        let has_ended = ends.load(Ordering::Relaxed);
        let pause = if has_ended { 600 } else { random.below(120) as u64 };
        thread::sleep(Duration::from_millis(pause));
        let isolations = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];
        let isolation = if has_ended { &isolations[0] } else { random.pick(&isolations) };
        let limit = 1 + random.below(300);
        client.batch_execute(&format!("BEGIN ISOLATION LEVEL {isolation}")).expect("a transaction");
        let sql = format!("SELECT id FROM eventlog.read_events_after('all', {limit}{call})");
        let Ok(found) = client.query(&sql, &[]) else {
            client.batch_execute("ROLLBACK").expect("a serialization failure");
            continue;
        };
        let found: Vec<i64> = found.iter().map(|row| row.get(0)).collect();
        let Some(last) = found.last() else {
            // May be a serialization failure as well, and is rolled back then.
            let commits = client.batch_execute("COMMIT").is_ok();
            empty += u32::from(has_ended && commits);
            continue;
        };
        assert!(found.is_sorted_by(|a, b| a < b), "in order: {found:?}");
        assert!(
            ids.last() < found.first(),
            "none that was acknowledged: {:?} {found:?}",
            ids.last()
        );
        let acknowledge = format!("SELECT eventlog.acknowledge('all', {last}{call})");
        let commits = !random.one_in(4)
            && client.batch_execute(&acknowledge).is_ok()
            && client.batch_execute("COMMIT").is_ok();
        match commits {
            true => {
                ids.extend(found);
                empty = 0;
            }
            false => client.batch_execute("ROLLBACK").expect("a rollback"),
        }
    }
    ids
}

/// Ends the threads also if one of them panics.
struct AtEnd<'a>([&'a AtomicBool; 2]);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|flag| flag.store(true, Ordering::Relaxed));
    }
}

/// Reads what is above the highest id so far, as many do.
fn read_naively(client: &mut Client, ends: &AtomicBool) -> BTreeSet<i64> {
    let mut ids = BTreeSet::new();
    while !ends.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
        let last = ids.last().copied().unwrap_or(0);
        let sql = format!("SELECT id FROM eventlog.events WHERE id > {last}");
        ids.extend(client.query(&sql, &[]).expect("ids").iter().map(|row| row.get::<_, i64>(0)));
    }
    ids
}

#[test]
fn whatever_writers_do_a_consumer_reads_each_committed_event_once() {
    let cluster = Cluster::start(&[("max_prepared_transactions", "2000")]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let mut owner = cluster.connect("app", "log_owner");
    owner.batch_execute(TYPES).expect("event types");
    owner.batch_execute("SELECT eventlog.grant_service('member')").expect("a service");
    let tenants = [TENANT_A, TENANT_B];
    let prepared: [Mutex<Vec<(String, u64)>>; 2] = [Mutex::default(), Mutex::default()];
    let is_over = AtomicBool::new(false);
    let has_ended = AtomicBool::new(false);
    let time = Duration::from_secs(scaled(8, 120) as u64);

    let (read_ids, naive) = thread::scope(|scope| {
        let _ended = AtEnd([&is_over, &has_ended]);
        let mut writers = Vec::new();
        for number in 0..6 {
            let (cluster, prepared, is_over) = (&cluster, &prepared, &is_over);
            writers.push(scope.spawn(move || {
                let mut random = Random::new();
                let which = number % 2;
                let mut client = cluster.connect("app", "member");
                while !is_over.load(Ordering::Relaxed) {
                    act(&mut client, &mut random, tenants[which], number, &prepared[which]);
                }
            }));
        }
        // Ends what was prepared, some time.
        writers.push(scope.spawn(|| {
            let mut random = Random::new();
            let mut client = cluster.connect("app", "member");
            loop {
                let ends = is_over.load(Ordering::Relaxed);
                let pause = if ends { 1 } else { random.below(200) as u64 };
                thread::sleep(Duration::from_millis(pause));
                let which = random.below(2);
                let next = prepared[which].lock().expect("no panic").pop();
                match next {
                    Some((name, _)) => {
                        let end = if random.one_in(3) { "ROLLBACK" } else { "COMMIT" };
                        client
                            .batch_execute(&format!("{end} PREPARED '{name}'"))
                            .expect("it is there");
                    }
                    None if ends
                        && prepared.iter().all(|p| p.lock().expect("no panic").is_empty()) =>
                    {
                        break;
                    }
                    None => {}
                }
            }
        }));
        // A transaction that holds the lock and has drawn nothing holds nobody up.
        let mut idle = cluster.connect("app", "member");
        idle.batch_execute(
            "BEGIN; PREPARE p AS INSERT INTO eventlog.events (name) VALUES ('ping')",
        )
        .expect("a lock");
        let calls = [
            format!(", '{TENANT_A}'"),
            format!(", '{TENANT_B}'"),
            ", eventlog.all_tenants()".to_owned(),
        ];
        let readers: Vec<_> = calls
            .into_iter()
            .map(|call| {
                let (cluster, has_ended) = (&cluster, &has_ended);
                scope.spawn(move || {
                    let call = call.replace(", ", ", tenant_id => ");
                    read(&mut cluster.connect("app", "member"), &call, has_ended)
                })
            })
            .collect();
        let naive =
            scope.spawn(|| read_naively(&mut cluster.connect("app", "log_owner"), &has_ended));
        thread::sleep(time);
        is_over.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
        has_ended.store(true, Ordering::Relaxed);
        let read: Vec<Vec<i64>> =
            readers.into_iter().map(|reader| reader.join().expect("no panic")).collect();
        drop(idle);
        (read, naive.join().expect("no panic"))
    });

    let committed = |client: &mut Client, condition: &str| -> Vec<i64> {
        let sql = format!("SELECT id FROM eventlog.events WHERE {condition} ORDER BY id");
        client.query(&sql, &[]).expect("ids").iter().map(|row| row.get(0)).collect()
    };
    for (tenant, ids) in tenants.iter().zip(&read_ids) {
        assert_eq!(*ids, committed(&mut owner, &format!("tenant_id = '{tenant}'")));
    }
    let all = committed(&mut owner, "true");
    assert_eq!(read_ids[2], all);
    println!("{} events; id > last lost {}", all.len(), all.len() - naive.len());
    assert!(all.len() > 200, "{}", all.len());
    assert_eq!(
        rows(&mut owner, "SELECT held_by FROM eventlog.stat_consumers WHERE held_by IS NOT NULL"),
        Vec::<Vec<String>>::new()
    );
    assert!(
        text(&mut owner, "SELECT count(*) FROM eventlog.delivery_looks")
            .parse::<u32>()
            .expect("a number")
            <= 100
    );
}
