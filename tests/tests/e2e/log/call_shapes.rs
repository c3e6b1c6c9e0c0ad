//! The ways in which callers write a call.

use eventlog_tests::{Db, TENANT_A, assert_refused, rows, text};

const STARTED: &str = r#"{"sessionId": "s1", "conversationId": "c1"}"#;

#[test]
fn bare_literals_name_the_function_without_casts() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    let sql =
        format!("SELECT eventlog.log_event('{TENANT_A}', 'conversation_started', '{STARTED}')");
    assert_eq!(text(&mut member, &sql), "1");
    let sql =
        format!("SELECT eventlog.try_log_event('{TENANT_A}', 'conversation_started', '{STARTED}')");
    assert_eq!(text(&mut member, &sql), "2");
}

#[test]
fn arguments_can_be_named_and_left_out() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    text(
        &mut member,
        &format!(
            "SELECT eventlog.log_event(tenant_id => NULL, name => 'conversation_started',
                data => '{STARTED}', actor => 'u1', subject => 'chat/c1', occurred_at => '2026-01-02 03:04:05+00',
                idempotency_key => 'k')"
        ),
    );
    let stored = rows(
        &mut member,
        "SELECT tenant_id, actor, subject, occurred_at, weight FROM eventlog.events",
    );
    assert_eq!(stored, [[TENANT_A, "u1", "chat/c1", "2026-01-02 03:04:05+00", "∅"]]);
    member.batch_execute("SET ROLE log_owner").expect_err("a member is not the owner");
}

#[test]
fn data_may_be_left_out_or_null() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    owner.batch_execute("SELECT eventlog.define_event('ping')").expect("the owner defines");
    for call in
        ["log_event(NULL, 'ping')", "log_event(NULL, 'ping', NULL)", "try_log_event(NULL, 'ping')"]
    {
        text(&mut owner, &format!("SELECT eventlog.{call}"));
    }
    assert_eq!(
        text(&mut owner, "SELECT string_agg(data::text, ',') FROM eventlog.events"),
        "{},{},{}"
    );
}

#[test]
fn an_untyped_prepare_infers_the_types() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    member
        .batch_execute("PREPARE log AS SELECT eventlog.log_event($1, $2, $3)")
        .expect("the types are inferred");
    for _ in 0..7 {
        text(
            &mut member,
            &format!("EXECUTE log('{TENANT_A}', 'conversation_started', '{STARTED}')"),
        );
    }
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events"), "7");
}

#[test]
fn a_driver_that_sends_every_parameter_as_text_is_understood() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    let row = member
        .query_typed(
            "SELECT eventlog.log_event($1::text::uuid, $2, $3::text::jsonb, $4::text::timestamptz)",
            &[
                (&TENANT_A, postgres::types::Type::TEXT),
                (&"conversation_started", postgres::types::Type::TEXT),
                (&STARTED, postgres::types::Type::TEXT),
                (&"2026-01-02T03:04:05Z", postgres::types::Type::TEXT),
            ],
        )
        .expect("logged");
    assert_eq!(row[0].get::<_, i64>(0), 1);
    // The text form of try_log_event takes the payload as it is.
    let row = member
        .query_typed(
            "SELECT eventlog.try_log_event($1::text::uuid, $2, $3)",
            &[
                (&TENANT_A, postgres::types::Type::TEXT),
                (&"conversation_started", postgres::types::Type::TEXT),
                (&STARTED, postgres::types::Type::TEXT),
            ],
        )
        .expect("logged");
    assert_eq!(row[0].get::<_, Option<i64>>(0), Some(2));
}

#[test]
fn log_event_works_inside_select_from_a_table_and_in_functions() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(&format!(
            "CREATE TABLE source AS SELECT g, jsonb_build_object('sessionId', g, 'conversationId', g) AS d
               FROM generate_series(1, 1000) g;
             SELECT eventlog.log_event('{TENANT_A}', 'conversation_started', d) FROM source;
             CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS
                $$ SELECT eventlog.log_event('{TENANT_A}', 'conversation_started', '{STARTED}') $$;
             SELECT f();"
        ))
        .expect("logged");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "1001");
    assert_refused(&mut owner, "SELECT eventlog.log_event(g) FROM source", "42883", "log_event");
}

/// postgres.js sends this for an object where the server says that a parameter is text.
#[test]
fn an_object_that_a_driver_sent_as_text_is_refused_with_the_cast_to_write() {
    let db = Db::new();
    let mut member = db.connect_as("member", TENANT_A);
    for text_form in ["'[object Object]'", "'[object Object]'::text"] {
        let call = format!("SELECT eventlog.try_log_event(NULL, 'tool_used', {text_form}) IS NULL");
        assert_eq!(text(&mut member, &call), "t");
    }
    let kept = "SELECT count(*), bool_and(reason LIKE '%the driver sent an object as text%') FROM eventlog.rejected_events";
    assert_eq!(rows(&mut member, kept), [["2", "t"]]);
}
