//! What comes in, and what the log has of it.

use eventlog_tests::{TENANT_A, TENANT_B, rows};
use serde_json::json;

use crate::server::{World, numbered, settle};

#[test]
fn each_shape_is_logged_as_its_event_of_the_keys_tenant() {
    let world = World::new(&[]);
    let mut http = world.http();
    let events = json!([
        { "name": "conversation_started", "data": { "sessionId": "s", "conversationId": "NUMBER" },
          "actor": "user-1", "subject": "c/1", "occurredAt": "2026-01-31T12:00:00+01:00" },
        { "tenantId": TENANT_A, "userId": "user-2", "skillId": "5", "toolName": "search",
          "clientTimestamp": "2026-01-31T12:00:01Z", "hookEvent": "PostToolUse", "metadata": { "a": [1, null] } },
        { "skill": "canvas", "userId": "user-3", "durationMs": 12.5, "success": false, "errorType": "E",
          "errorMessage": "no", "metadata": { "b": 1 } },
        { "name": "own", "data": {} },
    ]);
    world.db.superuser().batch_execute("SELECT eventlog.define_event('own')").unwrap();
    // As text, because a value of Rust would round the number.
    let body = events.to_string().replace("\"NUMBER\"", "12345678901234567890.10");
    let answer = http.track(&world.key_a, &body);
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 4 })));
    assert_eq!(
        world.events("name, tenant_id, data, actor, subject, occurred_at IS NOT NULL"),
        [
            [
                "conversation_started",
                TENANT_A,
                r#"{"sessionId": "s", "conversationId": 12345678901234567890.10}"#,
                "user-1",
                "c/1",
                "t"
            ],
            [
                "tool_used",
                TENANT_A,
                r#"{"source": "hook", "skillId": "5", "metadata": {"a": [1, null]}, "toolName": "search", "hookEvent": "PostToolUse"}"#,
                "user-2",
                "search",
                "t"
            ],
            [
                "skill_executed",
                TENANT_A,
                r#"{"success": false, "metadata": {"b": 1}, "errorType": "E", "skillName": "canvas", "durationMs": 12.5, "errorMessage": "no"}"#,
                "user-3",
                "canvas",
                "t"
            ],
            ["own", TENANT_A, "{}", "∅", "∅", "t"],
        ]
    );
    let clocks = "occurred_at::text FROM eventlog.events WHERE actor < 'user-3'";
    let clocks = rows(&mut world.db.superuser(), &format!("SELECT {clocks} ORDER BY id"));
    assert_eq!(clocks, [["2026-01-31 11:00:00+00"], ["2026-01-31 12:00:01+00"]]);
}

