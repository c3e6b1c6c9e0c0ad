//! Random calls of every function with random arguments: no backend lost, no XX000.

use eventlog_tests::random::Random;
use eventlog_tests::{Db, TENANT_A, TENANT_B, json, rows, scaled, text};
use postgres::Client;

/// A literal of a type, right or wrong.
fn literal(random: &mut Random, kind: &str) -> String {
    if random.one_in(8) {
        return "NULL".to_owned();
    }
    match kind {
        "uuid" => quote(random.pick::<&str>(&[
            TENANT_A,
            TENANT_A,
            TENANT_A,
            TENANT_B,
            "0",
            "{aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaaa}",
        ])),
        "text" | "name" => quote(&string(random)),
        "jsonb" => quote(&payload(random)),
        "timestamp with time zone" => quote(random.pick::<&str>(&[
            "2026-01-01",
            "infinity",
            "-infinity",
            "4713-01-01 BC",
            "294276-12-31",
            "now",
            "2026-02-30",
            "epoch",
        ])),
        "uuid[]" => {
            let n = random.below(4);
            let list: Vec<String> =
                (0..n).map(|_| literal(random, "uuid").replace("'0'", "NULL")).collect();
            format!("ARRAY[{}]", list.join(","))
        }
        "timestamp with time zone[]" => {
            quote(random.pick::<&str>(&["{}", "{now}", "{now,NULL}", "{infinity,now,epoch}"]))
        }
        "text[]" => quote(random.pick::<&str>(&[
            "{}",
            "{a}",
            "{a,b,NULL}",
            "{{a},{b}}",
            "{a",
            "[2:3]={a,b}",
            "{billing}",
            "{conversation_started}",
            "{conversation_started,tool_used}",
            "{NULL}",
            "{\"{}\",\"{\"}",
            "{\"{\\\"toolName\\\": 1}\",NULL}",
        ])),
        "boolean" => (*random.pick(&["true", "false"])).to_owned(),
        "integer" => random.pick(&["0", "1", "-1", "2048", "2147483647", "2147483648"]).to_string(),
        "bigint" => random.pick(&["0", "1", "-1", "9223372036854775807"]).to_string(),
        "integer[]" => quote(random.pick::<&str>(&["{}", "{0,7,14}", "{3,NULL,-5,2147483647}"])),
        "double precision[]" => {
            quote(random.pick::<&str>(&["{}", "{1,2,3,4}", "{1,NULL,NaN}", "{1e300,Infinity,3}"]))
        }
        "date" => quote(random.pick::<&str>(&[
            "2026-01-01",
            "2026-03-29",
            "2020-02-29",
            "infinity",
            "-infinity",
            "4714-11-24 BC",
        ])),
        "date[]" => quote(random.pick::<&str>(&[
            "{}",
            "{2026-01-01,2026-01-08,2026-01-15}",
            "{2026-01-08,2026-01-01}",
            "{NULL}",
            "{infinity,-infinity}",
        ])),
        "bytea" => quote(random.pick::<&str>(&[
            "",
            "\\x01",
            "\\x0100000000000000ffffffffffffffff0000000000000000",
            "\\xffffffffffffffff00",
        ])),
        "bytea[]" => quote(random.pick::<&str>(&[
            "{}",
            "{NULL}",
            r#"{"\\x01"}"#,
            r#"{"\\x0000000000000000000000000000000000000000000000000000000000000000"}"#,
        ])),
        "bigint[]" => quote(random.pick::<&str>(&["{}", "{1,2}", "{1,NULL}"])),
        "real" | "double precision" => {
            quote(random.pick::<&str>(&["0", "1", "NaN", "Infinity", "-1e38"]))
        }
        "oid" => random.pick(&["0", "1", "1259", "4294967295"]).to_string(),
        "regrole" => {
            quote(random.pick::<&str>(&["writer", "reader", "nobody at all", "0", "4294967295"]))
        }
        "regclass" => quote(random.pick::<&str>(&[
            "pg_class",
            "eventlog.events",
            "eventlog.event_types",
            "nothing",
            "0",
            "4294967295",
            "public.source",
        ])),
        "interval" => quote(random.pick::<&str>(&[
            "1 day",
            "0",
            "-1 month",
            "1 month 1 day",
            "100 years",
            "1 microsecond",
            "178000000 years",
        ])),
        "record" => "ROW(1, 'a', NULL)".to_owned(),
        other => panic!("no literals of type {other}"),
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn string(random: &mut Random) -> String {
    match random.below(14) {
        0..=4 => (*random.pick(&[
            "conversation_started",
            "message_sent",
            "tool_used",
            "anything",
            "skill_executed",
        ]))
        .to_owned(),
        5 => "x".repeat(random.below(2_000)),
        6 => "🙂".repeat(random.below(200)),
        7 => json::object(random, 1),
        8 => (*random.pick(&[
            "",
            " ",
            ".",
            ".*",
            "a.*",
            "%s%n",
            "\\",
            "\"",
            "'; SELECT 1; --",
            "conversation_strted",
        ]))
        .to_owned(),
        9 => (*random.pick(&[
            "{",
            "{\"a\": \"\\u0000\"}",
            "{\"a\": \"\\ud800\"}",
            "{\"a\": 1e99999999}",
            "nan",
        ]))
        .to_owned(),
        10 => char::from_u32(random.below(0x11_0000) as u32)
            .filter(|c| *c != '\0')
            .map(String::from)
            .unwrap_or_default(),
        _ => format!("n{}", random.below(100)),
    }
}

fn payload(random: &mut Random) -> String {
    match random.below(12) {
        0 => json::value(random, 2),
        1 => format!("{{\"sessionId\": \"{}\", \"conversationId\": 1}}", "s".repeat(random.below(4_000))),
        2 => format!("{}1{}", "[".repeat(random.below(3_000)), "]".repeat(random.below(3_000))),
        3..=6 => "{\"sessionId\": 1, \"conversationId\": \"c\", \"role\": \"user\", \"toolName\": \"t\", \"x\": null}".to_owned(),
        _ => json::object(random, 3),
    }
}

/// Every function of the schema that is no trigger, with the types of its arguments.
fn functions(client: &mut Client) -> Vec<(String, Vec<String>)> {
    rows(
        client,
        "SELECT proname, coalesce((SELECT string_agg(t::regtype::text, ';' ORDER BY n) FROM unnest(proargtypes) WITH ORDINALITY AS a (t, n)), '')
           FROM pg_proc WHERE pronamespace = 'eventlog'::regnamespace AND prorettype <> 'trigger'::regtype
              AND prokind <> 'a' AND NOT 'internal'::regtype = ANY (proargtypes) ORDER BY 1, 2",
    )
    .into_iter()
    .map(|row| (row[0].clone(), row[1].split(';').filter(|t| !t.is_empty()).map(str::to_owned).collect()))
    .collect()
}

#[test]
fn random_calls_of_every_function_lose_no_backend_and_find_no_internal_error() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "SELECT eventlog.define_event('anything', max_bytes => 16777216);
             SELECT eventlog.define_event('aliased', aliases => '{n1,n2,🙂}', value_types => '{\"sessionId\": \"string\", \"x\": \"array\"}');
             CREATE TABLE public.source (id bigint, tenant_id uuid, name text, data jsonb, created_at timestamptz);
             INSERT INTO public.source VALUES (1, gen_random_uuid(), 'anything', '{}', now()), (NULL, NULL, NULL, NULL, NULL);
             SET client_min_messages = error;",
        )
        .unwrap();
    let functions = functions(&mut superuser);
    let verbs: Vec<_> = functions
        .iter()
        .filter(|(name, _)| {
            [
                "log_event",
                "log_events",
                "try_log_event",
                "validate_event",
                "guard",
                "current_tenant",
                "_check_import",
            ]
            .contains(&name.as_str())
        })
        .cloned()
        .collect();
    let upkeep: Vec<_> =
        functions.iter().filter(|function| !verbs.contains(function)).cloned().collect();
    let mut random = Random::new();
    let mut member = db.connect_as("member", TENANT_A);
    let mut owner = db.connect_as("log_owner", TENANT_A);
    for client in [&mut member, &mut owner] {
        client.batch_execute("SET client_min_messages = error").unwrap();
    }
    let backends = |client: &mut Client| text(client, "SELECT pg_backend_pid()");
    let before = (backends(&mut member), backends(&mut owner), backends(&mut superuser));
    let total = scaled(20_000, 500_000);
    let mut accepted = 0;
    for call in 0..total {
        // The upkeep is slow (create_log makes partitions) and is rolled back.
        let is_upkeep = call % 50 == 49;
        let (name, types) = random.pick(if is_upkeep { &upkeep } else { &verbs }).clone();
        let arguments: Vec<String> =
            types.iter().map(|kind| format!("{}::{kind}", literal(&mut random, kind))).collect();
        let sql = format!("SELECT * FROM eventlog.{name}({})", arguments.join(", "));
        let client = match random.below(3) {
            0 if is_upkeep => &mut superuser,
            0 | 1 => &mut member,
            _ => &mut owner,
        };
        if is_upkeep {
            client.batch_execute("BEGIN").unwrap();
        }
        match client.simple_query(&sql) {
            Ok(_) => accepted += 1,
            Err(error) => drop(eventlog_tests::ask::db_error(error, &sql)),
        }
        if is_upkeep {
            client.batch_execute("ROLLBACK").unwrap();
        }
    }
    let after = (backends(&mut member), backends(&mut owner), backends(&mut superuser));
    assert_eq!(before, after, "a backend was lost");
    assert!(accepted > total / 20, "too few calls were right to prove much: {accepted} of {total}");
    println!("{accepted} of {total} calls were accepted");
}
