//! `eventlog verify` of a log.

use eventlog_tests::{TENANT_A, TENANT_B};
use serde_json::Value;

use super::{Sealed, differs};
use crate::server::{failed, printed};

#[test]
fn an_untouched_log_is_as_it_was_sealed_for_its_owner_and_for_each_tenant() {
    let sealed = Sealed::new("untouched");
    printed(&mut sealed.run("log_owner", &["anchor", "anchors.ndjson"]));
    let said = printed(&mut sealed.run("log_owner", &["verify", "--anchors", "anchors.ndjson"]));
    let all = format!(
        "checked 2 tenants, 3 days, 7 seals, 2405 events, 3 of them declared gone; \
         {} digests as anchored; nothing differs\n",
        sealed.digests
    );
    assert_eq!(said, all);
    let of = |arguments: &[&str]| {
        let arguments = [&["verify", "--json"], arguments].concat();
        let text = printed(&mut sealed.run("reader", &arguments));
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let [of_a, of_b] = [TENANT_A, TENANT_B].map(|tenant| of(&["--tenant", tenant]));
    assert_eq!(
        (&of_a["tenants"], &of_a["seals"], &of_a["gone"]),
        (&1.into(), &4.into(), &3.into())
    );
    assert_eq!(
        (&of_b["tenants"], &of_b["seals"], &of_b["gone"]),
        (&1.into(), &3.into(), &0.into())
    );
    let events = [&of_a, &of_b].map(|report| report["events"].as_i64().expect("a number"));
    assert_eq!(events.iter().sum::<i64>(), 2405);
    let a_day = of(&["--tenant", TENANT_B, "--since", "2026-01-07", "--time-zone", "UTC"]);
    assert_eq!((&a_day["days"], &a_day["seals"]), (&1.into(), &1.into()));
    let said = failed(&mut sealed.run("reader", &["verify"]), 1);
    assert!(said.contains("--tenant UUID or NAME"), "{said}");
    let said = failed(&mut sealed.run("outsider", &["verify", "--tenant", TENANT_A]), 1);
    assert!(said.contains("permission denied"), "{said}");
    let said = failed(&mut sealed.run("reader", &["verify", "--proofs", "x"]), 2);
    assert!(said.contains("--export"), "{said}");
}

#[test]
fn what_the_owner_changed_is_named_with_its_block_and_anchors_show_what_was_sealed_anew() {
    let mut sealed = Sealed::new("changed");
    printed(&mut sealed.run("log_owner", &["anchor", "anchors.ndjson"]));
    let id = sealed.an_event("name = 'ping' AND created_at < '2026-01-06 00:00+00'");
    let tenant = format!("SELECT tenant_id FROM eventlog.events WHERE id = {id}");
    let tenant = eventlog_tests::text(&mut sealed.owner, &tenant);
    sealed.tamper(&format!("UPDATE eventlog.events SET actor = 'somebody else' WHERE id = {id}"));
    let (stdout, said) = differs(&mut sealed.run("log_owner", &["verify"]));
    let wrong = format!("eventlog: seal 1 of tenant {tenant}, 2026-01-05: ");
    assert!(said.starts_with(&wrong) && said.contains("block 0 (ping"), "{said}");
    assert!(stdout.contains("its events differ") && stdout.ends_with("1 difference\n"), "{stdout}");
    let (stdout, _) = differs(&mut sealed.run("log_owner", &["verify", "--json"]));
    let report: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((&report["is_valid"], &report["differs"][0]["number"]), (&false.into(), &1.into()));

    // An owner who makes all seals anew is found by the anchors only.
    sealed.tamper(
        "TRUNCATE eventlog.seals, eventlog.seal_blocks, eventlog.seal_digests, eventlog.seal_receipts;
         UPDATE eventlog.seal_state SET sealed_until = '-infinity'",
    );
    sealed.seal();
    printed(&mut sealed.run("log_owner", &["verify"]));
    let (_, said) =
        differs(&mut sealed.run("log_owner", &["verify", "--anchors", "anchors.ndjson"]));
    assert!(said.contains("digest 1 of") && said.contains("is not the anchored one"), "{said}");
}
