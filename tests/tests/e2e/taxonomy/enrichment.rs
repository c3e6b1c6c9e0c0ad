//! Lookups: an event explains itself as it is stored, and no lookup ever stops it.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};
use postgres::Client;

const SKILL: &str = "5ca1ab1e-0000-4000-8000-000000000001";

/// A log in which `skillId` of `tool_used` is resolved in a table that `writer` may read.
fn with_skills() -> Db {
    let db = Db::new();
    db.superuser()
        .batch_execute(&format!(
            "CREATE TABLE public.skills (id uuid PRIMARY KEY, name text, tenant_id uuid);
             INSERT INTO public.skills VALUES ('{SKILL}', 'canvas', '{TENANT_A}');
             GRANT SELECT ON public.skills TO writer, member;
             SELECT eventlog.add_enrichment('tool_used', 'skillName', 'skillId', 'public.skills', 'id', 'name')"
        ))
        .unwrap();
    db
}

/// Logs a hook callback and gives what was stored.
fn log(client: &mut Client, db: &Db, data: &str) -> String {
    let id: i64 = client
        .query_one("SELECT eventlog.log_event(NULL, 'tool_used', $1::text::jsonb)", &[&data])
        .unwrap_or_else(|error| panic!("{data}: {error:?}"))
        .get(0);
    text(&mut db.superuser(), &format!("SELECT data FROM eventlog.events WHERE id = {id}"))
}

fn misses(db: &Db) -> Vec<Vec<String>> {
    rows(
        &mut db.superuser(),
        "SELECT kind, name, key, events FROM eventlog.stat_hygiene ORDER BY kind, name",
    )
}

#[test]
fn a_hook_callback_ends_with_its_skills_name_its_source_and_both_clocks() {
    let db = with_skills();
    let mut writer = db.connect_as("writer", TENANT_A);
    let stored = log(
        &mut writer,
        &db,
        &format!(
            r#"{{"skillId": "{SKILL}", "toolName": "Bash", "hookEvent": "PostToolUse",
                 "clientTimestamp": "2026-03-01T10:00:00+02:00"}}"#
        ),
    );
    assert_eq!(
        stored,
        format!(
            r#"{{"source": "hook", "skillId": "{SKILL}", "toolName": "Bash", "hookEvent": "PostToolUse", "skillName": "canvas"}}"#
        )
    );
    let clocks = rows(
        &mut db.superuser(),
        "SELECT occurred_at, created_at BETWEEN now() - interval '1 minute' AND now(), subject FROM eventlog.events",
    );
    assert_eq!(clocks, [["2026-03-01 08:00:00+00", "t", "Bash"]]);
    assert!(misses(&db).is_empty());
}

#[test]
fn a_skill_that_is_not_found_leaves_the_key_out_and_is_counted() {
    let db = with_skills();
    let mut writer = db.connect_as("writer", TENANT_A);
    let unknown = "5ca1ab1e-0000-4000-8000-00000000dead";
    // What the caller claims of an id that is looked up does not stay either.
    let stored = log(
        &mut writer,
        &db,
        &format!(
            r#"{{"skillId": "{unknown}", "toolName": "Bash", "skillName": "forged", "hookEvent": "x"}}"#
        ),
    );
    assert_eq!(
        stored,
        format!(
            r#"{{"source": "hook", "skillId": "{unknown}", "toolName": "Bash", "hookEvent": "x"}}"#
        )
    );
    assert_eq!(misses(&db), [["enrichment_missed", "tool_used", "skillName", "1"]]);
    let who = "SELECT count(*) FROM eventlog.stat_hygiene";
    assert_eq!(text(&mut db.connect_as("reader", TENANT_A), who), "1");
    assert_eq!(text(&mut db.connect_as("reader", TENANT_B), who), "0");
}

