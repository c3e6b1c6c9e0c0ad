//! Segment's HTTP tracking API, as its clients speak it.

use eventlog_tests::rows;
use serde_json::{Value, json};

use crate::door::gzip;
use crate::http::{Answer, Http};
use crate::server::{World, settle};

/// The header of a key as Segment's clients send it.
pub(crate) fn basic(key: &str) -> String {
    format!("Basic {}", base64(format!("{key}:").as_bytes()))
}

/// Encodes bytes.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Posts as a library does, with a key.
pub(crate) fn post(http: &mut Http, path: &str, key: &str, body: &Value) -> Answer {
    let authorization = basic(key);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    http.ask("POST", path, &headers, body.to_string().as_bytes())
}

/// A world with the event types of these tests.
fn world() -> World {
    let world = World::new(&[]);
    world
        .db
        .superuser()
        .batch_execute(
            "SELECT eventlog.define_event('order_completed', required_keys => '{total}',
                        aliases => '{Order Completed}', context_keys => '{page.url,locale}');
             SELECT eventlog.define_event('page');
             SELECT eventlog.define_event('screen', context_keys => '{app}')",
        )
        .unwrap();
    world
}

#[test]
fn a_batch_of_a_library_is_logged_and_answered_as_it_expects() {
    let world = world();
    let mut http = world.http();
    let body = json!({
        "batch": [
            { "type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1",
              "timestamp": "2026-01-31T12:00:00.123Z", "properties": { "total": 9.50, "items": [1, null] },
              "context": { "page": { "url": "https://x.example/", "title": "t" }, "locale": "de", "ip": "1.2.3.4" },
              "integrations": {}, "writeKey": "other", "_metadata": { "a": 1 } },
            { "type": "page", "anonymousId": "a1", "name": "Home", "messageId": "m2",
              "properties": { "path": "/" } },
            { "type": "screen", "userId": 17, "name": "Main", "messageId": "m3",
              "context": { "app": { "version": "1" } } },
            { "type": "identify", "userId": "u1", "traits": { "email": "x" }, "messageId": "m4" },
            { "type": "group", "userId": "u1", "groupId": "g", "messageId": "m5" },
            { "type": "alias", "userId": "u1", "previousId": "a1", "messageId": "m6" },
            { "type": "track", "event": "Nonesuch", "userId": "u2", "messageId": "m7", "properties": {} },
            { "type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1",
              "properties": { "total": 9.50 } },
        ],
        "sentAt": "2026-01-31T12:00:00.500Z", "context": { "library": { "name": "x" } }, "unknown": 1,
    });
    let mut body = body;
    // The client's clock is right.
    body.as_object_mut().unwrap().remove("sentAt");
    let answer = post(&mut http, "/v1/batch", &world.key_a, &body);
    let refused = json!([{ "position": 6, "code": "rejected", "message": "unknown event name \"Nonesuch\"" }]);
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "success": true, "refused": refused }))
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        world.events("name, actor, data"),
        [
            [
                "order_completed",
                "u1",
                r#"{"items": [1, null], "total": 9.5, "context": {"page": {"url": "https://x.example/"}, "locale": "de"}}"#
            ],
            ["page", "a1", r#"{"name": "Home", "path": "/"}"#],
            ["screen", "17", r#"{"name": "Main", "context": {"app": {"version": "1"}}}"#],
        ]
    );
    let mut superuser = world.db.superuser();
    let times = "SELECT occurred_at::text FROM eventlog.events WHERE name = 'order_completed'";
    assert_eq!(rows(&mut superuser, times), [["2026-01-31 12:00:00.123+00"]]);
    let rejected = "SELECT name, sqlstate, protocol FROM eventlog.rejected_events";
    assert_eq!(rows(&mut superuser, rejected), [["Nonesuch", "42704", "segment"]]);
    let metrics = http.get("/metrics").text();
    for count in ["event\",protocol=\"segment\"} 5", "identify\",protocol=\"segment\"} 1"] {
        assert!(metrics.contains(count), "{count}: {metrics}");
    }
}

