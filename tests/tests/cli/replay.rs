//! The quarantine over HTTP: what was rejected, and logging it again; and the doctor's findings.

use eventlog_tests::{TENANT_A, TENANT_B, assert_refused, db, rows, text};
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::server::{GATEWAY, World, eventlog, make_key, printed};
use crate::sessions::sign_in;

fn get(http: &mut Http, key: &str, path: &str) -> Answer {
    http.ask("GET", path, &[("X-Api-Key", key)], b"")
}

fn replay(http: &mut Http, key: &str, query: &str, body: &Value) -> Answer {
    let headers = [("X-Api-Key", key), ("Content-Type", "application/json")];
    http.ask("POST", &format!("/api/replay{query}"), &headers, body.to_string().as_bytes())
}

#[test]
fn a_key_that_may_logs_its_tenants_rejected_events_again_and_no_others() {
    let world = World::new(&["--key-cache", "50ms"]);
    let reader = world.key(&["--kind", "read"]);
    let replayer = world.key(&["--kind", "read", "--can-replay"]);
    let mut http = world.http();
    for (key, note) in [(&world.key_a, "ours"), (&world.key_b, "theirs")] {
        for name in ["new_one", "new_two"] {
            let body =
                json!({ "name": name, "data": { "note": note, "at": "<b>" }, "actor": note });
            assert_eq!(http.track_and_wait(key, &body.to_string()).json()["rejected"], 1);
        }
    }
    let answer = get(&mut http, &reader, "/api/analytics/get_rejected");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("<b>") && !answer.text().contains("theirs"));
    let found = answer.json()["rows"].clone();
    assert_eq!(found.as_array().unwrap().len(), 2, "{found}");
    assert_eq!((&found[0]["name"], &found[1]["name"]), (&json!("new_two"), &json!("new_one")));
    assert_eq!(found[0]["can_replay"], true);
    assert!(found[0]["data"].as_str().unwrap().contains("\"ours\""), "{found}");
    assert!(found[0]["id"].is_string());
    let before = format!(
        "/api/analytics/get_rejected?before_id={}&limit=5",
        found[0]["id"].as_str().unwrap()
    );
    assert_eq!(get(&mut http, &reader, &before).json()["rows"], json!([found[1]]));
    let none = get(&mut http, &reader, "/api/analytics/get_rejected?name=new_three").json();
    assert_eq!((&none["rows"], none.get("notices")), (&json!([]), None));

    // Who may not.
    assert_eq!(replay(&mut http, &reader, "", &json!({})).status, 403);
    assert_eq!(replay(&mut http, &world.key_a, "", &json!({})).status, 403);
    let cookie = sign_in(&mut http, &replayer);
    let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(http.ask("POST", "/api/replay", &headers, b"{}").status, 401);
    let me = http.ask("GET", "/api/session", &headers, b"").json();
    assert_eq!(me["can_replay"], true);
    for (query, body, status) in [
        ("", json!([]), 400),
        ("", json!({ "names": "new_one" }), 400),
        ("", json!({ "names": [] }), 400),
        ("", json!({ "nmaes": ["new_one"] }), 400),
        ("?tenant=all", json!({}), 403),
        (&*format!("?tenant={TENANT_B}"), json!({}), 403),
        ("", json!({ "tenant_id": TENANT_B }), 403),
    ] {
        let answer = replay(&mut http, &replayer, query, &body);
        assert_eq!(answer.status, status, "{query} {body}: {}", answer.text());
    }
    // The rule is not corrected yet.
    let answer = replay(&mut http, &replayer, "", &json!({ "names": ["new_one"] }));
    assert_eq!(answer.json(), json!({ "replayed": 0, "still_rejected": 1 }), "{}", answer.text());
    world
        .db
        .superuser()
        .batch_execute("SELECT eventlog.define_event('new_one'), eventlog.define_event('new_two')")
        .unwrap();
    let answer = replay(&mut http, &replayer, "", &json!({ "names": ["new_one"] }));
    assert_eq!(answer.json(), json!({ "replayed": 1, "still_rejected": 0 }), "{}", answer.text());
    assert_eq!(world.events("tenant_id, name, actor"), [[TENANT_A, "new_one", "ours"]]);
    let answer = replay(&mut http, &replayer, "", &json!({}));
    assert_eq!(answer.json(), json!({ "replayed": 1, "still_rejected": 0 }));
    let left = "SELECT DISTINCT claimed_tenant_id FROM eventlog.rejected_events";
    assert_eq!(rows(&mut world.db.superuser(), left), [[TENANT_B]]);

    // A key of all tenants replays for one that it names, or for all.
    let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
    let all = ["key", "create", "--kind", "read", "--all-tenants", "--can-replay"];
    let all = printed(command.args(all)).trim().to_owned();
    let answer = replay(&mut http, &all, &format!("?tenant={TENANT_A}"), &json!({}));
    assert_eq!(answer.json()["replayed"], 0, "{}", answer.text());
    let answer = replay(&mut http, &all, "?tenant=all", &json!({ "names": ["new_one"] }));
    assert_eq!(answer.json()["replayed"], 1, "{}", answer.text());
    let answer = replay(&mut http, &all, "", &json!({ "tenant_id": TENANT_B }));
    assert_eq!(answer.json()["replayed"], 1, "{}", answer.text());
    assert_eq!(
        text(&mut world.db.superuser(), "SELECT count(*) FROM eventlog.rejected_events"),
        "0"
    );
}

