//! What a tenant pays for its neighbours in the gateway: one holds an idempotency key in an open
//! transaction, another floods with unknown names, and 512 clients ask and do not read.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::{Cluster, TENANT_A, TENANT_B, db};
use serde_json::{Value, json};

use crate::Scale;
use crate::gateway::{DATABASE, make_key, p99, read_answer, start};
use crate::writer::SETTINGS;

const THIRD: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";
const UNREAD: usize = 512;

/// The 99th percentile of a third tenant's requests, alone and beside them.
pub(crate) fn run(scale: Scale) {
    let requests = if scale.rounds > 100 { 4_000 } else { 400 };
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, DATABASE);
    let gateway = start(&cluster);
    let third = make_key(&cluster, THIRD);
    let body = json!({ "toolName": "search", "idempotencyKey": "held" }).to_string();
    let held = request(&gateway.key, "/api/track", &body);
    let unknown: Value = (0..200).map(|n| json!({ "name": format!("unknown_{n}") })).collect();
    let flood = request(&make_key(&cluster, TENANT_B), "/api/track", &unknown.to_string());
    let own = |path| request(&third, path, &json!({ "toolName": "search" }).to_string());
    let (taken, stored) = (own("/api/track"), own("/api/track?wait=true"));

    // The first one warms up.
    measure(gateway.address, &stored, requests / 4);
    let mut alone = [taken.as_slice(), &stored].map(|own| measure(gateway.address, own, requests));

    let mut holder = cluster.connect(DATABASE, "writer");
    holder
        .batch_execute(&format!(
            "SET eventlog.tenant_id = '{TENANT_A}'; BEGIN;
             SELECT eventlog.log_event(NULL, 'tool_used', '{{\"toolName\": \"t\"}}', idempotency_key => 'held')"
        ))
        .expect("it may log");
    answered(&mut TcpStream::connect(gateway.address).expect("it listens"), &held);
    let file = "GET /dashboard/app.js HTTP/1.1\r\nHost: bench\r\n\r\n".repeat(40);
    let unread: Vec<_> = (0..UNREAD)
        .map(|_| {
            let mut stream = TcpStream::connect(gateway.address).expect("it listens");
            let _ = stream.write_all(file.as_bytes());
            stream
        })
        .collect();
    let is_over = AtomicBool::new(false);
    let mut beside = thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = TcpStream::connect(gateway.address).expect("it listens");
            while !is_over.load(Ordering::Relaxed) {
                answered(&mut stream, &flood);
                // As fast as one client is that does something else too: what is measured is
                // waiting for others, not a machine that is busy.
                thread::sleep(Duration::from_millis(20));
            }
        });
        let beside = [taken.as_slice(), &stored].map(|own| measure(gateway.address, own, requests));
        is_over.store(true, Ordering::Relaxed);
        beside
    });
    drop((unread, holder));
    println!(
        "\nA tenant of the gateway alone, and beside one that holds a key, one that floods with \
         unknown names\nand {UNREAD} clients that do not read; {requests} requests each, none refused\n"
    );
    println!("  {:<24}{:>14}{:>14}{:>9}", "", "alone, ms", "beside, ms", "ratio");
    for (place, what) in ["p99 until taken", "p99 until stored"].into_iter().enumerate() {
        let (alone, beside) = (p99(&mut alone[place]), p99(&mut beside[place]));
        println!("  {what:<24}{alone:>14.2}{beside:>14.2}{:>9.2}", beside / alone);
    }
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

/// Milliseconds of each request, of which none is refused.
fn measure(address: std::net::SocketAddr, request: &[u8], requests: usize) -> Vec<f64> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let one = |_| {
        let asked = Instant::now();
        let answer = answered(&mut stream, request);
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
        asked.elapsed().as_secs_f64() * 1e3
    };
    (0..requests).map(one).collect()
}
