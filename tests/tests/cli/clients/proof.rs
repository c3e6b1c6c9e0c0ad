//! What holds for every client of others.

use eventlog_tests::rows;
use serde_json::{Value, json};

use super::stage::{Client, Stage};
use crate::server::answers;

/// A key as one looks that was never made.
const WRONG_KEY: &str =
    "el_w_0123456789abcdef_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Proves all of it, at the same time.
pub(super) fn prove(client: &Client) {
    let stage = &Stage::new(client);
    std::thread::scope(|scope| {
        scope.spawn(|| stage.log_many_and_lose_the_gateway());
        scope.spawn(|| meet_a_wrong_key(stage));
        scope.spawn(|| meet_a_limit(stage));
        scope.spawn(|| have_events_refused(stage));
    });
}

/// The client tells its application that the key is wrong, and nothing is logged.
fn meet_a_wrong_key(stage: &Stage<'_>) {
    let running = stage.run(stage.gateway.address, WRONG_KEY, &stage.events("wrong key", 3));
    stage.wait_until("an answer to a wrong key", || stage.has_answered(401));
    let said = running.end();
    let is_told = |error: &String| error.contains("401") || error.contains("Unauthorized");
    assert!(said.answers.contains(&401) || said.errors.iter().any(is_told), "{said:?}");
    assert!(stage.found("wrong key").is_empty());
}

/// A client that sends too much is told to come again, and does.
fn meet_a_limit(stage: &Stage<'_>) {
    const FEW: usize = 20;
    let key = stage.key(&["--rate-limit", "600"]);
    let mut http = stage.gateway.http();
    let mut use_up = |count: usize| {
        let one = json!({ "name": "order_completed", "data": { "orderId": "x", "task": "rest", "n": 0 } });
        http.track(&key, &Value::from(vec![one; count]).to_string()).status
    };
    assert_eq!(use_up(595), 202);
    let running = stage.run(stage.gateway.address, &key, &stage.events("limit", FEW));
    // Somebody else uses up what becomes free, ten events a second, until the client has met the limit. A
    // pause would leave one for each request of a client that sends event by event.
    let has_met = || {
        answers(&mut stage.gateway.http())
            .iter()
            .any(|(labels, _)| labels.contains("status=\"429\"") && !labels.contains("/api/track"))
    };
    stage.insist_until("an answer to too many events", || {
        for _ in 0..20 {
            use_up(1);
        }
        has_met()
    });
    if stage.client.comes_again {
        stage.wait_for("limit", FEW);
    }
    let said = running.end();
    if !stage.client.comes_again {
        assert!(said.errors.iter().any(|error| error.contains("429")), "{said:?}");
        return;
    }
    assert_eq!(stage.found("limit").len(), FEW, "some are doubled; the client said {said:?}");
}

/// Events that the log refuses are in the quarantine with the reason and the protocol, and take no
/// others with them.
fn have_events_refused(stage: &Stage<'_>) {
    let client = stage.client;
    let mut events = stage.events("refusal", 10);
    events[6]["properties"].as_object_mut().expect("an object").remove("orderId");
    let mut expected = vec![["order_completed", client.protocol, "23514", "orderId"]];
    // A key for pages has no other name.
    if !client.is_browser() {
        events[3]["name"] = json!("Nobody Declared This");
        expected.push(["Nobody Declared This", client.protocol, "42704", "Nobody Declared This"]);
    }
    let running = stage.run(stage.gateway.address, &stage.key(&[]), &events);
    let sql =
        "SELECT name, protocol, sqlstate, reason FROM eventlog.rejected_events ORDER BY name DESC";
    let mut superuser = stage.db.superuser();
    stage.wait_until("a refusal", || rows(&mut superuser, sql).len() >= expected.len());
    stage.wait_for("refusal", 10 - expected.len());
    let said = running.end();
    let found = rows(&mut superuser, sql);
    assert_eq!(found.len(), expected.len(), "{found:?}; the client said {said:?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found[..3], expected[..3]);
        assert!(found[3].contains(expected[3]), "{found:?}");
    }
    assert_eq!(stage.found("refusal").len(), 10 - expected.len());
    if client.reports_refusals {
        assert!(!said.errors.is_empty(), "the client does not know what was refused");
    }
}