#[test]
fn a_single_message_has_its_kind_from_its_route() {
    let world = world();
    let mut http = world.http();
    let order = json!({ "event": "Order Completed", "userId": "u", "properties": { "total": 1 } });
    for (path, body) in [
        ("/v1/track", &order),
        ("/v1/t", &order),
        ("/t", &order),
        ("/v1/page", &json!({ "userId": "u" })),
        ("/p", &json!({ "anonymousId": "u" })),
        ("/v1/screen", &json!({ "userId": "u", "name": "n" })),
        ("/v1/identify", &json!({ "userId": "u" })),
        ("/v1/i", &json!({ "userId": "u" })),
        ("/g", &json!({ "userId": "u" })),
        ("/v1/alias", &json!({ "userId": "u" })),
        ("/v1/import", &json!({ "batch": [] })),
        ("/b", &json!({ "batch": [] })),
    ] {
        let answer = post(&mut http, path, &world.key_a, body);
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"success":true}"#), "{path}");
    }
    let names: Vec<String> = world.events("name").into_iter().flatten().collect();
    let order = "order_completed";
    assert_eq!(names, [order, order, order, "page", "page", "screen"]);
}

#[test]
fn what_is_wrong_is_said_with_code_and_message() {
    let world = world();
    let mut http = world.http();
    let key = &world.key_a;
    for (path, key, body, status, code, says) in [
        ("/v1/batch", key.as_str(), json!({ "batch": 1 }), 400, "bad_request", "array batch"),
        ("/v1/batch", key, json!([]), 400, "bad_request", "array batch"),
        ("/v1/batch", key, json!({ "batch": [7] }), 400, "bad_request", "must be an object"),
        ("/v1/batch", key, json!({ "batch": [{}] }), 400, "bad_request", "type must be track"),
        ("/v1/track", key, json!({ "event": [] }), 400, "bad_request", "event must be"),
        (
            "/v1/track",
            key,
            json!({ "event": "e", "timestamp": "SECRET" }),
            400,
            "bad_request",
            "timestamp must be a time",
        ),
        ("/v1/track", "SECRET", json!({ "event": "e" }), 401, "unauthorized", "valid key"),
        (
            "/v1/batch",
            key,
            json!({ "batch": vec![json!({}); 1001] }),
            413,
            "too_large",
            "limit 1000",
        ),
    ] {
        let answer = post(&mut http, path, key, &body);
        let said = answer.json();
        assert_eq!((answer.status, &said["code"]), (status, &json!(code)), "{body}: {said}");
        let message = said["message"].as_str().expect("a text");
        assert!(message.contains(says) && !message.contains("SECRET"), "{body}: {message}");
        assert_eq!(said["success"], false);
    }
    let answer = http.ask("POST", "/v1/batch", &[("X-Api-Key", key)], b"{\"batch\":[");
    assert!(
        answer.status == 400 && answer.json()["message"].as_str().unwrap().contains("not JSON")
    );
    // Of a batch with one that is wrong, the others are taken.
    let body = json!({ "batch": [
        { "type": "tracks" },
        { "type": "page", "userId": "u" },
        { "type": "track", "userId": "u" },
        { "type": "track", "userId": "u", "event": "page", "properties": "SECRET" },
    ] });
    let answer = post(&mut http, "/v1/batch", key, &body);
    let said = answer.json();
    assert_eq!(
        (answer.status, &said["success"], &said["refused"][0]["position"]),
        (200, &json!(true), &json!(0))
    );
    assert_eq!(world.events("name"), [["page"]]);
    settle(&mut http);
    let rejected = "SELECT name, sqlstate FROM eventlog.rejected_events ORDER BY name";
    let found = rows(&mut world.db.superuser(), rejected);
    assert_eq!(found, [["", "42704"], ["page", "22023"]]);
}

#[test]
fn a_limit_says_when_to_come_again_and_a_packed_body_is_unpacked() {
    let world = world();
    let limited = world.key(&["--rate-limit", "3"]);
    let mut http = world.http();
    let page = |n: usize| json!({ "type": "page", "userId": "u", "messageId": n.to_string() });
    let batch = |from: usize| json!({ "batch": [page(from), page(from + 1)] });
    assert_eq!(post(&mut http, "/v1/batch", &limited, &batch(0)).status, 200);
    let answer = post(&mut http, "/v1/batch", &limited, &batch(2));
    assert_eq!((answer.status, &answer.json()["code"]), (429, &json!("too_many_requests")));
    let wait: u64 = answer.header("retry-after").expect("it says").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let key = basic(&world.key_a);
    let packed = [("Authorization", key.as_str()), ("Content-Encoding", "gzip")];
    let body = gzip(batch(4).to_string().as_bytes());
    assert_eq!(http.ask("POST", "/v1/batch", &packed, &body).text(), r#"{"success":true}"#);
    assert_eq!(http.ask("POST", "/v1/batch", &packed, b"{}").status, 400);
    let bomb = gzip(&vec![b' '; 10 << 20]);
    let answer = http.ask("POST", "/v1/batch", &packed, &bomb);
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("too_large")));
    assert_eq!(world.events("id").len(), 4);
}