#[test]
fn a_lookup_that_fails_for_whatever_reason_leaves_the_event_whole() {
    let db = with_skills();
    let mut superuser = db.superuser();
    let mut writer = db.connect_as("writer", TENANT_A);
    let hook = format!(r#"{{"skillId": "{SKILL}", "toolName": "Bash"}}"#);
    let stored = format!(r#"{{"skillId": "{SKILL}", "toolName": "Bash"}}"#);

    // An id of the wrong type, of the wrong kind, absurdly long.
    for id in [r#""canvas""#, "7", "true", r#"{"a": 1}"#, r#"["x"]"#] {
        let stored = log(&mut writer, &db, &format!(r#"{{"skillId": {id}, "toolName": "B"}}"#));
        assert!(!stored.contains("skillName") && stored.contains("skillId"), "{stored}");
    }
    assert_eq!(misses(&db), [["enrichment_missed", "tool_used", "skillName", "5"]]);
    // No id, or a null one: nothing is looked up, and the caller's own name stays.
    let own = log(&mut writer, &db, r#"{"skillId": null, "skillName": "x", "toolName": "B"}"#);
    assert_eq!(own, r#"{"toolName": "B", "skillName": "x"}"#);

    superuser.batch_execute("REVOKE SELECT ON public.skills FROM writer").unwrap();
    assert_eq!(log(&mut writer, &db, &hook), stored);
    superuser.batch_execute("GRANT SELECT ON public.skills TO writer").unwrap();
    assert!(log(&mut writer, &db, &hook).contains("canvas"));
    superuser.batch_execute("ALTER TABLE public.skills ENABLE ROW LEVEL SECURITY").unwrap();
    assert_eq!(log(&mut writer, &db, &hook), stored);
    superuser.batch_execute("ALTER TABLE public.skills DISABLE ROW LEVEL SECURITY").unwrap();
    superuser.batch_execute("UPDATE public.skills SET name = NULL").unwrap();
    assert_eq!(log(&mut writer, &db, &hook), stored);
    superuser.batch_execute("ALTER TABLE public.skills RENAME name TO title").unwrap();
    assert_eq!(log(&mut writer, &db, &hook), stored);
    superuser.batch_execute("DROP TABLE public.skills").unwrap();
    assert_eq!(log(&mut writer, &db, &hook), stored);
    superuser
        .batch_execute(&format!(
            "CREATE TABLE public.skills (id uuid PRIMARY KEY, name jsonb);
             INSERT INTO public.skills VALUES ('{SKILL}', '{{\"en\": \"canvas\"}}');
             GRANT SELECT ON public.skills TO writer"
        ))
        .unwrap();
    assert!(log(&mut writer, &db, &hook).contains(r#""skillName": {"en": "canvas"}"#));
    assert_eq!(misses(&db), [["enrichment_missed", "tool_used", "skillName", "10"]]);

    // In a transaction too: a failed lookup ends in a subtransaction of its own.
    superuser.batch_execute("DROP TABLE public.skills").unwrap();
    writer.batch_execute("BEGIN").unwrap();
    log_in_transaction(&mut writer, &hook);
    log_in_transaction(&mut writer, &hook);
    writer.batch_execute("COMMIT").unwrap();
    assert_eq!(misses(&db), [["enrichment_missed", "tool_used", "skillName", "12"]]);
}

fn log_in_transaction(client: &mut Client, data: &str) {
    client
        .execute("SELECT eventlog.log_event(NULL, 'tool_used', $1::text::jsonb)", &[&data])
        .unwrap();
}

#[test]
fn a_clients_time_that_does_not_parse_stays_in_the_payload() {
    let db = with_skills();
    let mut writer = db.connect_as("writer", TENANT_A);
    let mut superuser = db.superuser();
    for time in [
        "\"yesterday\"",
        "\"now\"",
        "\"infinity\"",
        "\"\"",
        "\"2026-02-30T00:00:00Z\"",
        "\"2026-01-01\"",
        "\"01/02/2026 10:00\"",
        "\"2026-01-01T00:00:00 Mars\"",
        "12",
        "-1",
        "1e300",
        "true",
        "[]",
    ] {
        let stored =
            log(&mut writer, &db, &format!(r#"{{"toolName": "t", "clientTimestamp": {time}}}"#));
        assert!(stored.contains("clientTimestamp"), "{time}: {stored}");
    }
    let count = "SELECT count(*), count(occurred_at) FROM eventlog.events";
    assert_eq!(rows(&mut superuser, count), [["13", "0"]]);
    for (time, occurred_at) in [
        ("\"2026-03-01T10:00:00Z\"", "2026-03-01 10:00:00+00"),
        // Without a zone it is UTC, whatever the session's zone is.
        ("\"2026-03-01T10:00:00.123456\"", "2026-03-01 10:00:00.123456+00"),
        ("\"2026-03-01 10:00:00-0130\"", "2026-03-01 11:30:00+00"),
        ("1772359200000", "2026-03-01 10:00:00+00"),
        ("1772359200.5", "2026-03-01 10:00:00.5+00"),
    ] {
        writer
            .batch_execute("SET timezone = 'America/New_York'; SET datestyle = 'SQL, DMY'")
            .unwrap();
        let stored =
            log(&mut writer, &db, &format!(r#"{{"toolName": "t", "clientTimestamp": {time}}}"#));
        assert!(!stored.contains("clientTimestamp"), "{time}: {stored}");
        let last = "SELECT occurred_at FROM eventlog.events ORDER BY id DESC LIMIT 1";
        assert_eq!(text(&mut superuser, last), occurred_at, "{time}");
    }
}

#[test]
fn a_clock_that_is_ahead_is_clamped_to_the_servers_and_counted() {
    let db = Db::new();
    let mut writer = db.connect_as("writer", TENANT_A);
    let mut superuser = db.superuser();
    for ahead in ["4 minutes", "6 minutes", "1000 years"] {
        writer
            .batch_execute(&format!(
                "SELECT eventlog.log_event(NULL, 'tool_used', '{{\"toolName\": \"t\"}}', now() + interval '{ahead}')"
            ))
            .unwrap();
    }
    writer
        .batch_execute(
            "SELECT written FROM eventlog.log_events('[
                {\"name\": \"tool_used\", \"data\": {\"toolName\": \"t\"}, \"occurred_at\": \"2190-01-01\"},
                {\"name\": \"tool_used\", \"data\": {\"toolName\": \"t\"}, \"occurred_at\": \"2190-01-01\"}]')",
        )
        .unwrap();
    let ahead = "SELECT count(*) FILTER (WHERE occurred_at > created_at + interval '3 minutes'),
                        count(*) FILTER (WHERE occurred_at <= created_at + interval '1 minute') FROM eventlog.events";
    assert_eq!(rows(&mut superuser, ahead), [["1", "4"]]);
    // The two of the batch are one row of the counts.
    let counts = "SELECT kind, name, events FROM eventlog.hygiene_counts ORDER BY created_at";
    assert_eq!(
        rows(&mut superuser, counts),
        [["clock_clamped", "tool_used", "1"]; 2]
            .into_iter()
            .chain([["clock_clamped", "tool_used", "2"]])
            .collect::<Vec<_>>()
    );
    // What is rolled back was never counted.
    writer
        .batch_execute(
            "BEGIN; SELECT eventlog.log_event(NULL, 'tool_used', '{\"toolName\": \"t\"}', '2190-01-01'); ROLLBACK",
        )
        .unwrap();
    assert_eq!(text(&mut superuser, "SELECT sum(events) FROM eventlog.stat_hygiene"), "4");
}

#[test]
fn batches_look_up_each_element_and_a_plain_insert_cannot_claim_a_looked_up_key() {
    let db = with_skills();
    let mut member = db.connect_as("member", TENANT_A);
    let data = vec![
        format!(r#"{{"skillId": "{SKILL}", "toolName": "a"}}"#),
        r#"{"skillId": "nonsense", "toolName": "b"}"#.to_owned(),
    ];
    let written: i64 = member
        .query_one(
            "SELECT written FROM eventlog.log_events(NULL, '{tool_used,tool_used}', $1)",
            &[&data],
        )
        .unwrap()
        .get(0);
    assert_eq!(written, 2);
    let names = "SELECT data ->> 'skillName' FROM eventlog.events ORDER BY id";
    assert_eq!(rows(&mut member, names), [["canvas"], ["∅"]]);
    let insert = |data: &str| {
        format!(
            "INSERT INTO eventlog.events (tenant_id, name, data) VALUES ('{TENANT_A}', 'tool_used', '{data}')"
        )
    };
    assert_refused(
        &mut member,
        &insert(r#"{"skillId": "x", "skillName": "forged", "toolName": "t"}"#),
        "23514",
        "not in the form",
    );
    member.batch_execute(&insert(r#"{"skillId": "x", "toolName": "t"}"#)).unwrap();
}

#[test]
fn a_lookup_that_is_defined_wrongly_is_refused_and_one_that_is_dropped_ends() {
    let db = with_skills();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    let add = |event: &str, table: &str, column: &str| {
        format!(
            "SELECT eventlog.add_enrichment('{event}', 'k', 's', '{table}', '{column}', 'name')"
        )
    };
    assert_refused(&mut owner, &add("no_such", "public.skills", "id"), "42704", "no_such");
    assert_refused(
        &mut owner,
        &add("tool_used", "public.skills", "no"),
        "42703",
        "no column \"no\"",
    );
    assert_refused(&mut owner, &add("tool_used", "public.no", "id"), "42P01", "does not exist");
    assert_refused(
        &mut owner,
        "SELECT eventlog.add_enrichment(NULL, 'k', 's', 'public.skills', 'id', 'name')",
        "22004",
        "null",
    );
    let mut writer = db.connect_as("writer", TENANT_A);
    assert_refused(&mut writer, &add("tool_used", "public.skills", "id"), "42501", "belongs to");
    assert_refused(
        &mut writer,
        "SELECT eventlog.drop_enrichment('tool_used', 'skillName')",
        "42501",
        "belongs to",
    );
    let hook = format!(r#"{{"skillId": "{SKILL}", "toolName": "t"}}"#);
    assert!(log(&mut writer, &db, &hook).contains("canvas"));
    owner.batch_execute("SELECT eventlog.drop_enrichment('tool_used', 'skillName')").unwrap();
    assert!(!log(&mut writer, &db, &hook).contains("canvas"));
    assert_refused(
        &mut owner,
        "SELECT eventlog.drop_enrichment('tool_used', 'skillName')",
        "42704",
        "no enrichment",
    );
}

#[test]
fn lookups_by_any_type_of_column_find_the_row() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE TYPE public.colour AS ENUM ('red', 'green');
             CREATE DOMAIN public.code AS varchar(8);
             CREATE TABLE public.\"Odd \"\"Table\" (i int, b bigint, n numeric, v varchar(5), c char(5), t text,
                                                  e public.colour, d public.code, o boolean, \"Odd \"\"Value\" text);
             INSERT INTO public.\"Odd \"\"Table\" VALUES (7, 8, 9.5, 'abc', 'abc', 'ä', 'red', 'x1', true, 'found')",
        )
        .unwrap();
    for (column, value, other) in [
        ("i", "7", "\"seven\""),
        ("b", "8", "8.5"),
        ("n", "9.50", "9"),
        ("v", "\"abc\"", "\"abcdefgh\""),
        ("c", "\"abc\"", "\"abcdefgh\""),
        ("t", "\"ä\"", "\"a\""),
        ("e", "\"red\"", "\"blue\""),
        ("d", "\"x1\"", "\"x1234567890\""),
        ("o", "true", "\"maybe\""),
    ] {
        superuser
            .batch_execute(&format!(
                "SET client_min_messages = error;
                 SELECT eventlog.define_event('odd');
                 SELECT eventlog.add_enrichment('odd', 'found', 'k', 'public.\"Odd \"\"Table\"', '{column}', 'Odd \"Value')"
            ))
            .unwrap();
        let stored =
            |data: &str| format!("SELECT stored FROM eventlog.validate_event('odd', '{data}')");
        let found = text(&mut superuser, &stored(&format!("{{\"k\": {value}}}")));
        assert!(found.contains("\"found\": \"found\""), "{column}: {found}");
        let missed = text(&mut superuser, &stored(&format!("{{\"k\": {other}}}")));
        assert!(!missed.contains("found"), "{column}: {missed}");
    }
}

#[test]
fn a_value_that_the_events_rules_refuse_is_a_miss_and_the_others_stay() {
    let db = with_skills();
    db.superuser()
        .batch_execute(
            "CREATE TABLE public.texts (id integer PRIMARY KEY, body jsonb, short text);
             INSERT INTO public.texts VALUES (1, to_jsonb(repeat('x', 5000)), 'ok'), (2, to_jsonb(repeat('y', 1500)), 'ok'),
                 (3, '\"no grade\"', 'ok'), (4, to_jsonb(repeat('z', 600)), 'ok'),
                 (5, (repeat('[', 900) || repeat(']', 900))::jsonb, 'ok');
             GRANT SELECT ON public.texts TO writer;
             SELECT eventlog.define_event('noted', required_keys => '{text}', allowed_values => '{\"grade\": [\"a\", \"b\"]}',
                                          subject_keys => '{label}');
             SELECT eventlog.add_enrichment('noted', k, 'textId', 'public.texts', 'id', 'body')
               FROM unnest('{body,grade,label}'::text[]) k;
             SELECT eventlog.add_enrichment('noted', 'short', 'textId', 'public.texts', 'id', 'short')",
        )
        .unwrap();
    let mut writer = db.connect_as("writer", TENANT_A);
    let mut superuser = db.superuser();
    for (id, keys) in [
        (1, "{text,short,textId}"),
        // As grade it is refused, as label too long, as body it would fit.
        (2, "{text,short,textId}"),
        (3, "{text,short,textId}"),
        (4, "{text,short,textId}"),
        (5, "{text,short,textId}"),
        (6, "{text,textId}"),
    ] {
        for call in [
            "log_event(NULL, 'noted', $1::text::jsonb)",
            "try_log_event(NULL, 'noted', $1::text)",
            "log_events(NULL, '{noted}', ARRAY[$1::text])",
        ] {
            let data = format!(r#"{{"text": "t", "textId": {id}}}"#);
            writer.execute(&format!("SELECT eventlog.{call}"), &[&data]).unwrap();
            let stored = "SELECT array(SELECT k FROM jsonb_object_keys(data) k WHERE k NOT IN ('body', 'grade', 'label'))
                            FROM eventlog.events ORDER BY id DESC LIMIT 1";
            assert_eq!(text(&mut superuser, stored), keys, "{id}: {call}");
            let valid = text(
                &mut writer,
                &format!("SELECT is_valid FROM eventlog.validate_event('noted', '{data}')"),
            );
            assert_eq!(valid, "t", "{id}");
        }
    }
    assert_eq!(text(&mut superuser, "SELECT count(*) FROM eventlog.events"), "18");
    let missed = "SELECT DISTINCT key FROM eventlog.stat_hygiene WHERE kind = 'enrichment_missed' ORDER BY 1";
    assert_eq!(rows(&mut superuser, missed), [["body"], ["grade"], ["label"], ["short"]]);
    // What is wrong with the event itself is said as ever.
    let bad = r#"SELECT eventlog.log_event(NULL, 'noted', '{"textId": 1}')"#;
    assert_refused(&mut writer, bad, "23514", "breaks 1 rule");
}

#[test]
fn a_replay_looks_nothing_up_with_the_owners_rights() {
    let db = with_skills();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "ALTER TABLE public.skills ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON public.skills USING (tenant_id = eventlog.current_tenant());
             ALTER TABLE public.skills OWNER TO log_owner",
        )
        .unwrap();
    let mut other = db.connect_as("member", TENANT_B);
    let event = format!(r#"{{"skillId": "{SKILL}"}}"#);
    other
        .batch_execute(&format!("SELECT eventlog.try_log_event(NULL, 'tool_used', '{event}')"))
        .unwrap();
    superuser
        .batch_execute(
            "UPDATE eventlog.event_types SET required_keys = '{}' WHERE name = 'tool_used'",
        )
        .unwrap();
    let mut owner = db.connect("log_owner");
    assert_eq!(rows(&mut owner, "SELECT * FROM eventlog.replay_rejected()"), [["1", "0"]]);
    assert_eq!(
        rows(&mut other, "SELECT data ? 'skillName', data ->> 'skillId' FROM eventlog.events"),
        [["f", SKILL]]
    );
    assert_eq!(misses(&db), [["enrichment_missed", "tool_used", "skillName", "1"]]);
}
