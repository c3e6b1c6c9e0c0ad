//! log_events: one verdict for each element, exactly once, and what is bad stays outside.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, refused, rows, scaled, text};
use postgres::Client;

fn open() -> Db {
    let db = Db::new();
    db.superuser()
        .batch_execute("SELECT eventlog.define_event('ping', required_keys => '{n}'); SELECT eventlog.define_event('old'); SELECT eventlog.retire_event('old')")
        .unwrap();
    db
}

fn counts(client: &mut Client, sql: &str) -> Vec<String> {
    rows(client, &format!("SELECT written, duplicate, sampled, rejected, is_repeat FROM {sql}"))
        .remove(0)
}

/// A call for `n` good events, their numbers in the payload.
fn good(n: usize, more: &str) -> String {
    format!(
        "eventlog.log_events(NULL, array_fill('ping'::text, ARRAY[{n}]), (SELECT array_agg(format('{{\"n\": %s}}', g)) FROM generate_series(1, {n}) g){more})"
    )
}

#[test]
fn of_a_thousand_events_the_bad_are_quarantined_each_with_its_reason_and_the_rest_stored() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    let large = format!("{{\"n\": \"{}\"}}", "x".repeat(3000));
    let bad: &[(&str, Option<&str>, Option<&str>, &str)] = &[
        (TENANT_A, Some("pong"), Some("{\"n\": 1}"), "42704"),
        (TENANT_A, Some("ping"), Some("{\"m\": 1}"), "23514"),
        (TENANT_A, Some("ping"), Some("{\"n\": null}"), "23514"),
        (TENANT_A, Some("ping"), None, "23514"),
        (TENANT_A, Some("ping"), Some(&large), "54000"),
        (TENANT_A, Some("ping"), Some("{\"n\": \"\\u0000\"}"), "22P05"),
        (TENANT_A, Some("ping"), Some("{\"n\": "), "22P02"),
        (TENANT_A, Some("ping"), Some(""), "22P02"),
        (TENANT_A, Some("ping"), Some("{\"n\": 1e1000000}"), "22003"),
        (TENANT_A, Some("ping"), Some("[1]"), "22023"),
        (TENANT_A, Some("ping"), Some("null"), "22023"),
        (TENANT_A, None, Some("{\"n\": 1}"), "22004"),
        (TENANT_B, Some("ping"), Some("{\"n\": 1}"), "42501"),
        (TENANT_B, Some("pong"), Some("{\"n\": 1}"), "42501"),
        (TENANT_A, Some("old"), Some("{\"n\": 1}"), "42704"),
        (TENANT_A, Some(""), Some("{\"n\": 1}"), "42704"),
        (TENANT_A, Some("ping"), Some("{\"n\": \"\\ud800\"}"), "22P02"),
    ];
    let (mut tenants, mut names, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..1000 {
        let (tenant, name, payload) = if i % 59 == 7 && i / 59 < bad.len() {
            let (tenant, name, payload, _) = bad[i / 59];
            (tenant, name, payload.map(str::to_owned))
        } else {
            (TENANT_A, Some("ping"), Some(format!("{{\"n\": {i}, \"x\": null}}")))
        };
        tenants.push(tenant);
        names.push(name);
        data.push(payload);
    }
    let row = member
        .query_one(
            "SELECT written, duplicate, sampled, rejected, is_repeat, verdicts::text
               FROM eventlog.log_events($1::text[]::uuid[], $2, $3, with_verdicts => true)",
            &[&tenants, &names, &data],
        )
        .expect("a result");
    let numbers: Vec<i64> = (0..4).map(|i| row.get(i)).collect();
    assert_eq!(numbers, [983, 0, 0, 17]);
    let expected: Vec<String> = bad.iter().map(|(_, _, _, state)| (*state).to_owned()).collect();
    let kept =
        rows(&mut member, "SELECT sqlstate FROM eventlog.rejected_events ORDER BY id").concat();
    assert_eq!(kept, expected);
    // The verdicts say the same by position, and each id is that row's.
    let verdicts: String = row.get(5);
    let by_position = rows(
        &mut member,
        &format!(
            "SELECT v ->> 'position', v ->> 'sqlstate', e.data ->> 'n'
               FROM jsonb_array_elements($v${verdicts}$v$::jsonb) v LEFT JOIN eventlog.events e ON e.id = (v ->> 'id')::bigint
              ORDER BY (v ->> 'position')::int"
        ),
    );
    assert_eq!(by_position.len(), 1000);
    for (i, verdict) in by_position.iter().enumerate() {
        assert_eq!(verdict[0], (i + 1).to_string());
        if i % 59 == 7 && i / 59 < bad.len() {
            assert_eq!(verdict[1..], [bad[i / 59].3, "∅"]);
        } else {
            assert_eq!(verdict[1..], ["∅".to_owned(), i.to_string()]);
        }
    }
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events"), "983");
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events WHERE data ? 'x'"), "0");
    assert_eq!(text(&mut member, "SELECT sum(events) FROM eventlog.stat_rejected"), "17");
    let mut victim = db.connect_as("member", TENANT_B);
    assert_eq!(text(&mut victim, "SELECT count(*) FROM eventlog.rejected_events"), "0");
    assert_eq!(text(&mut victim, "SELECT count(*) FROM eventlog.events"), "0");
}

