//! One batch in one call: what the backend takes for it, and that it gives it back.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postgres::Client;
use postgres::types::ToSql;

use crate::contender::Who;
use crate::scale::Scale;
use crate::wire::{self, Encoded};
use crate::world::{Input, World};

/// The most that a backend may take for [`TYPICAL`] events.
const LIMIT_KIB: u64 = 64 * 1024;
const TYPICAL: usize = 10_000;

/// What calls may leave behind in PostgreSQL's memory contexts, and of resident memory: glibc keeps
/// for the next time some of what was given back to it.
const CONTEXTS_KIB: i64 = 64;
const KEPT_KIB: u64 = 32 * 1024;

const SEE_CONTEXTS: &str = "
    GRANT SELECT ON pg_backend_memory_contexts TO member;
    GRANT EXECUTE ON FUNCTION pg_get_backend_memory_contexts() TO member";

const MIB: usize = 1024 * 1024;

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug)]
struct Memory {
    anonymous: u64,
    /// The server's buffers that it touched, and the programs' files.
    shared: u64,
    /// The most of both together since it was last reset.
    peak: u64,
}

impl Memory {
    fn of(process: i32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let read = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Memory {
            anonymous: read("RssAnon:"),
            shared: read("RssShmem:") + read("RssFile:"),
            peak: read("VmHWM:"),
        }
    }
}

/// Prints what batches of several shapes take.
pub(crate) fn run(_: Scale) {
    let world = World::new(1_000);
    world.superuser(Who::Member).batch_execute(SEE_CONTEXTS).expect("a superuser may");
    let inputs = world.inputs(Who::Member);
    let typical = |n: usize| inputs.iter().cycle().take(n).collect::<Vec<_>>();
    let of_payload = |bytes: usize| Input {
        tenant: String::new(),
        name: "message_sent".to_owned(),
        data: format!(
            r#"{{"conversationId": "1", "role": "user", "text": "{}"}}"#,
            "text that is long ".repeat(bytes / 18)
        ),
        subject: None,
    };
    let page = of_payload(1_800);
    let huge = of_payload(64 * MIB);

    println!("\nMemory of a backend while it takes one batch in one call, as member; MiB");
    println!("{}", world.describe());
    println!(
        "\n  {:<38}{:>8}{:>9}{:>9}{:>9}{:>9}{:>14}  {:<7}{:>8}",
        "", "sent", "before", "peak", "at most", "after", "contexts", "", "seconds"
    );
    let show = |what: &str, rows: Vec<&Input>| measure(&world, what, &inputs, &rows);
    let at_most = show("10,000 typical events", typical(TYPICAL));
    show("100,000 typical events", typical(100_000));
    show("64 MiB in events of 1,800 bytes", vec![&page; 64 * MIB / page.data.len()]);
    show("one event of 64 MiB, which is refused", vec![&huge]);
    let verdict = if at_most <= LIMIT_KIB { "PASS" } else { "OVER" };
    println!(
        "\n  peak: anonymous memory, looked at each 200 µs; at most: VmHWM without the shared memory of\n  \
         before; after: when it was sent five times, and what its memory contexts grew by in four\n  \
         10,000 typical events: at most {} MiB, target ≤ 64  {verdict}",
        mib(at_most)
    );
}

fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

/// Prints a line; the most anonymous memory that the batch can have taken, in KiB.
fn measure(world: &World, what: &str, inputs: &[Input], rows: &[&Input]) -> u64 {
    let mut client = world.connect(Who::Member);
    world.set_tenant(&mut client, 0);
    let process: i32 =
        eventlog_tests::text(&mut client, "SELECT pg_backend_pid()").parse().expect("a number");
    let tenant = eventlog_tests::text(&mut client, "SELECT eventlog.current_tenant()");
    // Plans and caches are not the batch's.
    let few = wire::arrays(&tenant, &inputs[..100].iter().collect::<Vec<_>>());
    log(&mut client, &few);
    let batch = wire::arrays(&tenant, rows);

    let before = Memory::of(process);
    let (peak, at_most, seconds) = watch(process, || log(&mut client, &batch));
    let contexts_before = contexts(&mut client);
    for _ in 0..4 {
        log(&mut client, &batch);
        log(&mut client, &few);
    }
    let grown = contexts(&mut client) - contexts_before;
    let after = Memory::of(process).anonymous;

    let sent: usize = batch.iter().map(|array| array.0.len()).sum();
    let is_flat = grown <= CONTEXTS_KIB && after <= before.anonymous + KEPT_KIB;
    println!(
        "  {what:<38}{:>8}{:>9}{:>9}{:>9}{:>9}{grown:>+10} KiB  {:<7}{seconds:>8.2}",
        mib(sent as u64 / 1024),
        mib(before.anonymous),
        mib(peak),
        mib(at_most),
        mib(after),
        if is_flat { "flat" } else { "GROWS" }
    );
    at_most
}

/// Runs `body` and looks at the process meanwhile: the most anonymous memory that was seen, the
/// most that there can have been, both in KiB, and the seconds it took.
fn watch(process: i32, body: impl FnOnce()) -> (u64, u64, f64) {
    // Makes now the peak. Only root may; without it the peak is that of all since the connection
    // was made, which was little.
    let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
    let shared = Memory::of(process).shared;
    let (peak, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let started = Instant::now();
    let seconds = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                peak.fetch_max(Memory::of(process).anonymous, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        body();
        is_over.store(true, Ordering::Relaxed);
        started.elapsed().as_secs_f64()
    });
    (peak.into_inner(), Memory::of(process).peak.saturating_sub(shared), seconds)
}

/// What PostgreSQL's memory contexts hold, in KiB.
fn contexts(client: &mut Client) -> i64 {
    let sql = "SELECT (sum(total_bytes) / 1024)::bigint FROM pg_backend_memory_contexts";
    eventlog_tests::text(client, sql).parse().expect("a number")
}

fn log(client: &mut Client, batch: &[Encoded]) {
    let values: Vec<&(dyn ToSql + Sync)> =
        batch.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    client
        .query_one("SELECT written, rejected FROM eventlog.log_events($1, $2, $3)", &values)
        .expect("a batch is taken, whatever its events are");
}
