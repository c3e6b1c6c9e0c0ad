//! What each rule of payload hygiene costs an event.

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, TENANT_A, db};

use crate::scale::Scale;
use crate::stats::Quartiles;
use crate::world::SETTINGS;

/// Rounds after which the connection is made anew.
const ROUNDS_A_CONNECTION: usize = 12;

/// 230 bytes, with something for each rule.
const PAYLOAD: &str = r#"{"skillId": "5ca1ab1e-0000-4000-8000-000000000001", "toolName": "Bash", "hookEvent": "PostToolUse",
    "durationMs": 1234, "success": true, "email": "user@example.com", "cwd": "/home/user/projects/app",
    "at": "2026-03-01T10:00:00Z", "note": "nothing in particular, of usual length"}"#;

/// A name, how it is printed, and what is defined for it.
const NAMES: &[(&str, &str, &str)] = &[
    ("plain", "no rule", ""),
    ("redacted", "redact_keys, one of nine keys", "redact_keys => '{note}'"),
    ("untouched", "redact_keys, none of the keys", "redact_keys => '{password,token}'"),
    ("hashed", "hash_keys, one of nine keys", "hash_keys => '{email}'"),
    ("shortened", "path_keys, one of nine keys", "path_keys => '{cwd}'"),
    (
        "all_edited",
        "redact_keys, hash_keys and path_keys",
        "redact_keys => '{note}', hash_keys => '{email}', path_keys => '{cwd}'",
    ),
    ("defaulted", "default_values, one key", r#"default_values => '{"source": "hook"}'"#),
    ("timed", "occurred_at_key", "occurred_at_key => 'at'"),
    (
        "typed",
        "value_types of all nine keys",
        r#"value_types => '{"skillId": "string", "toolName": "string", "hookEvent": "string", "durationMs": "number",
            "success": "boolean", "email": "string", "cwd": "string", "at": "string", "note": "string"}'"#,
    ),
    ("aliased", "an alias of the name", "aliases => '{An alias}'"),
    ("sampled", "sample_rate, kept", "sample_rate => 0.999999999999, sample_key => 'skillId'"),
    ("left_out", "sample_rate, left out", "sample_rate => 1e-12, sample_key => 'skillId'"),
    ("enriched", "an enrichment, found", ""),
    ("missed", "an enrichment, missed and counted", ""),
];

const TENANT_WITH_QUOTA: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";

/// Returns the name that events of a type are given.
fn logged_as(name: &'static str) -> &'static str {
    if name == "aliased" { "An alias" } else { name }
}

/// Events by the log's owner, in a PL/pgSQL loop in the server.
pub(crate) fn run(scale: Scale) {
    let cluster = Cluster::start(SETTINGS);
    let key = cluster.write_secret("hash_key", b"a key that is long enough");
    db::create_roles(&cluster);
    db::create_log(&cluster, "rules");
    let mut client = cluster.connect("rules", "postgres");
    let setup = format!(
        "ALTER DATABASE rules SET eventlog.hash_key_file = '{}';
         SET eventlog.hash_key_file = '{0}';
         SELECT eventlog.set_tenant('{TENANT_WITH_QUOTA}', events_per_minute => 100000000);
         CREATE TABLE public.skills (id uuid PRIMARY KEY, name text);
         INSERT INTO public.skills SELECT gen_random_uuid(), 'skill ' || i FROM generate_series(1, 1000) i;
         INSERT INTO public.skills VALUES ('5ca1ab1e-0000-4000-8000-000000000001', 'canvas');
         ANALYZE public.skills;
         GRANT SELECT ON public.skills TO log_owner;
         CREATE FUNCTION public.log_many(tenant uuid, name text, payload jsonb, n integer) RETURNS double precision
         LANGUAGE plpgsql AS $$
         DECLARE
             new_id  bigint;
             started timestamptz := clock_timestamp();
         BEGIN
             FOR i IN 1 .. n LOOP
                 new_id := eventlog.log_event(tenant, name, payload);
             END LOOP;
             RETURN EXTRACT(epoch FROM clock_timestamp() - started) * 1e6 / n;
         END $$",
        key.display()
    );
    client.batch_execute(&setup).expect("a superuser may");
    for (name, _, rules) in NAMES {
        let separator = if rules.is_empty() { "" } else { ", " };
        client
            .batch_execute(&format!("SELECT eventlog.define_event('{name}'{separator}{rules})"))
            .expect("rules of ours");
    }
    client
        .batch_execute(
            "SELECT eventlog.add_enrichment('enriched', 'skillName', 'skillId', 'public.skills', 'id', 'name');
             SELECT eventlog.add_enrichment('missed', 'skillName', 'note', 'public.skills', 'name', 'id')",
        )
        .expect("lookups of ours");
    client.batch_execute("CREATE INDEX ON public.skills (name)").expect("a table of ours");

    let mut labels: Vec<(&str, &str, &str)> =
        NAMES.iter().map(|(name, label, _)| (logged_as(name), *label, TENANT_A)).collect();
    labels.push(("plain", "a tenant with a quota", TENANT_WITH_QUOTA));
    let mut times = vec![Vec::with_capacity(scale.rounds); labels.len()];
    let mut order: Vec<usize> = (0..labels.len()).collect();
    let mut random = Random::seeded(7);
    let mut client = cluster.connect("rules", "log_owner");
    for round in 0..scale.rounds {
        let mut turn = |place: usize, n: usize| -> f64 {
            let (name, _, tenant) = labels[place];
            let sql = "SELECT public.log_many($1::text::uuid, $2, $3::text::jsonb, $4)";
            client.query_one(sql, &[&tenant, &name, &PAYLOAD, &(n as i32)]).expect("valid").get(0)
        };
        if round % ROUNDS_A_CONNECTION == 0 {
            for place in 0..labels.len() {
                turn(place, scale.events / 10);
            }
        }
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        for &place in &order {
            let time = turn(place, scale.events);
            times[place].push(time);
        }
        if round % ROUNDS_A_CONNECTION == ROUNDS_A_CONNECTION - 1 {
            client = cluster.connect("rules", "log_owner");
        }
    }

    println!("\nRules of payload hygiene, log_event by the owner, a PL/pgSQL loop in the server");
    println!("{} rounds of {} events, payloads of about 300 bytes", scale.rounds, scale.events);
    println!("\n  {:<38}{:>12}   {:<16}to no rule", "", "µs an event", "quartiles");
    for ((_, label, _), own) in labels.iter().zip(&times) {
        let (time, ratio) = (Quartiles::of(own), Quartiles::of_ratios(own, &times[0]));
        println!(
            "  {label:<38}{:>12.2}   {:<16}{:.3}",
            time.median,
            format!("{:.2} to {:.2}", time.first, time.third),
            ratio.median
        );
    }
}