#[test]
fn a_service_writes_for_several_tenants_in_one_batch() {
    let db = open();
    let mut service = db.connect("service");
    let call = format!(
        "eventlog.log_events(ARRAY['{TENANT_A}', '{TENANT_B}', '{TENANT_A}', NULL]::uuid[], '{{ping,ping,ping,ping}}',
            ARRAY['{{\"n\": 1}}', '{{\"n\": 2}}', '{{\"n\": 3}}', '{{\"n\": 4}}'],
            ARRAY['2026-01-01', NULL, 'epoch', NULL]::timestamptz[], '{{u1,NULL,u3,u4}}', '{{s1,s2,NULL,s4}}')"
    );
    assert_eq!(counts(&mut service, &call), ["3", "0", "0", "1", "f"]);
    let stored = rows(
        &mut service,
        "SELECT tenant_id, data ->> 'n', occurred_at, actor, subject FROM eventlog.events ORDER BY id",
    );
    assert_eq!(
        stored,
        [
            [TENANT_A, "1", "2026-01-01 00:00:00+00", "u1", "s1"],
            [TENANT_B, "2", "∅", "∅", "s2"],
            [TENANT_A, "3", "1970-01-01 00:00:00+00", "u3", "∅"],
        ]
    );
    assert_eq!(
        rows(&mut service, "SELECT sqlstate, tenant_id FROM eventlog.rejected_events"),
        [["42501", "∅"]]
    );
}

#[test]
fn arrays_that_do_not_fit_get_a_clear_error_and_write_nothing() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    for (arguments, sqlstate, message) in [
        (
            "NULL, '{ping,ping}', '{\"{}\"}'",
            "22023",
            "arrays of different lengths: names has 2, data has 1",
        ),
        ("'{}', '{ping}', '{\"{}\"}'", "22023", "tenant_ids has 0"),
        ("NULL, '{ping}', NULL, '{}'", "22023", "occurred_at has 0"),
        ("NULL, '{ping}', NULL, NULL, '{a,b}'", "22023", "actors has 2"),
        ("NULL, '{ping}', NULL, NULL, NULL, '{a,b}'", "22023", "subjects has 2"),
        ("NULL, '{ping}', NULL, NULL, NULL, NULL, '{a,b}'", "22023", "idempotency_keys has 2"),
        ("NULL, NULL, NULL::text[]", "22004", "names must not be null"),
        ("NULL, '{{ping},{ping}}', NULL::text[]", "22023", "names has 2 dimensions"),
        (
            "NULL, '{ping}', NULL::text[], producer => gen_random_uuid()",
            "22023",
            "without batch_number",
        ),
        ("NULL, '{ping}', NULL::text[], batch_number => 1", "22023", "without producer"),
        (
            "NULL, '{ping}', NULL::text[], producer => gen_random_uuid(), batch_number => -1",
            "22023",
            "negative",
        ),
    ] {
        assert_refused(
            &mut member,
            &format!("SELECT * FROM eventlog.log_events({arguments})"),
            sqlstate,
            message,
        );
    }
    assert_eq!(
        counts(&mut member, "eventlog.log_events('{}', '{}', '{}')"),
        ["0", "0", "0", "0", "f"]
    );
    assert_eq!(
        counts(
            &mut member,
            "eventlog.log_events(NULL, '[5:6]={ping,ping}', '[1:2]={\"{\\\"n\\\": 1}\",\"{\\\"n\\\": 2}\"}')"
        ),
        ["2", "0", "0", "0", "f"]
    );
    assert_eq!(
        counts(&mut member, "eventlog.log_events(NULL, '{NULL,NULL}', '{NULL,NULL}')"),
        ["0", "0", "0", "2", "f"]
    );
    let mut outsider = db.connect("reader");
    assert_refused(
        &mut outsider,
        "SELECT * FROM eventlog.log_events(NULL, '{ping}', NULL::text[])",
        "42501",
        "permission denied to log events",
    );
    member.batch_execute("BEGIN READ ONLY").unwrap();
    assert_refused(
        &mut member,
        "SELECT * FROM eventlog.log_events(NULL, '{ping}', NULL::text[])",
        "25006",
        "read-only",
    );
    member.batch_execute("ROLLBACK").unwrap();
}

