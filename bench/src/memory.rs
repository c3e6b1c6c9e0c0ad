//! A million events in one transaction: the backend's memory must not grow with them.

use std::fs;
use std::sync::{Arc, Mutex};

use postgres::NoTls;

use crate::contender::Who;
use crate::scale::Scale;
use crate::world::World;

/// Memory, in KiB, after so many events.
#[derive(Clone, Copy, Debug)]
struct Sample {
    events: u64,
    /// What PostgreSQL's memory contexts hold.
    contexts: u64,
    /// Anonymous memory of the process: contexts, Rust's own and all else that is not shared.
    resident: u64,
}

/// All in one statement, so that what a call leaves behind stays until the end. The loop says how
/// far it is and what its contexts hold; the process is looked at from outside at that moment.
const LOOP: &str = "
    CREATE FUNCTION bench.many(n integer, step integer) RETURNS void LANGUAGE plpgsql AS $loop$
    DECLARE
        tenant   uuid := eventlog.current_tenant();
        names    text[];
        payloads jsonb[];
        new_id   bigint;
    BEGIN
        SELECT array_agg(name), array_agg(data) INTO names, payloads FROM bench.input WHERE number < 1000;
        FOR i IN 0 .. n LOOP
            IF i % step = 0 THEN
                RAISE NOTICE '% %', i, (SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts)::bigint;
            END IF;
            new_id := eventlog.log_event(tenant, names[1 + i % 1000], payloads[1 + i % 1000]);
        END LOOP;
    END
    $loop$;
    GRANT SELECT ON pg_backend_memory_contexts TO member;
    GRANT EXECUTE ON FUNCTION pg_get_backend_memory_contexts() TO member;";

/// Prints memory at each tenth of the way.
pub(crate) fn run(scale: Scale) {
    let world = World::new(1_000);
    world.superuser(Who::Member).batch_execute(LOOP).expect("a superuser may");

    let samples = Arc::new(Mutex::new(Vec::new()));
    let process = Arc::new(Mutex::new(0));
    let mut config = world.config(Who::Member);
    {
        let (samples, process) = (Arc::clone(&samples), Arc::clone(&process));
        config.notice_callback(move |notice| {
            let mut numbers = notice.message().split(' ').map_while(|word| word.parse().ok());
            if let (Some(events), Some(contexts)) = (numbers.next(), numbers.next()) {
                let resident = resident(*process.lock().expect("nobody panics with it"));
                let sample = Sample { events, contexts, resident };
                samples.lock().expect("nobody panics with it").push(sample);
            }
        });
    }
    let mut client = config.connect(NoTls).expect("the server runs");
    let row = client.query_one("SELECT pg_backend_pid()", &[]).expect("a number");
    *process.lock().expect("nobody panics with it") = row.get(0);
    world.set_tenant(&mut client, 0);
    let n = scale.events_in_memory as i32;
    client.execute("SELECT bench.many($1, $2)", &[&n, &(n / 10)]).expect("the events are valid");

    print(&samples.lock().expect("nobody panics with it"));
}

/// Anonymous resident memory in KiB. (Buffers of the server that only this process touched count
/// as its private pages too, and grow with the table.)
fn resident(process: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn print(samples: &[Sample]) {
    println!("\nMemory of a backend, log_event as member, all in one statement\n");
    println!("  {:>10}{:>16}{:>24}", "events", "contexts, KiB", "anonymous resident, KiB");
    for sample in samples {
        println!("  {:>10}{:>16}{:>24}", sample.events, sample.contexts, sample.resident);
    }
    // The first tenth fills caches: plans, the enum, the catalog.
    if let [_, early, .., late] = samples {
        let grown = |early: u64, late: u64| late as f64 - early as f64;
        let (contexts, resident) =
            (grown(early.contexts, late.contexts), grown(early.resident, late.resident));
        let bytes = resident * 1024.0 / (late.events - early.events) as f64;
        let verdict = if contexts < 64.0 && resident < 512.0 { "flat" } else { "GROWS" };
        println!(
            "\n  after the first tenth: {contexts:+} KiB in contexts, {resident:+} KiB resident \
             ({bytes:.2} bytes an event): {verdict}"
        );
    }
}
