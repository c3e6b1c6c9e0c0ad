//! The writer, end to end and durable, beside what an application would do without it.

use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, TENANT_A, db};
use eventlog_writer::{Event, EventName, Options, WhenFull, asynchronous, sync};
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::scale::Scale;
use crate::stats::{Quartiles, Target};

/// Every commit reaches the disk.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "'512MB'"),
    ("wal_level", "replica"),
    ("max_wal_size", "'16GB'"),
    ("checkpoint_timeout", "'1h'"),
    ("autovacuum", "off"),
];

const WAIT: Duration = Duration::from_secs(120);

/// All columns that the log fills.
const INSERT: &str = "INSERT INTO bench.twin (tenant_id, name, data, occurred_at, subject)
    VALUES ($1, $2, $3::text::jsonb, $4, 'search')";

/// Rows of a COPY that is as large as the writer's batches from a backlog, and as often on disk.
const COPIED: usize = 1_000;

/// What sends, and how many events in a turn: those that wait for each commit send fewer.
const CONTENDERS: &[(&str, usize)] = &[
    ("writer, sync", 10_000),
    ("writer, asynchronous", 10_000),
    ("INSERT, awaited one by one", 300),
    ("INSERT, pipelined", 3_000),
    ("COPY of 1,000 rows, committed each", 10_000),
    ("COPY of 10,000 rows", 10_000),
];

const RATIOS: &[(usize, usize, Option<Target>)] = &[
    (0, 2, Some(Target::AtLeast(20.0))),
    (1, 2, Some(Target::AtLeast(20.0))),
    (0, 4, Some(Target::AtLeast(0.8))),
    (1, 4, Some(Target::AtLeast(0.8))),
    (0, 5, None),
    (1, 5, None),
];

fn payload(n: usize) -> serde_json::Value {
    serde_json::json!({
        "toolName": "search", "hookEvent": "PostToolUse", "number": n, "durationMs": n % 5_000,
        "success": !n.is_multiple_of(7), "note": "as long as the payload of an ordinary event, more or less"
    })
}

fn event(n: usize) -> Event {
    Event::new(EventName::ToolUsed).tenant(tenant()).data(&payload(n))
}

fn tenant() -> Uuid {
    TENANT_A.parse().expect("a uuid")
}

/// The defaults, but that the queue holds whatever comes.
fn options() -> Options {
    Options::new().enabled(true).queue(1_000_000, 1 << 30)
}

/// Events a second, then nanoseconds of `log()`, then memory.
pub(crate) fn run(scale: Scale) {
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    db::create_log(&cluster, "writer");
    let twin = include_str!("setup.sql");
    cluster.psql("writer", "postgres", twin).unwrap_or_else(|error| panic!("{error}"));
    // First, while the allocator has nothing to give back.
    memory();
    throughput(&cluster, if scale.rounds > 100 { 20 } else { 3 });
    latency(&cluster);
}

fn throughput(cluster: &Cluster, rounds: usize) {
    let runtime =
        Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let of_service = cluster.config("writer", "service");
    let sync = sync::Writer::connect(of_service, options());
    let conninfo = cluster.conninfo("writer", "service").parse().expect("ours");
    let asynchronous =
        runtime.block_on(async { asynchronous::Writer::connect(conninfo, options()) });
    let client = runtime.block_on(connect(cluster));
    let mut rates = vec![Vec::new(); CONTENDERS.len()];
    let mut order: Vec<usize> = (0..CONTENDERS.len()).collect();
    let mut random = Random::seeded(7);
    for round in 0..=rounds {
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for &place in &order {
            let n = CONTENDERS[place].1;
            let began = Instant::now();
            match place {
                0 => {
                    for i in 0..n {
                        assert!(sync.log(event(i)));
                    }
                    assert!(sync.flush(WAIT));
                }
                1 => {
                    for i in 0..n {
                        assert!(asynchronous.log(event(i)));
                    }
                    assert!(runtime.block_on(asynchronous.flush(WAIT)));
                }
                2 => awaited(&runtime, &client, n),
                3 => pipelined(&runtime, &client, n),
                4 => copied(&runtime, &client, n, COPIED),
                _ => copied(&runtime, &client, n, n),
            }
            // The first round warms up.
            if round > 0 {
                rates[place].push(n as f64 / began.elapsed().as_secs_f64());
            }
        }
    }
    println!("\nThe writer beside what it replaces, end to end, each commit on disk");
    let batches = "SELECT sum(batch_number) FROM eventlog.producers";
    let batches = eventlog_tests::text(&mut cluster.connect("writer", "postgres"), batches);
    let batches: usize = batches.parse().expect("a number");
    let logged = (rounds + 1) * (CONTENDERS[0].1 + CONTENDERS[1].1);
    println!("{rounds} rounds, one client, payloads of about 160 bytes");
    println!("the writers' batches had {} events on average\n", logged / batches);
    println!("  {:<34}{:>12}   {:<20}", "", "events/s", "quartiles");
    for ((name, _), rates) in CONTENDERS.iter().zip(&rates) {
        let rate = Quartiles::of(rates);
        println!("  {name:<34}{:>12.0}   {:.0} to {:.0}", rate.median, rate.first, rate.third);
    }
    println!("\n  {:<62}{:>8}   target", "ratio within a round", "median");
    for (of, to, target) in RATIOS {
        let ratio = Quartiles::of_ratios(&rates[*of], &rates[*to]).median;
        let label = format!("{} / {}", CONTENDERS[*of].0, CONTENDERS[*to].0);
        let verdict = target.map_or(String::new(), |target| target.judge(ratio));
        println!("  {label:<62}{ratio:>8.2}   {verdict}");
    }
    assert!(sync.close(WAIT).is_complete());
    assert!(runtime.block_on(asynchronous.close(WAIT)).is_complete());
}