#[test]
fn a_jsonb_array_of_objects_is_a_batch_too() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    let events = format!(
        r#"[{{"name": "ping", "data": {{"n": 12345678901234567890.10}}, "actor": "u1", "subject": "s", "occurred_at": "2026-01-02T03:04:05Z", "tenant_id": "{TENANT_A}", "idempotency_key": "k"}},
            {{"name": "ping", "data": {{"n": 1, "deep": {{"a": null, "b": [null]}}}}}}, 5, {{"name": 7}}, {{"name": "ping", "data": []}},
            {{"name": "ping", "data": 1}}, {{"name": "ping", "data": {{"n": 1}}, "occurred_at": "yesterday-ish"}}, {{"name": "ping", "data": {{"n": 1}}, "tenant_id": "x"}},
            {{"name": "ping", "data": {{"n": 1}}, "nmae": "x"}}, {{"data": {{"n": 1}}, "name": null}}, {{}}, [], {{"name": "ping", "data": {{"n": 1}}, "tenant_id": "{TENANT_B}"}}]"#
    );
    let answer = rows(
        &mut member,
        &format!(
            "SELECT written, rejected, (SELECT string_agg(coalesce(v ->> 'sqlstate', 'ok'), ' ') FROM jsonb_array_elements(verdicts) v) FROM eventlog.log_events('{events}', true)"
        ),
    );
    assert_eq!(
        answer,
        [["2", "11", "ok ok 22023 22023 22023 22023 22007 22023 22023 22004 22004 22023 42501"]]
    );
    let stored = rows(
        &mut member,
        "SELECT data, actor, subject, occurred_at FROM eventlog.events ORDER BY id",
    );
    assert_eq!(
        stored[0],
        [r#"{"n": 12345678901234567890.10}"#, "u1", "s", "2026-01-02 03:04:05+00"]
    );
    assert_eq!(stored[1][0], r#"{"n": 1, "deep": {"b": [null]}}"#);
    for (argument, message) in
        [("{}", "found an object"), ("1", "found a number"), ("null", "found null")]
    {
        assert_refused(
            &mut member,
            &format!("SELECT * FROM eventlog.log_events('{argument}')"),
            "22023",
            message,
        );
    }
    assert_eq!(counts(&mut member, "eventlog.log_events('[]')"), ["0", "0", "0", "0", "f"]);
    let many = "eventlog.log_events((SELECT jsonb_agg(jsonb_build_object('name', 'ping', 'data', jsonb_build_object('n', g))) FROM generate_series(1, 2500) g))";
    assert_eq!(counts(&mut member, many), ["2500", "0", "0", "0", "f"]);
}

#[test]
fn a_fault_that_only_the_insert_finds_costs_its_own_element_only() {
    let db = open();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE FUNCTION public.picky() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF NEW.data ->> 'n' = ANY ('{3,500,1700}') THEN RAISE EXCEPTION 'not %', NEW.data ->> 'n' USING ERRCODE = '23514'; END IF;
                    IF NEW.data ->> 'n' = '9999' THEN RAISE EXCEPTION 'retry' USING ERRCODE = '40001'; END IF;
                    RETURN NEW;
                END $$;
             CREATE TRIGGER picky BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.picky()",
        )
        .unwrap();
    for role in ["member", "log_owner"] {
        let mut client = db.connect_as(role, TENANT_A);
        assert_eq!(counts(&mut client, &good(2000, "")), ["1997", "0", "0", "3", "f"], "{role}");
        assert_eq!(
            rows(
                &mut client,
                "SELECT DISTINCT sqlstate, reason FROM eventlog.rejected_events ORDER BY 2"
            )
            .concat()
            .len(),
            6
        );
        // An error that is not the event's is the statement's.
        let before = text(&mut client, "SELECT count(*) FROM eventlog.events");
        let outcome = refused(
            &mut client,
            &format!("SELECT * FROM {}", good(1, "").replace("%s", "9999").replace(", g)", ")")),
        );
        assert_eq!(outcome.code().code(), "40001");
        assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.events"), before);
    }
}

