//! A sealed log with all that a log can have: several tenants and names, days of many blocks and of
//! single events, supplements, and events that were erased.

use std::sync::OnceLock;

use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, Db, TENANT_A, TENANT_B, db, json};
use postgres::Client;

use super::verdicts::assert_valid;

/// A tenant with a few events a day.
pub(crate) const TENANT_C: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";

/// The actor who is erased.
pub(crate) const ERIN: &str = "erin@example.com";

/// The days of the log.
pub(crate) const DAYS: &[&str] = &["2020-03-28", "2020-03-29", "2020-03-30", "2020-03-31"];

const NAMES: &[&str] = &["page_viewed", "tool_used", "page.left", "a", "signed_up"];

/// Makes the log in a database; events are sealed by the day after.
const MAKE: &str = "
    SET client_min_messages = error;
    CREATE EXTENSION eventlog;
    SELECT eventlog.create_log(owner => 'log_owner', partition_interval => '1 day', premake => '1 day', retention => '100 years');
    SELECT eventlog.grant_writer('member'), eventlog.grant_reader('member'), eventlog.grant_service('service');
    SELECT eventlog.define_event(n) FROM unnest(ARRAY['page_viewed', 'tool_used', 'page.left', 'a', 'signed_up']) n;
    SELECT eventlog._make_partition(d) FROM generate_series('2020-03-26 00:00+00'::timestamptz, '2020-04-02 00:00+00', '1 day') d";

fn quote(text: &str) -> String {
    text.replace('\'', "''")
}

/// Returns the VALUES of a random event of a day.
fn event(random: &mut Random, tenant: &str, name: &str, day: &str) -> String {
    let optional = |random: &mut Random, text: String| {
        if random.one_in(4) { "NULL".to_owned() } else { format!("'{text}'") }
    };
    let data = quote(&json::object(random, 3));
    let number = random.below(60);
    let actor = optional(random, format!("user-{number}"));
    let number = random.below(9);
    let subject = optional(random, format!("skill/{number}"));
    let weight = *random.pick(&["NULL", "NULL", "NULL", "2", "2.5", "1"]);
    let at = random.below(86_400_000_000);
    // Many have the time of a few transactions.
    let at = if random.one_in(3) { at } else { at / 600_000_000 * 600_000_000 };
    let occurred = match random.below(30) {
        0 => "'infinity'".to_owned(),
        1 => "'-infinity'".to_owned(),
        2..12 => {
            format!("'{day} 00:00+00'::timestamptz + {} * interval '1 us'", random.below(1 << 40))
        }
        _ => "NULL".to_owned(),
    };
    format!(
        "('{tenant}', '{name}', jsonb_strip_nulls('{data}'), {actor}, {subject}, {occurred}, {weight},
          '{day} 00:00+00'::timestamptz + {at} * interval '1 us')"
    )
}

/// Inserts events, which the owner may do at any time.
fn insert(owner: &mut Client, events: &[String]) {
    for events in events.chunks(500) {
        owner
            .batch_execute(&format!(
                "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, occurred_at, weight, created_at) VALUES {}",
                events.join(",")
            ))
            .expect("the owner inserts");
    }
}

/// Seals what is there as if another day had passed: late events and receipts wait for that.
pub(crate) fn seal(owner: &mut Client) {
    let back = "UPDATE eventlog.seal_state SET sealed_until = sealed_until - interval '1 day'";
    for sql in [back, "CALL eventlog.maintain()"] {
        owner.batch_execute(sql).expect("of the log's owner");
    }
}

/// Fills and seals the log; events are the same for the same seed.
pub(crate) fn fill(owner: &mut Client) {
    let mut random = Random::seeded(20);
    let mut events = Vec::new();
    for (day, scale) in DAYS.iter().zip([1, 4, 1, 2]) {
        for (tenant, counts) in [
            (TENANT_A, [325 * scale, 80, 30, 3, 1].as_slice()),
            (TENANT_B, &[170, 170, 60]),
            (TENANT_C, &[2, 1, 1]),
        ] {
            for (name, count) in NAMES.iter().zip(counts) {
                events.extend((0..*count).map(|_| event(&mut random, tenant, name, day)));
            }
        }
    }
    // Ids are in the order of insertion, as in a log, but not that of times.
    for last in (1..events.len()).rev() {
        events.swap(last, random.below(last + 1));
    }
    insert(owner, &events);
    of_erin(owner);
    seal(owner);
    // Late events, of days that are sealed.
    for (round, count) in [(1, 300), (2, 5)] {
        let of_a = (0..count).map(|n| (TENANT_A, NAMES[n % 5]));
        let of_b = (0..3).map(|n| (TENANT_B, NAMES[n]));
        let late: Vec<String> = of_a
            .chain(of_b)
            .map(|(tenant, name)| event(&mut random, tenant, name, DAYS[round]))
            .collect();
        insert(owner, &late);
        seal(owner);
    }
    // What is erased: an actor, and events past the retention of a name.
    owner
        .batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', '{ERIN}')"))
        .expect("the actor is erased");
    owner
        .batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_B}', 'user-7')"))
        .expect("the actor is erased");
    seal(owner);
}

/// Events of the actor who is to be erased.
fn of_erin(owner: &mut Client) {
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at)
             SELECT '{TENANT_A}', CASE WHEN g % 2 = 0 THEN 'page_viewed' ELSE 'tool_used' END, jsonb_build_object('page', g, 'price', 1.50 * g),
                    '{ERIN}', '2020-03-28 00:00+00'::timestamptz + g * interval '7000 s'
               FROM generate_series(1, 40) g"
        ))
        .expect("the owner inserts");
}

/// Returns a database of one's own with the log in it.
pub(crate) fn sealed() -> Db {
    static TEMPLATE: OnceLock<Db> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        let db = Db::empty();
        db.superuser().batch_execute(MAKE).expect("the log is made");
        let mut owner = db.connect("log_owner");
        fill(&mut owner);
        assert_valid(&mut owner, "when it was filled");
        db
    });
    Db::from_template(&template.name)
}

/// Makes a log without events in a database of another cluster.
pub(crate) fn make_in(cluster: &Cluster) {
    db::create_roles(cluster);
    cluster.connect("postgres", "postgres").batch_execute("CREATE DATABASE app").expect("new");
    cluster.connect("app", "postgres").batch_execute(MAKE).expect("the log is made");
}

/// Makes the same log in a database of another cluster.
pub(crate) fn fill_cluster(cluster: &Cluster) {
    make_in(cluster);
    let mut owner = cluster.connect("app", "log_owner");
    fill(&mut owner);
    assert_valid(&mut owner, "when it was filled");
}

/// Switches off all that hinders an owner or shows what was done: triggers, and numbers that are always
/// generated.
pub(crate) fn unguard(superuser: &mut Client) {
    superuser
        .batch_execute(
            "DO $$ DECLARE r regclass; BEGIN
                FOR r IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relkind IN ('r', 'p') LOOP
                    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', r);
                END LOOP; END $$;
             ALTER TABLE eventlog.events ALTER id DROP IDENTITY;
             ALTER TABLE eventlog.seal_receipts ALTER id DROP IDENTITY;
             SET session_replication_role = replica;
             SET timezone = 'UTC'",
        )
        .expect("a superuser may");
}
