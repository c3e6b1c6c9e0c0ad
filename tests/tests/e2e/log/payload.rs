//! What is stored is what was given, less the nulls.

use eventlog_tests::random::Random;
use eventlog_tests::{Db, TENANT_A, json, rows, scaled, text};

fn open(db: &Db) -> postgres::Client {
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute("SELECT eventlog.define_event('anything', max_bytes => 16777216)")
        .expect("the owner defines");
    db.connect_as("member", TENANT_A)
}

#[test]
fn numbers_keep_every_digit_and_their_scale() {
    let db = Db::new();
    let mut member = open(&db);
    for number in
        ["12345678901234567890.123456789", "1.10", "1e400", "-0.000", "1E-300", "0.10", "1e5"]
    {
        let stored = rows(
            &mut member,
            &format!(
                "WITH e AS (SELECT eventlog.log_event(NULL, 'anything', '{{\"n\": {number}, \"gone\": null}}') AS id)
                 SELECT (SELECT id FROM e) IS NOT NULL, ('{{\"n\": {number}}}'::jsonb)::text;"
            ),
        );
        let last =
            text(&mut member, "SELECT data::text FROM eventlog.events ORDER BY id DESC LIMIT 1");
        assert_eq!(last, stored[0][1]);
    }
}

#[test]
fn nulls_go_from_objects_at_every_depth_and_stay_in_arrays() {
    let db = Db::new();
    let mut member = open(&db);
    let cases = [
        (r#"{"a": null}"#, "{}"),
        (r#"{"a": {"b": null, "c": 1}}"#, r#"{"a": {"c": 1}}"#),
        (r#"{"a": [null, {"b": null}, [null]]}"#, r#"{"a": [null, {}, [null]]}"#),
        (r#"{"a": {"b": {"c": null}}}"#, r#"{"a": {"b": {}}}"#),
        (r#"{"a": [], "b": {}, "c": ""}"#, r#"{"a": [], "b": {}, "c": ""}"#),
    ];
    for (given, kept) in cases {
        text(&mut member, &format!("SELECT eventlog.log_event(NULL, 'anything', '{given}')"));
        let last = text(&mut member, "SELECT data FROM eventlog.events ORDER BY id DESC LIMIT 1");
        assert_eq!(last, kept, "{given}");
    }
}

#[test]
fn deep_nesting_and_any_unicode_come_back() {
    let db = Db::new();
    let mut member = open(&db);
    let deep = format!(
        "{{\"n\": null, \"d\": {}{}}}",
        "[{\"x\":".repeat(300),
        "1".to_owned() + &"}]".repeat(300)
    );
    let unicode: String = (1..0x11_0000u32)
        .step_by(97)
        .filter_map(char::from_u32)
        .filter(|c| !matches!(c, '"' | '\\' | '\'') && *c >= ' ')
        .collect();
    for given in [
        deep,
        format!(
            "{{\"u\": \"{unicode}\", \"{}\": 1, \"n\": null}}",
            &unicode[..unicode.char_indices().nth(500).unwrap().0]
        ),
    ] {
        text(&mut member, &format!("SELECT eventlog.log_event(NULL, 'anything', '{given}')"));
        let equal = text(
            &mut member,
            &format!(
                "SELECT data::text = jsonb_strip_nulls('{given}')::text FROM eventlog.events ORDER BY id DESC LIMIT 1"
            ),
        );
        assert_eq!(equal, "t");
    }
}

/// The oracle is PostgreSQL's own jsonb_strip_nulls; compared as text and as stored bytes.
#[test]
fn random_payloads_are_stored_as_jsonb_strip_nulls_gives_them() {
    let db = Db::new();
    let mut member = open(&db);
    let mut random = Random::new();
    let mut left = scaled(4_000, 100_000);
    while left > 0 {
        let n = left.min(500);
        left -= n;
        let payloads: Vec<String> = (0..n).map(|_| json::object(&mut random, 4)).collect();
        // In a table, so that both have the same kind of header when their sizes are compared; a
        // larger row is compressed, not always both values.
        member
            .execute(
                "CREATE TEMP TABLE compared AS
                 SELECT p, jsonb_strip_nulls(p::jsonb) AS expected, v.stored, v.is_valid
                   FROM unnest($1::text[]) AS p, eventlog.validate_event('anything', p::jsonb) AS v",
                &[&payloads],
            )
            .expect("validated");
        let rows = member
            .query(
                "SELECT p FROM compared
                  WHERE stored IS DISTINCT FROM expected OR stored::text <> expected::text
                     OR NOT is_valid
                     OR (octet_length(p) < 300 AND pg_column_size(stored) <> pg_column_size(expected))",
                &[],
            )
            .expect("compared");
        assert!(rows.is_empty(), "stored otherwise: {}", rows[0].get::<_, String>(0));
        member.batch_execute("DROP TABLE compared").expect("ours");
        // Stored, and looked up by key and by containment, which need offsets and order to be right.
        let rows = member
            .query(
                "WITH given AS MATERIALIZED (
                        SELECT p, eventlog.log_event(NULL, 'anything', p::jsonb) AS id FROM unnest($1::text[]) AS p)
                 SELECT count(*) FROM given WHERE id IS NULL",
                &[&payloads],
            )
            .expect("logged");
        assert_eq!(rows[0].get::<_, i64>(0), 0);
    }
    let wrong = text(
        &mut member,
        "SELECT count(*) FROM eventlog.events e, jsonb_each(e.data) AS kv
          WHERE e.data -> kv.key IS DISTINCT FROM kv.value OR NOT e.data @> jsonb_build_object(kv.key, kv.value)
             OR (e.data::text)::jsonb IS DISTINCT FROM e.data",
    );
    assert_eq!(wrong, "0");
}

#[test]
fn the_size_limit_counts_what_would_be_stored() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    // The limit is pg_column_size() of the literal, which is what is stored uncompressed.
    let payload = r#"{"a": "0123456789", "b": [1, 2, 3]}"#;
    let size: usize =
        text(&mut owner, &format!("SELECT pg_column_size('{payload}'::jsonb)")).parse().unwrap();
    for (limit, valid) in [(size, "t"), (size - 1, "f")] {
        owner
            .batch_execute(&format!("SELECT eventlog.define_event('sized', max_bytes => {limit})"))
            .expect("the owner defines");
        let with_nulls = payload.replace('}', &format!(", \"{}\": null}}", "x".repeat(5000)));
        for given in [payload, &with_nulls] {
            let answer = text(
                &mut owner,
                &format!("SELECT is_valid FROM eventlog.validate_event('sized', '{given}')"),
            );
            assert_eq!(answer, valid, "limit {limit}, {given}");
        }
    }
}

#[test]
fn actor_and_subject_are_promoted_from_the_payload_unless_given() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    owner
        .batch_execute(
            "SELECT eventlog.define_event('promoted', actor_key => 'user', subject_keys => '{kind,id}')",
        )
        .expect("the owner defines");
    let cases = [
        (r#"'{"user": "u1", "kind": "skill", "id": "canvas"}'"#, "u1", "skill/canvas"),
        (
            r#"'{"user": 12.50, "kind": true, "id": 12345678901234567890}'"#,
            "12.50",
            "true/12345678901234567890",
        ),
        (r#"'{"user": {"a": 1}, "kind": "skill"}'"#, "∅", "∅"),
        (r#"'{"user": null, "kind": "skill", "id": null}'"#, "∅", "∅"),
        (r#"'{"user": "u1", "kind": "a", "id": "b"}', actor => 'me', subject => 'it'"#, "me", "it"),
    ];
    for (arguments, actor, subject) in cases {
        text(&mut owner, &format!("SELECT eventlog.log_event(NULL, 'promoted', {arguments})"));
        let stored =
            rows(&mut owner, "SELECT actor, subject FROM eventlog.events ORDER BY id DESC LIMIT 1");
        assert_eq!(stored[0], [actor, subject], "{arguments}");
    }
}
