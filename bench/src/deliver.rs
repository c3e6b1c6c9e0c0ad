//! `eventlog deliver` to a receiver on this machine: deliveries a second, and how long after its commit an
//! event arrives.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use eventlog_tests::receiver::{Answer, Receiver};
use eventlog_tests::{Cluster, db, program, rows, wait_for};
use postgres::Client;

use crate::scale::Scale;
use crate::stats::Quartiles;
use crate::writer::SETTINGS;

const DATABASE: &str = "deliver";
const WEBHOOKS: usize = 16;
/// Deliveries a second that one deliverer should make on two cores.
const LEAST_RATE: f64 = 5_000.0;
/// Seconds after which half of the events, and 99 of 100, should have arrived.
const MOST_LAG: [f64; 2] = [1.2, 2.5];

struct Deliverer(Child);

impl Drop for Deliverer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Prints both.
pub(crate) fn run(scale: Scale) {
    let (rounds, events, seconds) =
        if scale.rounds > 100 { (5, 80_000, 60) } else { (1, 16_000, 10) };
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, DATABASE);
    let mut owner = cluster.connect(DATABASE, "log_owner");
    owner
        .batch_execute("SELECT eventlog.grant_service('service'), eventlog.define_event('ping')")
        .expect("an event type");
    let lags = Arc::<Mutex<Vec<f64>>>::default();
    let noted = Arc::clone(&lags);
    let receiver = Receiver::unkept(move |request| {
        if let Some(lag) = lag(&request.body) {
            noted.lock().expect("nobody panics with it").push(lag);
        }
        Answer::Status(204)
    });
    for number in 0..WEBHOOKS {
        let sql = format!(
            "SELECT eventlog.create_webhook('{}', '{}')",
            tenant(number),
            receiver.url(&number.to_string())
        );
        owner.batch_execute(&sql).expect("a webhook");
    }
    let deliverer = start(&cluster);
    let rates: Vec<f64> = (0..=rounds).map(|_| rate(&mut owner, &receiver, events)).collect();
    let rates = Quartiles::of(&rates[1..]);
    println!(
        "\nWebhooks: one deliverer, {WEBHOOKS} webhooks, a receiver and the database on this machine\n"
    );
    println!(
        "  {:<44}{:>9.0} to {:.0}   ≥ {LEAST_RATE}  {}",
        format!("deliveries a second, {rounds} times {events}"),
        rates.first,
        rates.third,
        verdict(rates.median >= LEAST_RATE)
    );
    lags.lock().expect("nobody panics with it").clear();
    trickle(&mut owner, &receiver, seconds);
    let mut lags = lags.lock().expect("nobody panics with it").clone();
    lags.sort_by(f64::total_cmp);
    for (part, most) in [0.5, 0.99].into_iter().zip(MOST_LAG) {
        let lag = lags[((lags.len() - 1) as f64 * part) as usize];
        println!(
            "  {:<44}{lag:>9.2} s          ≤ {most}  {}",
            format!("lag at 1,000 events a second, p{:.0}", part * 100.0),
            verdict(lag <= most)
        );
    }
    let log = "SELECT count(*), sum(deliveries), count(error) FROM eventlog.webhook_deliveries";
    let log = rows(&mut owner, log).concat();
    println!(
        "  rows in the log of deliveries: {}, of {} deliveries, {} failed",
        log[0], log[1], log[2]
    );
    drop(deliverer);
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "PASS" } else { "off" }
}

fn tenant(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn start(cluster: &Cluster) -> Deliverer {
    let mut child = Command::new(program::eventlog())
        .env("PGHOST", cluster.folder())
        .env("PGPORT", "5432")
        .env("PGUSER", "service")
        .env("PGDATABASE", DATABASE)
        .args(["deliver", "--allow-network", "127.0.0.0/8"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("text");
    assert!(line.contains("delivering"), "{line}");
    thread::spawn(move || std::io::copy(&mut said, &mut std::io::stderr()));
    Deliverer(child)
}

/// Logs so many events at once, and returns how many were delivered a second, from the first to the last.
fn rate(owner: &mut Client, receiver: &Receiver, events: usize) -> f64 {
    let before = receiver.count();
    let sql = format!(
        "INSERT INTO eventlog.events (tenant_id, name, data, actor)
         SELECT ('00000000-0000-4000-8000-' || lpad((n % {WEBHOOKS})::text, 12, '0'))::uuid, 'ping',
                '{{\"plan\": \"pro\", \"source\": \"bench\", \"ms\": 12}}', 'user-' || n % 1000
           FROM generate_series(1, {events}) n"
    );
    owner.batch_execute(&sql).expect("events");
    let until = |count: usize| {
        while receiver.count() < before + count {
            thread::sleep(Duration::from_millis(1));
        }
        Instant::now()
    };
    let first = until(1);
    let last = until(events);
    wait_for(owner, "SELECT count(*) FROM eventlog.stat_webhooks WHERE ids_behind > 0", "0");
    events as f64 / (last - first).as_secs_f64()
}

/// Logs 1,000 events a second for this long.
fn trickle(owner: &mut Client, receiver: &Receiver, seconds: u64) {
    let before = receiver.count();
    let sql = format!(
        "INSERT INTO eventlog.events (tenant_id, name, data)
         SELECT ('00000000-0000-4000-8000-' || lpad((n % {WEBHOOKS})::text, 12, '0'))::uuid, 'ping',
                jsonb_build_object('at', extract(epoch FROM clock_timestamp()))
           FROM generate_series(1, 10) n"
    );
    let sql = owner.prepare(&sql).expect("a statement");
    let began = Instant::now();
    let turns = seconds * 100;
    for turn in 0..turns {
        let due = Duration::from_millis(10 * turn);
        thread::sleep(due.saturating_sub(began.elapsed()));
        owner.execute(&sql, &[]).expect("events");
    }
    let took = began.elapsed().as_secs_f64();
    assert!(took < seconds as f64 * 1.1, "the events took {took:.1} s");
    while receiver.count() < before + 10 * turns as usize {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Returns how long ago an event was logged that says when.
fn lag(body: &str) -> Option<f64> {
    let (_, at) = body.split_once("{\"at\": ")?;
    let at: f64 = at.split_once('}')?.0.parse().ok()?;
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64() - at)
}
