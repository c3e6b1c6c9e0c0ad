//! The writer with a thread of its own: what arrives, for whom, and what it says of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use eventlog_tests::random::Random;
use eventlog_tests::{Db, TENANT_A, TENANT_B, db, json, rows, text};
use eventlog_writer::sync::Writer;
use eventlog_writer::{Event, EventName, Options, Outcome, Stats};

use crate::common::{LONG, config, numbered, options, tenant};

#[test]
fn the_quarantine_names_the_protocol_of_events_that_have_one() {
    let db = Db::new();
    let mut client = db.superuser();
    for options in [options(), options().tenant(tenant())] {
        let writer = Writer::connect(config(&db, "service"), options);
        let event = |name: &'static str| Event::new(name).tenant(tenant());
        assert!(writer.log(event("bogus").protocol("segment")));
        assert!(writer.log(
            event("tool_used").protocol("segment").data(&serde_json::json!({"toolName": "t"}))
        ));
        assert!(writer.log(event("bogus")));
        assert!(writer.flush(LONG));
        let refused = writer.log_and_wait(event("bogus").protocol("posthog")).unwrap_err();
        assert_eq!(refused.sqlstate(), Some("42704"), "{refused}");
    }
    let kept = "SELECT protocol, count(*) FROM eventlog.rejected_events GROUP BY 1 ORDER BY 1";
    assert_eq!(rows(&mut client, kept), [["posthog", "2"], ["segment", "2"], ["∅", "2"]]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.events"), "2");
}

#[test]
fn what_is_logged_is_stored_with_every_column_and_null_keys_are_not_sent() {
    let db = Db::new();
    let writer = Writer::connect(config(&db, "service"), options());
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_772_359_200_123_456);
    let before = SystemTime::now();
    assert!(
        writer.log(
            Event::new(EventName::SkillExecuted)
                .tenant(tenant())
                .data(&serde_json::json!({
                    "skillName": "canvas", "success": true, "durationMs": 12, "errorType": null,
                    "n": 18446744073709551615_u64, "deep": {"a": null, "b": [null, 1.5]}
                }))
                .actor("user-17")
                .subject("s")
                .occurred_at(at)
                .idempotency_key("k"),
        )
    );
    assert!(writer.log(
        Event::new("tool_used").tenant(tenant()).data(&serde_json::json!({"toolName": "ü🙂"}))
    ));
    assert!(writer.flush(LONG));
    let mut client = db.superuser();
    assert_eq!(
        rows(
            &mut client,
            "SELECT tenant_id, data, actor, subject, occurred_at FROM eventlog.events WHERE name = 'skill_executed'"
        ),
        [[
            TENANT_A,
            r#"{"n": 18446744073709551615, "deep": {"b": [null, 1.5]}, "success": true, "skillName": "canvas", "durationMs": 12}"#,
            "user-17",
            "s",
            "2026-03-01 10:00:00.123456+00"
        ]]
    );
    // What says no time occurs when it is logged, not when it is sent.
    let row = client
        .query_one(
            "SELECT occurred_at, data ->> 'toolName' FROM eventlog.events WHERE name = 'tool_used'",
            &[],
        )
        .unwrap();
    let occurred_at: SystemTime = row.get(0);
    assert!(occurred_at >= before - Duration::from_millis(1) && occurred_at <= SystemTime::now());
    assert_eq!(row.get::<_, &str>(1), "ü🙂");
    let report = writer.close(LONG);
    assert!(report.is_complete());
    assert_eq!(report.stats, Stats { submitted: 2, written: 2, ..Stats::default() });
}

#[test]
fn payloads_are_stripped_as_the_server_strips_them() {
    let db = Db::new();
    let mut client = db.superuser();
    let mut random = Random::new();
    for _ in 0..300 {
        let value: serde_json::Value = loop {
            // Numbers that Rust's own do not hold are not what an application serializes.
            if let Ok(value) = serde_json::from_str(&json::object(&mut random, 3)) {
                break value;
            }
        };
        let sent = Event::new("x").data(&value).payload().to_owned();
        let is_equal: bool = client
            .query_one(
                "SELECT $1::text::jsonb = jsonb_strip_nulls($2::text::jsonb)",
                &[&sent, &value.to_string()],
            )
            .unwrap()
            .get(0);
        assert!(is_equal, "{value}\n{sent}");
    }
}

