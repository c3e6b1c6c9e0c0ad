//! What the protocols of other clients cost beside `/api/track`: the same events, in batches of 100,
//! through each of them in one run. Every event has an idempotency key, as it has in these protocols.

use std::net::TcpStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, db};
use serde_json::{Value, json};

use crate::gateway::{DATABASE, Gateway, p99, read_answer, settle, start};
use crate::scale::Scale;
use crate::stats::{Quartiles, Target};
use crate::writer::SETTINGS;

/// Stands for the number of the request in the ids of events; as long as that is written.
const ID: &str = "request.";
const EVENTS: usize = 100;
const CONNECTIONS: usize = 16;
const TARGET: Target = Target::AtLeast(0.8);

/// A route, its content type, and how it wraps the events.
type Protocol =
    (&'static str, &'static str, &'static str, fn(usize) -> Value, fn(Vec<Value>) -> Value);

const PROTOCOLS: &[Protocol] = &[
    ("/api/track", "/api/track", "application/json", track, Value::Array),
    (
        "Segment",
        "/v1/batch",
        "application/json",
        segment,
        |events| json!({ "batch": events, "sentAt": "2026-01-31T12:00:00.000Z" }),
    ),
    ("PostHog", "/batch/", "application/json", posthog, |events| json!({ "batch": events })),
    (
        "CloudEvents",
        "/api/cloudevents",
        "application/cloudevents-batch+json",
        cloudevent,
        Value::Array,
    ),
];

#[derive(Clone, Default)]
struct Measured {
    rates: Vec<f64>,
    latencies: Vec<f64>,
    stored: Vec<f64>,
}

/// Requests a second, and events a second until all are in the log.
pub(crate) fn run(scale: Scale) {
    let (rounds, requests) = if scale.rounds > 100 { (12, 600) } else { (3, 100) };
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, DATABASE);
    let gateway = start(&cluster);
    let mut measured = vec![Measured::default(); PROTOCOLS.len()];
    let mut order: Vec<usize> = (0..PROTOCOLS.len()).collect();
    let mut random = Random::seeded(18);
    for round in 0..=rounds {
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for &place in &order {
            let began = Instant::now();
            let (seconds, latencies) = turn(&gateway, &request(&gateway.key, place), requests);
            settle(gateway.address);
            // The first round warms up.
            if round > 0 {
                let own = &mut measured[place];
                own.rates.push(requests as f64 / seconds);
                own.latencies.extend(latencies);
                own.stored.push((requests * EVENTS) as f64 / began.elapsed().as_secs_f64());
            }
        }
    }
    let sent = (PROTOCOLS.len() * requests * EVENTS * (rounds + 1)).to_string();
    let stored = "SELECT count(*) FROM eventlog.events";
    let stored = eventlog_tests::text(&mut cluster.connect(DATABASE, "postgres"), stored);
    assert_eq!(stored, sent, "what was accepted is in the log");
    print(rounds, &mut measured);
}

fn print(rounds: usize, measured: &mut [Measured]) {
    println!("\nThe gateway by protocol, {EVENTS} events of a request, {CONNECTIONS} connections");
    println!("{rounds} rounds; ratios are to /api/track within each round");
    println!("Segment and PostHog are answered once the log has the events, the others once the");
    println!("queue has: compare what is stored\n");
    println!(
        "  {:<14}{:>10}{:>10}{:>12}{:>8}{:>14}{:>8}",
        "", "bytes", "req/s", "p99, ms", "ratio", "stored/s", "ratio"
    );
    let track = measured[0].clone();
    for (place, measured) in measured.iter_mut().enumerate() {
        let ratio = Quartiles::of_ratios(&measured.rates, &track.rates).median;
        let stored = Quartiles::of_ratios(&measured.stored, &track.stored).median;
        println!(
            "  {:<14}{:>10}{:>10.0}{:>12.2}{:>8.2}{:>14.0}{:>8.2}  {}",
            PROTOCOLS[place].0,
            body(place).len(),
            Quartiles::of(&measured.rates).median,
            p99(&mut measured.latencies),
            ratio,
            Quartiles::of(&measured.stored).median,
            stored,
            if place == 0 { String::new() } else { TARGET.judge(stored) },
        );
    }
}

fn data(n: usize) -> Value {
    json!({
        "toolName": "search", "hookEvent": "PostToolUse", "number": n, "success": true,
        "note": "as long as the payload of an ordinary event, more or less"
    })
}

fn track(n: usize) -> Value {
    json!({ "idempotencyKey": format!("{ID}{n:03}"), "name": "tool_used", "actor": format!("user {}", n % 50), "data": data(n) })
}

/// With the context and the metadata that a library of a server sends.
fn segment(n: usize) -> Value {
    json!({
        "type": "track", "event": "tool_used", "messageId": format!("{ID}{n:03}"), "userId": format!("user {}", n % 50),
        "properties": data(n), "timestamp": "2026-01-31T11:59:59.123Z", "integrations": {},
        "context": { "library": { "name": "@segment/analytics-node", "version": "3.1.0" } },
        "_metadata": { "nodeVersion": "22.0.0", "jsRuntime": "node" },
    })
}

fn posthog(n: usize) -> Value {
    let mut properties = data(n);
    properties["$lib"] = "posthog-node".into();
    properties["$lib_version"] = "5.70.0".into();
    properties["$geoip_disable"] = true.into();
    json!({
        "event": "tool_used", "uuid": format!("{ID}{n:03}"), "distinct_id": format!("user {}", n % 50), "properties": properties,
        "timestamp": "2026-01-31T11:59:59.123Z", "type": "capture", "library": "posthog-node",
    })
}

fn cloudevent(n: usize) -> Value {
    json!({
        "specversion": "1.0", "type": "tool_used", "source": "/bench", "id": format!("{ID}{n:03}"),
        "authid": format!("user {}", n % 50), "time": "2026-01-31T11:59:59.123Z", "data": data(n),
    })
}

fn body(place: usize) -> String {
    let (_, _, _, event, wrapped) = PROTOCOLS[place];
    wrapped((0..EVENTS).map(event).collect()).to_string()
}

fn request(key: &str, place: usize) -> String {
    let (_, path, kind, ..) = PROTOCOLS[place];
    let body = body(place);
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Seconds of so many requests, and milliseconds of each.
fn turn(gateway: &Gateway, request: &str, count: usize) -> (f64, Vec<f64>) {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    let ready = Barrier::new(CONNECTIONS + 1);
    thread::scope(|scope| {
        let client = || {
            let mut stream = TcpStream::connect(gateway.address).expect("it listens");
            stream.set_nodelay(true).expect("a socket");
            let mut latencies = Vec::new();
            ready.wait();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                // Every event is another one.
                let own = format!("{:08}", REQUESTS.fetch_add(1, Ordering::Relaxed));
                let request = request.replace(ID, &own);
                let asked = Instant::now();
                std::io::Write::write_all(&mut stream, request.as_bytes()).expect("it reads");
                let answer = read_answer(&mut stream);
                latencies.push(asked.elapsed().as_secs_f64() * 1e3);
                assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
            }
            latencies
        };
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(client)).collect();
        ready.wait();
        let began = Instant::now();
        let latencies: Vec<f64> =
            clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        (began.elapsed().as_secs_f64(), latencies)
    })
}
