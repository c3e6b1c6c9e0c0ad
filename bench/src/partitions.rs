//! The same events in few partitions and in many: what a report pays for those it does not read.

use std::time::Instant;

use eventlog_tests::db::create_roles;
use eventlog_tests::{Cluster, text};
use postgres::Client;

use crate::scale::Scale;
use crate::stats::{Quartiles, Target};
use crate::world::SETTINGS;

/// Both logs, and how long a partition is: by the day they are as many as the default premake makes.
const LOGS: [(&str, &str); 2] = [("few", "1 month"), ("many", "1 day")];

/// What the many partitions may make of each.
const TARGET: Target = Target::AtMost(1.5);

const REPORTS: &[&str] = &[
    "eventlog.summary()",
    "eventlog.summary(now() - interval '1 day')",
    "eventlog.events_per_day()",
    "eventlog.subject_stats()",
    "eventlog.active_actors()",
    "eventlog.recent_errors()",
];

fn fill(cluster: &Cluster, database: &str, interval: &str) -> Client {
    let log = format!(
        "CREATE DATABASE {database};
         \\c {database}
         CREATE EXTENSION eventlog;
         SELECT eventlog.create_log(owner => 'log_owner', partition_interval => '{interval}', premake => '1 year', retention => '2 years');
         SET SESSION AUTHORIZATION log_owner;
         SELECT eventlog.grant_reader('reader');
         SELECT count(eventlog._make_partition(now() - g * interval '1 day')) FROM generate_series(0, 31) g;
         INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
         SELECT md5('tenant')::uuid, 'skill_executed', jsonb_build_object('skillName', 's' || g % 9, 'success', g % 7 > 0, 'durationMs', g % 900),
                'a' || g % 200, 's' || g % 9, now() - g * interval '1 minute'
           FROM generate_series(1, 43200) g;
         ANALYZE eventlog.events;
         CALL eventlog.maintain();"
    );
    cluster.psql("postgres", "postgres", &log).expect("a log");
    let mut client = cluster.connect(database, "reader");
    let tenant = "SELECT set_config('eventlog.tenant_id', md5('tenant')::uuid::text, false)";
    client.batch_execute(tenant).expect("for everybody");
    client
}

pub(crate) fn run(scale: Scale) {
    println!("\nreports beside partitions that they do not read: 43200 events of 30 days");
    let cluster = Cluster::start(SETTINGS);
    create_roles(&cluster);
    let mut clients = LOGS.map(|(database, interval)| fill(&cluster, database, interval));
    let counts = clients.each_mut().map(|client| {
        text(
            client,
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'eventlog.events'::regclass",
        )
    });
    println!("  {:46} {:>7} {:>7} {:>7}   target", "milliseconds", counts[0], counts[1], "ratio");
    for report in REPORTS {
        let sql = format!("SELECT * FROM {report}");
        let (mut times, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
        for round in 0..scale.rounds.min(60) {
            let mut costs = [0.0; 2];
            for turn in 0..2 {
                let which = (turn + round) % 2;
                let begun = Instant::now();
                clients[which].batch_execute(&sql).expect("a report");
                costs[which] = begun.elapsed().as_secs_f64() * 1e3;
            }
            // The first of a session reads the catalog.
            if round > 0 {
                times[0].push(costs[0]);
                times[1].push(costs[1]);
                ratios.push(costs[1] / costs[0]);
            }
        }
        let [few, many] = times.each_ref().map(|times| Quartiles::of(times).median);
        let ratio = Quartiles::of(&ratios).median;
        let verdict = TARGET.judge(ratio);
        println!("  {report:46} {few:>7.2} {many:>7.2} {ratio:>7.2}   {verdict}");
    }
}
