//! Deliverers that are killed or share the work, and servers that restart: nothing is skipped.

use eventlog_tests::receiver::Receiver;
use eventlog_tests::{Cluster, db, scaled, text, wait_for};

use super::{Deliverer, came, create, log, ping};

/// Removes what came before.
fn first_times(ids: &[i64]) -> Vec<i64> {
    let mut seen = std::collections::HashSet::new();
    ids.iter().copied().filter(|id| seen.insert(*id)).collect()
}

#[test]
fn a_deliverer_that_is_killed_again_and_again_skips_nothing() {
    let (db, mut owner) = log();
    let receiver = Receiver::accepting();
    create(&mut owner, &receiver.url("a"), "");
    create(&mut owner, &receiver.url("b"), "");
    let mut ids = Vec::new();
    for _ in 0..scaled(5, 50) {
        let before = receiver.count();
        let deliverer = Deliverer::of(&db, &[]);
        ids.extend(ping(&mut owner, 400));
        receiver.wait_for(before + 300);
        // Dropped is killed.
        drop(deliverer);
    }
    let deliverer = Deliverer::of(&db, &[]);
    ids.extend(ping(&mut owner, 10));
    let last = ids.last().expect("an id");
    let behind = format!("SELECT count(*) FROM eventlog.webhooks WHERE delivered_id < {last}");
    wait_for(&mut owner, &behind, "0");
    let requests = receiver.requests();
    for path in ["a", "b"] {
        let of = requests.iter().filter(|request| request.path == path);
        let got: Vec<i64> = of.map(|request| request.event_id()).collect();
        assert_eq!(first_times(&got), ids, "in order");
        println!("{}: {} of {} came twice", path, got.len() - ids.len(), ids.len());
    }
    // One that is stopped leaves nothing to be sent again.
    let (_, said) = deliverer.stop();
    let before = receiver.count();
    let deliverer = Deliverer::of(&db, &[]);
    ping(&mut owner, 1);
    receiver.wait_for(before + 2);
    assert_eq!(receiver.count(), before + 2, "{said}");
    drop(deliverer);
}

#[test]
fn deliverers_share_the_webhooks_and_each_event_comes_once() {
    let (db, mut owner) = log();
    let receiver = Receiver::accepting();
    for number in 0..6 {
        create(&mut owner, &receiver.url(&number.to_string()), "");
    }
    let shares = "SELECT string_agg(n::text, ',') FROM (SELECT count(*) AS n FROM eventlog.webhooks GROUP BY leased_by) s";
    let one = Deliverer::of(&db, &[]);
    wait_for(&mut owner, shares, "6");
    ping(&mut owner, 100);
    let two = Deliverer::of(&db, &[]);
    ping(&mut owner, 100);
    wait_for(&mut owner, shares, "3,3");
    let last = ping(&mut owner, 100)[99];
    receiver.wait_for(1800);
    let behind = format!("SELECT count(*) FROM eventlog.webhooks WHERE delivered_id < {last}");
    wait_for(&mut owner, &behind, "0");
    assert_eq!(receiver.count(), 1800, "none came twice while webhooks moved over");
    // The one that ends gives its own to the other at once, and so does the one that is killed.
    let (code, said) = two.stop();
    assert_eq!(code, Some(0), "{said}");
    wait_for(&mut owner, shares, "6");
    let three = Deliverer::of(&db, &[]);
    wait_for(&mut owner, shares, "3,3");
    drop(one);
    ping(&mut owner, 10);
    receiver.wait_for(1860);
    wait_for(&mut owner, shares, "6");
    let mut got: Vec<(String, i64)> =
        receiver.requests().iter().map(|r| (r.path.clone(), r.event_id())).collect();
    got.sort();
    got.dedup();
    assert_eq!(got.len(), 6 * 310);
    drop(three);
}

#[test]
fn the_server_restarts_and_deliveries_go_on() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let receiver = Receiver::accepting();
    let mut owner = cluster.connect("app", "log_owner");
    owner
        .batch_execute("SELECT eventlog.grant_service('service'), eventlog.define_event('ping')")
        .expect("an event type");
    create(&mut owner, &receiver.url("a"), "");
    let deliverer = Deliverer::start(&cluster, "app", &[]);
    let mut ids = ping(&mut owner, 5);
    receiver.wait_for(5);
    for is_crash in [false, true] {
        drop(owner);
        match is_crash {
            true => cluster.crash(),
            false => cluster.restart(),
        }
        owner = cluster.connect("app", "log_owner");
        ids.extend(ping(&mut owner, 5));
        let count = ids.len();
        receiver.wait_until(|requests| {
            requests.iter().map(|r| r.event_id()).collect::<std::collections::HashSet<_>>().len()
                >= count
        });
    }
    assert_eq!(first_times(&came(&receiver)), ids);
    let (code, said) = deliverer.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("cannot deliver: "), "{said}");
    let noted =
        format!("SELECT delivered_id = {} FROM eventlog.webhooks", ids.last().expect("an id"));
    assert_eq!(text(&mut owner, &noted), "t");
}
