//! Ninety days of events: what the rollups cost and bring, and dropping against DELETE.

use std::time::Instant;

use eventlog_tests::{Cluster, db, rows, text};
use postgres::Client;

use crate::scale::Scale;
use crate::stats::Quartiles;
use crate::world::SETTINGS;

/// A report, how it is asked for, and the same from raw rows where that is one query.
const REPORTS: &[(&str, &str, Option<&str>)] = &[
    (
        "events_per_day, 30 days by name",
        "eventlog.events_per_day()",
        Some("(SELECT created_at::date, name, count(*) FROM eventlog.events WHERE created_at >= now() - interval '30 days' GROUP BY 1, 2) r"),
    ),
    (
        "events_per_day, 90 days by name",
        "eventlog.events_per_day(since => now() - interval '90 days')",
        Some("(SELECT created_at::date, name, count(*) FROM eventlog.events WHERE created_at >= now() - interval '90 days' GROUP BY 1, 2) r"),
    ),
    ("events_per_day, 90 days, New York", "eventlog.events_per_day(since => now() - interval '90 days', time_zone => 'America/New_York')", None),
    (
        "summary, 90 days with actors",
        "eventlog.summary(now() - interval '90 days')",
        Some("(SELECT count(*), count(DISTINCT actor), count(*) FILTER (WHERE data -> 'success' = 'false'),
                      percentile_cont(0.95) WITHIN GROUP (ORDER BY (data ->> 'durationMs')::numeric)
                 FROM eventlog.events WHERE created_at >= now() - interval '90 days') r"),
    ),
    ("summary, 90 days, of a name", "eventlog.summary(now() - interval '90 days', filters => '{\"name\": \"tool_used\"}')", None),
    (
        "summary, 90 days, of a counted key",
        "eventlog.summary(now() - interval '90 days', filters => '{\"name\": \"skill_executed\", \"data.skillName\": \"skill7\"}')",
        None,
    ),
    (
        "summary, 90 days, of any key",
        "eventlog.summary(now() - interval '90 days', filters => '{\"name\": \"tool_used\", \"data.toolName\": \"tool7\"}')",
        None,
    ),
    ("summary, 90 days, by name", "eventlog.summary(now() - interval '90 days', breakdown => 'name')", None),
    (
        "summary, 90 days, by a counted key",
        "eventlog.summary(now() - interval '90 days', filters => '{\"name\": \"skill_executed\"}', breakdown => 'data.skillName')",
        None,
    ),
    (
        "summary, 90 days, by any key",
        "eventlog.summary(now() - interval '90 days', filters => '{\"name\": \"tool_used\"}', breakdown => 'data.toolName')",
        Some("(SELECT data ->> 'toolName', count(*), count(DISTINCT actor) FROM eventlog.events
                WHERE created_at >= now() - interval '90 days' AND name = 'tool_used' GROUP BY 1) r"),
    ),
    ("events_per_hour, 30 days", "eventlog.events_per_hour()", None),
    ("tenants_overview, 30 days", "eventlog.tenants_overview()", None),
    (
        "funnel of three, 30 days",
        "eventlog.funnel('{conversation_started, skill_executed, tool_used}')",
        None,
    ),
    (
        "active_actors, 90 days",
        "eventlog.active_actors(since => current_date - 90)",
        Some("(SELECT created_at::date, count(DISTINCT actor) FROM eventlog.events WHERE created_at >= now() - interval '90 days' GROUP BY 1) r"),
    ),
    (
        "subject_stats, 90 days",
        "eventlog.subject_stats(since => current_date - 90)",
        Some("(SELECT name, subject, count(*), percentile_cont(0.95) WITHIN GROUP (ORDER BY (data ->> 'durationMs')::numeric)
                 FROM eventlog.events WHERE created_at >= now() - interval '90 days' AND name IN ('skill_executed', 'tool_used', 'integration_succeeded', 'integration_failed')
                GROUP BY 1, 2) r"),
    ),
    ("cohort_retention, 12 weeks", "eventlog.cohort_retention()", None),
    (
        "active_actors by a counted key",
        "eventlog.active_actors(since => current_date - 90, name => 'skill_executed', breakdown => 'data.skillName', top => 5)",
        None,
    ),
    ("cohort_retention of a name", "eventlog.cohort_retention('skill_executed', 'tool_used')", None),
    ("top_subjects, 30 days", "eventlog.top_subjects()", None),
    ("unused_subjects", "eventlog.unused_subjects()", None),
    ("recent_errors, 7 days", "eventlog.recent_errors()", None),
    ("get_events, a page", "eventlog.get_events('{skill_executed}')", None),
];

