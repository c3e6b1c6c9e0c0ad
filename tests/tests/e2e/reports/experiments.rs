//! Experiments: whom a variant has, what counts for it, and when there is a verdict.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};
use postgres::Client;

/// The log's owner, who writes events of the past.
fn past(db: &Db) -> Client {
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.create_log(retention => '50 years');
             SELECT eventlog._make_partition('2026-01-01');
             SELECT eventlog.define_event('seen', optional_keys => '{variant,experiment}'),
                    eventlog.define_event('bought', optional_keys => '{amount,plan}');",
        )
        .unwrap();
    owner
}

/// Writes an event of each of `actors` people, whose names begin with `prefix`.
fn write(owner: &mut Client, name: &str, prefix: &str, actors: usize, at: &str, data: &str) {
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, actor, created_at, data)
             SELECT '{TENANT_A}', '{name}', '{prefix}' || n, '{at}', '{data}' FROM generate_series(1, {actors}) AS n"
        ))
        .unwrap();
}

const SPAN: &str = "since => '2026-01-01', until => '2026-02-01'";

fn results(client: &mut Client, columns: &str, arguments: &str) -> Vec<Vec<String>> {
    let sql = format!(
        "SELECT {columns} FROM eventlog.experiment_results('seen', 'variant', 'bought', {arguments}{SPAN})"
    );
    rows(client, &sql)
}

#[test]
fn each_actor_counts_for_the_first_variant_and_from_then_on() {
    let db = Db::new();
    let mut owner = past(&db);
    let (before, exposed, later) = ("2026-01-04", "2026-01-05", "2026-01-09 12:00");
    for (variant, actors, converted) in [("a", 200, 20), ("b", 200, 40)] {
        let data = format!(r#"{{"variant": "{variant}"}}"#);
        write(&mut owner, "seen", variant, actors, exposed, &data);
        // Again, which changes nothing.
        write(&mut owner, "seen", variant, actors, later, &data);
        write(&mut owner, "bought", variant, converted, later, r#"{"amount": 10}"#);
        // Twice is still one who converted.
        write(&mut owner, "bought", variant, converted / 2, later, r#"{"amount": 5.5}"#);
    }
    // Too early, never exposed, and no variant.
    write(&mut owner, "bought", "b", 200, before, "{}");
    write(&mut owner, "bought", "stranger", 50, later, "{}");
    write(&mut owner, "seen", "other", 50, exposed, "{}");
    // Those who saw both.
    for variant in ["a", "b"] {
        write(&mut owner, "seen", "both", 7, exposed, &format!(r#"{{"variant": "{variant}"}}"#));
    }
    write(&mut owner, "bought", "both", 7, later, r#"{"amount": 1000}"#);
    // Exposures of nobody.
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, actor, created_at, data)
             VALUES ('{TENANT_A}', 'seen', NULL, '2026-01-05', '{{\"variant\": \"a\"}}'), ('{TENANT_A}', 'seen', '', '2026-01-05', '{{\"variant\": \"a\"}}')"
        ))
        .unwrap();

    let mut reader = db.connect_as("reader", TENANT_A);
    let figures = "variant, is_control, actors, converted, rate, difference, difference_low, difference_high, p_value, verdict, no_verdict";
    assert_eq!(
        results(&mut reader, figures, ""),
        [
            ["a", "t", "200", "20", "0.1", "∅", "∅", "∅", "∅", "∅", "control"],
            [
                "b",
                "f",
                "200",
                "40",
                "0.2",
                "0.1",
                "0.0307048088",
                "0.169295191",
                "0.00467773498",
                "better",
                "∅"
            ],
        ]
    );
    let counts = "DISTINCT multi_exposed, without_actor, mismatch_p, is_complete, covered_since = '2026-01-01'";
    assert_eq!(results(&mut reader, counts, ""), [["7", "2", "1", "t", "t"]]);

    // Means of all actors, also those without events: 20 times 10 and 10 times 5.5 of 200.
    let means = "variant, converted, total, mean, difference, verdict";
    assert_eq!(
        results(&mut reader, means, "value_key => 'amount', "),
        [["a", "20", "255", "1.275", "∅", "∅"], ["b", "40", "510", "2.55", "1.275", "better"]]
    );

    // Four days and twelve hours after the exposure.
    let verdict = "converted, verdict, no_verdict";
    assert_eq!(
        results(&mut reader, verdict, "within => '4 days', "),
        [["0", "∅", "control"], ["0", "∅", "too few conversions"]]
    );
    assert_eq!(results(&mut reader, "converted", "within => '5 days', "), [["20"], ["40"]]);
    // The other way round, and where less is better.
    let other = "variant, difference, verdict";
    assert_eq!(
        results(&mut reader, other, "control => 'b', "),
        [["b", "∅", "∅"], ["a", "-0.1", "worse"]]
    );
    assert_eq!(
        results(&mut reader, other, "lower_is_better => true, "),
        [["a", "∅", "∅"], ["b", "0.1", "worse"]]
    );
    // More confidence than there is.
    assert_eq!(results(&mut reader, verdict, "confidence => 0.999, ")[1], ["40", "undecided", "∅"]);
    assert_eq!(
        results(&mut reader, verdict, "min_actors => 201, ")[1],
        ["40", "∅", "too few actors"]
    );

    // Of another tenant there is nothing, and the owner sees all.
    let mut other = db.connect_as("reader", TENANT_B);
    assert!(results(&mut other, "*", "").is_empty());
    let all = "tenant_id => eventlog.all_tenants(), ";
    assert_eq!(results(&mut owner, "converted", all), [["20"], ["40"]]);
    assert_eq!(text(&mut owner, "SELECT eventlog._significant(0)"), "0");
    let refused = format!(
        "SELECT * FROM eventlog.experiment_results('seen', 'variant', 'bought', tenant_id => '{TENANT_A}')"
    );
    assert_refused(&mut other, &refused, "42501", "is not the tenant of this connection");
}
