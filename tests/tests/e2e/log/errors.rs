//! What bad input gets.

use eventlog_tests::cluster::major_version;
use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, refused, rows, text};

fn log(name: &str, data: &str) -> String {
    format!("SELECT eventlog.log_event('{TENANT_A}', '{name}', '{data}')")
}

#[test]
fn an_unknown_name_suggests_the_nearest_ones() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    let error = refused(&mut member, &log("conversation_strted", "{}"));
    assert_eq!(error.code().code(), "42704");
    assert_eq!(error.message(), "unknown event name \"conversation_strted\"");
    assert_eq!(error.hint(), Some("did you mean \"conversation_started\"?"));
    let error = refused(&mut member, &log("zzzzzzzzzzzz", "{}"));
    assert!(error.hint().unwrap().contains("define_event"));
    let error = refused(&mut member, &log(&"n".repeat(1_000_000), "{}"));
    assert!(error.message().len() < 200);
}

#[test]
fn all_faults_of_a_payload_are_named_at_once() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    owner
        .batch_execute(
            r#"SELECT eventlog.define_event('strict', required_keys => '{a,bb}', optional_keys => '{c}',
                   allow_other_keys => false, allowed_values => '{"c": ["x", 1.0, true]}', max_bytes => 64)"#,
        )
        .expect("the owner defines");
    let long = "y".repeat(100);
    let error = refused(
        &mut owner,
        &log("strict", &format!(r#"{{"a": null, "c": "{long}", "other": 1}}"#)),
    );
    assert_eq!(error.code().code(), "23514");
    assert_eq!(error.message(), "payload of event \"strict\" breaks 5 rules");
    let detail = error.detail().unwrap();
    for fault in [
        "required key \"a\" is missing",
        "required key \"bb\" is missing",
        "key \"c\" has a value that is not allowed",
        "key \"other\" is not declared",
        "too large",
    ] {
        assert!(detail.contains(fault), "{detail}");
    }
    assert!(!format!("{error:?}").contains(&long), "payload values are never shown");
    // Equal numbers are equal, however they are written.
    for value in ["\"x\"", "1", "1.00", "true"] {
        text(&mut owner, &log("strict", &format!(r#"{{"a": 0, "bb": false, "c": {value}}}"#)));
    }
    for value in ["\"X\"", "2", "false", "[\"x\"]", "{}"] {
        assert_refused(
            &mut owner,
            &log("strict", &format!(r#"{{"a": 0, "bb": 0, "c": {value}}}"#)),
            "23514",
            "breaks 1 rule",
        );
    }
}

#[test]
fn every_refusal_has_its_standard_sqlstate_and_leaves_the_log_unchanged() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    let good = r#"{"sessionId": "s", "conversationId": "c"}"#;
    let big = format!(r#"{{"sessionId": "{}", "conversationId": "c"}}"#, "s".repeat(3000));
    let cases: &[(String, &str, &str)] = &[
        (log("nonsense_name", good), "42704", "unknown event name"),
        (log("conversation_started", "{}"), "23514", "breaks 2 rules"),
        (log("conversation_started", &big), "54000", "too large"),
        (log("conversation_started", "[]"), "22023", "must be a JSON object, found an array"),
        (log("conversation_started", "1"), "22023", "found a number"),
        (log("conversation_started", "\"x\""), "22023", "found a string"),
        (log("conversation_started", "null"), "22023", "found null"),
        (log("conversation_started", "{"), "22P02", ""),
        (log("conversation_started", r#"{"a": "\u0000"}"#), "22P05", ""),
        (log("conversation_started", r#"{"a": "\ud800"}"#), "22P02", ""),
        (log("conversation_started", r#"{"a": 1e999999999}"#), "22003", ""),
        (
            format!("SELECT eventlog.log_event('{TENANT_B}', 'conversation_started', '{good}')"),
            "42501",
            "",
        ),
        ("SELECT eventlog.log_event('not-a-uuid', 'conversation_started')".to_owned(), "22P02", ""),
        (
            format!("SELECT eventlog.log_event('{TENANT_A}', NULL)"),
            "22004",
            "name must not be null",
        ),
        (
            format!(
                "SELECT eventlog.log_event('{TENANT_A}', 'conversation_started', '{good}', actor => repeat('a', 513))"
            ),
            "22023",
            "actor is too long: 513 bytes, limit 512",
        ),
        (
            format!(
                "SELECT eventlog.log_event('{TENANT_A}', 'conversation_started', '{good}', subject => repeat('ä', 257))"
            ),
            "22023",
            "subject is too long: 514",
        ),
        (
            format!(
                "SELECT eventlog.log_event('{TENANT_A}', 'conversation_started', '{good}', idempotency_key => repeat('k', 256))"
            ),
            "22023",
            "idempotency_key is too long",
        ),
        (
            format!(
                "SELECT eventlog.log_event('{TENANT_A}', 'conversation_started', '{good}', occurred_at => 'infinity')"
            ),
            "22023",
            "finite",
        ),
        ("UPDATE eventlog.events SET data = '{}'".to_owned(), "42501", "permission denied"),
        ("DELETE FROM eventlog.events".to_owned(), "42501", "permission denied"),
        ("TRUNCATE eventlog.events".to_owned(), "42501", "permission denied"),
    ];
    for (sql, sqlstate, message) in cases {
        assert_refused(&mut member, sql, sqlstate, message);
    }
    let mut owner = db.connect("log_owner");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "0");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.rejected_events"), "0");
}

#[test]
fn another_tenants_id_is_refused_with_a_hint() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    let sql = format!(
        r#"SELECT eventlog.log_event('{TENANT_B}', 'conversation_started', '{{"sessionId": 1, "conversationId": 2}}')"#
    );
    let error = refused(&mut member, &sql);
    assert_eq!(error.code().code(), "42501");
    assert!(error.message().contains(TENANT_B), "{error:?}");
    assert!(error.hint().unwrap().contains("current_tenant"), "{error:?}");
}

#[test]
fn update_is_refused_for_the_owner_too_by_parent_and_by_partition() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    owner
        .batch_execute(
            "SELECT eventlog.define_event('ping'); SELECT eventlog.log_event(NULL, 'ping')",
        )
        .unwrap();
    assert_refused(&mut owner, "UPDATE eventlog.events SET name = 'x'", "0A000", "append-only");
    let partition = text(&mut owner, "SELECT tableoid::regclass::text FROM eventlog.events");
    assert_refused(
        &mut owner,
        &format!("UPDATE {partition} SET name = 'x'"),
        "0A000",
        "append-only",
    );
    let mut superuser = db.superuser();
    superuser.batch_execute("SET session_replication_role = replica").unwrap();
    assert_refused(&mut superuser, "UPDATE eventlog.events SET name = 'x'", "0A000", "append-only");
}

#[test]
fn a_fault_in_try_log_event_is_a_warning_a_row_in_the_quarantine_and_null() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    let calls = [
        ("'nonsense', '{}'".to_owned(), "42704"),
        ("'message_sent', '{\"role\": \"user\"}'".to_owned(), "23514"),
        ("'message_sent', '{\"role\": '".to_owned(), "22P02"),
        ("'message_sent', '{\"role\": \"\\u0000\"}'".to_owned(), "22P05"),
        ("'message_sent', '{\"a\": 1}'::jsonb".to_owned(), "23514"),
        (format!("'message_sent', '{{\"conversationId\": \"{}\", \"role\": \"user\"}}'", "c".repeat(3000)), "54000"),
        ("'message_sent', '{\"conversationId\": 1, \"role\": \"user\"}', actor => repeat('a', 600)".to_owned(), "22023"),
        ("NULL, '{}'".to_owned(), "22004"),
    ];
    for (arguments, _) in &calls {
        assert_eq!(
            text(&mut member, &format!("SELECT eventlog.try_log_event(NULL, {arguments})")),
            "∅"
        );
    }
    assert_eq!(
        text(
            &mut member,
            &format!(
                "SELECT eventlog.try_log_event('{TENANT_B}', 'message_sent', '{{\"conversationId\": 1, \"role\": \"user\"}}')"
            )
        ),
        "∅"
    );
    let quarantined = rows(
        &mut member,
        "SELECT sqlstate, tenant_id, claimed_tenant_id, role_name FROM eventlog.rejected_events ORDER BY id",
    );
    let expected: Vec<&str> =
        calls.iter().map(|(_, sqlstate)| *sqlstate).chain(["42501"]).collect();
    assert_eq!(quarantined.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), expected);
    assert!(quarantined.iter().all(|row| row[1] == TENANT_A && row[3] == "member"));
    assert_eq!(quarantined.last().unwrap()[2], TENANT_B);
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events"), "0");
    // The tenant that was named sees nothing of it.
    let mut other = db.connect_as("member", TENANT_B);
    assert_eq!(text(&mut other, "SELECT count(*) FROM eventlog.rejected_events"), "0");
}

#[test]
fn without_a_log_the_error_says_how_to_make_one() {
    let db = Db::empty();
    let mut superuser = db.superuser();
    superuser.batch_execute("CREATE EXTENSION eventlog").unwrap();
    for sql in [
        "SELECT eventlog.log_event(gen_random_uuid(), 'x')",
        "SELECT eventlog.try_log_event(gen_random_uuid(), 'x')",
        "SELECT eventlog.define_event('x')",
        "SELECT eventlog.retire_event('x')",
        "SELECT eventlog.grant_writer('writer')",
    ] {
        let error = refused(&mut superuser, sql);
        assert_eq!(error.code().code(), "55000", "{error:?}");
        assert_eq!(error.hint(), Some("SELECT eventlog.create_log();"));
    }
}

#[test]
fn a_disabled_log_returns_null_and_only_a_superuser_disables_it() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    text(&mut member, "SELECT eventlog.current_tenant()");
    assert_refused(&mut member, "SET eventlog.enabled = off", "42501", "eventlog.enabled");
    let mut superuser = db.superuser();
    superuser.batch_execute("SET eventlog.enabled = off").unwrap();
    assert_eq!(text(&mut superuser, "SELECT eventlog.log_event(NULL, 'nonsense')"), "∅");
    assert_eq!(text(&mut superuser, "SELECT eventlog.try_log_event(NULL, 'nonsense')"), "∅");
    // Before 15 PostgreSQL takes any setting with a dot.
    if major_version() >= 15 {
        assert_refused(&mut superuser, "SET eventlog.enabeld = off", "42602", "eventlog.enabeld");
    }
}

#[test]
fn an_unknown_name_can_be_quarantined_or_registered_by_setting() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "ALTER ROLE member IN DATABASE {} SET eventlog.on_unknown_name = quarantine",
            db.name
        ))
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    assert_eq!(
        text(&mut member, "SELECT eventlog.log_event(NULL, 'brand_new', '{\"a\": 1}')"),
        "∅"
    );
    assert_eq!(
        rows(&mut member, "SELECT name, sqlstate FROM eventlog.rejected_events"),
        [["brand_new", "42704"]]
    );
    superuser
        .batch_execute(&format!(
            "ALTER ROLE member IN DATABASE {} SET eventlog.on_unknown_name = register",
            db.name
        ))
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    assert_eq!(
        text(&mut member, "SELECT eventlog.log_event(NULL, 'brand_new', '{\"a\": 1}') > 0"),
        "t"
    );
    assert_eq!(
        text(&mut member, "SELECT domain FROM eventlog.event_types WHERE name = 'brand_new'"),
        "registered"
    );
    assert_refused(
        &mut member,
        "SELECT eventlog.log_event(NULL, 'Brand New')",
        "22023",
        "cannot be registered",
    );
    // A role that may not write registers nothing.
    superuser.batch_execute(&format!("ALTER ROLE outsider IN DATABASE {} SET eventlog.on_unknown_name = register; GRANT USAGE ON SCHEMA eventlog TO outsider", db.name)).unwrap();
    let mut outsider = db.connect_as("outsider", TENANT_A);
    assert_refused(
        &mut outsider,
        "SELECT eventlog.log_event(NULL, 'brand_newer')",
        "42501",
        "permission denied",
    );
}

#[test]
fn wildcards_count_only_while_they_are_allowed() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute("SELECT eventlog.define_event('app.*', required_keys => '{a}'); SELECT eventlog.define_event('app.page.*')")
        .unwrap();
    let call = format!("SELECT eventlog.log_event('{TENANT_A}', 'app.page.viewed')");
    assert_refused(&mut superuser, &call, "42704", "unknown event name");
    superuser.batch_execute("SET eventlog.allow_wildcards = on").unwrap();
    text(&mut superuser, &call);
    assert_refused(
        &mut superuser,
        &format!("SELECT eventlog.log_event('{TENANT_A}', 'app.clicked')"),
        "23514",
        "app.*",
    );
    assert_refused(
        &mut superuser,
        &format!("SELECT eventlog.log_event('{TENANT_A}', 'application')"),
        "42704",
        "unknown",
    );
}
