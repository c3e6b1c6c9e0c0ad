//! What a tenant pays for its neighbours in the gateway: one holds an idempotency key in an open
//! transaction, another floods with unknown names, and 512 clients ask and do not read.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::{Cluster, TENANT_A, TENANT_B, db};
use postgres::Client;
use serde_json::{Value, json};

use crate::gateway::{DATABASE, make_key, p99, read_answer, settle, start};
use crate::scale::Scale;
use crate::stats::{Quartiles, Target};
use crate::writer::SETTINGS;

const THIRD: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";
const UNREAD: usize = 512;

/// Requests a second of the tenant that is measured, and how long a turn lasts.
const STEADY: u32 = 200;
const TURN: Duration = Duration::from_secs(2);

const TARGET: Target = Target::AtMost(3.0);

/// The 99th percentile of a third tenant's requests, in turns alone and beside them.
pub(crate) fn run(scale: Scale) {
    let rounds = if scale.rounds > 100 { 6 } else { 1 };
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, DATABASE);
    let gateway = start(&cluster);
    let third = make_key(&cluster, THIRD);
    let unknown: Value = (0..200).map(|n| json!({ "name": format!("unknown_{n}") })).collect();
    let flood = request(&make_key(&cluster, TENANT_B), "/api/track", &unknown.to_string());
    let own = |path| request(&third, path, &json!({ "toolName": "search" }).to_string());
    let requests = [own("/api/track"), own("/api/track?wait=true")];
    let measure_each = || requests.each_ref().map(|own| measure(gateway.address, own));

    // The first ones warm up.
    measure_each();
    let [mut alone, mut filling, mut beside] = [(); 3].map(|()| Times::default());
    for round in 0..rounds {
        add(&mut alone, measure_each());
        let key = format!("held {round}");
        let holder = hold(&cluster, &key);
        let body = json!({ "toolName": "search", "idempotencyKey": key }).to_string();
        let held = request(&gateway.key, "/api/track", &body);
        answered(&mut TcpStream::connect(gateway.address).expect("it listens"), &held);
        let unread = ask_and_do_not_read(gateway.address);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(gateway.address).expect("it listens");
                while !is_over.load(Ordering::Relaxed) {
                    answered(&mut stream, &flood);
                    // As fast as one client is that does something else too: what is measured is
                    // waiting for others, not a machine that is busy.
                    thread::sleep(Duration::from_millis(20));
                }
            });
            // Meanwhile the buffers of those that do not read fill up, which keeps the machine busy.
            add(&mut filling, measure_each());
            add(&mut beside, measure_each());
            is_over.store(true, Ordering::Relaxed);
        });
        drop((unread, holder));
        settle(gateway.address);
    }
    let count = alone[0].len();
    println!(
        "\nA tenant of the gateway alone, and beside one that holds a key, one that floods with \
         unknown names\nand {UNREAD} clients that do not read; {rounds} turns of {TURN:?} by turns, \
         {count} requests of each kind, none refused\n"
    );
    println!("  {:<24}{:>14}{:>14}{:>9}   target", "", "alone, ms", "beside, ms", "ratio");
    for (place, what) in ["until taken", "until stored"].into_iter().enumerate() {
        let medians = [&alone, &beside].map(|times| Quartiles::of(&times[place]).median);
        let p99s = [&mut alone, &mut beside].map(|times| p99(&mut times[place]));
        for (part, [alone, beside], target) in
            [("median", medians, None), ("p99", p99s, Some(TARGET))]
        {
            let ratio = beside / alone;
            println!(
                "  {:<24}{alone:>14.2}{beside:>14.2}{ratio:>9.2}   {}",
                format!("{part} {what}"),
                target.map_or(String::new(), |target| target.judge(ratio))
            );
        }
    }
    let [taken, stored] = filling.each_mut().map(|times| p99(times));
    println!(
        "\n  p99 while the buffers of those that do not read fill up: {taken:.2} ms until taken, \
         {stored:.2} ms until stored"
    );
}

/// Until taken and until stored.
type Times = [Vec<f64>; 2];

fn add(all: &mut Times, times: Times) {
    for (all, times) in all.iter_mut().zip(times) {
        all.extend(times);
    }
}

/// A transaction of the first tenant that has used an idempotency key.
fn hold(cluster: &Cluster, key: &str) -> Client {
    let mut holder = cluster.connect(DATABASE, "writer");
    holder
        .batch_execute(&format!(
            "SET eventlog.tenant_id = '{TENANT_A}'; BEGIN;
             SELECT eventlog.log_event(NULL, 'tool_used', '{{\"toolName\": \"t\"}}', idempotency_key => '{key}')"
        ))
        .expect("it may log");
    holder
}

fn ask_and_do_not_read(address: SocketAddr) -> Vec<TcpStream> {
    let file = "GET /dashboard/app.js HTTP/1.1\r\nHost: bench\r\n\r\n".repeat(40);
    let ask = |_| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        let _ = stream.write_all(file.as_bytes());
        stream
    };
    (0..UNREAD).map(ask).collect()
}

fn request(key: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn answered(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).expect("it reads");
    read_answer(stream)
}

/// Milliseconds of each request of a turn, each sent when its time has come; none is refused.
fn measure(address: SocketAddr, request: &[u8]) -> Vec<f64> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < TURN {
        let due = started + Duration::from_secs(1) / STEADY * times.len() as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let asked = Instant::now();
        let answer = answered(&mut stream, request);
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
        times.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    times
}