#[test]
fn each_role_writes_by_each_tenant_source() {
    for source in ["setting", "jwt", "role"] {
        let db = Db::new();
        let mut superuser = db.superuser();
        superuser
            .batch_execute(&format!(
                "ALTER DATABASE {} SET eventlog.tenant_source = {source};
                 INSERT INTO eventlog.tenant_roles VALUES ('writer', '{TENANT_A}')",
                db.name
            ))
            .unwrap();
        let mut config = config(&db, "writer");
        let mut options = options();
        match source {
            // Set in each statement, on no connection.
            "setting" => options = options.tenant(tenant()),
            "jwt" => {
                let claims =
                    format!("{{\\\"tenant_id\\\":\\\"{TENANT_A}\\\"}}").replace("\\\"", "\"");
                config.options(&format!("-c request.jwt.claims={claims}"));
            }
            _ => {}
        }
        let writer = Writer::connect(config, options);
        let event = || Event::new("tool_used").data(&serde_json::json!({"toolName": "t"}));
        writer.log(event());
        writer.log(event().tenant(tenant()));
        // Another tenant's is refused, and costs nobody else anything.
        writer.log(event().tenant(TENANT_B.parse().unwrap()));
        let report = writer.close(LONG);
        let stats = report.stats;
        assert_eq!((stats.written, stats.rejected, stats.dropped), (2, 1, 0), "{source}: {stats}");
        let tenants = "SELECT DISTINCT tenant_id FROM eventlog.events";
        assert_eq!(rows(&mut superuser, tenants), [[TENANT_A]], "{source}");
    }
}

#[test]
fn whoever_waits_gets_the_id_or_the_fault() {
    let db = Db::new();
    db.superuser()
        .batch_execute(
            "SELECT eventlog.define_event('rare', sample_rate => 1e-12, sample_key => 'k')",
        )
        .unwrap();
    let writer = Writer::connect(config(&db, "service"), options().linger(Duration::from_secs(30)));
    let id = writer.log_and_wait(numbered(1)).unwrap().id().expect("an id");
    let stored = format!("SELECT data ->> 'n' FROM eventlog.events WHERE id = {id}");
    assert_eq!(text(&mut db.superuser(), &stored), "1");
    let error = writer.log_and_wait(Event::new("tool_usd").tenant(tenant())).unwrap_err();
    assert_eq!(error.sqlstate(), Some("42704"));
    assert!(error.to_string().contains("unknown event name") && !error.is_transient(), "{error}");
    let left_out = Event::new("rare").tenant(tenant()).data(&serde_json::json!({"k": "x"}));
    assert_eq!(writer.log_and_wait(left_out).unwrap(), Outcome::LeftOut);
    let again = || writer.log_and_wait(numbered(2).idempotency_key("k")).unwrap();
    let id = again().id();
    assert_eq!(again(), Outcome::Duplicate(id));
    let unserializable = std::collections::HashMap::from([((1, 2), 3)]);
    let error = writer.log_and_wait(Event::new("tool_used").data(&unserializable)).unwrap_err();
    assert!(error.to_string().contains("does not serialize"), "{error}");
    let large =
        Event::new("tool_used").data(&serde_json::json!({"toolName": "x".repeat(2_000_000)}));
    let error = writer.log_and_wait(large).unwrap_err();
    assert!(error.to_string().contains("too large: 2000015 bytes, limit 1048576"), "{error}");
    let report = writer.close(LONG);
    assert!(report.to_string().contains("1 tool_usd: unknown event name"), "{report}");
    assert_eq!(report.rejections.len(), 3, "{report}");
    assert_eq!(
        report.stats,
        Stats {
            submitted: 7,
            written: 2,
            duplicate: 1,
            sampled: 1,
            rejected: 3,
            ..Stats::default()
        }
    );
    assert!(writer.log_and_wait(numbered(3)).unwrap_err().to_string().contains("closed"));
}

#[test]
fn an_event_in_the_callers_transaction_is_there_if_and_only_if_it_commits() {
    let db = Db::new();
    let writer = Writer::connect(config(&db, "service"), options());
    let mut client = db.connect("service");
    let mut transaction = client.transaction().unwrap();
    assert!(writer.log_in(&mut transaction, numbered(1)).unwrap().is_stored());
    transaction.rollback().unwrap();
    let mut transaction = client.transaction().unwrap();
    let id = writer.log_in(&mut transaction, numbered(2)).unwrap();
    transaction.commit().unwrap();
    let mut superuser = db.superuser();
    let stored = rows(&mut superuser, "SELECT id, data ->> 'n' FROM eventlog.events");
    assert_eq!(stored, [[id.id().unwrap().to_string(), "2".to_owned()]]);
    let mut transaction = client.transaction().unwrap();
    let error = writer.log_in(&mut transaction, Event::new("bogus").tenant(tenant())).unwrap_err();
    assert_eq!(error.sqlstate(), Some("42704"));
}

