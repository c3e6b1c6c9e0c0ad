//! Random and hostile requests, thousands of them: no 5xx, no other tenant's row, memory bounded.

use eventlog_tests::random::Random;
use eventlog_tests::{TENANT_A, TENANT_B, rows, scaled};

use crate::server::{World, settle};

const NASTY: &[&str] = &[
    "",
    "'",
    "'; DROP TABLE eventlog.events; --",
    "' OR '1'='1",
    "$$; SELECT pg_sleep(10); $$",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{7*7}}${7*7}",
    "../../../../etc/passwd",
    "%00%0d%0aX-Injected: 1",
    "\\u0000",
    "\\ud800",
    "\\r\\nSet-Cookie: a=b",
    "\u{202e}\u{feff}ü🙂",
    "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
    "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb",
    "infinity",
    "-1",
    "tool_used",
    "skill_executed",
    "eventlog.events",
];

const KEYS: &[&str] = &[
    "name",
    "data",
    "actor",
    "subject",
    "occurredAt",
    "idempotencyKey",
    "tenantId",
    "userId",
    "toolName",
    "skillId",
    "clientTimestamp",
    "hookEvent",
    "metadata",
    "skill",
    "durationMs",
    "success",
    "errorType",
    "errorMessage",
    "__proto__",
    "tenant_id",
    "'; --",
    "",
];

const METHODS: &[&str] = &["PUT", "GET", "DELETE", "BREW"];

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len())]
}

fn value(random: &mut Random, depth: usize) -> String {
    match random.below(if depth > 3 { 7 } else { 10 }) {
        0 => "null".to_owned(),
        1 => "true".to_owned(),
        2 => pick(
            random,
            &["0", "-0", "1e400", "1.10", "-1", "9223372036854775808", "1E-999", "00", "NaN"],
        )
        .to_owned(),
        3..=6 => format!("\"{}\"", pick(random, NASTY)).replace("\"\"><", "\"\\\"><"),
        7 => {
            let values: Vec<String> =
                (0..random.below(4)).map(|_| value(random, depth + 1)).collect();
            format!("[{}]", values.join(","))
        }
        _ => object(random, depth + 1),
    }
}

