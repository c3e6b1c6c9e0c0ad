//! What an event waits for is bounded, and the error says who is in the way.

use std::thread;

use eventlog_tests::{Db, TENANT_A, refused, rows, text, wait_for};
use postgres::Client;

const TOOL: &str = r#"'{"toolName": "t"}'"#;

/// A connection whose waits are short.
fn impatient(db: &Db) -> Client {
    let mut client = db.superuser();
    client
        .batch_execute(&format!(
            "SET eventlog.lock_timeout = '50ms'; SET eventlog.tenant_id = '{TENANT_A}'"
        ))
        .unwrap();
    client
}

#[test]
fn a_key_that_an_open_transaction_holds_is_waited_for_a_bounded_time_and_its_holder_named() {
    let db = Db::new();
    let mut holder = db.connect_as("member", TENANT_A);
    let key = format!("(NULL, 'tool_used', {TOOL}::jsonb, idempotency_key => 'k')");
    holder.batch_execute(&format!("BEGIN; SELECT eventlog.log_event{key}")).unwrap();
    let pid = text(&mut holder, "SELECT pg_backend_pid()");
    let mut waiter = impatient(&db);
    let batch =
        "SELECT eventlog.log_events(NULL, '{tool_used,tool_used}', ARRAY['{\"toolName\": \"t\"}', '{\"toolName\": \"t\"}'],
                                   idempotency_keys => '{other,k}')";
    for verb in [
        format!("SELECT eventlog.log_event{key}"),
        format!("SELECT eventlog.try_log_event{key}"),
        batch.to_owned(),
    ] {
        // By the log's setting, or by the session's own, which is shorter.
        let is_short = text(&mut waiter, "SHOW lock_timeout") == "0";
        let (own, log) = if is_short { ("20ms", "10min") } else { ("0", "50ms") };
        waiter
            .batch_execute(&format!(
                "SET lock_timeout = '{own}'; SET eventlog.lock_timeout = '{log}'"
            ))
            .unwrap();
        let error = refused(&mut waiter, &verb);
        assert_eq!(error.code().code(), "55P03", "{verb}\n{error:?}");
        assert!(error.message().contains("held by another transaction"), "{error:?}");
        assert!(error.detail().unwrap_or_default().contains(&pid), "{error:?}");
        assert!(error.hint().unwrap_or_default().contains(&pid), "{error:?}");
    }
    // The bound is the key's: what else the session waits for is its own affair.
    assert_eq!(text(&mut waiter, "SHOW lock_timeout"), "20ms");
    holder.batch_execute("COMMIT").unwrap();
    let id = text(&mut waiter, &format!("SELECT eventlog.log_event{key}"));
    assert_eq!(id, text(&mut waiter, "SELECT id FROM eventlog.events"));
}

#[test]
fn a_producer_and_a_name_that_another_transaction_holds_are_waited_for_a_bounded_time() {
    let db = Db::new();
    let batch = "SELECT eventlog.log_events(NULL, '{ping}', NULL, producer => 'cccccccc-cccc-4ccc-8ccc-cccccccccccc',
                                            batch_number => 1)";
    let register = "SET eventlog.on_unknown_name = register";
    let mut holder = db.superuser();
    holder
        .batch_execute(&format!(
            "SET eventlog.tenant_id = '{TENANT_A}'; {register}; BEGIN; {batch}"
        ))
        .unwrap();
    let mut waiter = impatient(&db);
    waiter.batch_execute(register).unwrap();
    for (verb, words) in [
        (batch, "a batch of this producer"),
        ("SELECT eventlog.log_event(NULL, 'ping')", "registers the same name"),
    ] {
        let error = refused(&mut waiter, verb);
        assert_eq!(error.code().code(), "55P03", "{verb}\n{error:?}");
        assert!(error.message().contains(words), "{error:?}");
        assert!(error.hint().unwrap_or_default().contains("pg_locks"), "{error:?}");
    }
    holder.batch_execute("COMMIT").unwrap();
    assert_eq!(
        rows(&mut waiter, &batch.replace("eventlog.log", "is_repeat FROM eventlog.log")),
        [["t"]]
    );
}

#[test]
fn a_lookup_that_somebody_locks_is_a_miss_once_in_a_batch_and_for_each_event() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(
            "CREATE TABLE public.skills (id text PRIMARY KEY, name text);
             INSERT INTO public.skills VALUES ('s1', 'canvas'), ('s2', 'chart');
             GRANT SELECT ON public.skills TO member;
             SELECT eventlog.add_enrichment('tool_used', 'skillName', 'skillId', 'public.skills', 'id', 'name')",
        )
        .unwrap();
    owner.batch_execute("BEGIN; LOCK TABLE public.skills").unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    let event = |skill: &str| format!(r#"{{"toolName": "t", "skillId": "{skill}"}}"#);
    member
        .batch_execute(&format!("SELECT eventlog.log_event(NULL, 'tool_used', '{}')", event("s1")))
        .unwrap();
    let written = format!(
        "SELECT written FROM eventlog.log_events(NULL, ARRAY['tool_used','tool_used','tool_used'], ARRAY['{}','{}','{}'])",
        event("s1"),
        event("s2"),
        event("s3")
    );
    assert_eq!(text(&mut member, &written), "3");
    owner.batch_execute("COMMIT").unwrap();
    assert_eq!(
        text(
            &mut owner,
            "SELECT events FROM eventlog.stat_hygiene WHERE kind = 'enrichment_missed'"
        ),
        "4"
    );
    member
        .batch_execute(&format!("SELECT eventlog.log_event(NULL, 'tool_used', '{}')", event("s2")))
        .unwrap();
    let last = "SELECT data ->> 'skillName' FROM eventlog.events ORDER BY id DESC LIMIT 1";
    assert_eq!(text(&mut owner, last), "chart");
}

#[test]
fn a_statement_that_is_cancelled_while_it_waits_is_cancelled_and_nothing_of_it_stays() {
    let db = Db::new();
    let mut holder = db.connect_as("member", TENANT_A);
    let key = format!("(NULL, 'tool_used', {TOOL}::jsonb, idempotency_key => 'k')");
    holder.batch_execute(&format!("BEGIN; SELECT eventlog.log_event{key}")).unwrap();
    let mut waiter = db.connect_as("member", TENANT_A);
    let pid = text(&mut waiter, "SELECT pg_backend_pid()");
    let mut superuser = db.superuser();
    let waiting = thread::spawn(move || {
        waiter.batch_execute("SET statement_timeout = '10min'").unwrap();
        let error = refused(&mut waiter, &format!("SELECT eventlog.try_log_event{key}"));
        assert_eq!(error.code().code(), "57014", "{error:?}");
    });
    wait_for(
        &mut superuser,
        &format!(
            "SELECT coalesce((SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}), '')"
        ),
        "Lock",
    );
    text(&mut superuser, &format!("SELECT pg_cancel_backend({pid})"));
    waiting.join().unwrap();
    holder.batch_execute("ROLLBACK").unwrap();
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.rejected_events"), "0");
}
