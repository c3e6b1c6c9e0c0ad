//! Receivers that fail: what they get again and when, and that nobody else waits for them.

use std::collections::HashSet;
use std::net::TcpListener;

use eventlog_tests::receiver::{Answer, Receiver, Request};
use eventlog_tests::{TENANT_A, rows, text, wait_for};

use super::{Deliverer, came, create, log, ping};

/// Lets the time until the next attempts go by.
const TIME_GOES_BY: &str =
    "UPDATE eventlog.webhook_retries SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL;
     UPDATE eventlog.webhooks SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL";

#[test]
fn an_event_that_is_refused_comes_again_and_the_next_ones_do_not_wait() {
    let (db, mut owner) = log();
    let receiver = Receiver::start(|request| match request.body.contains("actor\":\"bad") {
        true => Answer::Status(503),
        false => Answer::Status(204),
    });
    create(&mut owner, &receiver.url("a"), "");
    let _deliverer = Deliverer::of(&db, &[]);
    let first = ping(&mut owner, 2);
    let bad = format!("SELECT eventlog.log_event('{TENANT_A}', 'ping', actor => 'bad')");
    let bad: i64 = text(&mut owner, &bad).parse().expect("an id");
    let last = ping(&mut owner, 2);
    receiver.wait_for(5);
    let order = [&first[..], &[bad], &last].concat();
    assert_eq!(came(&receiver), order);
    let retries = "SELECT attempts, next_attempt_at > now() FROM eventlog.webhook_retries";
    wait_for(&mut owner, "SELECT count(*) FROM eventlog.webhook_retries", "1");
    assert_eq!(rows(&mut owner, retries), [["1", "t"]]);
    for attempts in 2..10 {
        owner.batch_execute(TIME_GOES_BY).expect("time goes by");
        receiver.wait_for(4 + attempts);
        wait_for(
            &mut owner,
            "SELECT attempts FROM eventlog.webhook_retries",
            &attempts.to_string(),
        );
    }
    owner.batch_execute(TIME_GOES_BY).expect("time goes by");
    // The tenth was the last.
    wait_for(&mut owner, "SELECT given_up FROM eventlog.stat_webhooks", "1");
    assert_eq!(came(&receiver)[5..], [bad; 9]);
    receiver.answer(|_| Answer::Status(204));
    let webhook = text(&mut owner, "SELECT webhook_id FROM eventlog.webhooks");
    let replay = format!("SELECT eventlog.replay_webhook('{webhook}', failed => true)");
    assert_eq!(text(&mut owner, &replay), "1");
    wait_for(&mut owner, "SELECT count(*) FROM eventlog.webhook_retries", "0");
    assert_eq!(came(&receiver).len(), 15);
}