fn object(random: &mut Random, depth: usize) -> String {
    let fields: Vec<String> = (0..random.below(6))
        .map(|_| format!("\"{}\":{}", pick(random, KEYS), value(random, depth)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// An event that is nearly right, or an object that is not.
fn event(random: &mut Random) -> String {
    let mut nasty = || serde_json::json!(pick(random, NASTY)).to_string();
    let (a, b, c) = (nasty(), nasty(), nasty());
    match random.below(5) {
        0 => {
            let fields = object(random, 0).split_off(1);
            let comma = if fields == "}" { "" } else { "," };
            format!("{{\"name\":\"tool_used\",\"data\":{{\"toolName\":{a}{comma}{fields}}}")
        }
        1 => format!("{{\"toolName\":{a},\"metadata\":{{\"k\":{b}}},\"userId\":{c}}}"),
        2 => format!(
            "{{\"name\":\"tool_used\",\"data\":{{\"toolName\":{a}}},\"subject\":{b},\"idempotencyKey\":{c}}}"
        ),
        3 => format!("{{\"name\":{a},\"data\":{{\"toolName\":{b}}},\"actor\":{c}}}"),
        _ => object(random, 0),
    }
}

fn body(random: &mut Random) -> String {
    let mut body = match random.below(4) {
        0 => {
            let events: Vec<String> = (0..random.below(20)).map(|_| event(random)).collect();
            format!("[{}]", events.join(","))
        }
        1 => value(random, 0),
        _ => event(random),
    };
    // Cut off, or doubled, or with a byte changed.
    match random.below(12) {
        0 => body.truncate(
            (0..=random.below(body.len() + 1))
                .rev()
                .find(|at| body.is_char_boundary(*at))
                .unwrap_or(0),
        ),
        1 => body = format!("{body}{body}"),
        2 => body = body.replacen('"', "\u{1}", 1),
        3 => body = format!("{}{body}", "[".repeat(random.below(3000))),
        _ => {}
    }
    body
}

#[test]
fn hostile_requests_meet_no_fault_of_ours_and_leave_the_other_tenant_alone() {
    let world = World::new(&["--rate-limit", "0", "--body-timeout", "1s"]);
    // A key of its own for what must not happen: nobody writes as B.
    let requests = scaled(4_000, 100_000);
    let clients = 4;
    let at_first = world.gateway.memory();
    let mut seeds = Random::new();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            let world = &world;
            let mut random = Random::seeded(seeds.bits());
            scope.spawn(move || {
                let mut http = world.http();
                for _ in 0..requests / clients {
                    let body = body(&mut random);
                    let key = match random.below(10) {
                        0 => "",
                        1 => pick(&mut random, NASTY),
                        2 => &world.key_a[..world.key_a.len() - 1],
                        _ => &world.key_a,
                    };
                    let key = key.replace(['\u{202e}', '\u{feff}'], "");
                    let bearer = format!("Bearer {key}");
                    let user = pick(&mut random, NASTY);
                    let length = body.len().to_string();
                    let mut headers = vec![("Authorization", bearer.as_str()), ("X-User-Id", user)];
                    match random.below(16) {
                        0 => headers.push(("Content-Encoding", "gzip")),
                        1 => headers.push(("Content-Type", user)),
                        2 => headers.push(("X-Request-Id", user)),
                        3 => headers.push(("Content-Length", &length)),
                        _ => {}
                    }
                    let method = if random.one_in(8) { pick(&mut random, METHODS) } else { "POST" };
                    let path = match random.below(10) {
                        0 => "/api/track?wait='",
                        1 => "/api/track?wait=true",
                        2 => "/api/track/<script>",
                        3 => "/api/openapi.json?a[]=%00",
                        _ => "/api/track",
                    };
                    let answer = http.ask(method, path, &headers, body.as_bytes());
                    assert!(
                        answer.status < 500,
                        "{}: {method} {path} {headers:?}\n{body}\n{}",
                        answer.status,
                        answer.text()
                    );
                    let text = answer.text();
                    assert!(!text.contains("<script>"), "{text}");
                    assert!(
                        answer.header("x-injected").is_none()
                            && answer.header("set-cookie").is_none()
                    );
                }
            });
        }
    });
    let mut http = world.http();
    settle(&mut http);
    let mut superuser = world.db.superuser();
    let tenants = rows(&mut superuser, "SELECT DISTINCT tenant_id FROM eventlog.events");
    assert_eq!(tenants, [[TENANT_A]], "and never another");
    let claimed = rows(
        &mut superuser,
        &format!(
            "SELECT count(*) FROM eventlog.rejected_events WHERE '{TENANT_B}' IN (tenant_id, claimed_tenant_id)"
        ),
    );
    assert_eq!(claimed, [["0"]]);
    let written: u64 =
        rows(&mut superuser, "SELECT count(*) FROM eventlog.events")[0][0].parse().unwrap();
    assert!(written > requests as u64 / 40, "{written}: most were refused for another reason");
    // The queue's 16 MiB, a few bodies, and what the allocator keeps.
    let grown = world.gateway.memory().saturating_sub(at_first);
    assert!(grown < 96 << 20, "{grown} bytes more than at first");
}

#[test]
fn bytes_that_are_no_request_end_their_connection_and_nothing_else() {
    use std::io::Write;
    let world = World::new(&["--header-timeout", "300ms"]);
    let mut random = Random::new();
    for _ in 0..scaled(200, 5_000) {
        let length = random.below(600);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        if random.below(2) == 0 {
            bytes.splice(
                0..0,
                *b"POST /api/track HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n",
            );
        }
        let mut stream = world.http().raw();
        let _ = stream.write_all(&bytes);
    }
    assert_eq!(world.http().track(&world.key_a, r#"{"toolName":"t"}"#).status, 202);
    assert_eq!(world.events("name"), [["tool_used"]]);
}