/// The owner of the twin, whom policies do not bind: COPY is refused to others.
async fn connect(cluster: &Cluster) -> Client {
    let config: tokio_postgres::Config =
        cluster.conninfo("writer", "log_owner").parse().expect("ours");
    let (client, connection) = config.connect(NoTls).await.expect("it runs");
    tokio::spawn(connection);
    client
}

fn awaited(runtime: &Runtime, client: &Client, n: usize) {
    runtime.block_on(async {
        let insert = client.prepare(INSERT).await.expect("a statement of ours");
        for i in 0..n {
            let data = payload(i).to_string();
            let now = SystemTime::now();
            client.execute(&insert, &[&tenant(), &"tool_used", &data, &now]).await.expect("valid");
        }
    });
}

fn pipelined(runtime: &Runtime, client: &Client, n: usize) {
    runtime.block_on(async {
        let insert = client.prepare(INSERT).await.expect("a statement of ours");
        let rows: Vec<String> = (0..n).map(|i| payload(i).to_string()).collect();
        let (tenant, now) = (tenant(), SystemTime::now());
        let parameters: Vec<[&(dyn ToSql + Sync); 4]> = rows
            .iter()
            .map(|data| [&tenant as _, &"tool_used" as _, data as _, &now as _])
            .collect();
        let sent = parameters.iter().map(|parameters| client.execute(&insert, parameters));
        for answer in join_all(sent).await {
            answer.expect("valid");
        }
    });
}

/// In statements of so many rows, each its own transaction.
fn copied(runtime: &Runtime, client: &Client, n: usize, size: usize) {
    runtime.block_on(async {
        for first in (0..n).step_by(size) {
            copy(client, first..n.min(first + size)).await;
        }
    });
}

async fn copy(client: &Client, rows: Range<usize>) {
    let sink = client
        .copy_in("COPY bench.twin (tenant_id, name, data, occurred_at, subject) FROM STDIN (FORMAT binary)")
        .await
        .expect("the owner may");
    let types = [Type::UUID, Type::TEXT, Type::JSONB, Type::TIMESTAMPTZ, Type::TEXT];
    let mut copy = std::pin::pin!(BinaryCopyInWriter::new(sink, &types));
    for i in rows {
        let data = tokio_postgres::types::Json(payload(i));
        let now = SystemTime::now();
        let row: [&(dyn ToSql + Sync); 5] = [&tenant(), &"tool_used", &data, &now, &"search"];
        copy.as_mut().write(&row).await.expect("valid");
    }
    copy.finish().await.expect("valid");
}

fn latency(cluster: &Cluster) {
    println!("\nlog(), nanoseconds of the calling thread, payload and event made before\n");
    println!("  {:<38}{:>8}{:>8}{:>8}", "", "p50", "p99", "p99.9");
    let up = sync::Writer::connect(cluster.config("writer", "service"), options());
    print_latency("the queue has room, 2,000 a second", &up, 500);
    print_latency("the queue has room, 20,000 a second", &up, 50);
    let nowhere = "host=/nonexistent user=nobody".parse().expect("ours");
    let full = sync::Writer::connect(
        nowhere,
        Options::new().enabled(true).when_full(WhenFull::DropNewest).close_timeout(Duration::ZERO),
    );
    while full.log(event(0)) {}
    print_latency("the queue is full", &full, 0);
    let off = sync::Writer::connect(
        "host=/nonexistent user=nobody".parse().expect("ours"),
        Options::new().enabled(false),
    );
    print_latency("disabled", &off, 0);
    assert!(up.close(WAIT).is_complete());
}

/// With a pause between the calls, or as fast as it goes.
fn print_latency(label: &str, writer: &sync::Writer, pause_micros: u64) {
    const EVENTS: usize = 20_000;
    let mut times = Vec::with_capacity(EVENTS);
    for n in 0..EVENTS {
        let event = event(n);
        let began = Instant::now();
        std::hint::black_box(writer.log(event));
        times.push(began.elapsed().as_nanos());
        let until = began + Duration::from_micros(pause_micros);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    }
    times.sort_unstable();
    let at = |part: f64| times[(part * (times.len() - 1) as f64) as usize];
    println!("  {label:<38}{:>8}{:>8}{:>8}", at(0.5), at(0.99), at(0.999));
}

fn memory() {
    let nowhere = "host=/nonexistent user=nobody".parse().expect("ours");
    let before = resident();
    let writer =
        sync::Writer::connect(nowhere, Options::new().enabled(true).close_timeout(Duration::ZERO));
    let mut n = 0;
    while writer.log(event(n)) {
        n += 1;
    }
    let after = resident();
    println!("\nA full queue: {n} events, {:.1} MB", (after - before) as f64 / 1e6);
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_u64) * 4_096
}