const LOOPS: &str = "CREATE FUNCTION public.log_many(n integer) RETURNS double precision LANGUAGE plpgsql AS $$
    DECLARE started timestamptz := clock_timestamp();
    BEGIN
        FOR i IN 1..n LOOP
            PERFORM eventlog.log_event('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', 'conversation_started', '{\"sessionId\": \"s1\", \"conversationId\": \"c1\"}');
        END LOOP;
        RETURN extract(epoch FROM clock_timestamp() - started) * 1e6 / n;
    END $$";

fn timed(client: &mut Client, sql: &str) -> f64 {
    let begun = Instant::now();
    client.batch_execute(sql).expect("a statement of the benchmark");
    begun.elapsed().as_secs_f64()
}

/// The time for which a process of the server used a core; its parallel workers are not in it.
fn cpu_seconds(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // User and system time, in ticks of 10 ms, twelve and thirteen fields after the name.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The most memory that a process of its own took at a time, without what it shares.
fn most_megabytes(pid: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = |of: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(of))?;
        line.trim().trim_end_matches(" kB").parse::<usize>().ok()
    };
    let most = kilobytes("VmHWM:").unwrap_or(0);
    most.saturating_sub(kilobytes("RssShmem:").unwrap_or(0)) / 1024
}

fn insert_cost(cluster: &Cluster, scale: Scale) {
    let mut clients: Vec<Client> = ["uncounted", "counted"]
        .map(|database| {
            db::create_log(cluster, database);
            let mut client = cluster.connect(database, "log_owner");
            cluster.psql(database, "postgres", LOOPS).expect("a function");
            if database == "counted" {
                client.batch_execute("CALL eventlog.maintain()").expect("a watermark");
            }
            client
        })
        .into();
    let mut ratios = Vec::new();
    for round in 0..scale.rounds {
        let mut costs = [0.0; 2];
        for turn in 0..2 {
            let which = (turn + round) % 2;
            let sql = format!("SELECT public.log_many({})", scale.events);
            costs[which] = text(&mut clients[which], &sql).parse().expect("microseconds");
        }
        if round > 0 {
            ratios.push(costs[1] / costs[0]);
        }
    }
    println!(
        "  log_event with a watermark against without: ratio {:.3}",
        Quartiles::of(&ratios).median
    );
}