#[test]
fn a_bogus_row_of_a_trigger_is_guarded_inside_a_batch() {
    let db = open();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF NEW.data ->> 'n' = '3' AND NEW.name = 'ping' THEN NEW.name := 'bogus'; END IF;
                    IF NEW.data ->> 'n' = '5' THEN RETURN NULL; END IF;
                    RETURN NEW;
                END $$;
             CREATE TRIGGER meddle BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.meddle()",
        )
        .unwrap();
    let mut member = db.connect_as("member", TENANT_A);
    let answer = counts(&mut member, &good(10, ""));
    assert_eq!(answer[3], "1", "{answer:?}");
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events WHERE name <> 'ping'"), "0");
    assert_eq!(text(&mut member, "SELECT count(*) FROM eventlog.events"), "8");
}

#[test]
fn a_hundred_thousand_elements_and_sixty_four_megabytes_are_taken_in_bounded_memory() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    let context = "SELECT sum(total_bytes) FROM pg_backend_memory_contexts";
    let mut superuser = db.superuser();
    superuser.batch_execute("GRANT pg_read_all_stats TO member; GRANT EXECUTE ON FUNCTION pg_get_backend_memory_contexts() TO member; GRANT SELECT ON pg_backend_memory_contexts TO member").unwrap();
    text(&mut member, &format!("SELECT written FROM {}", good(1000, "")));
    let before: i64 = text(&mut member, context).parse().unwrap();
    assert_eq!(counts(&mut member, &good(100_000, "")), ["100000", "0", "0", "0", "f"]);
    superuser.batch_execute("SELECT eventlog.define_event('ping', max_bytes => 16777216)").unwrap();
    let n = scaled(4, 16);
    let call = format!(
        "eventlog.log_events(NULL, array_fill('ping'::text, ARRAY[{n}]), array_fill(format('{{\"n\": \"%s\"}}', repeat('x', 4000000)), ARRAY[{n}]))"
    );
    assert_eq!(counts(&mut member, &call)[0], n.to_string());
    let after: i64 = text(&mut member, context).parse().unwrap();
    assert!(after - before < 4_000_000, "memory was not given back: {before} → {after}");
}

