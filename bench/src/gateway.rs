//! `POST /api/track` beside a handler that reads the same JSON, keeps nothing and says the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, TENANT_A, db, program};
use serde_json::{Value, json};

use crate::scale::Scale;
use crate::stats::Quartiles;
use crate::writer::SETTINGS;

pub(crate) const DATABASE: &str = "gateway";
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// Events of a request, and requests of a turn.
const SHAPES: [(usize, usize); 2] = [(1, 3_000), (100, 600)];

/// Who answers.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Gateway,
    Bare,
}

/// What takes turns: the same requests over the same number of connections.
#[derive(Clone, Copy)]
struct Contender {
    who: Who,
    /// Which of `SHAPES`.
    shape: usize,
    connections: usize,
}

/// Of all rounds.
#[derive(Clone, Default)]
struct Measured {
    /// Requests a second, of each round.
    rates: Vec<f64>,
    /// Milliseconds of each request.
    latencies: Vec<f64>,
    /// Events a second until all were in the log, of each round.
    stored: Vec<f64>,
}

/// The gateway and its key; it ends with this.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Requests a second and their 99th percentile.
pub(crate) fn run(scale: Scale) {
    let (rounds, part) = if scale.rounds > 100 { (12, 1) } else { (2, 10) };
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, DATABASE);
    let gateway = start(&cluster);
    let bare = serve_bare();
    let mut contenders = Vec::new();
    for shape in 0..SHAPES.len() {
        for connections in CONNECTIONS {
            contenders.push(Contender { who: Who::Gateway, shape, connections });
            contenders.push(Contender { who: Who::Bare, shape, connections });
        }
    }
    let requests = SHAPES.map(|(events, _)| request(&gateway.key, events));
    let mut measured = vec![Measured::default(); contenders.len()];
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    let mut random = Random::seeded(9);
    for round in 0..=rounds {
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for &place in &order {
            let Contender { who, shape, connections } = contenders[place];
            let address = if who == Who::Gateway { gateway.address } else { bare };
            let (events, count) = SHAPES[shape];
            let count = count / part;
            let (seconds, latencies) = turn(address, &requests[shape], connections, count);
            // What this turn left to write would slow the next one down.
            let began = Instant::now();
            if who == Who::Gateway {
                settle(gateway.address);
            }
            // The first round warms up.
            if round > 0 {
                let own = &mut measured[place];
                own.rates.push(count as f64 / seconds);
                own.latencies.extend(latencies);
                let until_stored = seconds + began.elapsed().as_secs_f64();
                own.stored.push((count * events) as f64 / until_stored);
            }
        }
    }
    let sent: usize = SHAPES.iter().map(|(events, count)| events * (count / part)).sum();
    let sent = (sent * CONNECTIONS.len() * (rounds + 1)).to_string();
    let stored = "SELECT count(*) FROM eventlog.events";
    let stored = eventlog_tests::text(&mut cluster.connect(DATABASE, "postgres"), stored);
    assert_eq!(stored, sent, "what was accepted is in the log");
    print(rounds, &contenders, &mut measured);
}

fn print(rounds: usize, contenders: &[Contender], measured: &mut [Measured]) {
    println!(
        "\nThe gateway beside a bare handler, on the same machine as its clients and database"
    );
    println!(
        "{rounds} rounds; each 202 of the gateway is an event that is stored, with each commit on disk\n"
    );
    println!("  {:<32}{:^20}{:^20}{:>9}{:>12}", "", "gateway", "bare handler", "", "events/s");
    println!(
        "  {:<20}{:>12}{:>11}{:>9}{:>11}{:>9}{:>9}{:>12}",
        "events of a request",
        "connections",
        "req/s",
        "p99, ms",
        "req/s",
        "p99, ms",
        "ratio",
        "stored"
    );
    for (pair, measured) in contenders.chunks(2).zip(measured.chunks_mut(2)) {
        let [gateway, bare] = measured else { unreachable!("pairs") };
        let ratio = Quartiles::of_ratios(&gateway.rates, &bare.rates).median;
        println!(
            "  {:<20}{:>12}{:>11.0}{:>9.2}{:>11.0}{:>9.2}{ratio:>9.2}{:>12.0}",
            SHAPES[pair[0].shape].0,
            pair[0].connections,
            Quartiles::of(&gateway.rates).median,
            p99(&mut gateway.latencies),
            Quartiles::of(&bare.rates).median,
            p99(&mut bare.latencies),
            Quartiles::of(&gateway.stored).median,
        );
    }
}