#[test]
fn the_door_behind_replay_asks_for_a_key_that_may() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read"]);
    let replayer = world.key(&["--kind", "read", "--can-replay"]);
    let of_b =
        make_key(db::shared(), &world.db.name, TENANT_B, &["--kind", "read", "--can-replay"]);
    let call = |key: &str, tenant: &str| {
        format!("SELECT * FROM eventlog._replay_with_key('{}', {tenant}, NULL, 10)", &key[5..21])
    };
    let a = format!("'{TENANT_A}'");
    let mut gateway = world.db.connect(GATEWAY);
    assert_eq!(rows(&mut gateway, &call(&replayer, &a)), [["0", "0"]]);
    for (key, tenant) in [
        (&reader, &*a),
        (&world.key_a, &a),
        (&of_b, &a),
        (&replayer, "NULL"),
        (&replayer, "eventlog.all_tenants()"),
    ] {
        assert_refused(&mut gateway, &call(key, tenant), "42501", "the key");
    }
    for role in ["service", "reader", "member", "writer", "outsider"] {
        assert_refused(&mut world.db.connect(role), &call(&replayer, &a), "42501", "");
    }
}

#[test]
fn the_doctors_findings_are_for_keys_of_all_tenants() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read"]);
    let mut http = world.http();
    assert_eq!(get(&mut http, &reader, "/api/doctor").status, 403);
    assert_eq!(get(&mut http, &world.key_a, "/api/doctor").status, 403);
    let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
    let all = ["key", "create", "--kind", "read", "--all-tenants"];
    let all = printed(command.args(all)).trim().to_owned();
    let answer = get(&mut http, &all, "/api/doctor");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let findings = answer.json()["findings"].as_array().unwrap().clone();
    assert!(findings.len() > 10, "{findings:?}");
    let of = |check: &str| findings.iter().find(|finding| finding["check"] == check);
    assert_eq!(of("extension").expect("it is first")["state"], "ok");
    assert!(findings.iter().all(|finding| finding["found"].is_string()));
    // By the cookie too: it is read only.
    let cookie = sign_in(&mut http, &all);
    let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(http.ask("GET", "/api/doctor", &headers, b"").status, 200);
    let me = http.ask("GET", "/api/session", &headers, b"").json();
    assert_eq!((&me["all_tenants"], &me["tenants"]), (&json!(true), &json!([])));
}
