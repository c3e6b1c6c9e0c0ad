//! A simulated month with gaps, floods and late events, against an oracle.

use eventlog_tests::random::Random;
use eventlog_tests::{Db, TENANT_A, TENANT_B, scaled, text};
use postgres::Client;

use super::oracle::{Alert, Change, Fact, Facts};

const TENANTS: [&str; 2] = [TENANT_A, TENANT_B];
const NAMES: [&str; 3] = ["ping", "pong", "tick"];
/// 2020-01-06, a Monday.
const START: i64 = 1_578_268_800;
const HOUR: i64 = 3600;

/// What happens in the month: each tenant logs each name at its own pace, with hours and days without any and
/// hours with far too many. Some of it is there minutes, hours or days late.
fn facts(random: &mut Random, days: i64) -> Facts {
    let mut facts = Facts::default();
    for tenant in 0..TENANTS.len() {
        for name in NAMES {
            let pace = 1 + random.below(6);
            let mut silent_until = START;
            for hour in 0..days * 24 {
                let since = START + hour * HOUR;
                if random.one_in(60) {
                    silent_until = since + (1 + random.below(40) as i64) * HOUR;
                }
                let most = if random.one_in(40) { pace * 20 } else { pace * 2 };
                let events = if since < silent_until { 0 } else { random.below(most + 1) };
                let failing = if random.one_in(12) { 2 } else { 20 };
                for _ in 0..events {
                    let at = since + random.below(3600) as i64;
                    let late = match random.below(60) {
                        0 => random.below(200_000),
                        1..4 => random.below(5000),
                        _ => 0,
                    };
                    facts.events.push(Fact {
                        tenant,
                        name,
                        at,
                        arrives: at + late as i64,
                        has_failed: (name == "pong").then(|| random.one_in(failing)),
                        weight: if random.one_in(10) { 4.0 } else { 1.0 },
                    });
                }
                let refused = if random.one_in(20) { random.below(9) } else { 0 };
                for _ in 0..refused {
                    let at = since + random.below(3600) as i64;
                    facts.refused.push(Fact {
                        tenant,
                        name,
                        at,
                        arrives: at + if random.one_in(9) { 4000 } else { 0 },
                        has_failed: None,
                        weight: 1.0,
                    });
                }
                if random.one_in(30) {
                    let at = since + random.below(3600) as i64;
                    let weight = 1.0 + random.below(500) as f64;
                    let fact = Fact { tenant, name: "", at, arrives: at, has_failed: None, weight };
                    facts.over_quota.push(fact);
                }
            }
        }
    }
    for kind in [&mut facts.events, &mut facts.refused, &mut facts.over_quota] {
        kind.sort_by_key(|fact| fact.at);
    }
    facts
}

fn alert(random: &mut Random, number: usize, days: i64) -> Alert {
    let conditions = [
        "above",
        "below",
        "changed",
        "not_received",
        "not_received",
        "error_rate",
        "refused",
        "quota",
    ];
    let condition = *random.pick(&conditions);
    let window = 60 * *random.pick(&[25, 60, 60, 60, 90, 100, 300, 360, 1440, 1440, 2880, 10_080]);
    let tenant = (!random.one_in(5)).then(|| random.below(2));
    let per_hour = 3.0 * window as f64 / HOUR as f64;
    let threshold = match condition {
        "not_received" => None,
        "changed" => Some(random.below(200) as f64),
        "error_rate" => Some(random.below(40) as f64),
        "refused" => Some(random.below(5) as f64),
        "quota" => Some(random.below(300) as f64),
        "below" => Some(1.0 + (per_hour * random.below(100) as f64 / 50.0).round()),
        _ => Some((per_hour * random.below(100) as f64 / 20.0).round()),
    };
    let further = random.below(60) as f64 / 100.0;
    let resolve_at = threshold.map(|threshold| match condition {
        "below" => threshold * (1.0 + further),
        _ => threshold * (1.0 - further),
    });
    let names = match condition {
        "quota" => None,
        "error_rate" => random.one_in(2).then(|| vec!["pong"]),
        _ if random.one_in(4) => None,
        _ => Some((0..1 + random.below(2)).map(|_| *random.pick(&NAMES)).collect()),
    };
    Alert {
        alert: format!("{number} {condition}"),
        tenant,
        condition,
        names,
        window,
        threshold,
        resolve_at,
        raise_after: 1 + if random.one_in(3) { random.below(4) } else { 0 },
        resolve_after: 1 + if random.one_in(3) { random.below(4) } else { 0 },
        compare_with: (condition == "changed" && random.one_in(2))
            .then(|| window + 60 * random.below(20_000) as i64),
        pause: if random.one_in(3) { 60 * random.below(3000) as i64 } else { 0 },
        created: START
            + if random.one_in(3) { random.below(days as usize * 43_200) as i64 } else { 0 },
    }
}