pub(crate) fn p99(latencies: &mut [f64]) -> f64 {
    latencies.sort_by(f64::total_cmp);
    latencies[(latencies.len() - 1) * 99 / 100]
}

/// The gateway with its defaults, but that neither its limits nor its queue are what is measured.
pub(crate) fn start(cluster: &Cluster) -> Gateway {
    let granted = "CREATE ROLE gateway LOGIN; SET SESSION AUTHORIZATION log_owner;
                   SELECT eventlog.grant_gateway('gateway')";
    cluster.psql(DATABASE, "postgres", granted).unwrap_or_else(|error| panic!("{error}"));
    let key = make_key(cluster, TENANT_A);
    let mut child = eventlog(cluster, "gateway")
        .args(["serve", "--listen", "127.0.0.1:0", "--rate-limit", "0"])
        .args(["--queue-events", "1000000", "--queue-bytes", "1000000000"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("text");
    let address = line.trim().rsplit('/').next().and_then(|address| address.parse().ok());
    let address = address.unwrap_or_else(|| panic!("{line}"));
    // Else it could not say more.
    thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    Gateway { child, address, key }
}

/// The program, as a role.
fn eventlog(cluster: &Cluster, role: &str) -> Command {
    let mut command = Command::new(program::eventlog());
    command
        .env("PGHOST", cluster.folder())
        .env("PGPORT", "5432")
        .env("PGUSER", role)
        .env("PGDATABASE", DATABASE)
        .env_remove("EVENTLOG_DSN")
        .stdin(Stdio::null());
    command
}

/// A key to write for a tenant.
pub(crate) fn make_key(cluster: &Cluster, tenant: &str) -> String {
    let made = eventlog(cluster, "log_owner").args(["key", "create", "--tenant", tenant]).output();
    String::from_utf8(made.expect("it starts").stdout).expect("a key").trim().to_owned()
}

/// Serves on a free port for as long as this process lives, with as many threads as the gateway.
fn serve_bare() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("tokio").block_on(async {
            let router = Router::new().route("/api/track", post(bare));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            sender.send(listener.local_addr().expect("bound")).expect("it waits");
            let listener = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            axum::serve(listener, router).await.expect("it never ends");
        });
    });
    receiver.recv().expect("it starts")
}

async fn bare(Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let count = body.as_array().map_or(1, Vec::len);
    (StatusCode::ACCEPTED, Json(json!({ "accepted": count })))
}

fn request(key: &str, events: usize) -> Vec<u8> {
    let event = |n: usize| {
        json!({ "name": "tool_used", "actor": format!("user {}", n % 50), "data": {
            "toolName": "search", "hookEvent": "PostToolUse", "number": n, "success": true,
            "note": "as long as the payload of an ordinary event, more or less"
        }})
    };
    let body: Value = (0..events).map(event).collect();
    let body = if events == 1 { body[0].to_string() } else { body.to_string() };
    let length = body.len();
    format!(
        "POST /api/track HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Seconds of so many requests, and milliseconds of each.
fn turn(address: SocketAddr, request: &[u8], connections: usize, count: usize) -> (f64, Vec<f64>) {
    let next = AtomicUsize::new(0);
    let ready = Barrier::new(connections + 1);
    thread::scope(|scope| {
        let client = || {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.set_nodelay(true).expect("a socket");
            let mut latencies = Vec::new();
            ready.wait();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let asked = Instant::now();
                stream.write_all(request).expect("it reads");
                let answer = read_answer(&mut stream);
                latencies.push(asked.elapsed().as_secs_f64() * 1e3);
                assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
            }
            latencies
        };
        let clients: Vec<_> = (0..connections).map(|_| scope.spawn(client)).collect();
        ready.wait();
        let began = Instant::now();
        let latencies: Vec<f64> =
            clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        (began.elapsed().as_secs_f64(), latencies)
    })
}

/// An answer with its body, whose length it says.
pub(crate) fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).expect("an answer");
        assert_ne!(read, 0, "it hung up");
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            });
            if body.len() >= length.expect("a length") {
                return text.into_owned();
            }
        }
    }
}

/// Waits until all that was accepted is in the log.
pub(crate) fn settle(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    loop {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n").expect("it reads");
        if read_answer(&mut stream).contains("\neventlog_events_pending 0\n") {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