#[test]
fn the_user_is_the_events_else_the_headers_else_nobody() {
    let world = World::new(&[]);
    let mut http = world.http();
    let bearer = format!("Bearer {}", world.key_a);
    let body = r#"[{"toolName":"1","userId":"body"},{"toolName":"2"}]"#;
    let with_user = [("Authorization", bearer.as_str()), ("X-User-Id", "header-ü")];
    assert_eq!(http.ask("POST", "/api/track", &with_user, body.as_bytes()).status, 202);
    assert_eq!(http.track(&world.key_a, r#"{"toolName":"3"}"#).status, 202);
    assert_eq!(world.events("actor"), [["body"], ["header-ü"], ["∅"]]);
}

#[test]
fn another_tenant_in_the_body_is_403_and_nothing_of_the_request_goes_in() {
    let world = World::new(&[]);
    let mut http = world.http();
    let body = format!(r#"[{{"toolName":"t"}},{{"toolName":"t","tenantId":"{TENANT_B}"}}]"#);
    let answer = http.track(&world.key_a, &body);
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.json(),
        json!({ "error": { "code": "forbidden", "message": "tenantId must be the key's tenant", "position": 1 } })
    );
    assert_eq!(http.track(&world.key_b, &body.replace("[{\"toolName\":\"t\"},", "[")).status, 202);
    // A tenant in the payload is payload.
    let inner = format!(
        r#"{{"name":"tool_used","data":{{"toolName":"t","tenantId":"{TENANT_B}","tenant_id":"{TENANT_B}"}}}}"#
    );
    assert_eq!(http.track(&world.key_a, &inner).status, 202);
    assert_eq!(world.events("tenant_id"), [[TENANT_B], [TENANT_A]]);
}

#[test]
fn wait_tells_what_became_of_each_event() {
    let world = World::new(&[]);
    let mut http = world.http();
    world
        .db
        .superuser()
        .batch_execute(
            "SELECT eventlog.define_event('never', sample_rate => 0.0000001, sample_key => 'k')",
        )
        .unwrap();
    let events = json!([
        { "toolName": "t", "idempotencyKey": "once" },
        { "name": "tool_usd" },
        { "name": "tool_used", "data": {} },
        { "name": "tool_used", "data": { "toolName": "x".repeat(3000) } },
        { "name": "never", "data": { "k": "a" } },
        { "toolName": "t", "idempotencyKey": "once" },
    ]);
    let answer = http.track_and_wait(&world.key_a, &events.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = answer.json();
    let id: i64 = world.events("id")[0][0].parse().unwrap();
    assert_eq!(said["verdicts"][0], json!({ "status": "written", "id": id.to_string() }));
    assert_eq!(said["verdicts"][5], json!({ "status": "duplicate", "id": id.to_string() }));
    for (position, sqlstate, message) in
        [(1, "42704", "tool_usd"), (2, "23514", "toolName"), (3, "54000", "limit 2048")]
    {
        let verdict = &said["verdicts"][position];
        assert_eq!(
            (&verdict["status"], &verdict["sqlstate"]),
            (&json!("rejected"), &json!(sqlstate))
        );
        assert!(verdict["message"].as_str().unwrap().contains(message), "{verdict}");
        assert!(!verdict["message"].as_str().unwrap().contains("SQLSTATE"), "{verdict}");
    }
    assert_eq!(said["verdicts"][4], json!({ "status": "left_out" }));
    let counts =
        ["accepted", "written", "duplicate", "leftOut", "rejected"].map(|key| said[key].clone());
    assert_eq!(counts, [6, 1, 1, 1, 3].map(serde_json::Value::from));
    let quarantined = rows(
        &mut world.db.superuser(),
        "SELECT count(*) FROM eventlog.rejected_events WHERE claimed_tenant_id IS NULL OR claimed_tenant_id = tenant_id OR tenant_id IS NULL",
    );
    assert_eq!(quarantined, [["3"]]);
}

#[test]
fn what_no_event_can_be_is_400_and_nothing_of_the_request_goes_in() {
    let world = World::new(&[]);
    let mut http = world.http();
    for (body, says) in [
        ("", "not JSON: line 1, column 0"),
        ("{", "not JSON"),
        ("[{\"toolName\":\"t\"},]", "not JSON"),
        ("{\"toolName\":\"t\"} {\"toolName\":\"t\"}", "not JSON"),
        ("[]", "no event"),
        ("null", "must be an object"),
        ("[[{\"toolName\":\"t\"}]]", "must be an object"),
        ("{\"toolName\":\"t\",\"toolNam\":1}", "unknown key \"toolNam\"; known are toolName"),
        ("{\"toolName\":\"t\",\"<b>\":1}", "unknown key \"<b>\""),
        ("{\"toolName\":\"\\u0000\"}", "U+0000"),
        ("{\"toolName\":\"t\",\"idempotencyKey\":7}", "idempotencyKey must be"),
    ] {
        let answer = http.track(&world.key_a, body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.message().contains(says), "{body}: {}", answer.message());
        assert!(!answer.text().contains('<'), "a client's key is no markup: {}", answer.text());
    }
    let deep =
        format!("{{\"name\":\"a\",\"data\":{}null{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(http.track(&world.key_a, &deep).message().contains("nests deeper"));
    let latin = [&b"{\"toolName\":\""[..], &[0xe9], &b"\"}"[..]].concat();
    let key = [("X-Api-Key", world.key_a.as_str())];
    assert!(http.ask("POST", "/api/track", &key, &latin).message().contains("UTF-8"));
    assert_eq!(http.ask("POST", "/api/track?wait=maybe", &key, b"{}").status, 400);
    assert_eq!(http.ask("POST", "/api/track?wiat=true", &key, b"{}").status, 400);
    assert!(world.events("id").is_empty());
}

#[test]
fn events_that_the_log_refuses_take_no_others_with_them() {
    let world = World::new(&["--linger", "200ms"]);
    let mut http = world.http();
    let long = "x".repeat(5000);
    let hostile = [
        json!({ "name": "" }),
        json!({ "name": &long }),
        json!({ "name": "'; DROP TABLE eventlog.events; --" }),
        json!({ "name": "tool_used", "data": { "toolName": "t" }, "actor": &long }),
        json!({ "name": "tool_used", "data": { "toolName": "t" }, "subject": &long }),
        json!({ "name": "tool_used", "data": { "toolName": "t" }, "idempotencyKey": &long }),
        json!({ "name": "tool_used", "data": { "toolName": "a\u{0}b" } }),
        json!({ "name": "tool_used", "data": { "a\u{0}": 1, "toolName": "t" } }),
        json!({ "name": "tool_used", "data": { "toolName": "t" }, "occurredAt": 0 }),
        json!({ "name": "tool_used", "data": { "toolName": "t" }, "occurredAt": "9998-01-01T00:00:00Z" }),
        json!({ "toolName": "t", "clientTimestamp": "'infinity'" }),
        json!({ "toolName": "t", "clientTimestamp": { "a": [] } }),
        json!({ "toolName": "t", "actor": "" }),
    ];
    for event in &hostile {
        http.track(&world.key_a, &event.to_string());
        assert_eq!(http.track(&world.key_b, r#"{"toolName":"good"}"#).status, 202);
    }
    for raw in [
        r#""a":1e400"#,
        r#""a":1e999999999"#,
        r#""a":"\ud800""#,
        r#""a":"\u0000""#,
        r#""a":1,"a":2"#,
    ] {
        http.track(
            &world.key_a,
            &format!(r#"{{"name":"tool_used","data":{{"toolName":"t",{raw}}}}}"#),
        );
        assert_eq!(http.track(&world.key_b, r#"{"toolName":"good"}"#).status, 202);
    }
    settle(&mut http);
    let good = format!(
        "SELECT count(*) FROM eventlog.events WHERE tenant_id = '{TENANT_B}' AND data ->> 'toolName' = 'good'"
    );
    let good = rows(&mut world.db.superuser(), &good);
    assert_eq!(good, [[(hostile.len() + 5).to_string()]]);
}

#[test]
fn a_limit_of_a_key_counts_events_and_says_when_to_come_again() {
    let world = World::new(&["--rate-limit", "0"]);
    let limited = world.key(&["--rate-limit", "10"]);
    let mut http = world.http();
    assert_eq!(http.track(&limited, &numbered(0..8).to_string()).status, 202);
    let answer = http.track(&limited, &numbered(8..12).to_string());
    assert_eq!(answer.status, 429);
    let wait: u64 = answer.header("retry-after").expect("it says").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        http.track(&limited, &numbered(0..3).to_string()).status,
        429,
        "no more than one is left"
    );
    // The other keys have none.
    for _ in 0..20 {
        assert_eq!(http.track(&world.key_a, &numbered(0..1).to_string()).status, 202);
    }
    let fresh = world.key(&["--rate-limit", "10"]);
    assert_eq!(http.track(&fresh, &numbered(0..11).to_string()).status, 413, "never");
    // Bad requests count too.
    let fresh = world.key(&["--rate-limit", "10"]);
    let answers: Vec<u16> = (0..12).map(|_| http.track(&fresh, "{").status).collect();
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 2, "{answers:?}");
    assert_eq!(world.events("id").len(), 28);
}
