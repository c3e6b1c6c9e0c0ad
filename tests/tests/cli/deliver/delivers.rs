//! What a receiver gets, and what is noted.

use eventlog_tests::receiver::{Answer, Receiver};
use eventlog_tests::{TENANT_A, TENANT_B, db, rows, text, wait_for};
use postgres::Client;

use super::{Deliverer, came, create, log, ping};
use crate::doctor::{amiss, findings_in};
use crate::server::{eventlog, failed};

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

#[test]
fn webhooks_get_the_names_and_tenants_that_they_ask_for_from_where_they_ask() {
    let (db, mut owner) = log();
    let receiver = Receiver::accepting();
    let pings = ping(&mut owner, 3000);
    let pong = format!("SELECT eventlog.log_event('{TENANT_B}', 'pong')");
    let pong: i64 = text(&mut owner, &pong).parse().expect("an id");
    create(&mut owner, &receiver.url("own"), ", start => 'beginning'");
    create(&mut owner, &receiver.url("new"), "");
    create(&mut owner, &receiver.url("late"), &format!(", start => '{}'", pings[2989]));
    create(&mut owner, &receiver.url("none"), ", '{pong}', start => 'beginning'");
    let sql = "SELECT eventlog.create_webhook(eventlog.all_tenants(), 'URL', '{pong}', start => 'beginning')";
    owner.batch_execute(&sql.replace("URL", &receiver.url("all"))).expect("a webhook");
    let _deliverer = Deliverer::of(&db, &[]);
    receiver.wait_for(3000 + 10 + 1);
    let last = ping(&mut owner, 1);
    let requests = receiver.wait_for(3000 + 10 + 1 + 3);
    let of = |path: &str| -> Vec<i64> {
        requests.iter().filter(|r| r.path == path).map(|r| r.event_id()).collect()
    };
    assert_eq!(of("own"), [pings.clone(), last.clone()].concat());
    assert_eq!(of("late"), [&pings[2990..], &last].concat());
    assert_eq!((of("new"), of("none"), of("all")), (last.clone(), vec![], vec![pong]));
    // Also those that get nothing move on, so that nothing waits for them.
    let behind = format!("SELECT count(*) FROM eventlog.webhooks WHERE delivered_id < {}", last[0]);
    wait_for(&mut owner, &behind, "0");
}

#[test]
fn a_replay_sends_the_same_messages_again_and_goes_on() {
    let (db, mut owner) = log();
    let receiver = Receiver::accepting();
    let (webhook, _) = create(&mut owner, &receiver.url("a"), "");
    let _deliverer = Deliverer::of(&db, &[]);
    let ids = ping(&mut owner, 10);
    receiver.wait_for(10);
    let replay = format!("SELECT eventlog.replay_webhook('{webhook}', after_id => {})", ids[3]);
    wait_for(&mut owner, &format!("SELECT delivered_id >= {} FROM eventlog.webhooks", ids[9]), "t");
    assert_eq!(text(&mut owner, &replay), "6");
    receiver.wait_for(16);
    let more = ping(&mut owner, 2);
    let requests = receiver.wait_for(18);
    assert_eq!(came(&receiver), [&ids[..], &ids[4..], &more[..]].concat());
    assert_eq!(requests[4].header("webhook-id"), requests[10].header("webhook-id"));
    assert_eq!(requests[4].body, requests[10].body);
    let since =
        format!("SELECT eventlog.replay_webhook('{webhook}', since => now() - interval '1 hour')");
    wait_for(
        &mut owner,
        &format!("SELECT delivered_id >= {} FROM eventlog.webhooks", more[1]),
        "t",
    );
    assert_eq!(text(&mut owner, &since), "12");
    receiver.wait_for(30);
    assert_eq!(came(&receiver)[18..], [ids, more].concat());
}

#[test]
fn while_a_secret_rotates_both_sign() {
    let (db, mut owner) = log();
    let receiver = Receiver::accepting();
    let (webhook, _) = create(&mut owner, &receiver.url("a"), "");
    let _deliverer = Deliverer::of(&db, &[]);
    let signatures = |owner: &mut Client, count: usize| {
        ping(owner, 1);
        let requests = receiver.wait_for(count);
        requests[count - 1].header("webhook-signature").split(' ').count()
    };
    assert_eq!(signatures(&mut owner, 1), 1);
    text(&mut owner, &format!("SELECT eventlog.rotate_secret('{webhook}')"));
    wait_for(&mut owner, "SELECT lease FROM eventlog.webhooks", "2");
    assert_eq!(signatures(&mut owner, 2), 2);
    owner
        .batch_execute("UPDATE eventlog.webhook_secrets SET old_secrets_until = now()")
        .expect("time goes by");
    // The deliverer looks every second.
    let mut count = 3;
    while signatures(&mut owner, count) == 2 {
        count += 1;
    }
}

