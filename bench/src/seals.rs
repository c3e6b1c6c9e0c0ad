//! What seals cost: those who write, maintenance, the disk, and those who erase.

use std::time::Instant;

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, TENANT_A, db, rows};
use postgres::Client;

use crate::consumers::{WAYS, turn};
use crate::scale::Scale;
use crate::stats::{Quartiles, Target};
use crate::world::SETTINGS;

/// The logs that are compared.
const LOGS: [(&str, bool); 2] = [("plain", false), ("sealed", true)];
/// Events of a tenant's day, and tenants that have as many.
const DAYS: [(usize, usize); 4] = [(1_001, 1000), (1_025, 1000), (10_000, 50), (100_000, 20)];
/// Events of both logs before the first round, and the actors that they are of in turn.
const PAST: usize = 200_000;
const ACTORS: usize = 200;
/// Actors that are erased.
const ERASURES: usize = 20;

const WRITE: Target = Target::AtMost(1.03);
const SEALING: Target = Target::AtLeast(300_000.0);
const BYTES: Target = Target::AtMost(1.0);

/// Makes a log for the day on which all events are.
const MAKE: &str = "
    SELECT eventlog.create_log(retention => '100 years', seals => SEALS);
    SELECT eventlog.define_event(n) FROM unnest(ARRAY['page_viewed', 'page_left', 'signed_up', 'tool_used']) n;
    SELECT eventlog._make_partition('2026-01-01 00:00+00')";

/// Events of some tenants' day, which has passed.
const FILL: &str = "
    INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at)
    SELECT CASE WHEN TENANTS = 1 THEN 'TENANT_A' ELSE md5('tenant' || t) END::uuid, (ARRAY['page_viewed', 'page_viewed', 'page_left', 'signed_up'])[1 + n % 4],
           jsonb_build_object('page', '/articles/' || n % 997, 'durationMs', n % 5003, 'isFirst', n % 7 = 0, 'price', 1.50 * (n % 11)),
           'user-' || n % ACTORS, '2026-01-05 00:00+00'::timestamptz + n * (interval '86000 s' / EVENTS)
      FROM generate_series(1, EVENTS) n, generate_series(1, TENANTS) t";

/// Prints medians and ratios, sealing by size of the day, and what erasing takes.
pub(crate) fn run(scale: Scale) {
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    for (database, has_seals) in LOGS {
        let mut owner = make(&cluster, database, has_seals);
        fill(&cluster, database, PAST, 1);
        cluster.psql(database, "postgres", "VACUUM ANALYZE eventlog.events").expect("a superuser");
        owner.batch_execute("CALL eventlog.maintain()").expect("its own log");
        assert_eq!(number(&mut owner, "SELECT count(*) FROM eventlog.seals") > 0.0, has_seals);
    }
    write(&cluster, scale.rounds.min(100));
    erase(&cluster, scale.rounds.min(ERASURES));
    println!("\nSealing and verifying a day, by the events of each tenant\n");
    println!(
        "  {:>9}{:>9}{:>12}   {:<28}{:>12}{:>9}   an event; target",
        "events", "tenants", "sealed/s", "target", "verified/s", "bytes"
    );
    for (events, tenants) in DAYS {
        day(&cluster, events, if scale.rounds < 100 { tenants / 10 } else { tenants });
    }
    bytes_of_seals(&cluster);
}

/// Makes a log, and returns a connection of its owner.
fn make(cluster: &Cluster, database: &str, has_seals: bool) -> Client {
    db::create_log(cluster, database);
    let mut owner = cluster.connect(database, "log_owner");
    let make = MAKE.replace("SEALS", &has_seals.to_string());
    owner.batch_execute(&make).unwrap_or_else(|error| panic!("{error:?}"));
    owner
}

fn fill(cluster: &Cluster, database: &str, events: usize, tenants: usize) {
    let fill = FILL
        .replace("TENANT_A", TENANT_A)
        .replace("ACTORS", &ACTORS.to_string())
        .replace("EVENTS", &events.to_string())
        .replace("TENANTS", &tenants.to_string());
    let mut owner = cluster.connect(database, "log_owner");
    owner.batch_execute(&fill).unwrap_or_else(|error| panic!("{error:?}"));
}

