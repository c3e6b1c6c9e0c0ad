//! CloudEvents, beacons, and what a key may do that anybody can read.

use eventlog_tests::rows;
use serde_json::json;

use crate::http::Answer;
use crate::protocols_segment::{basic, post};
use crate::server::World;

fn world() -> World {
    let world = World::new(&["--cors-origin", "https://app.example.com"]);
    world
        .db
        .superuser()
        .batch_execute(
            "SELECT eventlog.define_event('order_paid', required_keys => '{total}',
                        aliases => '{com.example.order.paid}', context_keys => '{source,traceparent}')",
        )
        .unwrap();
    world
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.message())
}

#[test]
fn cloudevents_come_binary_structured_and_in_batches() {
    let world = world();
    let mut http = world.http();
    let key = ("X-Api-Key", world.key_a.as_str());
    let binary = [
        key,
        ("Content-Type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.order.paid"),
        ("ce-source", "/shop"),
        ("ce-id", "1"),
        ("ce-time", "2026-01-31T12:00:00Z"),
        ("ce-subject", "order%20%E2%82%AC"),
        ("ce-authid", "u1"),
        ("ce-traceparent", "00-1"),
    ];
    let answer = http.ask("POST", "/api/cloudevents", &binary, b"{\"total\":1.50}");
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 1 })));
    let event = |id: &str| {
        json!({ "specversion": "1.0", "type": "order_paid", "source": "/shop", "id": id, "dataschema": "x",
                "datacontenttype": "application/json", "data": { "total": 2 }, "unknown": 1 })
    };
    let structured = [key, ("Content-Type", "application/cloudevents+json; charset=utf-8")];
    let batch = [key, ("Content-Type", "application/cloudevents-batch+json")];
    let mut ask = |headers: &[(&str, &str)], path: &str, body: &serde_json::Value| {
        http.ask("POST", path, headers, body.to_string().as_bytes())
    };
    let waits = "/api/cloudevents?wait=true";
    let twice = ask(&structured, waits, &event("1"));
    assert_eq!(twice.json()["verdicts"][0]["status"], "duplicate", "source and id are the key");
    let said = ask(&batch, waits, &json!([event("2"), event("2"), event("3")])).json();
    assert_eq!((&said["written"], &said["duplicate"]), (&json!(2), &json!(1)), "{said}");
    assert_eq!(ask(&batch, "/api/cloudevents", &json!([])).json(), json!({ "accepted": 0 }));
    let mut wrong = event("4");
    wrong["data"] = json!("SECRET");
    let (status, message) = refused(&ask(&structured, waits, &wrong));
    assert!(status == 400 && !message.contains("SECRET"), "{message}");
    assert_eq!(
        world.events("name, actor, subject, data"),
        [
            [
                "order_paid",
                "u1",
                "order €",
                r#"{"total": 1.50, "context": {"source": "/shop", "traceparent": "00-1"}}"#
            ],
            ["order_paid", "∅", "∅", r#"{"total": 2, "context": {"source": "/shop"}}"#],
            ["order_paid", "∅", "∅", r#"{"total": 2, "context": {"source": "/shop"}}"#],
        ]
    );
    for (change, says) in [
        (json!({ "specversion": "0.3" }), "specversion must be 1.0"),
        (json!({ "id": null }), "id is missing"),
        (json!({ "source": "" }), "source is missing"),
        (json!({ "type": [] }), "type must be"),
        (json!({ "time": "SECRET" }), "time must be"),
        (json!({ "data": null, "data_base64": "SECRET" }), "data_base64 is not taken"),
        (json!({ "datacontenttype": "text/xml" }), "data must be JSON"),
    ] {
        let mut event = event("5");
        event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = ask(&batch, "/api/cloudevents", &json!([event]));
        let (status, message) = refused(&answer);
        assert!(
            status == 400 && message.contains(says) && !message.contains("SECRET"),
            "{message}"
        );
        assert_eq!(answer.json()["error"]["position"], 0);
    }
    assert_eq!(ask(&batch, "/api/cloudevents", &json!({})).status, 400);
    assert_eq!(
        ask(&[key, ("Content-Type", "text/xml")], "/api/cloudevents", &json!({})).status,
        415
    );
}

#[test]
fn a_beacon_has_a_public_key_in_its_query_or_in_its_body() {
    let world = world();
    let public = world.key(&["--event", "tool_used"]);
    let mut http = world.http();
    let page =
        [("Origin", "https://app.example.com"), ("Content-Type", "text/plain;charset=UTF-8")];
    let event = json!({ "toolName": "t" });
    let mut ask = |path: &str, body: &str| http.ask("POST", path, &page, body.as_bytes());
    for (key, expected) in [(public.as_str(), 202), (world.key_a.as_str(), 403), ("SECRET", 401)] {
        let in_query = format!("/api/track?key={key}");
        let envelope = json!({ "key": key, "events": [event] }).to_string();
        for answer in [
            ask(&in_query, &json!([event]).to_string()),
            ask(&in_query, &event.to_string()),
            ask(&in_query, &json!({ "events": event }).to_string()),
            ask("/api/track", &envelope),
        ] {
            assert_eq!(answer.status, expected, "{}", answer.text());
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some("https://app.example.com")
            );
            assert!(!answer.text().contains("SECRET"));
        }
    }
    for body in ["", "{}", "[]", "{\"key\":1}", "nonsense"] {
        assert_eq!(ask("/api/track", body).status, 401, "{body}");
    }
    let other = format!("/api/track?key={public}");
    assert_eq!(ask(&other, r#"{"name":"skill_executed"}"#).status, 403);
    assert_eq!(ask(&other, "{").status, 400);
    assert_eq!(world.events("id").len(), 4);
}

#[test]
fn a_page_may_only_use_a_key_that_is_restricted_to_names() {
    let world = world();
    let public = world.key(&["--event", "order_paid"]);
    let mut http = world.http();
    let order = |name: &str| {
        json!({ "event": name, "userId": "u", "anonymousId": "a", "properties": { "total": 1 } })
            .to_string()
    };
    let mut from_page = |path: &str, key: &str, body: &str| {
        let authorization = basic(key);
        let headers = [
            ("Origin", "https://app.example.com"),
            ("Authorization", authorization.as_str()),
            ("Content-Type", "text/plain"),
        ];
        http.ask("POST", path, &headers, body.as_bytes())
    };
    // By its own name or an alias, and no other.
    assert_eq!(from_page("/t", &public, &order("com.example.order.paid")).status, 200);
    assert_eq!(from_page("/v1/t", &public, &order("order_paid")).status, 200);
    let other = from_page("/t", &public, &order("tool_used"));
    assert_eq!((other.status, &other.json()["code"]), (403, &json!("forbidden")));
    let whole = from_page("/t", &world.key_a, &order("order_paid"));
    assert!(
        whole.status == 403 && whole.text().contains("restricted to names"),
        "{}",
        whole.text()
    );
    let batch = format!(r#"{{"batch":[{0},{0}]}}"#, r#"{"type":"page"}"#);
    assert_eq!(from_page("/b", &public, &batch).status, 403, "none of it may be logged");
    // Without a header, as a page that is closing sends it; and as an old library of a server does.
    let mut in_body = |headers: &[(&str, &str)], key: &str| {
        let body = json!({ "writeKey": key, "batch": [
            { "type": "track", "event": "order_paid", "userId": "u", "properties": { "total": 1 } }] });
        http.ask("POST", "/v1/batch", headers, body.to_string().as_bytes()).status
    };
    let json_type = ("Content-Type", "application/json");
    assert_eq!(in_body(&[("Content-Type", "text/plain")], &public), 200);
    assert_eq!(in_body(&[("Content-Type", "text/plain")], &world.key_a), 403);
    assert_eq!(in_body(&[json_type], &world.key_a), 200);
    assert_eq!(in_body(&[json_type, ("Origin", "https://app.example.com")], &world.key_a), 403);
    assert_eq!(in_body(&[json_type], "SECRET"), 401);
    assert_eq!(world.events("name, actor"), [["order_paid", "u"]; 4]);
    // The settings of a page.
    let settings = http.get(&format!("/v1/projects/{public}/settings"));
    let own = &settings.json()["integrations"]["Segment.io"];
    assert_eq!((settings.status, &own["apiKey"]), (200, &json!(public)));
    assert_eq!(http.get(&format!("/v1/projects/{}/settings", world.key_a)).status, 403);
    assert_eq!(http.get("/v1/projects/nonsense/settings").status, 401);
    assert_eq!(http.get("/v1/projects/%22/settings").status, 401);
}

#[test]
fn an_id_that_a_client_makes_up_is_no_matter_for_a_key_that_decides_actors() {
    let world = world();
    let (one, none) = (world.key(&["--actor", "shop"]), world.key(&["--no-actor"]));
    let mut http = world.http();
    let anonymous =
        json!({ "event": "order_paid", "anonymousId": "a", "properties": { "total": 1 } });
    let named = json!({ "event": "order_paid", "userId": "u", "properties": { "total": 1 } });
    for key in [&one, &none] {
        assert_eq!(post(&mut http, "/v1/track", key, &anonymous).status, 200);
        assert_eq!(post(&mut http, "/v1/track", key, &named).status, 403);
    }
    assert_eq!(world.events("actor"), [["shop"], ["∅"]]);
}

#[test]
fn a_clock_that_is_off_is_corrected_by_when_the_request_was_sent() {
    let world = world();
    let mut http = world.http();
    // A year behind; the event is a minute older than the request.
    let now = "SELECT to_char(now() AT TIME ZONE 'UTC' - interval '365 days', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                      to_char(now() AT TIME ZONE 'UTC' - interval '365 days 1 minute', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let times = rows(&mut world.db.superuser(), now).remove(0);
    let message = json!({ "type": "track", "event": "order_paid", "userId": "u", "timestamp": times[1],
                          "properties": { "total": 1 } });
    let mut single = message.clone();
    single["sentAt"] = json!(times[0]);
    let batch = json!({ "batch": [message], "sentAt": times[0] });
    for (path, body) in [("/v1/batch", &batch), ("/v1/track", &single), ("/v1/import", &batch)] {
        assert_eq!(post(&mut http, path, &world.key_a, body).status, 200, "{path}");
    }
    let age = "round(extract(epoch FROM now() - occurred_at) / 600) < 1";
    assert_eq!(world.events(age), [["t"], ["t"], ["f"]], "what is imported is old");
}