#[test]
fn replayed_events_go_in_once_after_the_rule_was_mended() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    member.batch_execute("SET client_min_messages = error").unwrap();
    for n in 1..=5 {
        text(
            &mut member,
            &format!(
                "SELECT eventlog.try_log_event(NULL, 'pong', '{{\"n\": {n}}}', idempotency_key => 'k{n}')"
            ),
        );
    }
    text(&mut member, "SELECT eventlog.try_log_event(NULL, 'pong', '{\"n\": ')");
    text(&mut member, "SELECT eventlog.try_log_event(NULL, 'other', '{}')");
    text(
        &mut member,
        &format!("SELECT eventlog.try_log_event('{TENANT_B}', 'pong', '{{\"n\": 6}}')"),
    );
    let mut owner = db.connect("log_owner");
    let replay = "SELECT replayed, still_rejected FROM eventlog.replay_rejected('pong')";
    assert_eq!(rows(&mut owner, replay), [["0", "5"]]);
    owner.batch_execute("SELECT eventlog.define_event('pong')").unwrap();
    assert_eq!(
        rows(&mut owner, "SELECT * FROM eventlog.replay_rejected('pong', row_limit => 2)"),
        [["2", "0"]]
    );
    assert_eq!(rows(&mut owner, replay), [["3", "0"]]);
    assert_eq!(rows(&mut owner, replay), [["0", "0"]]);
    let stored = rows(
        &mut member,
        "SELECT data ->> 'n', occurred_at IS NOT NULL FROM eventlog.events ORDER BY 1",
    );
    assert_eq!(stored, [["1", "t"], ["2", "t"], ["3", "t"], ["4", "t"], ["5", "t"]]);
    // Another tenant's, which the member could not write, the owner does not write for it.
    assert_eq!(
        text(
            &mut owner,
            &format!("SELECT count(*) FROM eventlog.events WHERE tenant_id = '{TENANT_B}'")
        ),
        "0"
    );
    let left = rows(&mut owner, "SELECT name, sqlstate FROM eventlog.rejected_events ORDER BY id");
    assert_eq!(left, [["pong", "22P02"], ["other", "42704"], ["pong", "42501"]]);
    assert_eq!(
        rows(
            &mut owner,
            "SELECT * FROM eventlog.replay_rejected(since => now() + interval '1 hour')"
        ),
        [["0", "0"]]
    );
    assert_refused(&mut member, replay, "42501", "");
}

#[test]
fn what_was_not_kept_whole_or_was_not_the_callers_is_never_replayed() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    member.batch_execute("SET client_min_messages = error").unwrap();
    let large = format!("{{\"n\": \"{}\"}}", "x".repeat(70_000));
    for call in [
        "eventlog.log_events('[{\"name\": \"ping\", \"data\": {\"n\": 1}, \"nmae\": 1}, {\"name\": \"ping\", \"data\": {\"n\": 1}, \"occurred_at\": \"x\"}]')".to_owned(),
        format!("eventlog.try_log_event('{TENANT_B}', 'pong')"),
        format!("eventlog.try_log_event(NULL, 'ping', '{large}')"),
        "eventlog.try_log_event(NULL, 'ping', '{\"n\": 1}', actor => repeat('a', 600))".to_owned(),
        "eventlog.try_log_event(NULL, repeat('p', 300), '{}')".to_owned(),
    ] {
        text(&mut member, &format!("SELECT count(*) FROM {call}"));
    }
    // A service that named no tenant, and one that had none.
    let mut service = db.connect("service");
    service
        .batch_execute("SELECT eventlog.log_events('[{\"name\": \"ping\", \"data\": {\"n\": 1}}]')")
        .unwrap();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    assert_eq!(
        text(
            &mut owner,
            "SELECT count(*) FILTER (WHERE can_replay) || ' of ' || count(*) FROM eventlog.rejected_events"
        ),
        "0 of 7"
    );
    assert_eq!(rows(&mut owner, "SELECT * FROM eventlog.replay_rejected()"), [["0", "0"]]);
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.events"), "0");
}

#[test]
fn a_replay_loses_nothing_where_the_log_is_disabled_or_a_trigger_skips_the_row() {
    let db = open();
    let mut member = db.connect_as("member", TENANT_A);
    member
        .batch_execute(
            "SET client_min_messages = error; SELECT eventlog.try_log_event(NULL, 'pong')",
        )
        .unwrap();
    let mut superuser = db.superuser();
    superuser.batch_execute("SET eventlog.enabled = off").unwrap();
    assert_refused(&mut superuser, "SELECT eventlog.replay_rejected()", "55000", "disabled");
    superuser
        .batch_execute("SET eventlog.enabled = on; SET eventlog.on_unknown_name = quarantine")
        .unwrap();
    assert_eq!(rows(&mut superuser, "SELECT * FROM eventlog.replay_rejected()"), [["0", "1"]]);
    superuser
        .batch_execute(
            "SELECT eventlog.define_event('pong');
             CREATE FUNCTION public.skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER skip BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.skip()",
        )
        .unwrap();
    assert_eq!(rows(&mut superuser, "SELECT * FROM eventlog.replay_rejected()"), [["0", "1"]]);
    superuser.batch_execute("DROP TRIGGER skip ON eventlog.events").unwrap();
    assert_eq!(rows(&mut superuser, "SELECT * FROM eventlog.replay_rejected()"), [["1", "0"]]);
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.rejected_events"), "0");
}
