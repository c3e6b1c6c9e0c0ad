//! PostHog's capture API, as its libraries and its browser client speak it.

use eventlog_tests::rows;
use serde_json::{Value, json};

use crate::door::gzip;
use crate::http::{Answer, Http};
use crate::protocols_segment::base64;
use crate::server::World;

/// Posts JSON without a header that has a key, as its libraries do.
fn post(http: &mut Http, path: &str, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json")];
    http.ask("POST", path, &headers, body.to_string().as_bytes())
}

fn world() -> World {
    let world = World::new(&["--cors-origin", "https://app.example.com"]);
    world
        .db
        .superuser()
        .batch_execute(
            "SELECT eventlog.define_event('signed_up', required_keys => '{plan}', aliases => '{User Signed Up}');
             SELECT eventlog.define_event('page_viewed', aliases => '{$pageview}',
                        context_keys => '{$current_url,$session_id}')",
        )
        .unwrap();
    world
}

#[test]
fn a_batch_of_a_library_is_logged_and_answered_as_it_expects() {
    let world = world();
    let mut http = world.http();
    let body = json!({ "api_key": world.key_a, "batch": [
        { "event": "User Signed Up", "distinct_id": "u1", "uuid": "u-1", "timestamp": "2026-01-31T12:00:00+00:00",
          "properties": { "plan": "pro", "$lib": "posthog-python", "$geoip_disable": true, "$set": { "a": 1 } } },
        { "event": "$pageview", "distinct_id": 17, "uuid": "u-2",
          "properties": { "$current_url": "https://x.example/", "$browser": "b", "title": "t", "token": "SECRET" } },
        { "event": "$identify", "distinct_id": "u1", "$set": { "email": "x" } },
        { "event": "$groupidentify", "distinct_id": "u1" },
        { "event": "$set", "distinct_id": "u1" },
        { "event": "$create_alias", "distinct_id": "u1" },
        { "event": "signed_up", "distinct_id": "u3", "properties": {} },
        { "event": "User Signed Up", "distinct_id": "u1", "uuid": "u-1", "properties": { "plan": "pro" } },
    ] });
    for path in ["/batch/", "/batch"] {
        let answer = post(&mut http, path, &body);
        let said = answer.json();
        assert_eq!((answer.status, &said["status"]), (200, &json!("Ok")), "{path}");
        assert_eq!(said["refused"].as_array().unwrap().len(), 1, "{said}");
        assert_eq!(said["refused"][0]["position"], 6, "{said}");
    }
    let expected = [
        ["signed_up", "u1", r#"{"plan": "pro"}"#],
        [
            "page_viewed",
            "17",
            r#"{"title": "t", "context": {"$current_url": "https://x.example/"}}"#,
        ],
    ];
    assert_eq!(world.events("name, actor, data"), expected);
    let mut superuser = world.db.superuser();
    let times = "SELECT occurred_at::text FROM eventlog.events WHERE name = 'signed_up'";
    assert_eq!(rows(&mut superuser, times), [["2026-01-31 12:00:00+00"]]);
    let metrics = http.get("/metrics").text();
    for kind in ["alias", "group", "identify", "set"] {
        assert!(metrics.contains(&format!("\"{kind}\",protocol=\"posthog\"}} 2")), "{metrics}");
    }
}

#[test]
fn the_newer_api_has_a_verdict_for_each_event() {
    let world = world();
    let mut http = world.http();
    let bearer = format!("Bearer {}", world.key_a);
    let headers = [("Authorization", bearer.as_str()), ("PostHog-Attempt", "1")];
    let event = |uuid: &str, event: &str, properties: Value| {
        json!({ "event": event, "uuid": uuid, "distinct_id": "d", "timestamp": "2026-01-31T12:00:00Z",
                "options": {}, "properties": properties, "session_id": "s" })
    };
    let body = json!({ "created_at": "2026-01-31T12:00:00Z", "batch": [
        event("1", "signed_up", json!({ "plan": "pro" })),
        event("2", "signed_up", json!({})),
        event("3", "$identify", json!({})),
        event("4", "$pageview", json!({ "$current_url": "u" })),
        json!({ "event": "signed_up", "uuid": "5", "distinct_id": "d", "timestamp": "SECRET" }),
        event("6", "nonesuch", json!({})),
    ] });
    let answer = http.ask("POST", "/i/v1/analytics/events", &headers, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let results = &answer.json()["results"];
    let verdicts: Vec<&str> =
        (1..=6).map(|n| results[n.to_string()]["result"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["ok", "drop", "warning", "ok", "drop", "drop"], "{results}");
    let details = |n: &str| results[n]["details"].as_str().unwrap_or_default().to_owned();
    assert!(details("2").contains("plan") && details("3").contains("left out"), "{results}");
    assert!(details("5").contains("timestamp must be a time") && details("6").contains("nonesuch"));
    assert!(!answer.text().contains("SECRET"));
    let context = "data -> 'context' ->> '$session_id'";
    assert_eq!(world.events(context), [["∅"], ["s"]]);
}

#[test]
fn a_browser_sends_packed_plain_text_or_a_form_and_only_a_public_key() {
    let world = world();
    let public = world.key(&["--event", "page_viewed", "--event", "signed_up"]);
    let mut http = world.http();
    let event = |n: usize, key: &str| {
        json!({ "event": "$pageview", "uuid": n.to_string(), "offset": 1000,
                "properties": { "distinct_id": format!("d{n}"), "token": key } })
    };
    let page = ("Origin", "https://app.example.com");
    let plain = ("Content-Type", "text/plain");
    let packed = |value: &Value| gzip(value.to_string().as_bytes());
    let form = |bytes: &[u8]| {
        format!(
            "data={}",
            base64(bytes).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
        )
    };
    let form_type = ("Content-Type", "application/x-www-form-urlencoded");
    let mut ask = |path: &str, kind, body: &[u8]| http.ask("POST", path, &[page, kind], body);
    let batch = json!({ "api_key": public, "batch": [event(1, &public)], "sent_at": "2026-01-31T12:00:00Z" });
    for answer in [
        ask(
            "/e/?compression=gzip-js&ver=1&_=1769860800000",
            plain,
            &packed(&json!([event(0, &public)])),
        ),
        ask("/e/", plain, &packed(&batch)),
        ask("/i/v0/e/", plain, event(2, &public).to_string().as_bytes()),
        ask(
            "/e/?compression=base64",
            form_type,
            form(event(3, &public).to_string().as_bytes()).as_bytes(),
        ),
        ask("/capture/", form_type, form(&packed(&event(4, &public))).as_bytes()),
    ] {
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"status":"Ok"}"#));
        let origin = answer.header("access-control-allow-origin");
        assert_eq!(
            origin,
            Some("https://app.example.com"),
            "a page may read it without asking first"
        );
    }
    let whole = ask("/e/", plain, event(9, &world.key_a).to_string().as_bytes());
    assert_eq!(whole.status, 403, "{}", whole.text());
    assert!(whole.json()["detail"].as_str().unwrap().contains("restricted to names"));
    for (kind, body) in
        [(plain, "{}"), (plain, "{\"api_key\":7}"), (plain, "[]"), (form_type, "data=e30=")]
    {
        assert_eq!(ask("/e/", kind, body.as_bytes()).status, 401, "{body}");
    }
    for (kind, body) in [(form_type, "data=%"), (form_type, ""), (plain, "\u{1f}\u{8b}")] {
        assert!(matches!(ask("/e/", kind, body.as_bytes()).status, 400 | 401), "{body}");
    }
    assert_eq!(ask("/e/", ("Content-Type", "image/png"), b"x").status, 415);
    let actors: Vec<String> = world.events("actor").into_iter().flatten().collect();
    assert_eq!(actors, ["d0", "d1", "d2", "d3", "d4"]);
}

#[test]
fn everything_that_is_not_events_is_turned_off() {
    let world = world();
    let mut http = world.http();
    let flags = http.ask("POST", "/flags/?v=2", &[("Content-Type", "text/plain")], b"{}");
    assert_eq!((flags.status, &flags.json()["featureFlags"]), (200, &json!({})));
    assert_eq!(http.get("/decide").json()["sessionRecording"], false);
    let config = http.get(&format!("/array/{}/config", world.key_a)).json();
    assert_eq!((&config["hasFeatureFlags"], &config["surveys"]), (&json!(false), &json!(false)));
    let script = http.get(&format!("/array/{}/config.js", world.key_a));
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert!(script.text().contains("_POSTHOG_REMOTE_CONFIG"), "{}", script.text());
    assert_eq!(http.get("/array/%22%3balert(1)/config.js").status, 404);
}
