//! Sampling: whole keys in or out, the same everywhere, and counts that stay right by weight.

use eventlog_common::is_sampled;
use eventlog_tests::{Db, TENANT_A, assert_refused, rows, text};

const MESSAGE: &str = r#"'{"conversationId": "' || c || '", "role": "user"}'"#;

fn sampled_at(rate: f64) -> Db {
    let db = Db::new();
    db.superuser()
        .batch_execute(&format!(
            "SELECT eventlog.define_event('message_sent', sample_rate => {rate})"
        ))
        .unwrap();
    db
}

#[test]
fn weighted_counts_are_within_three_sigma_and_each_conversation_is_whole() {
    let conversations = 5_000;
    for rate in [0.05, 0.25, 0.8] {
        let db = sampled_at(rate);
        let mut writer = db.connect_as("writer", TENANT_A);
        // One event of each by log_event, one by try_log_event, one in a batch.
        let returned: i64 = writer
            .query_one(
                &format!(
                    "SELECT count(eventlog.log_event(NULL, 'message_sent', ({MESSAGE})::jsonb))
                          + count(eventlog.try_log_event(NULL, 'message_sent', ({MESSAGE})::jsonb))
                       FROM generate_series(1, {conversations}) c"
                ),
                &[],
            )
            .unwrap()
            .get(0);
        // Another backend decides the same.
        let batch = db
            .connect_as("writer", TENANT_A)
            .query_one(
                &format!(
                    "SELECT b.written, b.sampled FROM
                        (SELECT array_agg('message_sent'::text) AS names, array_agg({MESSAGE}) AS data
                           FROM generate_series(1, {conversations}) c) a,
                        LATERAL eventlog.log_events(NULL, a.names, a.data) b"
                ),
                &[],
            )
            .unwrap();
        let (written, sampled): (i64, i64) = (batch.get(0), batch.get(1));
        assert_eq!(written + sampled, conversations);
        assert_eq!(returned, 2 * written);

        let mut superuser = db.superuser();
        let stored = superuser
            .query(
                "SELECT data ->> 'conversationId', count(*), sum(weight)::float8 FROM eventlog.events GROUP BY 1",
                &[],
            )
            .unwrap();
        let mut weighted = 0.0;
        for row in &stored {
            let key: &str = row.get(0);
            assert_eq!(row.get::<_, i64>(1), 3, "{key} is torn");
            assert!(is_sampled(key, rate), "a writer would leave {key} out");
            weighted += row.get::<_, f64>(2) / 3.0;
        }
        // What a writer would keep is what the server kept.
        let kept = (1..=conversations).filter(|c| is_sampled(&c.to_string(), rate)).count();
        assert_eq!(stored.len(), kept);
        let n = conversations as f64;
        let sigma = (n * (1.0 - rate) / rate).sqrt();
        assert!(
            (weighted - n).abs() < 3.0 * sigma,
            "rate {rate}: {weighted} of {n}, sigma {sigma}"
        );
    }
}

#[test]
fn without_a_key_the_actor_decides_and_without_either_chance_does() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "SELECT eventlog.define_event('by_actor', sample_rate => 0.5, actor_key => 'userId');
             SELECT eventlog.define_event('by_number', sample_rate => 0.5, sample_key => 'n')",
        )
        .unwrap();
    let mut writer = db.connect_as("writer", TENANT_A);
    writer
        .batch_execute(
            "SELECT eventlog.log_event(NULL, 'by_actor', actor => 'given' || i),
                    eventlog.log_event(NULL, 'by_actor', jsonb_build_object('userId', 'given' || i)),
                    eventlog.log_event(NULL, 'by_number', jsonb_build_object('n', i)),
                    eventlog.log_event(NULL, 'by_number', jsonb_build_object('n', i::text))
               FROM generate_series(1, 400) i",
        )
        .unwrap();
    let torn =
        "SELECT count(*) FROM (SELECT name, coalesce(actor, data ->> 'n') FROM eventlog.events
                                       GROUP BY 1, 2 HAVING count(*) <> 2) x";
    assert_eq!(text(&mut superuser, torn), "0");
    let actors =
        rows(&mut superuser, "SELECT DISTINCT actor FROM eventlog.events WHERE name = 'by_actor'");
    let kept = (1..=400).filter(|i| is_sampled(&format!("given{i}"), 0.5)).count();
    assert_eq!(actors.len(), kept);

    superuser.batch_execute("DELETE FROM eventlog.events").unwrap();
    writer
        .batch_execute(
            "SELECT eventlog.log_event(NULL, 'by_actor') FROM generate_series(1, 10000);
             SELECT eventlog.log_event(NULL, 'by_number', '{\"n\": {}}') FROM generate_series(1, 10000)",
        )
        .unwrap();
    for name in ["by_actor", "by_number"] {
        let kept: i64 = text(
            &mut superuser,
            &format!("SELECT count(*) FROM eventlog.events WHERE name = '{name}'"),
        )
        .parse()
        .unwrap();
        // Seven sigma: once in 10¹².
        assert!((kept - 5_000).abs() < 350, "{name}: {kept}");
    }
}

