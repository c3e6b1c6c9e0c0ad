//! A consumer reads every committed event, in order, whatever writers do, where `id > last` loses some.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, TENANT_A, TENANT_B, db, rows, scaled, text, wait_for};
use postgres::Client;

use crate::maintenance::rollups::{TYPES, act};

/// The name of a reader's connections, as SQL.
fn application_name(tenant: &str) -> String {
    format!("'reader ' || {tenant}::text")
}

/// A consumer of all tenants or of one, whose reader is killed now and then.
struct Reader<'a> {
    cluster: &'a Cluster,
    client: Client,
    /// The tenant, as SQL.
    tenant: String,
}

impl<'a> Reader<'a> {
    fn new(cluster: &'a Cluster, tenant: String) -> Self {
        Reader { cluster, client: Self::connect(cluster, &tenant), tenant }
    }

    fn connect(cluster: &Cluster, tenant: &str) -> Client {
        let mut client = cluster.connect("app", "member");
        let name = application_name(tenant);
        let name = format!("SELECT set_config('application_name', {name}, false)");
        client.batch_execute(&name).expect("a name");
        client
    }

    /// Reads in a transaction, acknowledges, and now and then does not commit. Returns the ids that it has
    /// acknowledged, and none if it could not read at all.
    fn read_once(&mut self, random: &mut Random, isolation: &str) -> Option<Vec<i64>> {
        let (limit, tenant) = (1 + random.below(300), &self.tenant.clone());
        let read = format!(
            "SELECT id FROM eventlog.read_events_after('all', {limit}, tenant_id => {tenant})"
        );
        let begin = format!("BEGIN ISOLATION LEVEL {isolation}");
        if self.client.batch_execute(&begin).is_err() {
            return self.begin_again();
        }
        let Ok(found) = self.client.query(&read, &[]) else { return self.begin_again() };
        let found: Vec<i64> = found.iter().map(|row| row.get(0)).collect();
        assert!(found.is_sorted_by(|a, b| a < b), "in order: {found:?}");
        let Some(last) = found.last() else {
            return match self.client.batch_execute("COMMIT") {
                Ok(()) => Some(Vec::new()),
                Err(_) => self.begin_again(),
            };
        };
        let acknowledge =
            format!("SELECT eventlog.acknowledge('all', {last}, tenant_id => {tenant})");
        if random.one_in(4) || self.client.batch_execute(&acknowledge).is_err() {
            return self.begin_again();
        }
        if self.client.batch_execute("COMMIT").is_ok() {
            return Some(found);
        }
        // One that was killed does not know whether it had committed.
        let mut superuser = self.cluster.connect("app", "postgres");
        if self.client.is_closed() {
            let name = application_name(tenant);
            let sql =
                format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = {name}");
            wait_for(&mut superuser, &sql, "0");
        }
        let sql = format!(
            "SELECT acknowledged_id >= {last} FROM eventlog.consumers WHERE consumer = 'all' AND tenant_id = {tenant}"
        );
        let is_acknowledged = text(&mut superuser, &sql) == "t";
        self.begin_again();
        is_acknowledged.then_some(found)
    }

    /// After a serialization failure, or on a new connection.
    fn begin_again(&mut self) -> Option<Vec<i64>> {
        if self.client.batch_execute("ROLLBACK").is_err() {
            self.client = Self::connect(self.cluster, &self.tenant);
        }
        None
    }

    /// Reads until nothing has come three times after the end, with a look before each.
    fn read(&mut self, ends: &AtomicBool) -> Vec<i64> {
        let mut random = Random::new();
        let mut ids: Vec<i64> = Vec::new();
        let mut empty = 0;
        while empty < 3 {
            let has_ended = ends.load(Ordering::Relaxed);
            let pause = if has_ended { 600 } else { random.below(120) as u64 };
            thread::sleep(Duration::from_millis(pause));
            let isolations = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];
            let isolation = if has_ended { &isolations[0] } else { random.pick(&isolations) };
            match self.read_once(&mut random, isolation) {
                None => {}
                Some(found) if found.is_empty() => empty += u32::from(has_ended),
                Some(found) => {
                    let last = ids.last();
                    assert!(last < found.first(), "none that was acknowledged: {last:?} {found:?}");
                    ids.extend(found);
                    empty = 0;
                }
            }
        }
        ids
    }
}

/// Logs as fast as a few hundred events a second, so that there is something to lose.
fn write_quickly(client: &mut Client, tenant: &str, is_over: &AtomicBool) {
    let mut random = Random::new();
    while !is_over.load(Ordering::Relaxed) {
        let log =
            format!("SELECT eventlog.log_event('{tenant}', 'ping');").repeat(1 + random.below(4));
        client.batch_execute(&format!("BEGIN; {log}")).expect("events");
        thread::sleep(Duration::from_millis(random.below(8) as u64));
        client.batch_execute("COMMIT").expect("an end");
    }
}

/// Kills a reader now and then.
fn kill_readers(client: &mut Client, is_over: &AtomicBool) {
    let mut random = Random::new();
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(200 + random.below(600) as u64));
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
                    WHERE application_name LIKE 'reader %' ORDER BY random() LIMIT 1) one";
        client.query(sql, &[]).expect("a superuser may");
    }
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
        for tenant in tenants {
            let (cluster, is_over) = (&cluster, &is_over);
            writers.push(scope.spawn(move || {
                write_quickly(&mut cluster.connect("app", "member"), tenant, is_over);
            }));
        }
        writers
            .push(scope.spawn(|| kill_readers(&mut cluster.connect("app", "postgres"), &is_over)));
        let all_tenants = "eventlog.all_tenants()".to_owned();
        let of_readers = [format!("'{TENANT_A}'"), format!("'{TENANT_B}'"), all_tenants];
        let readers: Vec<_> = of_readers
            .into_iter()
            .map(|tenant| {
                let (cluster, has_ended) = (&cluster, &has_ended);
                scope.spawn(move || Reader::new(cluster, tenant).read(has_ended))
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
