//! The native pass over a payload against a slow reference made of SQL operators.

use eventlog_tests::random::Random;
use eventlog_tests::{Db, TENANT_A, db, json, scaled};

/// What the rules say, in SQL: validity, number of faults, what is stored, actor and subject.
const REFERENCE: &str = r#"
CREATE FUNCTION public.reference(event text, p jsonb, OUT is_valid boolean, OUT faults integer, OUT stored jsonb,
                                 OUT actor text, OUT subject text)
LANGUAGE plpgsql AS $$
DECLARE t eventlog.event_types;
BEGIN
    SELECT * INTO STRICT t FROM eventlog.event_types WHERE name = event;
    stored := jsonb_strip_nulls(public.edited(
            CASE WHEN t.default_when_key IS NULL OR p ->> t.default_when_key IS NOT NULL THEN t.default_values ELSE '{}' END
                || jsonb_strip_nulls(p), t, NULL));
    faults := (SELECT count(*) FROM (SELECT DISTINCT unnest(t.required_keys)) k (key) WHERE NOT stored ? key)
            + (SELECT count(*) FROM jsonb_each(t.allowed_values) a (key, allowed)
                WHERE stored ? a.key AND coalesce(jsonb_typeof(stored -> a.key) = t.value_types ->> a.key, true) AND NOT EXISTS (SELECT FROM jsonb_array_elements(a.allowed) v WHERE v = stored -> a.key))
            + (SELECT count(*) FROM jsonb_each_text(t.value_types) v WHERE jsonb_typeof(stored -> v.key) <> v.value)
            + (SELECT count(*) FROM jsonb_object_keys(stored) k (key)
                WHERE NOT t.allow_other_keys AND key <> ALL (t.required_keys || t.optional_keys || t.subject_keys
                        || array_remove(ARRAY[t.actor_key], NULL) || ARRAY(SELECT jsonb_object_keys(t.allowed_values))
                        || ARRAY(SELECT jsonb_object_keys(t.default_values || t.value_types))
                        || CASE WHEN t.context_keys <> '{}' THEN '{context}'::text[] ELSE '{}' END))
            + (pg_column_size(stored) > t.max_bytes)::int;
    is_valid := faults = 0;
    actor := CASE WHEN jsonb_typeof(stored -> t.actor_key) IN ('string', 'number', 'boolean') THEN stored ->> t.actor_key END;
    subject := (SELECT CASE WHEN count(*) > 0 AND bool_and(coalesce(jsonb_typeof(stored -> k) IN ('string', 'number', 'boolean'), false))
                            THEN string_agg(stored ->> k, '/' ORDER BY n) END
                  FROM unnest(t.subject_keys) WITH ORDINALITY AS s (k, n));
END $$;

