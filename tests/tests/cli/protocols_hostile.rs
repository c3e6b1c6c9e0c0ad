//! Random and hostile requests by every protocol: no 5xx, no markup, nothing of another tenant.

use eventlog_tests::random::Random;
use eventlog_tests::{TENANT_A, TENANT_B, rows, scaled};

use crate::hostile::damage;
use crate::http::Http;
use crate::protocols_segment::basic;
use crate::server::{World, settle};

const ROUTES: &[&str] = &[
    "/v1/batch",
    "/v1/import",
    "/v1/track",
    "/v1/page",
    "/v1/identify",
    "/t",
    "/b",
    "/batch/",
    "/e/?_=99999999999999999999999",
    "/e/?sent_at=-1",
    "/e/?compression=base64",
    "/i/v0/e/",
    "/i/v1/analytics/events",
    "/api/cloudevents",
    "/api/cloudevents?wait=true",
    "/api/cloudevents?wait='",
    "/api/track?key=el_w_",
    "/api/track?key=%00",
    "/api/track",
    "/flags/?v=2",
    "/v1/projects/<script>/settings",
];

const KINDS: &[&str] = &[
    "application/json",
    "application/json; charset=latin1",
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "multipart/form-data",
    "",
];

const NASTY: &[&str] = &[
    "null",
    "true",
    "7",
    "-0",
    "1e400",
    "9223372036854775808",
    "\"\"",
    "\"tool_used\"",
    "\"Nonesuch Event\"",
    "\"$pageview\"",
    "\"<script>alert(1)</script>\"",
    "\"'; DROP TABLE eventlog.events; --\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"2026-01-31T12:00:00Z\"",
    "\"9999-12-31T23:59:59Z\"",
    "\"-9999-01-01T00:00:00Z\"",
    "\"0000-01-01\"",
    "\"1.0\"",
    "\"track\"",
    "\"page\"",
    "\"identify\"",
    "[]",
    "{}",
    "[{}]",
    "{\"toolName\":\"t\"}",
    "{\"toolName\":\"t\",\"$lib\":\"x\",\"token\":\"t\",\"$ignore_sent_at\":true}",
    "{\"page\":{\"url\":\"u\"},\"context\":{\"context\":{}}}",
    "{\"a\":1,\"a\":2,\"\\u0061\":3}",
    "\"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb\"",
];

const KEYS: &[&str] = &[
    "type",
    "event",
    "userId",
    "anonymousId",
    "messageId",
    "timestamp",
    "originalTimestamp",
    "sentAt",
    "properties",
    "context",
    "name",
    "category",
    "batch",
    "writeKey",
    "api_key",
    "token",
    "uuid",
    "distinct_id",
    "offset",
    "sent_at",
    "historical_migration",
    "options",
    "session_id",
    "specversion",
    "id",
    "source",
    "subject",
    "time",
    "authid",
    "data",
    "data_base64",
    "datacontenttype",
    "key",
    "events",
    "tenantId",
    "__proto__",
    "<script>",
    "",
];

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len())]
}

fn object(random: &mut Random, fixed: &str) -> String {
    let most = if random.one_in(2) { 8 } else { 2 };
    let field = |random: &mut Random| format!("\"{}\":{}", pick(random, KEYS), pick(random, NASTY));
    let mut fields: Vec<String> = (0..random.below(most)).map(|_| field(random)).collect();
    if !fixed.is_empty() {
        fields.push(fixed.to_owned());
    }
    format!("{{{}}}", fields.join(","))
}

/// An event that is nearly right, or an object that is not.
fn event(random: &mut Random) -> String {
    let tool = "{\"toolName\":\"t\"}";
    let fixed = match random.below(5) {
        0 => format!("\"type\":\"track\",\"event\":\"tool_used\",\"properties\":{tool}"),
        1 => {
            format!("\"event\":\"tool_used\",\"uuid\":\"u{}\",\"properties\":{tool}", random.bits())
        }
        2 => format!(
            "\"specversion\":\"1.0\",\"id\":\"{}\",\"source\":\"s\",\"type\":\"tool_used\",\"data\":{tool}",
            random.bits()
        ),
        3 => "\"type\":\"page\"".to_owned(),
        _ => String::new(),
    };
    object(random, &fixed)
}

