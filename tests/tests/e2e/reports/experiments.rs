//! Experiments: whom a variant has, what counts for it, and when there is a verdict.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};
use postgres::Client;

/// The log's owner, who writes events of the past.
fn past(db: &Db) -> Client {
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.create_log(retention => '50 years');
             SELECT eventlog._make_partition('2026-01-01'), eventlog._make_partition('2026-02-01');
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

#[test]
fn a_broken_split_gets_no_verdict_whatever_the_difference() {
    let db = Db::new();
    let mut owner = past(&db);
    for (variant, actors, converted) in
        [("control", 1000, 100), ("new", 800, 400), ("old", 990, 100)]
    {
        let data = format!(r#"{{"variant": "{variant}"}}"#);
        write(&mut owner, "seen", variant, actors, "2026-01-05", &data);
        write(&mut owner, "bought", variant, converted, "2026-01-06", "{}");
    }
    let mut reader = db.connect_as("reader", TENANT_A);
    let columns =
        "variant, difference > 0, p_value < 0.001, verdict, no_verdict, mismatch_p < 0.001";
    assert_eq!(
        results(&mut reader, columns, ""),
        [
            ["control", "∅", "∅", "∅", "control", "t"],
            ["new", "t", "t", "∅", "split mismatch", "t"],
            ["old", "t", "f", "∅", "split mismatch", "t"],
        ]
    );
    // As it was meant to be split.
    let meant = r#"ratios => '{"control": 100, "new": 80, "old": 99}', "#;
    assert_eq!(
        results(&mut reader, "variant, verdict, mismatch_p", meant),
        [["control", "∅", "1"], ["new", "better", "1"], ["old", "undecided", "1"]]
    );
    // A variant that nobody saw is one of them, and the split without it is broken.
    let lost = r#"ratios => '{"control": 100, "new": 80, "old": 99, "lost": 100}', "#;
    assert_eq!(
        results(&mut reader, "variant, actors, rate, difference, no_verdict", lost),
        [
            ["control", "1000", "0.1", "∅", "control"],
            ["lost", "0", "∅", "∅", "split mismatch"],
            ["new", "800", "0.5", "0.4", "split mismatch"],
            ["old", "990", "0.101010101", "0.00101010101", "split mismatch"],
        ]
    );
    // For the payloads' readers: what is asked of the variants is of the exposures alone.
    let of_two = r#"filters => '{"data.variant": ["new", "control"]}', "#;
    assert_eq!(
        results(&mut reader, "variant, converted", of_two),
        [["control", "100"], ["new", "400"]]
    );
    let of_metric = r#"metric_filters => '{"data.plan": "pro"}', "#;
    assert_eq!(
        results(&mut reader, "converted, no_verdict", of_metric)[2],
        ["0", "split mismatch"]
    );
}

/// Everybody may call them, with anything.
#[test]
fn the_functions_behind_the_report_answer_whatever_they_are_asked() {
    let db = Db::new();
    let mut reader = db.connect_as("reader", TENANT_A);
    let numbers = ["0", "-1", "0.5", "1", "1e308", "'NaN'", "'Infinity'", "'-Infinity'", "5e-324"];
    let counts = ["0", "-1", "1", "2", "9223372036854775807"];
    let lists = |values: &[&str]| {
        values.iter().map(|value| format!("({value})")).collect::<Vec<_>>().join(",")
    };
    let (numbers, counts) = (
        lists(&numbers).replace("(0)", "(0::double precision)"),
        lists(&counts).replace("(0)", "(0::bigint)"),
    );
    for sql in [
        format!(
            "SELECT count(eventlog._difference_of_means(n, m, d, o, 1, d, c)) FROM (VALUES {counts}) AS a (n), (VALUES {counts}) AS b (o),
                (VALUES {numbers}) AS e (m), (VALUES {numbers}) AS f (d), (VALUES {numbers}) AS g (c)"
        ),
        format!(
            "SELECT count(eventlog._difference_of_rates(n, o, p, q, c)) FROM (VALUES {counts}) AS a (n), (VALUES {counts}) AS b (o),
                (VALUES {counts}) AS e (p), (VALUES {counts}) AS f (q), (VALUES {numbers}) AS g (c)"
        ),
        format!(
            "SELECT count(eventlog._mismatch_p(ARRAY[n, o, NULL], ARRAY[m, d, 1])) + count(eventlog._mismatch_p(ARRAY[n, o], ARRAY[m, d]))
                  + count(eventlog._mismatch_p('{{}}', '{{}}'))
               FROM (VALUES {counts}) AS a (n), (VALUES {counts}) AS b (o), (VALUES {numbers}) AS e (m), (VALUES {numbers}) AS f (d)"
        ),
        format!("SELECT count(eventlog._significant(m)) FROM (VALUES {numbers}) AS e (m)"),
    ] {
        assert_ne!(text(&mut reader, &sql), "0");
    }
}

#[test]
fn order_is_by_occurred_at_and_what_is_no_number_counts_as_nothing() {
    let db = Db::new();
    let mut owner = past(&db);
    owner
        .batch_execute(&format!(
            r#"INSERT INTO eventlog.events (tenant_id, name, actor, created_at, occurred_at, data)
               SELECT '{TENANT_A}', name, actor, created_at::timestamptz, occurred_at::timestamptz, data::jsonb
                 FROM (VALUES ('seen', 'late', '2026-01-05', '2026-01-03', '{{"variant": "a"}}'), ('bought', 'late', '2026-01-04', NULL, '{{"amount": 4}}'),
                              ('seen', 'soon', '2026-01-05', NULL, '{{"variant": "a"}}'), ('bought', 'soon', '2026-01-06', '2026-01-04', '{{"amount": 8}}'),
                              ('seen', 'same', '2026-01-05', NULL, '{{"variant": "b"}}'), ('bought', 'same', '2026-01-05', NULL, '{{"amount": -2.5}}'),
                              ('seen', 'odd', '2026-01-05', '4713-01-02 BC', '{{"variant": "b"}}'),
                              ('bought', 'odd', '2026-01-06', 'infinity', '{{"amount": 1e400}}'), ('bought', 'odd', '2026-01-06', NULL, '{{"amount": "7"}}'),
                              ('bought', 'odd', '2026-01-06', NULL, '{{"amount": [1]}}'), ('bought', 'odd', '2026-01-06', NULL, '{{"amount": 1e-16383}}'),
                              ('seen', 'none', '2026-01-05', NULL, '{{"variant": {{"a": 1}}}}'), ('seen', 'none', '2026-01-05', NULL, '{{"variant": null}}'),
                              ('seen', 'quoted', '2026-01-05', NULL, '{{"variant": "q\"\\\n"}}'),
                              ('bought', 'both', '2026-01-31 23:00', NULL, '{{}}'), ('bought', 'quoted', '2026-02-01', NULL, '{{}}'))
                      AS e (name, actor, created_at, occurred_at, data)"#
        ))
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    let columns = "variant, actors, converted, total, mean, difference, difference_low, no_verdict";
    let found = results(
        &mut reader,
        columns,
        "value_key => 'data.amount', control => 'a', min_actors => 2, ",
    );
    assert_eq!(
        found,
        [
            ["a", "2", "1", "4", "2", "∅", "∅", "control"],
            ["b", "2", "2", "-2.5", "-1.25", "-3.25", "-15.5141605", "∅"],
            ["q\"\\\n", "1", "0", "0", "0", "-2", "∅", "too few actors"],
            [r#"{"a": 1}"#, "1", "0", "0", "0", "-2", "∅", "too few actors"],
        ]
    );
    // Without a span's end in the way: a month after the exposure.
    let month = "within => '1 month', ";
    assert_eq!(
        results(&mut reader, "variant, converted, is_complete", month),
        [["a", "1", "t"], ["b", "2", "t"], ["q\"\\\n", "1", "t"], [r#"{"a": 1}"#, "0", "t"]]
    );
    let today = text(
        &mut reader,
        "SELECT string_agg(DISTINCT is_complete::text, ' ') FROM eventlog.experiment_results('seen', 'variant', 'bought',
            within => '3000 days', since => '2026-01-01', until => '2026-02-01')",
    );
    assert_eq!(today, "false");
}

#[test]
fn what_cannot_be_answered_is_refused_with_what_to_type() {
    let db = Db::new();
    let mut owner = past(&db);
    owner
        .batch_execute(
            "SELECT eventlog.define_event('often.*', sample_rate => 0.1), eventlog.define_event('often.not', sample_rate => 1)",
        )
        .unwrap();
    write(&mut owner, "seen", "a", 3, "2026-01-05", r#"{"variant": "a"}"#);
    let mut reader = db.connect_as("reader", TENANT_A);
    let mut refuse = |arguments: &str, sqlstate: &str, message: &str| {
        let sql = format!("SELECT * FROM eventlog.experiment_results({arguments}, {SPAN})");
        assert_refused(&mut reader, &sql, sqlstate, message);
    };
    refuse("NULL, 'variant', 'bought'", "22023", "exposure must not be null");
    refuse("'seen', 'variant', NULL", "22023", "metric must not be null");
    refuse("'seen', NULL, 'bought'", "22023", "variant_key must be a payload key, got null");
    refuse("'seen', 'data.', 'bought'", "22023", "variant_key must be a payload key");
    refuse("'seen', 'variant', 'bought', ''", "22023", "value_key must be a payload key");
    refuse(
        "'often.seen', 'variant', 'bought'",
        "22023",
        "\"often.seen\" are sampled, with rate 0.1",
    );
    refuse("'seen', 'variant', 'often.bought'", "22023", "\"often.bought\" are sampled");
    refuse(
        "'seen', 'variant', 'bought', control => 'b'",
        "22023",
        "no actor was exposed to a variant \"b\"",
    );
    for ratios in
        ["[1, 1]", "1", "{}", r#"{"a": 0}"#, r#"{"a": "1"}"#, r#"{"a": 1e400}"#, r#"{"a": null}"#]
    {
        let arguments = format!("'seen', 'variant', 'bought', ratios => '{ratios}'");
        refuse(&arguments, "22023", "ratios must be a JSON object");
    }
    refuse(
        "'seen', 'variant', 'bought', ratios => '{\"b\": 1}'",
        "22023",
        "ratios have no value for 1 of the 1 variants",
    );
    for confidence in ["1", "0.4", "NULL", "'NaN'", "-1"] {
        let arguments = format!("'seen', 'variant', 'bought', confidence => {confidence}");
        refuse(&arguments, "22023", "confidence must be from 0.5 to 0.9999");
    }
    for least in ["1", "-1", "NULL"] {
        let arguments = format!("'seen', 'variant', 'bought', min_actors => {least}");
        refuse(&arguments, "22023", "min_actors must be at least 2");
    }
    refuse(
        "'seen', 'variant', 'bought', filters => '{\"plan\": 1}'",
        "22023",
        "unknown filter \"plan\"",
    );
    refuse("'seen', 'variant', 'bought', metric_filters => '[1]'", "22023", "filters");
    // Names that are not sampled any more, or for a tenant over its quota.
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, actor, created_at, data, weight)
             VALUES ('{TENANT_A}', 'bought', 'a1', '2026-01-06', '{{}}', 10)"
        ))
        .unwrap();
    refuse("'seen', 'variant', 'bought'", "22023", "\"bought\" of this span were sampled");
    // A key that names no variant.
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, actor, created_at, data)
             SELECT '{TENANT_A}', 'seen', 'c' || n, '2026-01-06', jsonb_build_object('variant', n) FROM generate_series(1, 60) AS n"
        ))
        .unwrap();
    refuse("'seen', 'variant', 'often.not'", "54000", "the experiment has more than 50 variants");
    let unknown = rows(
        &mut reader,
        &format!("SELECT * FROM eventlog.experiment_results('nobody', 'x', 'nothing', {SPAN})"),
    );
    assert!(unknown.is_empty());
}