fn quoted(value: Option<impl std::fmt::Display>) -> String {
    value.map_or("NULL".to_owned(), |value| format!("'{value}'"))
}

fn create(owner: &mut Client, alert: &Alert) {
    let tenant = alert
        .tenant
        .map_or("eventlog.all_tenants()".to_owned(), |tenant| format!("'{}'", TENANTS[tenant]));
    let names = alert.names.as_ref().map(|names| format!("{{{}}}", names.join(",")));
    let seconds = |seconds: i64| format!("{seconds} seconds");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_alert('{name}', '{condition}', {threshold}, {names}, '{window}', {resolve_at}, {raise_after},
                    {resolve_after}, {compare_with}, '{pause}', {tenant});
             UPDATE eventlog.alerts SET next_until = eventlog_private.window_end(time_window, to_timestamp({created})) WHERE alert = '{name}'",
            name = alert.alert,
            condition = alert.condition,
            threshold = quoted(alert.threshold),
            names = quoted(names),
            window = seconds(alert.window),
            resolve_at = quoted(alert.resolve_at),
            raise_after = alert.raise_after,
            resolve_after = alert.resolve_after,
            compare_with = quoted(alert.compare_with.map(seconds)),
            pause = seconds(alert.pause),
            created = alert.created,
        ))
        .unwrap_or_else(|error| panic!("{alert:?}: {error}"));
}

/// Logs what arrives in a span, the owner's given times and all.
fn insert(owner: &mut Client, facts: &Facts, after: i64, until: i64) {
    let arriving = |kind: &[Fact], row: &dyn Fn(&Fact) -> String| {
        let rows: Vec<String> = kind
            .iter()
            .filter(|fact| fact.arrives > after && fact.arrives <= until)
            .map(row)
            .collect();
        rows.join(",\n")
    };
    let events = arriving(&facts.events, &|fact| {
        let data = match fact.has_failed {
            Some(has_failed) => format!("{{\"ok\": {}}}", !has_failed),
            None => "{}".to_owned(),
        };
        format!(
            "('{}'::uuid, '{}', to_timestamp({}), '{data}'::jsonb, {}::real)",
            TENANTS[fact.tenant], fact.name, fact.at, fact.weight
        )
    });
    let refused = arriving(&facts.refused, &|fact| {
        let tenant = TENANTS[fact.tenant];
        // Those of callers without a tenant belong to the one that they named.
        let (own, claimed) = match fact.at % 2 == 0 {
            true => (format!("'{tenant}'::uuid"), "NULL::uuid".to_owned()),
            false => ("NULL".to_owned(), format!("'{tenant}'")),
        };
        format!(
            "({own}, {claimed}, '{}', to_timestamp({}), '42704', 'r', 'writer')",
            fact.name, fact.at
        )
    });
    // With keys, which maintenance does not add up by day: to it, all of the month is long past.
    let over_quota = arriving(&facts.over_quota, &|fact| {
        format!(
            "('{}'::uuid, 'over_quota', '', '{1}', to_timestamp({1}), {2})",
            TENANTS[fact.tenant], fact.at, fact.weight
        )
    });
    for (columns, rows) in [
        ("events (tenant_id, name, created_at, data, weight)", events),
        (
            "rejected_events (tenant_id, claimed_tenant_id, name, created_at, sqlstate, reason, role_name)",
            refused,
        ),
        ("hygiene_counts (tenant_id, kind, name, key, created_at, events)", over_quota),
    ] {
        if !rows.is_empty() {
            owner
                .batch_execute(&format!("INSERT INTO eventlog.{columns} VALUES {rows}"))
                .expect("facts");
        }
    }
}