fn body(random: &mut Random, key: &str) -> String {
    let events: Vec<String> = (0..random.below(6)).map(|_| event(random)).collect();
    let events = format!("[{}]", events.join(","));
    let mut body = match random.below(8) {
        0 => events,
        1 => object(random, &format!("\"batch\":{events},\"writeKey\":\"{key}\"")),
        2 => object(random, &format!("\"batch\":{events},\"api_key\":\"{key}\"")),
        3 => format!("{{\"key\":\"{key}\",\"events\":{events}}}"),
        4 => format!("{{\"batch\":{events},\"sentAt\":{}}}", pick(random, NASTY)),
        5 => format!("data={}", crate::protocols_segment::base64(events.as_bytes())),
        6 => format!("{{\"batch\":{events},\"sent_at\":{}}}", pick(random, NASTY)),
        _ => event(random),
    };
    damage(random, &mut body);
    if random.one_in(12) {
        body = format!("\u{1f}\u{8b}{body}");
    }
    body
}

fn ask(random: &mut Random, world: &World, public: &str, http: &mut Http) {
    let right = if random.one_in(3) { public } else { &world.key_a };
    let key = match random.below(10) {
        0 => "",
        1 => "<script>",
        2 => &right[..right.len() - 1],
        _ => right,
    };
    let bearer = format!("Bearer {key}");
    let user = basic(key);
    let mut headers = vec![("Content-Type", pick(random, KINDS))];
    match random.below(6) {
        0 => headers.push(("Authorization", &bearer)),
        1 | 2 => headers.push(("Authorization", &user)),
        3 => headers.push(("X-Api-Key", key)),
        4 => headers.push(("Authorization", "Basic ====")),
        _ => {}
    }
    match random.below(12) {
        0 => headers.push(("Content-Encoding", "gzip")),
        1 => headers.push(("Origin", "https://elsewhere.example")),
        2 => headers.push(("PostHog-Request-Timestamp", pick(random, NASTY))),
        3 => headers.extend([
            ("ce-specversion", "1.0"),
            ("ce-id", "%ff%"),
            ("ce-source", "s"),
            ("ce-type", "tool_used"),
        ]),
        4 => headers.extend([
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "s"),
            ("ce-type", "tool_used"),
            ("ce-<", "<script>"),
        ]),
        _ => {}
    }
    let mut path = pick(random, ROUTES);
    let mut body = body(random, key);
    // Half of them by a route that knows them.
    if random.one_in(2) {
        let events: Vec<String> = (0..random.below(6)).map(|_| event(random)).collect();
        let events = format!("[{}]", events.join(","));
        let (fit, kind, sent) = match random.below(4) {
            0 => ("/v1/batch", KINDS[0], format!("{{\"batch\":{events}}}")),
            1 => ("/batch/", KINDS[0], format!("{{\"batch\":{events}}}")),
            2 => ("/i/v1/analytics/events", KINDS[0], format!("{{\"batch\":{events}}}")),
            _ => ("/api/cloudevents", KINDS[5], events),
        };
        (path, body) = (fit, sent);
        headers[0].1 = kind;
    }
    let answer = http.ask("POST", path, &headers, body.as_bytes());
    let text = answer.text();
    assert!(answer.status < 500, "{}: {path} {headers:?}\n{body}\n{text}", answer.status);
    assert!(!text.contains("<script>"), "{path} {headers:?}\n{body}\n{text}");
}

#[test]
fn hostile_requests_by_other_protocols_meet_no_fault_of_ours() {
    let world = World::new(&["--rate-limit", "0"]);
    world
        .db
        .superuser()
        .batch_execute(
            "SELECT eventlog.define_event('page', aliases => '{$pageview}',
                        context_keys => '{page.url,context,$lib,source}')",
        )
        .unwrap();
    let public = world.key(&["--event", "page", "--event", "tool_used"]);
    let mut seeds = Random::new();
    let requests = scaled(3_000, 60_000);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut random = Random::seeded(seeds.bits());
            let (world, public) = (&world, &public);
            scope.spawn(move || {
                let mut http = world.http();
                for _ in 0..requests / 2 {
                    ask(&mut random, world, public, &mut http);
                }
            });
        }
    });
    let mut http = world.http();
    settle(&mut http);
    let mut superuser = world.db.superuser();
    let tenants = "SELECT tenant_id, count(*) FROM eventlog.events GROUP BY 1";
    let tenants = rows(&mut superuser, tenants);
    assert_eq!((tenants.len(), &tenants[0][0][..]), (1, TENANT_A), "{tenants:?}");
    let written: usize = tenants[0][1].parse().unwrap();
    assert!(written > requests / 40, "{written}: most were refused for another reason");
    let claimed =
        format!("SELECT count(*) FROM eventlog.rejected_events WHERE tenant_id = '{TENANT_B}'");
    assert_eq!(rows(&mut superuser, &claimed), [["0"]]);
    let tokens = "SELECT count(*) FROM eventlog.events WHERE data::text ~ 'el_w_'";
    assert_eq!(rows(&mut superuser, tokens), [["0"]], "no key is in a payload");
}
