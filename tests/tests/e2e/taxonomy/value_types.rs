//! Types of values that an event type declares.

use eventlog_tests::{Db, TENANT_A, assert_refused, refused, rows, text};
use postgres::Client;

/// Event type `ordered` with a key of each type.
fn define(db: &Db) -> Client {
    let mut owner = db.connect_as("log_owner", TENANT_A);
    owner
        .batch_execute(
            r#"SELECT eventlog.define_event('ordered', required_keys => '{total}', allow_other_keys => false,
                   allowed_values => '{"currency": ["EUR", "USD"]}',
                   value_types => '{"total": "number", "currency": "string", "isGift": "boolean", "items": "array", "address": "object"}')"#,
        )
        .unwrap();
    owner
}

#[test]
fn a_value_of_another_type_than_declared_is_refused_and_the_message_names_both() {
    let db = Db::new();
    let mut owner = define(&db);
    let error = refused(
        &mut owner,
        r#"SELECT eventlog.log_event(NULL, 'ordered', '{"total": "12.50 to a@example.com", "items": {}, "isGift": 1, "currency": 5}')"#,
    );
    assert_eq!(error.code().code(), "23514");
    assert_eq!(error.message(), "payload of event \"ordered\" breaks 4 rules");
    let detail = error.detail().unwrap();
    for fault in [
        "key \"total\" must be a number, found a string",
        "key \"items\" must be an array, found an object",
        "key \"isGift\" must be a boolean, found a number",
        "key \"currency\" must be a string, found a number",
    ] {
        assert!(detail.contains(fault), "{detail}");
    }
    assert!(!format!("{error:?}").contains("example.com"), "payload values are never shown");
    for good in [
        r#"{"total": 12.50, "currency": "EUR", "isGift": false, "items": [], "address": {}}"#,
        r#"{"total": 0, "currency": null, "isGift": null, "items": null, "address": null}"#,
        // A typed key is a declared one.
        r#"{"total": 1, "address": {"street": null}}"#,
    ] {
        let good = format!("SELECT eventlog.log_event(NULL, 'ordered', '{good}') > 0");
        assert_eq!(text(&mut owner, &good), "t");
    }
    assert_refused(
        &mut owner,
        r#"SELECT eventlog.log_event(NULL, 'ordered', '{"total": null}')"#,
        "23514",
        "breaks 1 rule",
    );
}

#[test]
fn every_way_into_the_log_obeys_the_types() {
    let db = Db::new();
    let mut owner = define(&db);
    let bad = r#"{"total": "1"}"#;
    let reason = "breaks 1 rule: key \"total\" must be a number, found a string";
    text(&mut owner, &format!("SELECT eventlog.try_log_event(NULL, 'ordered', '{bad}'::jsonb)"));
    text(&mut owner, &format!("SELECT eventlog.try_log_event(NULL, 'ordered', '{bad}'::text)"));
    let batch = format!(
        "SELECT written, rejected FROM eventlog.log_events(NULL, '{{ordered,ordered}}', ARRAY['{bad}', '{{\"total\": 1}}'])"
    );
    assert_eq!(rows(&mut owner, &batch), [["1", "1"]]);
    let objects = format!(
        "SELECT rejected FROM eventlog.log_events('[{{\"name\": \"ordered\", \"data\": {bad}}}]'::jsonb)"
    );
    assert_eq!(text(&mut owner, &objects), "1");
    db.superuser()
        .batch_execute(&format!(
            "CREATE TABLE public.old AS SELECT g::bigint AS id, '{TENANT_A}'::uuid AS tenant_id, 'ordered' AS name,
                 CASE WHEN g = 1 THEN '{bad}'::jsonb ELSE '{{\"total\": 1}}' END AS data, now() AS created_at
               FROM generate_series(1, 2) g;
             GRANT SELECT ON public.old TO log_owner"
        ))
        .unwrap();
    let imported = "SELECT imported, rejected FROM eventlog.import_events('public.old')";
    assert_eq!(rows(&mut owner, imported), [["1", "1"]]);
    let kept = "SELECT count(*), min(sqlstate), count(*) FILTER (WHERE reason LIKE '%' || $$REASON$$) FROM eventlog.rejected_events";
    assert_eq!(rows(&mut owner, &kept.replace("REASON", reason)), [["5", "23514", "5"]]);
    let dry = format!("SELECT is_valid, detail FROM eventlog.validate_event('ordered', '{bad}')");
    assert_eq!(rows(&mut owner, &dry), [["f", "key \"total\" must be a number, found a string"]]);
    let mut member = db.connect_as("member", TENANT_A);
    let plain = format!(
        "INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('{TENANT_A}', 'ordered', '{bad}')"
    );
    assert_refused(&mut member, &plain, "23514", "breaks 1 rule");
    // A replay too, until the rule is gone.
    let replay = "SELECT replayed, still_rejected FROM eventlog.replay_rejected()";
    assert_eq!(rows(&mut owner, replay), [["0", "4"]]);
    owner.batch_execute("SELECT eventlog.define_event('ordered', value_types => '{}')").unwrap();
    assert_eq!(rows(&mut owner, replay), [["4", "0"]]);
}

