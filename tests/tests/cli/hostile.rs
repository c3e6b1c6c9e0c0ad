//! Random and hostile requests, thousands of them: no 5xx, no other tenant's row, memory bounded.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use eventlog_tests::random::Random;
use eventlog_tests::{TENANT_A, TENANT_B, rows, scaled};

use crate::http::{Http, read_answer};
use crate::server::{World, answers, settle};

/// What the whole process may take: some 10 MiB at rest, a full queue (16 MiB as it counts them), the
/// bodies of [`CLIENTS`] requests of up to 1 MiB, each with its text and its events beside it, 64 slow
/// ones of which little has come, and as much again for what the allocator keeps.
const MEMORY: usize = 64 << 20;

const CLIENTS: usize = 4;

/// Of the other tenant's events; nobody else ever sees it.
const THEIRS: &str = "belongs to B alone";

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
    "<script>",
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
    let (a, b, c, d, e) = (nasty(), nasty(), nasty(), nasty(), nasty());
    match random.below(8) {
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
        // Every field of every shape.
        4 => format!(
            "{{\"name\":\"tool_used\",\"data\":{{\"toolName\":{a},\"skillId\":{b},\"source\":{c},{d}:{e}}},\"actor\":{b},\"subject\":{c},\"idempotencyKey\":{d}}}"
        ),
        5 => format!(
            "{{\"toolName\":{a},\"skillId\":{b},\"skillName\":{c},\"hookEvent\":{d},\"source\":{e},\"clientTimestamp\":{a},\"metadata\":{{{b}:{c}}},\"userId\":{d},\"idempotencyKey\":{e}}}"
        ),
        6 => format!(
            "{{\"skill\":{a},\"durationMs\":1,\"success\":true,\"errorType\":{b},\"errorMessage\":{c},\"metadata\":{{{d}:{e}}},\"userId\":{a},\"tenantId\":{b}}}"
        ),
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
    damage(random, &mut body);
    body
}

/// Cuts a body off, doubles it, or changes a byte, one time in three.
pub(crate) fn damage(random: &mut Random, body: &mut String) {
    match random.below(12) {
        0 => body.truncate(
            (0..=random.below(body.len() + 1))
                .rev()
                .find(|at| body.is_char_boundary(*at))
                .unwrap_or(0),
        ),
        1 => *body = format!("{body}{body}"),
        2 => *body = body.replacen('"', "\u{1}", 1),
        3 => *body = format!("{}{body}", "[".repeat(random.below(3000))),
        _ => {}
    }
}

/// The text in a query string.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

const REPORTS: &[&str] = &[
    "events_per_day",
    "get_events",
    "unused_subjects",
    "success_rate",
    "log_event",
    "<script>",
    "summary",
    "days",
    "hours",
    "tools",
    "subjects",
    "actors",
    "retention",
    "errors",
    "events",
    "funnel",
    "experiment_results",
    "names",
    "rejected",
    "taxonomy",
    "alerts",
    "alert_changes",
    "nonesuch",
    "../track",
];

const PARAMETERS: &[&str] = &[
    "names",
    "ids",
    "min_weight",
    "idle_for",
    "row_limit",
    "since",
    "until",
    "name",
    "time_zone",
    "prefix",
    "limit",
    "period",
    "first",
    "returning",
    "actor",
    "subject",
    "contains",
    "before_created_at",
    "before_id",
    "step",
    "within",
    "by",
    "tenant_id",
    "<script>",
];

/// A report, asked with what it may be asked and what it may not.
fn report(random: &mut Random) -> String {
    let mut path = format!("/api/analytics/{}?", pick(random, REPORTS));
    for _ in 0..random.below(3) {
        let value = match random.below(8) {
            0 => "2026-01-01".to_owned(),
            1 => value(random, 3),
            _ => pick(random, NASTY).to_owned(),
        };
        path += &format!("{}={}&", pick(random, PARAMETERS), encoded(&value));
    }
    path
}

/// An event, or several, and whatever else a client may send with them.
fn ask(random: &mut Random, world: &World, reader: &str, http: &mut Http) {
    let right = if random.one_in(20) { reader } else { &world.key_a };
    let key = match random.below(10) {
        0 => "",
        1 => pick(random, NASTY),
        2 => &right[..right.len() - 1],
        _ => right,
    };
    let is_report = random.one_in(20);
    let key = if is_report && key == world.key_a { reader } else { key };
    let bearer = format!("Bearer {}", key.replace(['\u{202e}', '\u{feff}'], ""));
    let user = pick(random, NASTY);
    let body = match random.below(500) {
        0 => format!("{}{}", event(random), " ".repeat((1 << 20) + random.below(1 << 19))),
        1 => format!("{{\"toolName\":\"{}\"}}", "x".repeat(1_000_000)),
        _ => body(random),
    };
    let length = body.len().to_string();
    let mut headers = vec![("Authorization", bearer.as_str()), ("X-User-Id", user)];
    match random.below(16) {
        0 => headers.push(("Content-Encoding", "gzip")),
        1 => headers.push(("Content-Type", user)),
        2 => headers.push(("X-Request-Id", user)),
        3 => headers.push(("Content-Length", &length)),
        _ => {}
    }
    let method = if random.one_in(8) { pick(random, METHODS) } else { "POST" };
    let path = match random.below(10) {
        0 => "/api/track?wait='",
        1 => "/api/track?wait=true",
        2 => "/api/track/<script>",
        3 => "/api/openapi.json?a[]=%00",
        _ => "/api/track",
    };
    let answer = match is_report {
        true => http.ask("GET", &report(random), &headers[..2], b""),
        false => http.ask(method, path, &headers, body.as_bytes()),
    };
    let text = answer.text();
    let shown: String = body.chars().take(2000).collect();
    assert!(answer.status < 500, "{}: {method} {path} {headers:?}\n{shown}\n{text}", answer.status);
    assert!(!text.contains("<script>") && !text.contains(THEIRS), "{text}");
    assert!(answer.header("x-injected").is_none() && answer.header("set-cookie").is_none());
}

