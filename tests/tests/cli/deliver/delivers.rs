//! What a receiver gets, and what is noted.

use eventlog_tests::receiver::Receiver;
use eventlog_tests::{TENANT_A, TENANT_B, rows, text, wait_for};

use super::{Deliverer, came, create, log, ping};

#[test]
fn a_webhook_gets_each_event_of_its_tenant_signed_and_in_order() {
    let (db, mut owner) = log();
    let receiver = Receiver::accepting();
    let (webhook, secret) = create(&mut owner, &receiver.url("a"), "");
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'ping', '{{\"n\": 1.50}}', actor => 'ann', occurred_at => '2026-01-02 03:04:05.678+00');
             SELECT eventlog.log_event('{TENANT_B}', 'ping', '{{\"n\": 2}}')"
        ))
        .expect("events");
    let deliverer = Deliverer::of(&db, &[]);
    let first = receiver.wait_for(1).remove(0);
    let ids = ping(&mut owner, 50);
    receiver.wait_for(51);
    let id = first.event_id();
    assert_eq!(came(&receiver), [vec![id], ids.clone()].concat());
    let body = first.json();
    assert_eq!(body["type"], "ping");
    assert_eq!(body["timestamp"], "2026-01-02T03:04:05.678000Z");
    assert_eq!(body["data"]["tenant_id"], TENANT_A);
    assert_eq!(body["data"]["id"], id);
    assert_eq!(body["data"]["actor"], "ann");
    assert!(first.body.contains(r#""data":{"n": 1.50}"#), "{}", first.body);
    assert!(first.header("webhook-signature").starts_with("v1,"), "{first:?}");
    let last = ids.last().expect("an id");
    let sql = "SELECT delivered_id, failures, state FROM eventlog.stat_webhooks";
    wait_for(&mut owner, &format!("SELECT delivered_id >= {last} FROM eventlog.webhooks"), "t");
    assert_eq!(rows(&mut owner, sql), [[&last.to_string(), "0", "served"]]);
    let log = "SELECT sum(deliveries), count(*) < 20, min(status), max(status), count(error) FROM eventlog.webhook_deliveries";
    assert_eq!(rows(&mut owner, log), [["51", "t", "204", "204", "0"]]);
    let (code, said) = deliverer.stop();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.deliverers"), "0");
    assert_eq!(
        text(
            &mut owner,
            &format!(
                "SELECT leased_by IS NULL FROM eventlog.webhooks WHERE webhook_id = '{webhook}'"
            )
        ),
        "t"
    );
}