#[test]
fn receivers_of_every_kind_fail_for_a_day_and_get_all_that_they_missed_and_nobody_waits_for_them() {
    let (db, mut owner) = log();
    let receiver = Receiver::start(|request| match request.path.as_str() {
        "refuses" => Answer::Status(500),
        "redirects" => Answer::With(302, "location: http://127.0.0.1:1/\r\n".to_owned()),
        "hangs" => Answer::Hang,
        "drips" => Answer::Drip,
        "resets" => Answer::Close,
        _ => Answer::Status(200),
    });
    // Nobody listens there until the end.
    let closed =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let kinds = ["refuses", "redirects", "hangs", "drips", "resets"];
    for kind in kinds {
        create(&mut owner, &receiver.url(kind), "");
    }
    create(&mut owner, &format!("http://{closed}/nobody"), "");
    create(&mut owner, "http://10.1.2.3/private", "");
    create(&mut owner, &receiver.url("good"), "");
    let deliverer = Deliverer::of(&db, &["--webhook-timeout", "500ms"]);
    let mut ids = ping(&mut owner, 2000);
    // Waits until a receiver got so many different events, and returns all that it got.
    let good = |path: &'static str, count: usize| -> Vec<i64> {
        let of = |requests: &[Request]| -> Vec<i64> {
            let of = requests.iter().filter(|request| request.path == path);
            of.map(|request| request.event_id()).collect()
        };
        let requests = receiver.wait_until(|requests| {
            of(requests).into_iter().collect::<HashSet<i64>>().len() >= count
        });
        of(&requests)
    };
    assert_eq!(good("good", 2000), ids);
    let aside =
        "SELECT count(*) FROM eventlog.stat_webhooks WHERE state = 'put aside' AND failures >= 3";
    wait_for(&mut owner, aside, "7");
    let errors = rows(
        &mut owner,
        "SELECT substring(url from '[a-z]*$'), last_error, retries BETWEEN 3 AND 4 FROM eventlog.stat_webhooks
          WHERE state = 'put aside' ORDER BY 1",
    );
    for (row, (kind, error)) in errors.iter().zip([
        ("drips", "no answer within 0.5 s"),
        ("hangs", "no answer within 0.5 s"),
        ("nobody", "refused"),
        ("private", "10.1.2.3"),
        ("redirects", "the receiver answered 302"),
        ("refuses", "the receiver answered 500"),
        ("resets", "closed"),
    ]) {
        assert!(row[0] == kind && row[1].contains(error) && row[2] == "t", "{kind}: {row:?}");
    }
    // A day goes by. Attempts become rare, events pile up in the log and nowhere else.
    owner
        .batch_execute(
            "UPDATE eventlog.webhooks SET failing_since = failing_since - interval '1 day', failures = failures + 7 WHERE failures > 0",
        )
        .expect("time goes by");
    ids.extend(ping(&mut owner, 500));
    assert_eq!(good("good", 2500), ids);
    assert_eq!(text(&mut owner, "SELECT max(retries) <= 4 FROM eventlog.stat_webhooks"), "t");
    receiver.answer(|_| Answer::Status(200));
    owner.batch_execute(TIME_GOES_BY).expect("time goes by");
    for kind in kinds {
        let mut got = good(kind, 2500);
        wait_for(
            &mut owner,
            &format!(
                "SELECT state, retries, failures FROM eventlog.stat_webhooks WHERE url LIKE '%{kind}'"
            ),
            "served",
        );
        // The first were tried before; what came after they were put aside came once and in order.
        got.retain(|id| *id > ids[3]);
        assert_eq!(got, ids[4..], "{kind}");
    }
    let left = "SELECT count(*) FROM eventlog.webhook_retries r JOIN eventlog.webhooks w USING (webhook_id)
                 WHERE w.url NOT LIKE '%private' AND w.url NOT LIKE '%nobody'";
    wait_for(&mut owner, left, "0");
    let (code, said) = deliverer.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("put aside") && said.contains("the receiver is back"), "{said}");
}

#[test]
fn a_receiver_that_is_gone_is_disabled_at_once_and_goes_on_when_it_is_enabled() {
    let (db, mut owner) = log();
    let receiver = Receiver::start(|_| Answer::Status(410));
    let (webhook, _) = create(&mut owner, &receiver.url("a"), "");
    let deliverer = Deliverer::of(&db, &[]);
    let ids = ping(&mut owner, 3);
    wait_for(
        &mut owner,
        "SELECT reason FROM eventlog.stat_webhooks",
        "the receiver answered 410 Gone",
    );
    assert_eq!(came(&receiver), ids[..1]);
    receiver.answer(|_| Answer::Status(204));
    text(&mut owner, &format!("SELECT eventlog.enable_webhook('{webhook}')"));
    receiver.wait_for(4);
    assert_eq!(came(&receiver)[1..], ids);
    text(&mut owner, &format!("SELECT eventlog.disable_webhook('{webhook}')"));
    let more = ping(&mut owner, 2);
    wait_for(&mut owner, "SELECT state FROM eventlog.stat_webhooks", "disabled");
    text(&mut owner, &format!("SELECT eventlog.enable_webhook('{webhook}')"));
    receiver.wait_for(6);
    assert_eq!(came(&receiver)[4..], more);
    let (_, said) = deliverer.stop();
    assert!(said.contains("the webhook is disabled: the receiver answered 410 Gone"), "{said}");
}

