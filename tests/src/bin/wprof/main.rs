//! Scratch: CPU of the writer's parts against COPY.
#![allow(missing_docs)]
use eventlog_tests::{Cluster, TENANT_A, db};
use eventlog_writer::{Event, EventName, Options, sync};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Builder;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;
fn payload(n: usize) -> serde_json::Value {
    serde_json::json!({
        "toolName": "search", "hookEvent": "PostToolUse", "number": n, "durationMs": n % 5_000,
        "success": !n.is_multiple_of(7), "note": "as long as the payload of an ordinary event, more or less"
    })
}
fn tenant() -> Uuid {
    TENANT_A.parse().unwrap()
}
/// user+sys ticks in µs of a task
fn cpu(path: &str) -> f64 {
    // schedstat: ns on cpu, ns waiting, slices
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e3
}
fn own() -> f64 {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .map(|t| cpu(&format!("{}/schedstat", t.path().display())))
        .sum()
}
async fn copy(client: &Client, rows: std::ops::Range<usize>) {
    let sink = client.copy_in("COPY bench.twin (tenant_id, name, data, occurred_at, subject) FROM STDIN (FORMAT binary)").await.unwrap();
    let types = [Type::UUID, Type::TEXT, Type::JSONB, Type::TIMESTAMPTZ, Type::TEXT];
    let mut copy = std::pin::pin!(BinaryCopyInWriter::new(sink, &types));
    for i in rows {
        let data = tokio_postgres::types::Json(payload(i));
        let now = SystemTime::now();
        let row: [&(dyn ToSql + Sync); 5] = [&tenant(), &"tool_used", &data, &now, &"search"];
        copy.as_mut().write(&row).await.unwrap();
    }
    copy.finish().await.unwrap();
}
fn main() {
    let durable = std::env::var_os("NOFSYNC").is_none();
    let on = if durable { "on" } else { "off" };
    let cluster = Cluster::start(&[
        ("fsync", "on"),
        ("synchronous_commit", on),
        ("shared_buffers", "'512MB'"),
        ("wal_level", "replica"),
        ("max_wal_size", "'16GB'"),
        ("checkpoint_timeout", "'1h'"),
        ("autovacuum", "off"),
    ]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "writer");
    cluster.psql("writer", "postgres", include_str!("../bench/setup.sql")).unwrap();
    if std::env::var_os("LATENCY").is_some() {
        latency(&cluster);
        return;
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = Options::new().enabled(true).linger(Duration::ZERO).queue(1_000_000, 1 << 30);
    let options = match std::env::var("BATCH") {
        Ok(n) => options.batch_events(n.parse().unwrap()),
        _ => options,
    };
    let writer = sync::Writer::connect(cluster.config("writer", "service"), options);
    writer
        .log_and_wait(Event::new(EventName::ToolUsed).tenant(tenant()).data(&payload(1)))
        .unwrap();
    let client = runtime.block_on(async {
        let config: tokio_postgres::Config =
            cluster.conninfo("writer", "log_owner").parse().unwrap();
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    });
    let mut superuser = cluster.connect("writer", "postgres");
    let pid = |superuser: &mut postgres::Client, role: &str| {
        db::text(superuser, &format!("SELECT pid FROM pg_stat_activity WHERE usename = '{role}'"))
    };
    let pids = [pid(&mut superuser, "service"), pid(&mut superuser, "log_owner")];
    let batches = |s: &mut postgres::Client| -> i64 {
        db::text(s, "SELECT max(batch_number) FROM eventlog.producers").parse().unwrap_or(0)
    };
    const N: usize = 10_000;
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let mut all = vec![vec![]; 2];
    let first = batches(&mut superuser);
    for round in 0..rounds {
        for which in 0..2 {
            let which = (which + round) % 2;
            let server = || cpu(&format!("/proc/{}/schedstat", pids[which]));
            let (c, s, t) = (own(), server(), Instant::now());
            if which == 0 {
                for i in 0..N {
                    assert!(
                        writer.log(
                            Event::new(EventName::ToolUsed).tenant(tenant()).data(&payload(i))
                        )
                    );
                }
                assert!(writer.flush(Duration::from_secs(100)));
            } else {
                runtime.block_on(async {
                    for f in (0..N).step_by(1000) {
                        copy(&client, f..f + 1000).await;
                    }
                });
            }
            let took = t.elapsed().as_secs_f64() * 1e6;
            let n = N as f64;
            all[which].push([(own() - c) / n, (server() - s) / n, took / n]);
        }
    }
    let batches = (batches(&mut superuser) - first) as f64;
    println!("events a batch {:.0}", (N * rounds) as f64 / batches);
    for (name, rows) in ["writer", "copy"].iter().zip(&all) {
        let m = |k: usize| {
            let mut v: Vec<f64> = rows.iter().map(|r| r[k]).collect();
            v.sort_by(f64::total_cmp);
            v[v.len() / 2]
        };
        println!(
            "{name:8} client cpu {:.2} server cpu {:.2} wall {:.2} µs/event",
            m(0),
            m(1),
            m(2)
        );
    }
    let mut r: Vec<f64> = all[0].iter().zip(&all[1]).map(|(w, c)| c[2] / w[2]).collect();
    r.sort_by(f64::total_cmp);
    println!(
        "ratio of rates {:.3} ({:.3} to {:.3})",
        r[r.len() / 2],
        r[r.len() / 4],
        r[3 * r.len() / 4]
    );
    let _ = writer.close(Duration::from_secs(5));
}

fn floors() {
    let off = sync::Writer::connect(
        "host=/nonexistent user=nobody".parse().unwrap(),
        Options::new().enabled(false),
    );
    let things: Vec<(&str, Box<dyn Fn(Event)>)> = vec![
        ("drop the event", Box::new(|e| drop(std::hint::black_box(e)))),
        (
            "disabled",
            Box::new(move |e| {
                off.log(e);
            }),
        ),
        (
            "getpid",
            Box::new(|e| {
                std::hint::black_box(std::process::id());
                std::mem::forget(e);
            }),
        ),
        (
            "wall",
            Box::new(|e| {
                std::hint::black_box(SystemTime::now());
                std::mem::forget(e);
            }),
        ),
        (
            "nothing",
            Box::new(|e| {
                std::mem::forget(e);
            }),
        ),
    ];
    for (name, thing) in &things {
        for pause in [500u64, 50] {
            let mut times = vec![];
            for n in 0..4_000usize {
                let event = Event::new(EventName::ToolUsed).tenant(tenant()).data(&payload(n));
                let began = Instant::now();
                thing(event);
                times.push(began.elapsed().as_nanos());
                let until = began + Duration::from_micros(pause);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            }
            times.sort_unstable();
            println!(
                "{name:16} pause {pause}: p50 {} p90 {} p99 {}",
                times[2000], times[3600], times[3960]
            );
        }
    }
}
fn latency(cluster: &Cluster) {
    if std::env::var_os("FLOORS").is_some() {
        floors();
    }
    let writer = sync::Writer::connect(
        cluster.config("writer", "service"),
        Options::new().enabled(true).queue(1_000_000, 1 << 30),
    );
    for pause in [500u64, 50] {
        let mut times = vec![];
        let mut slow = vec![];
        for n in 0..20_000usize {
            let event = Event::new(EventName::ToolUsed).tenant(tenant()).data(&payload(n));
            let began = Instant::now();
            let _ = std::hint::black_box(writer.log(event));
            let t = began.elapsed().as_nanos();
            if t > 1500 {
                slow.push((n, t));
            }
            times.push(t);
            let until = began + Duration::from_micros(pause);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
        times.sort_unstable();
        let at = |p: f64| times[(p * (times.len() - 1) as f64) as usize];
        println!(
            "pause {pause}: p50 {} p90 {} p98 {} p99 {} p99.5 {} p99.9 {}  over 1.5 µs: {}",
            at(0.5),
            at(0.9),
            at(0.98),
            at(0.99),
            at(0.995),
            at(0.999),
            slow.len()
        );
        println!("{:?}", &slow[slow.len().saturating_sub(60)..]);
    }
    let _ = writer.close(Duration::from_secs(5));
}