/// Bodies that drip, until the others are done; how many were refused in the end.
fn drip(world: &World, is_over: &AtomicBool) -> usize {
    let head = format!(
        "POST /api/track HTTP/1.1\r\nHost: t\r\nX-Api-Key: {}\r\nContent-Length: 100000\r\n\r\n[",
        world.key_a
    );
    let mut refused = 0;
    while !is_over.load(Ordering::Relaxed) {
        let mut streams: Vec<_> = (0..64).map(|_| world.http().raw()).collect();
        for stream in &mut streams {
            stream.write_all(head.as_bytes()).expect("it listens");
        }
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(100));
            for stream in &mut streams {
                let _ = stream.write_all(b" ");
            }
        }
        for stream in &mut streams {
            let answer = read_answer(stream).expect("an answer");
            assert_eq!(answer.status, 408, "{}", answer.text());
            refused += 1;
        }
    }
    refused
}

#[test]
fn hostile_requests_meet_no_fault_of_ours_and_leave_the_other_tenant_alone() {
    let world = World::new(&["--rate-limit", "0", "--body-timeout", "1s"]);
    let reader = world.key(&["--kind", "read"]);
    let theirs = format!("{{\"toolName\":\"{THEIRS}\",\"userId\":\"{THEIRS}\"}}");
    assert_eq!(world.http().track_and_wait(&world.key_b, &theirs).status, 200);
    let requests = scaled(4_000, 100_000);
    let at_first = world.gateway.memory();
    let mut seeds = Random::new();
    let (is_over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let dripped = std::thread::scope(|scope| {
        let dripping = scope.spawn(|| drip(&world, &is_over));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut random = Random::seeded(seeds.bits());
                let (world, reader, done) = (&world, &reader, &done);
                scope.spawn(move || {
                    let mut http = world.http();
                    while done.fetch_add(1, Ordering::Relaxed) < requests {
                        ask(&mut random, world, reader, &mut http);
                    }
                })
            })
            .collect();
        let ends: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        ends.into_iter().for_each(|end| end.expect("a client"));
        dripping.join().expect("who drips")
    });
    let mut http = world.http();
    settle(&mut http);
    let mut superuser = world.db.superuser();
    let tenants = "SELECT tenant_id, count(*) FROM eventlog.events GROUP BY 1 ORDER BY 1";
    let tenants = rows(&mut superuser, tenants);
    assert_eq!((tenants.len(), &tenants[0][0][..]), (2, TENANT_A));
    assert_eq!(tenants[1], [TENANT_B, "1"], "nobody wrote as B but B");
    let claimed = rows(
        &mut superuser,
        &format!(
            "SELECT count(*) FROM eventlog.rejected_events WHERE '{TENANT_B}' IN (tenant_id, claimed_tenant_id)"
        ),
    );
    assert_eq!(claimed, [["0"]]);
    let written: usize = tenants[0][1].parse().unwrap();
    assert!(written > requests / 40, "{written}: most were refused for another reason");
    let (now, most) = (world.gateway.memory(), world.gateway.peak_memory());
    println!("{:#?}", answers(&mut http));
    println!(
        "{requests} requests and {dripped} that dripped: {written} events written; memory at first \
         {at_first}, now {now}, at most {most} bytes"
    );
    assert!(most < MEMORY, "{most} bytes at most");
    let World { gateway, key_a, key_b, .. } = world;
    let (code, log) = gateway.stop();
    assert_eq!(code, Some(0), "{log}");
    for key in [key_a, key_b, reader] {
        // But for the end, which wrong ones leave off too.
        assert!(!log.contains(&key[22..60]), "the gateway's log has a key");
    }
    // It names events that the log refused, each in a line of its own.
    let is_ours = |line: &str| line.starts_with("eventlog: ") || line.starts_with("20");
    assert!(log.lines().all(is_ours), "{log}");
}

#[test]
fn bytes_that_are_no_request_end_their_connection_and_nothing_else() {
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