#[test]
fn a_changed_rate_keeps_history_right() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    let mut writer = db.connect_as("writer", TENANT_A);
    let mut expected = 0.0;
    for (rate, weight) in [(1.0, 1.0), (0.5, 2.0), (0.1, 10.0), (1.0, 1.0)] {
        owner
            .batch_execute(&format!(
                "SELECT eventlog.define_event('message_sent', sample_rate => {rate})"
            ))
            .unwrap();
        let kept: i64 = writer
            .query_one(
                &format!(
                    "SELECT count(eventlog.log_event(NULL, 'message_sent', ({MESSAGE})::jsonb)) FROM generate_series(1, 1000) c"
                ),
                &[],
            )
            .unwrap()
            .get(0);
        expected += kept as f64 * weight;
    }
    let sum = "SELECT sum(coalesce(weight, 1)) FROM eventlog.events";
    assert_eq!(text(&mut owner, sum).parse::<f64>().unwrap(), expected);
    let weights = "SELECT DISTINCT weight FROM eventlog.events ORDER BY 1";
    assert_eq!(rows(&mut owner, weights), [["2"], ["10"], ["∅"]]);
    // A lower rate kept no conversation that a higher one had left out.
    let nested = "SELECT count(*) FROM eventlog.events e WHERE weight = 10 AND NOT EXISTS
        (SELECT FROM eventlog.events f WHERE f.weight = 2 AND f.data = e.data)";
    assert_eq!(text(&mut owner, nested), "0");
}

#[test]
fn an_event_of_a_sample_keeps_its_weight_through_the_quarantine() {
    let db = sampled_at(0.25);
    let mut owner = db.connect_as("log_owner", TENANT_A);
    owner
        .batch_execute(&format!(
            "SET client_min_messages = error;
             SELECT eventlog.define_event('message_sent', required_keys => '{{conversationId,role,more}}');
             SELECT eventlog.try_log_event(NULL, 'message_sent', ({MESSAGE})::jsonb) FROM generate_series(1, 400) c"
        ))
        .unwrap();
    let kept = (1..=400).filter(|c| is_sampled(&c.to_string(), 0.25)).count().to_string();
    let weights = "SELECT count(*), count(*) FILTER (WHERE weight = 4) FROM eventlog";
    assert_eq!(rows(&mut owner, &format!("{weights}.rejected_events")), [[&*kept, &kept]]);
    owner
        .batch_execute(
            "SELECT eventlog.define_event('message_sent', required_keys => '{conversationId,role}', sample_rate => 0.001);
             SELECT eventlog.replay_rejected()",
        )
        .unwrap();
    assert_eq!(rows(&mut owner, &format!("{weights}.events")), [[&*kept, &kept]]);
}

#[test]
fn a_sampled_event_is_no_error_and_a_writer_cannot_set_a_weight() {
    let db = sampled_at(0.25);
    let out = (1..).find(|c: &i32| !is_sampled(&c.to_string(), 0.25)).unwrap();
    let mut writer = db.connect_as("writer", TENANT_A);
    let data = format!(r#"{{"conversationId": {out}, "role": "user"}}"#);
    // Left out before it is checked: not even a broken payload is one.
    for payload in [data.as_str(), &format!(r#"{{"conversationId": {out}}}"#)] {
        let call = format!("SELECT eventlog.log_event(NULL, 'message_sent', '{payload}')");
        assert_eq!(text(&mut writer, &call), "∅");
    }
    let batch = format!(
        "SELECT written, sampled, rejected, verdicts::text FROM eventlog.log_events('[{{\"name\": \"message_sent\", \"data\": {data}}}]', true)"
    );
    assert_eq!(
        rows(&mut writer, &batch),
        [["0", "1", "0", r#"[{"id": null, "position": 1, "is_sampled": true}]"#]]
    );
    let mut member = db.connect_as("member", TENANT_A);
    let insert = |weight: &str| {
        format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, weight) VALUES ('{TENANT_A}', 'message_sent', '{data}', {weight})"
        )
    };
    assert_refused(&mut member, &insert("4"), "42501", "weight");
    // One that goes around sampling counts as the one that it is.
    member.batch_execute(&insert("NULL")).unwrap();
}
