//! The gateway beside a bare handler of axum: requests a second, and how long the slow ones take.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use axum::routing::post;
use eventlog_tests::{Cluster, TENANT_A, db};
use serde_json::{Value, json};

use crate::Scale;
use crate::world::SETTINGS;

const TURN: Duration = Duration::from_secs(2);
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Events of a batched request.
const BATCH: usize = 50;

/// Requests of a kind to a server, over all turns.
#[derive(Default)]
struct Tally {
    /// µs of each request that was taken.
    taken: Vec<f64>,
    refused: usize,
}

pub(crate) fn run(scale: Scale) {
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let mut superuser = cluster.connect("app", "postgres");
    superuser
        .batch_execute("CREATE ROLE gateway LOGIN; SET SESSION AUTHORIZATION log_owner; SELECT eventlog.grant_gateway('gateway')")
        .expect("a log of ours");
    let program = build();
    let mut create = eventlog(&program, &cluster, "log_owner");
    let key = create.args(["key", "create", "--tenant", TENANT_A]).output().expect("it starts");
    let key = String::from_utf8(key.stdout).expect("a key").trim().to_owned();
    let gateway = Gateway::start(&program, &cluster);
    let bare = bare_handler();
    let turns = if scale.rounds > 100 { 5 } else { 1 };

    println!(
        "\nThe gateway's POST /api/track beside a bare handler of axum that reads the JSON and answers"
    );
    println!("{turns} turns of {TURN:?} each, by turns; clients and servers on one machine\n");
    println!(
        "  {:<34}{:>12}{:>12}{:>10}{:>10}{:>10}",
        "", "requests/s", "events/s", "p50, µs", "p99, µs", "503, %"
    );
    for events in [1, BATCH] {
        let body = body(events);
        for connections in CONNECTIONS {
            let mut tallies = [("bare axum", bare), ("gateway", gateway.address)]
                .map(|(name, address)| (name, address, Tally::default()));
            for _ in 0..turns {
                for (_, address, tally) in &mut tallies {
                    turn(*address, &request(&key, &body), connections, tally);
                    gateway.settle();
                }
            }
            let kind = if events == 1 { "single".to_owned() } else { format!("{events} events") };
            for (name, _, tally) in tallies {
                print(&format!("{name}, {kind}, {connections} conn."), tally, events, turns);
            }
        }
    }
    let stored = db::text(
        &mut superuser,
        "RESET SESSION AUTHORIZATION; SELECT count(*) FROM eventlog.events",
    );
    println!(
        "\n  stored of the gateway's: {stored}; accepted: {}",
        gateway.count("eventlog_events_total{outcome=\"accepted\"}")
    );
}

fn print(label: &str, mut tally: Tally, events: usize, turns: usize) {
    tally.taken.sort_by(f64::total_cmp);
    let at = |part: f64| match tally.taken.len() {
        0 => f64::NAN,
        all => tally.taken[((all - 1) as f64 * part) as usize],
    };
    let seconds = TURN.as_secs_f64() * turns as f64;
    let taken = tally.taken.len() as f64;
    println!(
        "  {label:<34}{:>12.0}{:>12.0}{:>10.0}{:>10.0}{:>10.1}",
        taken / seconds,
        taken * events as f64 / seconds,
        at(0.5),
        at(0.99),
        100.0 * tally.refused as f64 / (taken + tally.refused as f64)
    );
}

/// The program, built if need be.
fn build() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--release", "--quiet", "-p", "eventlog-cli"]);
    // What cargo says of this package would be news to build scripts, and build all again.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_") && name != "CARGO_HOME" && name != "CARGO_TARGET_DIR" {
            build.env_remove(name);
        }
    }
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo").success());
    let mut program = std::env::current_exe().expect("this program");
    program.set_file_name("eventlog");
    program
}

/// The program set to the cluster.
fn eventlog(program: &Path, cluster: &Cluster, role: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("PGHOST", cluster.folder())
        .env("PGPORT", "5432")
        .env("PGUSER", role)
        .env("PGDATABASE", "app")
        .env_remove("EVENTLOG_DSN")
        .stdin(Stdio::null());
    command
}

struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Gateway {
    fn start(program: &Path, cluster: &Cluster) -> Self {
        let mut command = eventlog(program, cluster, "gateway");
        command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limit", "0"]);
        command.args(["--queue-events", "100000", "--queue-bytes", "268435456"]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).expect("UTF-8"), 0, "it ended");
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().parse().expect("an address");
            }
        };
        thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Gateway { child, address }
    }

    /// A count of its metrics.
    fn count(&self, name: &str) -> u64 {
        let mut client = Client::to(self.address);
        let request = b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n";
        let (_, body) = client.ask(request);
        let text = String::from_utf8_lossy(&body);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |count| count.parse().expect("a count"))
    }

    /// Waits until all is written, so that turns do not pay for each other.
    fn settle(&self) {
        while self.count("eventlog_events_pending") > 0 {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The least that a server in Rust would do with such a request.
fn bare_handler() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("ours");
    let address = listener.local_addr().expect("ours");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime with IO");
            let routes = axum::Router::new().route("/api/track", post(accept));
            axum::serve(listener, routes).await.expect("it serves until the end");
        });
    });
    address
}

async fn accept(Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let accepted = body.as_array().map_or(1, Vec::len);
    (StatusCode::ACCEPTED, Json(json!({ "accepted": accepted })))
}

fn body(events: usize) -> String {
    let event = |n: usize| {
        json!({
            "name": "tool_used", "actor": format!("user-{n}"),
            "data": { "toolName": "Bash", "hookEvent": "PostToolUse", "source": "bench", "text": "x".repeat(80) },
        })
    };
    match events {
        1 => event(1).to_string(),
        _ => (0..events).map(event).collect::<Value>().to_string(),
    }
}

fn request(key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /api/track HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// As many clients as connections, each with one request under way, for the time of a turn.
fn turn(address: SocketAddr, request: &[u8], connections: usize, tally: &mut Tally) {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::to(address);
                    let mut own = Tally::default();
                    let started = Instant::now();
                    while started.elapsed() < TURN {
                        let asked = Instant::now();
                        match client.ask(request).0 {
                            202 => own.taken.push(asked.elapsed().as_secs_f64() * 1e6),
                            503 => own.refused += 1,
                            status => panic!("status {status}"),
                        }
                    }
                    own
                })
            })
            .collect();
        for client in clients {
            let own = client.join().expect("a client of ours");
            tally.taken.extend(own.taken);
            tally.refused += own.refused;
        }
    });
}

/// A connection that is kept.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("ours");
        Client { stream: BufReader::new(stream) }
    }

    /// Status and body of the answer.
    fn ask(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        self.stream.get_mut().write_all(request).expect("it reads");
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            assert_ne!(self.stream.read_line(&mut line).expect("it answers"), 0, "it hung up");
            if status == 0 {
                status =
                    line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("as long as it says");
        (status, body)
    }
}