pub(crate) fn run(scale: Scale) {
    let rows_wanted = scale.rows_in_months;
    println!("\nninety days, {rows_wanted} events, the largest of 100 tenants");
    let cluster = Cluster::start(SETTINGS);
    db::create_roles(&cluster);
    insert_cost(&cluster, scale);

    db::create_log(&cluster, "months");
    cluster
        .psql("months", "log_owner", "UPDATE eventlog.log_config SET retention = '1 year'")
        .expect("a longer retention");
    let fill = include_str!("months.sql").replace("$rows", &rows_wanted.to_string());
    cluster.psql("months", "postgres", &fill).expect("the events");
    let mut owner = cluster.connect("months", "log_owner");
    let (seconds, cpu, megabytes) = {
        let mut run = cluster.connect("months", "log_owner");
        let pid = text(&mut run, "SELECT pg_backend_pid()");
        let seconds = timed(&mut run, "CALL eventlog.maintain()");
        (seconds, cpu_seconds(&pid), most_megabytes(&pid))
    };
    println!(
        "  filling the rollups: {seconds:.1} s, of which the backend computed {cpu:.1} s; it took at most {megabytes} MB"
    );
    let idle: Vec<f64> =
        (0..20).map(|_| timed(&mut owner, "CALL eventlog.maintain()") * 1e3).collect();
    let idle_step = "SELECT eventlog_private.do_roll_up('watermark'), eventlog_private.do_roll_up('events'), eventlog_private.do_roll_up('late events')";
    let step: Vec<f64> = (0..20).map(|_| timed(&mut owner, idle_step) * 1e3).collect();
    println!(
        "  with nothing to do: rollups {:.1} ms, all of maintain() {:.1} ms",
        Quartiles::of(&step).median,
        Quartiles::of(&idle).median
    );
    let sizes = "SELECT pg_size_pretty((SELECT sum(pg_total_relation_size(partition_oid)) FROM eventlog._partitions)),
                        pg_size_pretty(sum(pg_total_relation_size(c.oid))), string_agg(c.relname || ' ' || pg_size_pretty(pg_total_relation_size(c.oid)), ', ' ORDER BY c.relname)
                   FROM pg_class c WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^(hourly|daily|monthly|first)_'";
    let sizes = rows(&mut owner, sizes).concat();
    println!("  events {}, rollups {} ({})", sizes[0], sizes[1], sizes[2]);
    // Else the first of them is what settles the hint bits.
    owner.batch_execute("VACUUM ANALYZE eventlog.hourly_counts, eventlog.daily_counts, eventlog.daily_subjects, eventlog.monthly_actors,
                eventlog.first_events, eventlog.hourly_keys, eventlog.daily_keys, eventlog.monthly_key_actors").expect("ours");

    let mut member = cluster.connect("months", "member");
    member
        .batch_execute(
            "SELECT set_config('eventlog.tenant_id', md5('tenant 1')::uuid::text, false)",
        )
        .expect("for everybody");
    println!(
        "  {:38} {:>9} {:>9} {:>12} {:>7}",
        "report, milliseconds", "median", "p95", "raw median", "ratio"
    );
    for (name, report, raw) in REPORTS {
        let sql = format!("SELECT * FROM {report}");
        member.batch_execute(&sql).expect("a report");
        let mut times: Vec<f64> =
            (0..scale.rounds.min(60)).map(|_| timed(&mut member, &sql) * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let p95 = times[(times.len() * 95).div_ceil(100) - 1];
        let median = times[times.len() / 2];
        let raw = raw.map(|raw| {
            let sql = format!("SELECT * FROM {raw}");
            let times: Vec<f64> = (0..3).map(|_| timed(&mut member, &sql) * 1e3).collect();
            Quartiles::of(&times).median
        });
        let (raw, ratio) = raw.map_or((String::new(), String::new()), |raw| {
            (format!("{raw:.0}"), format!("{:.0}", raw / median))
        });
        println!("  {name:38} {median:>9.1} {p95:>9.1} {raw:>12} {ratio:>7}");
    }
    drop(member);
    drop(owner);

    // The same events twice, gone in two ways.
    let mut superuser = cluster.connect("postgres", "postgres");
    superuser.batch_execute("CREATE DATABASE copied TEMPLATE months").expect("a copy");
    let mut dropping = cluster.connect("months", "log_owner");
    dropping.batch_execute("UPDATE eventlog.log_config SET retention = '1 minute'; CREATE TABLE eventlog.before AS SELECT count(*) FROM eventlog.events").expect("a short retention");
    let dropped = timed(&mut dropping, "CALL eventlog.maintain()");
    let left = text(
        &mut dropping,
        "SELECT (SELECT count FROM eventlog.before) - count(*) FROM eventlog.events",
    );
    let until = text(&mut dropping, "SELECT min(from_at) FROM eventlog._partitions");
    let mut deleting = cluster.connect("copied", "log_owner");
    let deleted =
        timed(&mut deleting, &format!("DELETE FROM eventlog.events WHERE created_at < '{until}'"));
    let vacuumed = timed(&mut deleting, "VACUUM eventlog.events");
    println!(
        "  {left} events gone: maintain() {dropped:.2} s; DELETE {deleted:.1} s and VACUUM {vacuumed:.1} s; ratio {:.0}",
        (deleted + vacuumed) / dropped
    );
}