#[test]
fn a_permanent_fault_is_counted_said_with_its_reason_and_not_tried_again() {
    let db = Db::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    let options = options().batch_events(2).on_error(move |error| {
        into.lock().unwrap().push((error.sqlstate().map(str::to_owned), error.events()));
    });
    let writer = Writer::connect(config(&db, "reader"), options);
    for n in 0..10 {
        writer.log(numbered(n));
    }
    let stats = writer.close(LONG).stats;
    assert_eq!(stats, Stats { submitted: 10, rejected: 10, ..Stats::default() });
    // The first at once, and the others together.
    let code = Some("42501".to_owned());
    assert_eq!(*heard.lock().unwrap(), [(code.clone(), 2), (code, 8)]);
}

#[test]
fn a_disabled_writer_connects_to_nothing_and_counts_nothing() {
    let nowhere = "host=/nonexistent user=nobody".parse().unwrap();
    let writer = Writer::connect(nowhere, Options::new().enabled(false));
    assert!(!writer.is_enabled() && !writer.log(numbered(1)));
    assert_eq!(writer.log_and_wait(numbered(2)).unwrap(), Outcome::LeftOut);
    assert!(writer.flush(Duration::ZERO));
    assert_eq!(writer.close(Duration::ZERO).stats, Stats::default());
}

#[test]
fn connections_of_a_pool_are_used_and_asked_for_anew_when_they_break() {
    let db = Db::new();
    let config = config(&db, "service");
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let writer = Writer::with_connector(options(), move || {
        *count.lock().unwrap() += 1;
        Ok(Box::new(Box::new(config.connect(postgres::NoTls)?)))
    });
    writer.log_and_wait(numbered(1)).unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'";
    db.superuser().batch_execute(kill).unwrap();
    writer.log_and_wait(numbered(2)).unwrap();
    let stats = writer.close(LONG).stats;
    assert_eq!((stats.written, *asked.lock().unwrap()), (2, 2), "{stats}");
    assert!(db::shared().folder().exists());
}

#[test]
fn what_the_writer_samples_at_the_source_is_what_the_log_would_keep() {
    let db = Db::new();
    db.superuser()
        .batch_execute("SELECT eventlog.define_event('message_sent', sample_rate => 0.25)")
        .unwrap();
    let options = options().sample(EventName::MessageSent, 0.25, Some("conversationId"));
    let writer = Writer::connect(config(&db, "service"), options);
    for c in 0..1_000 {
        let data = serde_json::json!({"conversationId": format!("c{c}"), "role": "user"});
        assert!(writer.log(Event::new("message_sent").tenant(tenant()).data(&data)));
    }
    let at_the_source = writer.stats().sampled;
    let stats = writer.close(LONG).stats;
    assert_eq!(stats.sampled, at_the_source, "the log leaves out nothing more: {stats}");
    let stored = "SELECT count(*), count(*) FILTER (WHERE weight = 4) FROM eventlog.events";
    let written = stats.written.to_string();
    assert_eq!(rows(&mut db.superuser(), stored), [[written.clone(), written]]);
    assert!((150..350).contains(&stats.written), "{stats}");
}

#[test]
fn tracked_work_is_logged_as_it_went_a_panic_included() {
    let db = Db::new();
    let writer = Writer::connect(config(&db, "service"), options());
    let event = || {
        Event::new(EventName::SkillExecuted)
            .tenant(tenant())
            .data(&serde_json::json!({"skillName": "canvas"}))
    };
    writer.track(event(), || Ok::<_, std::fmt::Error>(1)).unwrap();
    writer.track(event(), || std::fs::read("/nonexistent/file")).unwrap_err();
    let tracked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        writer.track(event(), || -> Result<(), std::fmt::Error> { panic!("of the work") })
    }));
    assert!(tracked.is_err());
    assert_eq!(writer.close(LONG).stats.written, 3);
    let ends = rows(
        &mut db.superuser(),
        "SELECT data ->> 'success', data ->> 'errorType', (data ->> 'durationMs')::int >= 0, subject
           FROM eventlog.events ORDER BY id",
    );
    assert_eq!(
        ends,
        [
            ["true", "∅", "t", "canvas"],
            ["false", "Error", "t", "canvas"],
            ["false", "panicked", "t", "canvas"]
        ]
    );
}