fn number(client: &mut Client, sql: &str) -> f64 {
    rows(client, sql)[0][0].parse().unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Logs into both by turns.
fn write(cluster: &Cluster, rounds: usize) {
    let mut clients = LOGS.map(|(database, _)| {
        let mut client = cluster.connect(database, "member");
        let tenant = format!("SET eventlog.tenant_id = '{TENANT_A}'");
        client.batch_execute(&tenant).expect("a setting for everybody");
        client
    });
    let mut random = Random::seeded(20);
    let mut times = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    // The first round warms up.
    for round in 0..=rounds {
        let mut order = [(0, 0), (0, 1), (1, 0), (1, 1)];
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for (way, log) in order {
            let time = turn(&mut clients[log], way);
            if round > 0 {
                times[way][log].push(time);
            }
        }
    }
    println!("\nLogging with seals, and without");
    println!("{rounds} rounds; µs an event, medians\n");
    heading();
    for (way, [without, with]) in WAYS.iter().zip(&times) {
        compare(way, without, with, &WRITE.judge(Quartiles::of_ratios(with, without).median));
    }
}

fn heading() {
    println!("  {:<28}{:>9}{:>9}{:>9}   {:<16}target", "", "without", "with", "ratio", "quartiles");
}

fn compare(what: &str, without: &[f64], with: &[f64], verdict: &str) {
    let ratio = Quartiles::of_ratios(with, without);
    println!(
        "  {what:<28}{:>9.2}{:>9.2}{:>9.3}   {:<16}{verdict}",
        Quartiles::of(without).median,
        Quartiles::of(with).median,
        ratio.median,
        format!("{:.3} to {:.3}", ratio.first, ratio.third),
    );
}

/// Erases actors whose events lie in every block of a day.
fn erase(cluster: &Cluster, rounds: usize) {
    let mut owners = LOGS.map(|(database, _)| cluster.connect(database, "log_owner"));
    let mut random = Random::seeded(21);
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        let mut order = [0, 1];
        if random.one_in(2) {
            order.reverse();
        }
        for log in order {
            let call = format!("CALL eventlog.forget_actor('{TENANT_A}', 'user-{round}')");
            let started = Instant::now();
            owners[log].batch_execute(&call).expect("its own log");
            times[log].push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    println!(
        "\nErasing an actor with {} of {PAST} events, in every block of a day\n{rounds} actors; ms, medians\n",
        PAST / ACTORS
    );
    heading();
    compare("forget_actor", &times[0], &times[1], "");
    assert_valid(&mut owners[1]);
}

/// Prints the bytes of a seal itself, for tenants that have one each day for years.
fn bytes_of_seals(cluster: &Cluster) {
    let sql = "CREATE TABLE public.seals (LIKE eventlog.seals INCLUDING INDEXES);
               INSERT INTO public.seals
               SELECT md5('tenant' || t)::uuid, n, '2020-01-01'::date + n, 0, s.events, s.gone, s.root, s.previous, n, s.sealed_at
                 FROM generate_series(1, 1000) n, generate_series(1, 100) t, (SELECT * FROM eventlog.seals LIMIT 1) s";
    let mut superuser = cluster.connect("sealed", "postgres");
    superuser.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}"));
    let size = "SELECT pg_total_relation_size('public.seals') / 100000.0";
    println!("\n  A seal, one a tenant and day: {:.0} bytes", number(&mut superuser, size));
}

/// Verifies a log, and returns the number of its seals.
fn assert_valid(owner: &mut Client) -> f64 {
    let sql = "SELECT count(*), count(*) FILTER (WHERE NOT is_valid) FROM eventlog.verify_seals(eventlog.all_tenants())";
    let found = rows(owner, sql);
    assert_eq!(found[0][1], "0", "an untouched log is valid");
    found[0][0].parse().expect("a number")
}

/// Seals and verifies a day in a log of its own.
fn day(cluster: &Cluster, events: usize, tenants: usize) {
    let database = format!("day_of_{events}");
    let mut owner = make(cluster, &database, true);
    fill(cluster, &database, events, tenants);
    let mut superuser = cluster.connect(&database, "postgres");
    // The rollups are not what is measured: the watermark is set as if they had counted the day.
    superuser
        .batch_execute("UPDATE eventlog.rollup_state SET rolled_until = '2026-01-06 00:00+00'")
        .expect("a superuser");
    superuser.batch_execute("VACUUM ANALYZE eventlog.events").expect("a superuser");
    superuser.batch_execute("SET ROLE log_owner").expect("a superuser");
    let started = Instant::now();
    let mut sealed = 0.0;
    while number(&mut superuser, "SELECT count(*) FROM eventlog_private.due_seal(NULL)") > 0.0 {
        sealed += number(&mut superuser, "SELECT eventlog_private.seal_days()");
    }
    let sealing = sealed / started.elapsed().as_secs_f64();
    assert_eq!(sealed, (events * tenants) as f64);
    let started = Instant::now();
    let seals = assert_valid(&mut owner);
    let verifying = sealed / started.elapsed().as_secs_f64();
    assert_eq!(seals, tenants as f64);
    let size = "SELECT pg_total_relation_size('eventlog.seal_blocks')";
    let bytes = number(&mut owner, size) / sealed;
    println!(
        "  {events:>9}{tenants:>9}{sealing:>12.0}   {:<28}{verifying:>12.0}{bytes:>9.2}   {}",
        SEALING.judge(sealing),
        BYTES.judge(bytes)
    );
    drop((owner, superuser));
    cluster.psql("postgres", "postgres", &format!("DROP DATABASE {database}")).expect("ours");
}