-- Keys removed, hashed and shortened at any depth; a key inside inherits the weaker rule.
CREATE FUNCTION public.edited(p jsonb, t eventlog.event_types, inherited text) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    CASE
    WHEN jsonb_typeof(p) = 'object' THEN
        RETURN (SELECT coalesce(jsonb_object_agg(r.key, public.edited(r.value, t, r.rule)), '{}')
                  FROM (SELECT e.key, e.value, CASE
                               WHEN e.key = ANY (t.redact_keys) THEN 'redact'
                               WHEN e.key = ANY (t.hash_keys) OR t.hash_actor AND e.key = t.actor_key
                                    OR inherited = 'hash' THEN 'hash'
                               WHEN e.key = ANY (t.path_keys) OR inherited = 'path' THEN 'path' END AS rule
                          FROM jsonb_each(p) e) r
                 WHERE r.rule IS DISTINCT FROM 'redact');
    WHEN jsonb_typeof(p) = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(public.edited(e.value, t, inherited) ORDER BY e.n), '[]')
                  FROM jsonb_array_elements(p) WITH ORDINALITY e (value, n));
    WHEN jsonb_typeof(p) <> 'null' AND inherited = 'hash' THEN
        RETURN to_jsonb(public.keyed_hash(p #>> '{}'));
    WHEN jsonb_typeof(p) = 'string' AND inherited = 'path' THEN
        RETURN to_jsonb(public.shortened(p #>> '{}'));
    ELSE
        RETURN p;
    END CASE;
END $$;

CREATE FUNCTION public.shortened(p text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s     text := regexp_replace(p, '^file://', '');
    parts text[];
    last  text;
    home  text;
BEGIN
    IF s ~ '^/?[A-Za-z]:[\\/]' OR s ~ '^\\' OR position('/' in s) = 0 THEN
        s := replace(s, '\', '/');
    END IF;
    parts := ARRAY(SELECT x FROM regexp_split_to_table(s, '/') WITH ORDINALITY r (x, n) WHERE x NOT IN ('', '.') ORDER BY n);
    IF cardinality(parts) = 0 THEN RETURN ''; END IF;
    last := coalesce((SELECT x FROM regexp_split_to_table(parts[cardinality(parts)], '\\') WITH ORDINALITY r (x, n)
                       WHERE x <> '' ORDER BY n DESC LIMIT 1), '');
    IF last IN ('.', '..') OR last ~ '^[A-Za-z]:$' THEN last := ''; END IF;
    IF '..' = ANY (parts) THEN RETURN last; END IF;
    IF parts[1] = '~' THEN RETURN array_to_string(parts, '/'); END IF;
    IF s !~ '^/' AND s !~ '^[A-Za-z]:/' THEN RETURN last; END IF;
    home := regexp_replace('/' || array_to_string(parts, '/'),
                '^(/mnt)?(/[A-Za-z]:?)?(/root|/home/[^/]+|/[Uu][Ss][Ee][Rr][Ss]/[^/]+)(?=/|$)', '~');
    RETURN CASE WHEN home LIKE '~%' THEN home ELSE last END;
END $$"#;

/// HMAC-SHA-256 out of SHA-256, under [`KEY`].
fn keyed_hash() -> String {
    let pad = |byte: u8| -> String {
        let padded = (0..64).map(|i| KEY.get(i).copied().unwrap_or(0) ^ byte);
        padded.map(|byte| format!("{byte:02x}")).collect()
    };
    format!(
        "CREATE FUNCTION public.keyed_hash(t text) RETURNS text LANGUAGE sql AS $$
             SELECT encode(sha256('\\x{}'::bytea || sha256('\\x{}'::bytea || convert_to(t, 'UTF8'))), 'hex') $$",
        pad(0x5c),
        pad(0x36)
    )
}

const KEY: &[u8] = b"a key of the tests, 32 bytes long";

const KEYS: &[&str] = &[
    "a",
    "b",
    "ab",
    "role",
    "sessionId",
    "conversationId",
    "durationMs",
    "ä",
    "日本",
    "🙂",
    "k1",
    "k17",
    "k500",
    "",
];

fn keys(random: &mut Random) -> String {
    let mut keys: Vec<String> =
        KEYS.iter().filter(|_| random.one_in(5)).map(|key| format!("\"{key}\"")).collect();
    keys.truncate(8);
    format!("'{{{}}}'", keys.join(","))
}

/// Half of the types have no rule of a kind.
fn hygiene(random: &mut Random) -> String {
    if random.one_in(2) { "'{}'".to_owned() } else { keys(random) }
}

/// Types of some keys, such as `'{"a": "number"}'`.
fn value_types(random: &mut Random) -> String {
    let mut types = Vec::new();
    for key in KEYS.iter().chain(&["context"]) {
        if random.one_in(6) {
            let wanted = random.pick(&["string", "number", "boolean", "array", "object"]);
            types.push(format!("\"{key}\": \"{wanted}\""));
        }
    }
    format!("'{{{}}}'", types.join(","))
}

fn rules(random: &mut Random, name: &str) -> String {
    let mut allowed = Vec::new();
    for key in KEYS {
        if random.one_in(8) {
            let all = ["1", "1.10", "true", "\"user\"", "\"x\"", "\"\"", "0"];
            let some: Vec<&str> = all.into_iter().filter(|_| random.one_in(2)).collect();
            allowed.push(format!("\"{key}\": [{}]", some.join(",")));
        }
    }
    format!(
        "DELETE FROM eventlog.event_types WHERE name = '{name}';
         SELECT eventlog.define_event('{name}', required_keys => {}, optional_keys => {}, allow_other_keys => {},
                    allowed_values => '{{{}}}', max_bytes => {}, actor_key => {}, subject_keys => {});
         UPDATE eventlog.event_types SET default_values = {}, default_when_key = {}, redact_keys = {}, hash_keys = {}, path_keys = {},
                    hash_actor = {}, value_types = {}, context_keys = {} WHERE name = '{name}'",
        keys(random),
        keys(random),
        random.one_in(2),
        allowed.join(","),
        random.pick(&["2048", "64", "100", "256", "512", "100000"]),
        random.pick(&["NULL", "'a'", "'role'", "'k1'"]),
        keys(random),
        random.pick(&[
            "'{}'",
            "'{\"a\": 1.10, \"role\": \"user\"}'",
            "'{\"\": {\"b\": null, \"a\": \"/srv/x\"}}'",
        ]),
        random.pick(&["NULL", "'a'", "'sessionId'"]),
        hygiene(random),
        hygiene(random),
        hygiene(random),
        random.one_in(4),
        if random.one_in(2) { "'{}'".to_owned() } else { value_types(random) },
        random.pick(&["'{}'", "'{locale}'"]),
    )
}

#[test]
fn random_payloads_under_random_rules_are_judged_as_the_reference_judges() {
    let db = Db::new();
    let mut client = db.superuser();
    client.batch_execute(REFERENCE).unwrap();
    client.batch_execute(&keyed_hash()).unwrap();
    let file = db::shared().write_secret("oracle_key", KEY);
    client
        .batch_execute(&format!(
            "SET eventlog.hash_key_file = '{}'; SELECT eventlog.accept_hash_key()",
            file.display()
        ))
        .unwrap();
    let mut random = Random::new();
    for _ in 0..scaled(100, 2_000) {
        let rules = rules(&mut random, "random");
        client.batch_execute(&rules).unwrap_or_else(|error| panic!("{rules}\n{error:?}"));
        let payloads: Vec<String> = (0..100).map(|_| json::object(&mut random, 2)).collect();
        let different = client
            .query(
                "SELECT p, v.is_valid, r.is_valid, coalesce(v.message, '') || ': ' || coalesce(v.detail, ''), r.faults,
                        v.stored::text, r.stored::text, c.actor, r.actor, c.subject, r.subject
                   FROM unnest($1::text[]) AS p
                  CROSS JOIN LATERAL eventlog.validate_event('random', p::jsonb) v
                  CROSS JOIN LATERAL public.reference('random', p::jsonb) r
                  CROSS JOIN LATERAL eventlog_private.check_import(1, gen_random_uuid(), 'random', p::jsonb, now(), NULL, NULL, NULL) c
                  WHERE v.is_valid <> r.is_valid
                     OR (r.is_valid AND v.stored::text IS DISTINCT FROM r.stored::text)
                     OR (r.is_valid AND (c.actor IS DISTINCT FROM r.actor OR c.subject IS DISTINCT FROM r.subject
                                         OR c.data IS DISTINCT FROM r.stored)
                         -- An import gets no defaults.
                         AND (SELECT default_values = '{}' FROM eventlog.event_types WHERE name = 'random'))
                     OR (NOT r.is_valid AND v.sqlstate = '23514'
                         AND v.message NOT LIKE 'payload of event \"random\" breaks ' || r.faults || ' %')
                     OR (NOT r.is_valid AND v.sqlstate NOT IN ('23514', '54000'))",
                &[&payloads],
            )
            .expect("compared");
        if let Some(row) = different.first() {
            let columns: Vec<String> = (0..row.len())
                .map(|i| {
                    row.try_get::<_, Option<String>>(i)
                        .map(|value| format!("{value:?}"))
                        .or_else(|_| {
                            row.try_get::<_, Option<bool>>(i).map(|value| format!("{value:?}"))
                        })
                        .or_else(|_| {
                            row.try_get::<_, Option<i32>>(i).map(|value| format!("{value:?}"))
                        })
                        .unwrap_or_default()
                })
                .collect();
            panic!("{rules}\n{}", columns.join("\n"));
        }
    }
}

#[test]
fn a_payload_far_over_any_limit_is_refused_by_its_size() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    let size = scaled(20_000_000, 100_000_000);
    let huge =
        format!("{{\"n\": null, \"sessionId\": 1, \"conversationId\": \"{}\"}}", "x".repeat(size));
    let started = "'conversation_started', $1::text::jsonb";
    let error = owner
        .query_one(&format!("SELECT eventlog.log_event(NULL, {started})"), &[&huge])
        .expect_err("too large");
    let error = eventlog_tests::ask::db_error(error, "log_event");
    assert_eq!(error.code().code(), "54000");
    assert!(error.message().contains("limit 2048"), "{error:?}");
    owner
        .query_one(&format!("SELECT eventlog.try_log_event(NULL, {started})"), &[&huge])
        .expect("a WARNING");
    let kept = owner
        .query_one("SELECT sqlstate, data IS NULL FROM eventlog.rejected_events", &[])
        .expect("quarantined");
    assert_eq!((kept.get::<_, &str>(0), kept.get::<_, bool>(1)), ("54000", true));
    // One that strips to nothing is stored, however long it was.
    let nulls: Vec<String> = (0..size / 20).map(|i| format!("\"key{i}\":null")).collect();
    let nulls = format!("{{{}}}", nulls.join(","));
    owner
        .batch_execute("SELECT eventlog.define_event('small', max_bytes => 8)")
        .expect("the owner defines");
    owner
        .query_one("SELECT eventlog.log_event(NULL, 'small', $1::text::jsonb)", &[&nulls])
        .expect("it is {}");
}

#[test]
fn a_payload_of_two_mebibytes_and_of_ten_thousand_levels_gets_an_answer() {
    let db = Db::new();
    let mut owner = db.connect_as("log_owner", TENANT_A);
    owner.batch_execute("SELECT eventlog.define_event('anything', max_bytes => 16777216)").unwrap();
    let long = format!("{{\"n\": null, \"s\": \"{}\"}}", "ä".repeat(1 << 20));
    owner
        .query_one("SELECT eventlog.log_event(NULL, 'anything', $1::text::jsonb)", &[&long])
        .expect("within the limit");
    let deep = format!("{}null{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    match owner.query_one("SELECT eventlog.log_event(NULL, 'anything', $1::text::jsonb)", &[&deep])
    {
        Ok(_) => {}
        Err(error) => assert_eq!(error.code().expect("of the server").code(), "54001"),
    }
    owner
        .query_one("SELECT eventlog.try_log_event(NULL, 'anything', $1::text)", &[&deep])
        .expect("a WARNING at most");
}