#[test]
fn a_receiver_gets_nothing_before_the_time_that_it_asked_for() {
    let (db, mut owner) = log();
    let receiver = Receiver::start(|_| Answer::With(429, "retry-after: 3600\r\n".to_owned()));
    create(&mut owner, &receiver.url("a"), "");
    let _deliverer = Deliverer::of(&db, &[]);
    let ids = ping(&mut owner, 3);
    let waits = "SELECT next_attempt_at - now() BETWEEN '59 min' AND '67 min' FROM eventlog.webhooks WHERE failures = 1";
    receiver.wait_for(1);
    wait_for(&mut owner, "SELECT failures FROM eventlog.webhooks", "1");
    assert_eq!(text(&mut owner, waits), "t");
    let waits = waits.replace("webhooks WHERE failures = 1", "webhook_retries");
    assert_eq!(text(&mut owner, &waits), "t");
    receiver.answer(|_| Answer::Status(204));
    assert_eq!(came(&receiver), ids[..1], "nothing else");
    owner.batch_execute(TIME_GOES_BY).expect("time goes by");
    receiver.wait_for(4);
    let mut got = came(&receiver)[1..].to_vec();
    got.sort();
    assert_eq!(got, ids);
}

#[test]
fn an_event_that_was_erased_is_not_sent_again() {
    let (db, mut owner) = log();
    let receiver = Receiver::start(|_| Answer::Status(500));
    create(&mut owner, &receiver.url("a"), "");
    let _deliverer = Deliverer::of(&db, &[]);
    let log = |actor: &str| {
        format!("SELECT eventlog.log_event('{TENANT_A}', 'ping', actor => '{actor}')")
    };
    for actor in ["ann", "bob", "ann", "ann", "bob"] {
        owner.batch_execute(&log(actor)).expect("an event");
    }
    wait_for(&mut owner, "SELECT state FROM eventlog.stat_webhooks", "put aside");
    owner
        .batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', 'ann')"))
        .expect("an erasure");
    let before = receiver.count();
    receiver.answer(|_| Answer::Status(204));
    owner.batch_execute(TIME_GOES_BY).expect("time goes by");
    wait_for(&mut owner, "SELECT count(*) FROM eventlog.webhook_retries", "0");
    receiver.wait_for(before + 2);
    wait_for(&mut owner, "SELECT ids_behind FROM eventlog.stat_webhooks", "0");
    let after = receiver.requests().split_off(before);
    assert!(after.iter().all(|request| request.body.contains("bob")), "{after:?}");
    let ann = "SELECT count(*) FROM eventlog.webhook_deliveries d WHERE NOT EXISTS (SELECT FROM eventlog.events e WHERE e.id = d.event_id)";
    assert_eq!(text(&mut owner, ann), "0");
}

#[test]
fn a_webhook_without_a_secret_says_what_to_do() {
    let (db, mut owner) = log();
    let receiver = Receiver::accepting();
    let (webhook, _) = create(&mut owner, &receiver.url("a"), "");
    owner.batch_execute("DELETE FROM eventlog.webhook_secrets").expect("a dump without them");
    let _deliverer = Deliverer::of(&db, &[]);
    let ids = ping(&mut owner, 1);
    let reason = format!("it has no secret: SELECT eventlog.rotate_secret('{webhook}');");
    wait_for(&mut owner, "SELECT reason FROM eventlog.stat_webhooks", &reason);
    text(
        &mut owner,
        &format!(
            "SELECT eventlog.rotate_secret('{webhook}'), eventlog.enable_webhook('{webhook}')"
        ),
    );
    receiver.wait_for(1);
    assert_eq!(came(&receiver), ids);
}