#[test]
fn types_are_those_of_stored_values() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    owner
        .batch_execute(
            r#"SELECT eventlog.define_event('ran', path_keys => '{files,cwd}', redact_keys => '{token}', default_values => '{"n": 1}',
                   value_types => '{"files": "array", "cwd": "string", "token": "number", "n": "number"}')"#,
        )
        .unwrap();
    // A redacted key is never stored, so its type tells only those who log.
    let stored = r#"SELECT stored FROM eventlog.validate_event('ran', '{"files": ["/home/me/x"], "cwd": "/srv/y", "token": "s"}')"#;
    assert_eq!(text(&mut owner, stored), r#"{"n": 1, "cwd": "y", "files": ["~/x"]}"#);
}

#[test]
fn types_that_no_payload_can_have_are_refused() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    for (rules, message) in [
        (r#"value_types => '[]'"#, "value_types must give each key one of"),
        (r#"value_types => '"x"'"#, "value_types must give each key one of"),
        (r#"value_types => '{"a": "text"}'"#, "value_types must give each key one of"),
        (r#"value_types => '{"a": null}'"#, "value_types must give each key one of"),
        (r#"value_types => '{"a": ["string"]}'"#, "value_types must give each key one of"),
        (
            r#"value_types => '{"a": "number"}', allowed_values => '{"a": [1, "2"]}'"#,
            "key \"a\" of event \"x\" is of type number, but has an allowed value of type string",
        ),
        (
            r#"value_types => '{"a": "array"}', allowed_values => '{"a": [1]}'"#,
            "of type array, but has an allowed value of type number",
        ),
        (
            r#"value_types => '{"a": "number"}', hash_keys => '{a}'"#,
            "of type number, but is hashed",
        ),
        (
            r#"value_types => '{"a": "boolean"}', actor_key => 'a', hash_actor => true"#,
            "of type boolean, but is hashed",
        ),
        (
            r#"value_types => '{"a": "number"}', path_keys => '{a}'"#,
            "of type number, but is a path",
        ),
        (
            r#"value_types => '{"a": "number"}', default_values => '{"a": "1"}'"#,
            "of type number, but has a default of type string",
        ),
    ] {
        assert_refused(
            &mut owner,
            &format!("SELECT eventlog.define_event('x', {rules})"),
            "22023",
            message,
        );
    }
    // By hand.
    owner.batch_execute("SELECT eventlog.define_event('x')").unwrap();
    for types in [r#"{"a": "text"}"#, r#"{"a": 5}"#, r#"{"a": ["string"]}"#, "[]"] {
        let by_hand =
            format!("UPDATE eventlog.event_types SET value_types = '{types}' WHERE name = 'x'");
        assert_refused(&mut owner, &by_hand, "23514", "event_types_value_types_check");
    }
}

#[test]
fn keys_of_a_clients_context_are_validated_and_make_context_a_declared_key() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    for (keys, sqlstate, message) in [
        ("ARRAY['']", "22023", "\"\" cannot be one of context_keys"),
        ("ARRAY['page..url']", "22023", "cannot be one of context_keys"),
        ("ARRAY['.url']", "22023", "cannot be one of context_keys"),
        ("ARRAY[repeat('x', 129)]", "22023", "cannot be one of context_keys"),
        ("ARRAY[E'a\\nb']", "22023", "cannot be one of context_keys"),
        ("ARRAY[NULL]::text[]", "22004", "context_keys must not contain null"),
        (
            "ARRAY(SELECT 'k' || g FROM generate_series(1, 51) g)",
            "54000",
            "context_keys has 51 keys, limit 50",
        ),
    ] {
        let define = format!("SELECT eventlog.define_event('x', context_keys => {keys})");
        assert_refused(&mut owner, &define, sqlstate, message);
    }
    owner.batch_execute("SELECT eventlog.define_event('seen', allow_other_keys => false)").unwrap();
    let log = r#"SELECT eventlog.log_event(NULL, 'seen', '{"context": {"locale": "de"}}') > 0"#;
    assert_refused(&mut owner, log, "23514", "breaks 1 rule");
    owner
        .batch_execute("SELECT eventlog.define_event('seen', context_keys => '{locale,page.url}')")
        .unwrap();
    assert_eq!(text(&mut owner, log), "t");
}
