//! Events are fetched over HTTP with a consumer.

use std::time::Duration;

use eventlog_tests::{TENANT_A, TENANT_B};
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::keys_of_tenants::make;
use crate::server::World;

fn pull(http: &mut Http, key: &str, query: &str) -> Answer {
    http.ask("GET", &format!("/api/events/after?{query}"), &[("X-Api-Key", key)], b"")
}

fn log(http: &mut Http, key: &str, number: u32) {
    let body = json!({ "name": "tool_used", "data": { "toolName": "<b>", "n": number } });
    assert_eq!(http.track_and_wait(key, &body.to_string()).status, 200);
}

/// Pulls until this number of events can be read, and returns the answer.
fn pull_all(http: &mut Http, key: &str, query: &str, number: usize) -> Value {
    for _ in 0..600 {
        let found = pull(http, key, query).json();
        if found["events"].as_array().is_some_and(|events| events.len() == number) {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("there are not {number} events");
}

fn numbers(answer: &Value) -> Vec<u64> {
    let events = answer["events"].as_array().expect("events");
    events.iter().map(|event| event["data"]["n"].as_u64().expect("a number")).collect()
}

#[test]
fn a_consumer_gets_its_tenants_events_in_order_until_it_acknowledges_them() {
    let world = World::new(&[]);
    let mut http = world.http();
    let reader = world.key(&["--kind", "read"]);
    for number in 0..3 {
        log(&mut http, &world.key_a, number);
        log(&mut http, &world.key_b, 100 + number);
    }
    let first = pull_all(&mut http, &reader, "consumer=billing", 3);
    assert_eq!(numbers(&first), [0, 1, 2]);
    assert_eq!(first["tenant_id"], TENANT_A);
    assert_eq!(first["events"][0]["tenant_id"], TENANT_A);
    let ids: Vec<&str> = (0..3).filter_map(|n| first["events"][n]["id"].as_str()).collect();
    assert_eq!((ids.len(), first["last_id"].as_str()), (3, ids.last().copied()));
    let text = pull(&mut http, &reader, "consumer=billing").text();
    assert!(!text.contains('<'), "{text}");

    let second =
        pull(&mut http, &reader, &format!("consumer=billing&limit=1&acknowledged_id={}", ids[0]));
    assert_eq!((second.status, numbers(&second.json())), (200, vec![1]));
    assert_eq!(numbers(&pull(&mut http, &reader, "consumer=billing").json()), [1, 2]);
    // Another consumer is where it was.
    assert_eq!(numbers(&pull(&mut http, &reader, "consumer=other").json()), [0, 1, 2]);
    let last =
        pull(&mut http, &reader, &format!("consumer=billing&acknowledged_id={}", ids[2])).json();
    assert_eq!((&last["events"], &last["last_id"]), (&json!([]), &Value::Null));
}

#[test]
fn a_key_of_all_tenants_chooses_whose_events_it_fetches() {
    let world = World::new(&[]);
    let mut http = world.http();
    let all = make(&world, &["--all-tenants"]);
    log(&mut http, &world.key_a, 1);
    log(&mut http, &world.key_b, 2);
    assert_eq!(numbers(&pull_all(&mut http, &all, "consumer=c&tenant=all", 2)), [1, 2]);
    let own = pull_all(&mut http, &all, &format!("consumer=c&tenant={TENANT_B}"), 1);
    assert_eq!((numbers(&own), own["tenant_id"].as_str()), (vec![2], Some(TENANT_B)));
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let world = World::new(&[]);
    let mut http = world.http();
    let reader = world.key(&["--kind", "read"]);
    let long = "x".repeat(101);
    for (query, status, said) in [
        ("", 400, "consumer is missing"),
        ("consumer=a&after=1", 400, "acknowledged_id"),
        ("consumer=a&limit=5000", 400, "1 to 1000"),
        ("consumer=a&acknowledged_id=x", 400, "the id of an event"),
        (&format!("consumer={long}"), 400, "got 101"),
        ("consumer=never_read&acknowledged_id=0", 404, "create_consumer"),
        (&format!("consumer=a&tenant={TENANT_B}"), 403, "does not read this tenant"),
    ] {
        let answer = pull(&mut http, &reader, query);
        assert_eq!(
            (answer.status, answer.message().contains(said)),
            (status, true),
            "{query}: {}",
            answer.text()
        );
    }
    assert_eq!(pull(&mut http, &world.key_a, "consumer=a").status, 403, "a key to write");
    assert_eq!(pull(&mut http, "el_nonsense", "consumer=a").status, 401);
}
