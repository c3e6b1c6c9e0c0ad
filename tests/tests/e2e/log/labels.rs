//! Actors and subjects: an empty one is none, and the caller's own wins over the payload's.

use eventlog_tests::{Db, TENANT_A, assert_refused, rows, text};

#[test]
fn an_empty_actor_or_subject_is_none_by_every_way_in() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.define_event('seen', actor_key => 'userId', subject_keys => '{{kind,item}}');
             CREATE TABLE public.old_events AS SELECT 1 AS id, '{TENANT_A}'::uuid AS tenant_id, 'seen' AS name,
                    '{{}}'::jsonb AS data, now() - interval '1 hour' AS created_at, '' AS actor, '' AS subject"
        ))
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    for call in [
        "log_event(NULL, 'seen', actor => '', subject => '')",
        r#"log_event(NULL, 'seen', '{"userId": "", "kind": "", "item": ""}')"#,
        r#"log_event(NULL, 'seen', '{"userId": "", "kind": "skill", "item": ""}', actor => '')"#,
        "try_log_event(NULL, 'seen', '{}', actor => '', subject => '')",
        "log_events(NULL, '{seen}', NULL, actors => '{\"\"}', subjects => '{\"\"}')",
        r#"log_events('[{"name": "seen", "actor": "", "subject": ""}]')"#,
    ] {
        member.batch_execute(&format!("SELECT eventlog.{call}")).unwrap();
    }
    owner.batch_execute("GRANT SELECT ON public.old_events TO log_owner").unwrap();
    db.connect("log_owner")
        .batch_execute("SELECT eventlog.import_events('public.old_events')")
        .unwrap();
    let labels = "SELECT DISTINCT actor, subject, count(*) OVER () FROM eventlog.events";
    assert_eq!(rows(&mut owner, labels), [["∅", "∅", "7"]]);
    // An empty one does not hide what the payload tells.
    member
        .batch_execute(
            r#"SELECT eventlog.log_event(NULL, 'seen', '{"userId": "u1"}', actor => '')"#,
        )
        .unwrap();
    assert_eq!(
        text(&mut owner, "SELECT actor FROM eventlog.events ORDER BY id DESC LIMIT 1"),
        "u1"
    );
}

#[test]
fn the_callers_own_actor_and_subject_win_over_keys_that_could_not_be_one() {
    let db = Db::new();
    let mut owner = db.superuser();
    owner
        .batch_execute(
            "SELECT eventlog.define_event('seen', actor_key => 'userId', subject_keys => '{item}')",
        )
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    let data = format!(r#"'{{"userId": "{0}", "item": "{0}"}}'"#, "x".repeat(600));
    for call in [
        format!("log_event(NULL, 'seen', {data}, actor => 'a', subject => 's')"),
        format!("try_log_event(NULL, 'seen', {data}, actor => 'a', subject => 's')"),
        format!(
            "log_events(NULL, '{{seen}}', ARRAY[{data}], actors => '{{a}}', subjects => '{{s}}')"
        ),
    ] {
        member.batch_execute(&format!("SELECT eventlog.{call}")).unwrap();
    }
    member
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject) VALUES ('{TENANT_A}', 'seen', {data}, 'a', 's')"
        ))
        .unwrap();
    owner
        .batch_execute(&format!(
            "CREATE TABLE public.old_events AS SELECT 1000 AS id, '{TENANT_A}'::uuid AS tenant_id, 'seen' AS name,
                    {data}::jsonb AS data, now() - interval '1 hour' AS created_at, 'a' AS actor, 's' AS subject;
             GRANT SELECT ON public.old_events TO log_owner"
        ))
        .unwrap();
    db.connect("log_owner")
        .batch_execute("SELECT eventlog.import_events('public.old_events')")
        .unwrap();
    assert_eq!(
        rows(&mut owner, "SELECT DISTINCT actor, subject, count(*) OVER () FROM eventlog.events"),
        [["a", "s", "5"]]
    );
    for given in ["actor => 'a'", "subject => 's'"] {
        let call = format!("SELECT eventlog.log_event(NULL, 'seen', {data}, {given})");
        assert_refused(&mut member, &call, "22023", "too long: 600 bytes, limit 512");
    }
}