#[test]
fn alerts_are_delivered_to_webhooks_that_ask_for_them() {
    let (db, mut owner) = log();
    let receiver = Receiver::start(|request| match request.path.as_str() {
        "slow" if request.body.contains("\"one\"") => Answer::Status(500),
        _ => Answer::Status(200),
    });
    let change = |alert: &str, tenant: &str| {
        format!(
            "INSERT INTO eventlog.alert_changes (tenant_id, alert, is_raised, details) VALUES ('{tenant}', '{alert}', true, '{{\"value\": 3}}')"
        )
    };
    owner.batch_execute(&change("before", TENANT_A)).expect("an alert");
    create(&mut owner, &receiver.url("both"), ", with_alerts => true");
    create(&mut owner, &receiver.url("slow"), ", names => '{}', with_alerts => true");
    create(&mut owner, &receiver.url("events"), "");
    let _deliverer = Deliverer::of(&db, &[]);
    for (alert, tenant) in [("one", TENANT_A), ("theirs", TENANT_B), ("two", TENANT_A)] {
        owner.batch_execute(&change(alert, tenant)).expect("an alert");
    }
    ping(&mut owner, 1);
    let requests = receiver.wait_for(6);
    let mut got: Vec<String> = requests
        .iter()
        .map(|request| {
            let body = request.json();
            let alert = body["data"]["alert"].as_str().unwrap_or("-");
            format!("{} {} {alert}", request.path, body["type"].as_str().expect("a type"))
        })
        .collect();
    got.sort();
    assert_eq!(
        got,
        [
            "both eventlog.alert one",
            "both eventlog.alert two",
            "both ping -",
            "events ping -",
            "slow eventlog.alert one",
            "slow eventlog.alert two",
        ]
    );
    let body = requests.iter().find(|r| r.body.contains("\"two\"")).expect("it came").json();
    assert_eq!(
        (&body["data"]["is_raised"], &body["data"]["details"]["value"]),
        (&true.into(), &3.into())
    );
    assert!(requests.iter().any(|r| r.header("webhook-id").starts_with("alert_")));
    // What failed is sent again, and nothing comes twice otherwise.
    receiver.answer(|_| Answer::Status(204));
    wait_for(&mut owner, "SELECT count(*) FROM eventlog.webhook_retries", "1");
    owner
        .batch_execute("UPDATE eventlog.webhook_retries SET next_attempt_at = now()")
        .expect("time goes by");
    let again = receiver.wait_for(7);
    assert_eq!((&*again[6].path, &again[6].json()["data"]["alert"]), ("slow", &"one".into()));
    wait_for(&mut owner, "SELECT count(*) FROM eventlog.webhook_retries", "0");
}

#[test]
fn the_gateway_delivers_as_well() {
    let (db, mut owner) = log();
    let receiver = Receiver::accepting();
    create(&mut owner, &receiver.url("a"), "");
    crate::server::grant_gateway(db::shared(), &db.name);
    let options = ["--deliver", "--allow-network", "127.0.0.0/8"];
    let gateway = crate::server::Gateway::start(db::shared(), &db.name, &options);
    let ids = ping(&mut owner, 5);
    receiver.wait_for(5);
    assert_eq!(came(&receiver), ids);
    let (code, said) = gateway.stop();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.deliverers"), "0");
    let noted = format!("SELECT delivered_id = {} FROM eventlog.webhooks", ids[4]);
    assert_eq!(text(&mut owner, &noted), "t", "nothing is sent again");
}

#[test]
fn a_role_that_may_not_deliver_hears_of_it_at_once() {
    let (db, _) = log();
    let mut command = eventlog(db::shared(), &db.name, "writer");
    let said = failed(command.arg("deliver"), 1);
    assert!(said.contains("permission denied to manage webhooks"), "{said}");
}

#[test]
fn the_doctor_says_which_webhooks_are_not_served_or_not_accepted() {
    let (db, mut owner) = log();
    let receiver = Receiver::start(|_| Answer::Status(410));
    let found = || {
        let (findings, _) = findings_in(db::shared(), &db.name, "postgres");
        let amiss = amiss(&findings, "webhooks");
        amiss
            .iter()
            .map(|found| format!("{}: {}", found["state"], found["found"]))
            .collect::<Vec<String>>()
    };
    assert_eq!(found(), Vec::<String>::new());
    create(&mut owner, &receiver.url("a"), "");
    let findings = found();
    assert!(findings.len() == 1 && findings[0].contains("nothing sends them"), "{findings:?}");
    let _deliverer = Deliverer::of(&db, &[]);
    wait_for(&mut owner, "SELECT state FROM eventlog.stat_webhooks", "served");
    assert_eq!(found(), Vec::<String>::new());
    ping(&mut owner, 1);
    wait_for(&mut owner, "SELECT state FROM eventlog.stat_webhooks", "disabled");
    let findings = found();
    assert!(findings.len() == 1 && findings[0].contains("410 Gone"), "{findings:?}");
}