fn evaluate(owner: &mut Client, time: i64) -> bool {
    let at = format!("to_timestamp({time})");
    text(owner, &format!("SELECT is_more FROM eventlog_private.evaluate_until({at}, {at}, NULL)"))
        == "t"
}

fn changes_of(owner: &mut Client, alert: &Alert) -> Vec<Change> {
    let sql = "SELECT is_raised, extract(epoch FROM (details ->> 'until')::timestamptz)::bigint, (details ->> 'value')::float8
                 FROM eventlog.alert_changes WHERE alert = $1 ORDER BY id";
    owner
        .query(sql, &[&alert.alert])
        .expect("changes")
        .iter()
        .map(|row| Change { is_raised: row.get(0), until: row.get(1), value: row.get(2) })
        .collect()
}

#[test]
fn in_a_month_with_gaps_floods_and_late_events_exactly_the_right_alerts_are_raised_and_resolved() {
    let mut random = Random::new();
    let days = scaled(8, 31) as i64;
    let facts = facts(&mut random, days);
    let mut alerts: Vec<Alert> =
        (0..scaled(40, 160)).map(|number| alert(&mut random, number, days)).collect();
    alerts.sort_by_key(|alert| alert.created);

    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.define_event('ping'), eventlog.define_event('pong', optional_keys => '{ok}', success_key => 'ok'),
                    eventlog.define_event('tick');
             SELECT eventlog._make_partition('2020-01-01'::timestamptz + g * interval '1 month') FROM generate_series(-2, 1) g;
             UPDATE eventlog.log_config SET retention = '100 years';
             UPDATE eventlog.maintenance_settings SET rejected_retention = '100 years'",
        )
        .expect("a log");

    let mut evaluations = Vec::new();
    let (mut time, mut created) = (START - 1, 0);
    while time < START + days * 24 * HOUR {
        // Mostly every few minutes; now and then nobody evaluates for hours, or for days.
        let pause = match random.below(30) {
            0 => 40 * HOUR as usize,
            1..8 => 5 * HOUR as usize,
            _ => 4000,
        };
        let before = time;
        time += 1 + random.below(pause) as i64;
        insert(&mut owner, &facts, before, time);
        while let Some(alert) = alerts.get(created).filter(|alert| alert.created <= time) {
            create(&mut owner, alert);
            created += 1;
        }
        if random.one_in(25) {
            // Counts what there is in the rollups; what comes later is late to them.
            for sql in [
                "UPDATE eventlog.alerts SET is_enabled = false",
                "CALL eventlog.maintain()",
                "UPDATE eventlog.alerts SET is_enabled = true",
            ] {
                owner.batch_execute(sql).expect("maintenance");
            }
        }
        if random.one_in(5) {
            // An evaluator that is killed has done nothing.
            owner.batch_execute("BEGIN").expect("a transaction");
            evaluate(&mut owner, time);
            owner.batch_execute("ROLLBACK").expect("its end");
        }
        while evaluate(&mut owner, time) {}
        evaluations.push(time);
    }

    assert_eq!(text(&mut owner, "SELECT string_agg(failure, ', ') FROM eventlog.alerts"), "∅");
    let mut total = 0;
    for alert in &alerts {
        let expected = alert.changes(&facts, &evaluations);
        let found = changes_of(&mut owner, alert);
        let is_like = |found: &Change, expected: &Change| {
            (found.is_raised, found.until) == (expected.is_raised, expected.until)
                && match (found.value, expected.value) {
                    (Some(found), Some(expected)) => (found - expected).abs() < 1e-6,
                    (found, expected) => found == expected,
                }
        };
        assert!(
            found.len() == expected.len()
                && found.iter().zip(&expected).all(|(f, e)| is_like(f, e)),
            "{alert:?}\nfound    {found:?}\nexpected {expected:?}"
        );
        total += found.len();
    }
    println!(
        "{} events, {} alerts, {} evaluations, {total} changes",
        facts.events.len(),
        alerts.len(),
        evaluations.len()
    );
    assert!(total > alerts.len(), "too few to say anything: {total}");
}
