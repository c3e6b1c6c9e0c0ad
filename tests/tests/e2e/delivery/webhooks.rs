//! Who may manage webhooks, what wrong uses get, and what they leave behind.

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};
use postgres::Client;

/// A log with a service, a reader, and a role that manages the webhooks of its tenant.
fn log() -> (Db, Client, Client) {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.grant_reader('reader'), eventlog.grant_service('service'), eventlog.grant_webhooks('outsider'),
                    eventlog.define_event('ping')",
        )
        .expect("roles");
    let manager = db.connect_as("outsider", TENANT_A);
    (db, owner, manager)
}

fn create(client: &mut Client, tenant: &str) -> String {
    let sql = format!(
        "SELECT webhook_id FROM eventlog.create_webhook('{tenant}', 'https://example.com/h')"
    );
    text(client, &sql)
}

/// Another deliverer's calls, as the program makes them.
fn take(client: &mut Client, deliverer: &str) -> Vec<Vec<String>> {
    let sql = format!(
        "SELECT webhook_id, is_excess FROM eventlog._take_webhooks(eventlog.all_tenants(), '{deliverer}') ORDER BY 1"
    );
    rows(client, &sql)
}

fn note(client: &mut Client, deliverer: &str, note: &str) {
    let sql = format!(
        "SELECT eventlog._note_deliveries(eventlog.all_tenants(), '{deliverer}', '[{{{note}}}]')"
    );
    client.batch_execute(&sql).expect("a note");
}

#[test]
fn owner_and_services_manage_every_tenants_webhooks_and_a_granted_role_its_own() {
    let (db, mut owner, mut manager) = log();
    let mut service = db.connect("service");
    let of_b = create(&mut service, TENANT_B);
    let of_all = create(&mut owner, "ffffffff-ffff-ffff-ffff-ffffffffffff");
    let own = create(&mut manager, TENANT_A);
    let implied = "SELECT webhook_id FROM eventlog.create_webhook(NULL, 'https://example.com/i')";
    let implied = text(&mut manager, implied);
    for call in ["disable_webhook", "enable_webhook", "rotate_secret", "drop_webhook"] {
        for other in [&of_b, &of_all] {
            let sql = format!("SELECT eventlog.{call}('{other}')");
            assert_refused(&mut manager, &sql, "42704", "unknown webhook");
        }
    }
    for tenant in [TENANT_B, "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
        for call in [
            "create_webhook('TENANT', 'https://example.com')",
            "_add_webhook('TENANT', 'https://example.com', NULL, false, 'now', true)",
            "_remove_webhook('TENANT', 'HOOK')",
            "_switch_webhook('TENANT', 'HOOK', false)",
            "_rotate_secret('TENANT', 'HOOK', '0')",
            "_replay_webhook('TENANT', 'HOOK', NULL, 0, false)",
            "_take_webhooks('TENANT', 'me')",
            "_release_webhooks('TENANT', 'me', NULL)",
            "_note_deliveries('TENANT', 'me', '[]')",
            "_deliverable_until('TENANT', 0)",
            "_read_deliverable('TENANT', 0, 100, NULL, NULL, 10)",
            "_read_alert_changes('TENANT', 0, NULL, 10)",
            "_due_retries('TENANT', 'me', '{}')",
        ] {
            let call = call.replace("TENANT", tenant).replace("HOOK", &of_b);
            let sql = format!("SELECT eventlog.{call}");
            assert_refused(&mut manager, &sql, "42501", "permission denied to manage webhooks");
        }
    }
    // A role of one tenant does not deliver either.
    let sql = format!("SELECT eventlog._take_webhooks('{TENANT_A}', 'me')");
    assert_refused(&mut manager, &sql, "42501", "serves all tenants");
    let seen =
        "SELECT string_agg(webhook_id::text, ',' ORDER BY created_at) FROM eventlog.webhooks";
    assert_eq!(text(&mut manager, seen), format!("{own},{implied}"));
    assert_eq!(text(&mut manager, "SELECT count(*) FROM eventlog.stat_webhooks"), "2");
    assert_refused(
        &mut manager,
        "SELECT secrets FROM eventlog.webhook_secrets",
        "42501",
        "permission denied",
    );
    let mut reader = db.connect_as("reader", TENANT_B);
    assert_eq!(text(&mut reader, "SELECT webhook_id FROM eventlog.stat_webhooks"), of_b);
    for call in [
        format!("drop_webhook('{of_b}')"),
        format!("create_webhook('{TENANT_B}', 'https://x.example')"),
    ] {
        let sql = format!("SELECT eventlog.{call}");
        assert_refused(&mut reader, &sql, "42501", "permission denied to manage webhooks");
    }
    for webhook in [&of_b, &of_all, &own] {
        service
            .batch_execute(&format!("SELECT eventlog.drop_webhook('{webhook}')"))
            .expect("it is there");
    }
    manager.batch_execute(&format!("SELECT eventlog.drop_webhook('{implied}')")).expect("its own");
    let left = "SELECT count(*) FROM eventlog.webhooks UNION ALL SELECT count(*) FROM eventlog.webhook_secrets";
    assert_eq!(rows(&mut owner, left), [["0"], ["0"]]);
    owner.batch_execute("SELECT eventlog.revoke_role('outsider')").expect("a role");
    let sql = format!(
        "SELECT eventlog._add_webhook('{TENANT_A}', 'https://x.example', NULL, false, 'now', false)"
    );
    assert_refused(&mut manager, &sql, "42501", "permission denied");
}

#[test]
fn wrong_uses_say_what_is_right() {
    let (_db, mut owner, mut manager) = log();
    let webhook = create(&mut manager, TENANT_A);
    for (url, message) in [
        ("example.com", "must begin with https:// or http://"),
        ("ftp://example.com", "must begin with"),
        ("https://example.com/#part", "must begin with"),
        ("https://user@example.com/", "user or password"),
        ("https://user:secret@example.com/", "user or password"),
        ("https:///path", "must have a host"),
        ("https://example.com:port/", "must have a host"),
        ("https://exa mple.com/", "spaces"),
        ("https://example.com\\@10.0.0.1/", "backslashes"),
        ("https://bücher.example/", "outside ASCII"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://0x7f000001/", "four decimal numbers"),
        ("https://127.1/", "four decimal numbers"),
        ("https://999.0.0.1/", "valid address"),
        ("https://[::1::]/", "valid address"),
        ("http://localhost/", "private"),
        ("http://api.localhost:8080/", "private"),
        ("http://127.0.0.1/", "private"),
        ("http://10.1.2.3/", "private"),
        ("http://172.31.0.1/", "private"),
        ("http://192.168.0.1:80/", "private"),
        ("http://169.254.169.254/latest/", "private"),
        ("http://0.0.0.0/", "private"),
        ("http://[::1]/", "private"),
        ("http://[::ffff:10.0.0.1]/", "private"),
        ("http://[fe80::1]/", "private"),
        ("http://[fd00::1]:8080/", "private"),
    ] {
        let sql = format!("SELECT eventlog.create_webhook('{TENANT_A}', '{url}')");
        assert_refused(&mut manager, &sql, "22023", message);
    }
    let long = format!(
        "SELECT eventlog.create_webhook('{TENANT_A}', 'https://example.com/' || repeat('x', 2000))"
    );
    assert_refused(&mut manager, &long, "22023", "at most 2000 bytes, got 2020");
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (call, sqlstate, message) in [
        (format!("create_webhook('{TENANT_A}', NULL)"), "22004", "url must not be null"),
        (
            format!("create_webhook('{TENANT_A}', 'https://x.example', '{{pong}}')"),
            "42704",
            "unknown event name \"pong\"",
        ),
        (
            format!("create_webhook('{TENANT_A}', 'https://x.example', '{{}}')"),
            "22023",
            "at least one name",
        ),
        (
            format!("create_webhook('{TENANT_A}', 'https://x.example', start => 'soon')"),
            "22023",
            "beginning, now or the id",
        ),
        (
            format!("create_webhook('{TENANT_A}', 'https://x.example', with_alerts => NULL)"),
            "22004",
            "with_alerts",
        ),
        (format!("drop_webhook('{nobody}')"), "42704", "unknown webhook 0000"),
        ("drop_webhook(NULL)".to_owned(), "42704", "unknown webhook null"),
        (format!("enable_webhook('{nobody}')"), "42704", "unknown webhook"),
        (format!("disable_webhook('{nobody}')"), "42704", "unknown webhook"),
        (format!("rotate_secret('{nobody}')"), "42704", "unknown webhook"),
        (format!("rotate_secret('{webhook}', '-1 day')"), "22023", "from 0 to 30 days"),
        (format!("rotate_secret('{webhook}', '31 days')"), "22023", "from 0 to 30 days"),
        (format!("replay_webhook('{webhook}')"), "22023", "needs one of"),
        (format!("replay_webhook('{webhook}', now(), 5)"), "22023", "needs one of"),
        (format!("replay_webhook('{webhook}', 'infinity')"), "22023", "since must be a time"),
        (format!("replay_webhook('{webhook}', after_id => -1)"), "22023", "after_id an id"),
        (format!("replay_webhook('{nobody}', after_id => 0)"), "42704", "unknown webhook"),
    ] {
        assert_refused(&mut manager, &format!("SELECT eventlog.{call}"), sqlstate, message);
    }
    // Who runs the log may have receivers within its network.
    let inside = format!("SELECT eventlog.create_webhook('{TENANT_A}', 'http://127.0.0.1:8080/')");
    owner.batch_execute(&inside).expect("the owner may");
    let alone =
        format!("SELECT eventlog.create_webhook('{TENANT_A}', 'https://x.example', '{{}}', true)");
    manager.batch_execute(&alone).expect("alerts alone");
    let many = format!(
        "SELECT eventlog.create_webhook('{TENANT_A}', 'https://example.com/' || g) FROM generate_series(1, 18) g"
    );
    assert_refused(&mut manager, &many, "54000", "a tenant can have 20 webhooks");
}

#[test]
fn secrets_rotate_and_old_ones_sign_for_a_while() {
    let (_db, mut owner, mut manager) = log();
    let webhook = create(&mut manager, TENANT_A);
    let secrets =
        "SELECT cardinality(secrets) FROM eventlog._take_webhooks(eventlog.all_tenants(), 'me')";
    assert_eq!(text(&mut owner, secrets), "1");
    let rotate = format!("SELECT eventlog.rotate_secret('{webhook}')");
    let second = text(&mut manager, &rotate);
    let third = text(&mut manager, &rotate);
    text(&mut manager, &rotate);
    let newest = "SELECT secrets[2:3] FROM eventlog._take_webhooks(eventlog.all_tenants(), 'me')";
    assert_eq!(text(&mut owner, newest), format!("{{{third},{second}}}"), "three at most");
    let past = "UPDATE eventlog.webhook_secrets SET old_secrets_until = now() - interval '1 s'";
    owner.batch_execute(past).expect("time goes by");
    assert_eq!(text(&mut owner, secrets), "1", "old ones do not come back");
    text(&mut manager, &rotate);
    assert_eq!(text(&mut owner, secrets), "2");
    text(&mut manager, &format!("SELECT eventlog.rotate_secret('{webhook}', '0')"));
    assert_eq!(text(&mut owner, secrets), "1", "at once");
    // As after a restore of a dump without them.
    owner.batch_execute("DELETE FROM eventlog.webhook_secrets").expect("the owner may");
    assert_eq!(text(&mut owner, secrets), "0");
    text(&mut manager, &rotate);
    assert_eq!(text(&mut owner, secrets), "1");
}

#[test]
fn deliverers_share_webhooks_and_take_over_from_one_that_is_gone() {
    let (db, mut owner, _) = log();
    for _ in 0..5 {
        create(&mut owner, TENANT_A);
    }
    let mut one = db.connect("service");
    let mut two = db.connect("service");
    assert_eq!(take(&mut one, "one").len(), 5);
    assert_eq!(take(&mut two, "two").len(), 0, "each is leased");
    let of_one = take(&mut one, "one");
    let excess: Vec<&str> = of_one.iter().filter(|row| row[1] == "t").map(|row| &*row[0]).collect();
    assert_eq!((of_one.len(), excess.len()), (5, 2));
    one.batch_execute(&format!(
        "SELECT eventlog._release_webhooks(eventlog.all_tenants(), 'one', '{{{}}}')",
        excess.join(",")
    ))
    .expect("leases");
    let of_two: Vec<String> = take(&mut two, "two").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(of_two, excess);
    assert_eq!(take(&mut one, "one").len(), 3);
    // What an earlier lease reports does not count.
    let late = format!(r#""webhook_id": "{}", "lease": 1, "delivered_id": 77"#, of_two[0]);
    note(&mut one, "one", &late);
    note(&mut two, "two", &late);
    let moved = "SELECT count(*) FROM eventlog.webhooks WHERE delivered_id = 77";
    assert_eq!(text(&mut owner, moved), "0");
    note(&mut two, "two", &late.replace("\"lease\": 1", "\"lease\": 2"));
    assert_eq!(text(&mut owner, moved), "1");
    // A note does not depend on the others that come with it.
    let both = format!(
        r#""webhook_id": "{}", "lease": 2, "delivered_id": 78}}, {{"webhook_id": "{}", "lease": 2, "delivered_id": 78"#,
        of_two[0], of_two[1]
    );
    note(&mut two, "two", &both);
    assert_eq!(text(&mut owner, &moved.replace("77", "78")), "2");
    // A server notices at once that a client is gone.
    drop(one);
    eventlog_tests::wait_for(
        &mut two,
        "SELECT count(*) FROM eventlog._take_webhooks(eventlog.all_tenants(), 'two')",
        "5",
    );
    // One that is not seen for long is gone as well, connected or not.
    let mut three = db.connect("service");
    owner
        .batch_execute("UPDATE eventlog.deliverers SET seen_at = seen_at - interval '31 s'")
        .expect("time goes by");
    assert_eq!(take(&mut three, "three").len(), 5);
    three
        .batch_execute("SELECT eventlog._release_webhooks(eventlog.all_tenants(), 'three', NULL)")
        .expect("the end");
    assert_eq!(take(&mut two, "two").len(), 5);
}

#[test]
fn a_receiver_that_fails_for_five_days_is_disabled_and_goes_on_where_it_stood() {
    let (_db, mut owner, mut manager) = log();
    let webhook = create(&mut manager, TENANT_A);
    let event = text(&mut owner, &format!("SELECT eventlog.log_event('{TENANT_A}', 'ping')"));
    take(&mut owner, "me");
    let failed = |failures: u32| {
        format!(
            r#""webhook_id": "{webhook}", "lease": 1, "delivered_id": {event}, "failures": {failures}, "pause": 60,
               "attempts": [{{"is_alert": false, "event_id": {event}, "last_event_id": {event}, "tenant_id": "{TENANT_A}",
                              "deliveries": 1, "attempt": {failures}, "status": 500, "error": "the receiver answered 500", "ms": 3, "ago": 0}}],
               "retries": [{{"is_alert": false, "event_id": {event}, "tenant_id": "{TENANT_A}", "attempts": {failures}, "wait": 60,
                             "created_at": "CREATED"}}]"#
        )
    };
    let created = text(&mut owner, "SELECT created_at FROM eventlog.events");
    for failures in 1..=3 {
        note(&mut owner, "me", &failed(failures).replace("CREATED", &created));
    }
    let state = "SELECT state, failures, retries, given_up, last_error, next_attempt_at > now() FROM eventlog.stat_webhooks";
    assert_eq!(
        rows(&mut manager, state),
        [["put aside", "3", "1", "0", "the receiver answered 500", "t"]]
    );
    owner
        .batch_execute(
            "UPDATE eventlog.webhooks SET failing_since = failing_since - interval '6 days'",
        )
        .expect("time goes by");
    note(&mut owner, "me", &failed(4).replace("CREATED", &created));
    let reason = text(&mut manager, "SELECT state || ': ' || reason FROM eventlog.stat_webhooks");
    assert!(reason.starts_with("disabled: every attempt has failed since 20"), "{reason}");
    assert_eq!(take(&mut owner, "me").len(), 0);
    manager
        .batch_execute(&format!("SELECT eventlog.enable_webhook('{webhook}')"))
        .expect("it is there");
    let due = "SELECT event_id, attempts, name FROM eventlog._due_retries(eventlog.all_tenants(), 'me', '{}')";
    assert_eq!(take(&mut owner, "me").len(), 1);
    assert_eq!(rows(&mut owner, due), [[&event, "4", "ping"]]);
    assert_eq!(
        text(&mut owner, "SELECT needed_after FROM eventlog_private.readers()"),
        (event.parse::<i64>().expect("an id") - 1).to_string(),
        "retention waits for what is to be sent again"
    );
    // What was given up is sent again on demand.
    owner
        .batch_execute("UPDATE eventlog.webhook_retries SET next_attempt_at = NULL")
        .expect("given up");
    assert_eq!(text(&mut manager, "SELECT given_up FROM eventlog.stat_webhooks"), "1");
    let replay = format!("SELECT eventlog.replay_webhook('{webhook}', failed => true)");
    assert_eq!(text(&mut manager, &replay), "1");
    take(&mut owner, "me");
    assert_eq!(rows(&mut owner, due), [[&event, "0", "ping"]]);
    let back =
        format!("SELECT eventlog.replay_webhook('{webhook}', since => '-1 day'::interval + now())");
    assert_eq!(text(&mut manager, &back), "1", "and everything since a time");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.webhook_retries"), "0");
}

#[test]
fn a_receiver_that_refuses_many_among_others_is_put_aside_before_retries_pile_up() {
    let (_db, mut owner, mut manager) = log();
    let webhook = create(&mut manager, TENANT_A);
    let fill = format!(
        "SELECT eventlog.log_event('{TENANT_A}', 'ping') FROM generate_series(1, 1001);
         INSERT INTO eventlog.webhook_retries
         SELECT '{webhook}', tenant_id, false, id, tenant_id, created_at, 1, now() + interval '1 hour' FROM eventlog.events WHERE id <> 1001"
    );
    owner.batch_execute(&fill).expect("what failed");
    take(&mut owner, "me");
    let created = text(&mut owner, "SELECT created_at FROM eventlog.events WHERE id = 1001");
    let failed = format!(
        r#""webhook_id": "{webhook}", "lease": 1, "failures": 0,
           "retries": [{{"is_alert": false, "event_id": 1001, "tenant_id": "{TENANT_A}", "attempts": 1, "wait": 5, "created_at": "{created}"}}]"#
    );
    note(&mut owner, "me", &failed);
    let state = "SELECT state, retries, next_attempt_at > now() FROM eventlog.stat_webhooks";
    assert_eq!(rows(&mut manager, state), [["put aside", "1001", "t"]]);
    owner
        .batch_execute("UPDATE eventlog.webhooks SET next_attempt_at = now()")
        .expect("time goes by");
    take(&mut owner, "me");
    let due = "SELECT count(*), min(event_id) FROM eventlog._due_retries(eventlog.all_tenants(), 'me', '{}')";
    assert_eq!(rows(&mut owner, due), [["1", "1"]], "the oldest shows whether it is back");
    note(
        &mut owner,
        "me",
        &format!(
            r#""webhook_id": "{webhook}", "lease": 2, "failures": 0, "done": [{{"is_alert": false, "event_id": 1}}]"#
        ),
    );
    assert_eq!(rows(&mut owner, due), [["50", "2"]], "then the others");
}

#[test]
fn erasure_reaches_retries_and_the_log_of_deliveries() {
    let (_db, mut owner, _) = log();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_webhook(eventlog.all_tenants(), 'https://example.com'), eventlog.create_webhook('{TENANT_A}', 'https://example.com'),
                    eventlog.create_webhook('{TENANT_B}', 'https://example.com');
             SELECT eventlog.log_event(t, 'ping', actor => a)
               FROM unnest('{{{TENANT_A},{TENANT_B}}}'::uuid[]) t, unnest('{{ann,bob}}'::text[]) a;
             INSERT INTO eventlog.webhook_retries
             SELECT w.webhook_id, w.tenant_id, false, e.id, e.tenant_id, e.created_at, 1, now() FROM eventlog.webhooks w
               JOIN eventlog.events e ON w.tenant_id IN (e.tenant_id, eventlog.all_tenants());
             INSERT INTO eventlog.webhook_deliveries (webhook_id, tenant_id, attempted_at, is_alert, event_id, last_event_id, event_tenant_id, deliveries, attempt, duration_ms)
             SELECT r.webhook_id, r.tenant_id, now(), false, r.event_id, r.event_id, r.event_tenant_id, 1, 1, 5 FROM eventlog.webhook_retries r"
        ))
        .expect("what failed");
    let left = "SELECT count(*) FROM eventlog.webhooks UNION ALL SELECT count(*) FROM eventlog.webhook_secrets
                UNION ALL SELECT count(*) FROM eventlog.webhook_retries UNION ALL SELECT count(*) FROM eventlog.webhook_deliveries";
    assert_eq!(rows(&mut owner, left), [["3"], ["3"], ["8"], ["8"]]);
    owner
        .batch_execute(&format!("CALL eventlog.forget_actor('{TENANT_A}', 'ann')"))
        .expect("an erasure");
    assert_eq!(rows(&mut owner, left), [["3"], ["3"], ["6"], ["6"]]);
    owner.batch_execute(&format!("CALL eventlog.forget_tenant('{TENANT_A}')")).expect("an erasure");
    assert_eq!(rows(&mut owner, left), [["2"], ["2"], ["4"], ["4"]]);
    let of_a = format!(
        "SELECT count(*) FROM eventlog.webhook_retries r FULL JOIN eventlog.webhook_deliveries d USING (webhook_id, event_id)
          WHERE '{TENANT_A}' IN (r.tenant_id, r.event_tenant_id, d.tenant_id, d.event_tenant_id)"
    );
    assert_eq!(text(&mut owner, &of_a), "0");
    // Old rows go by themselves.
    owner
        .batch_execute(
            "UPDATE eventlog.webhook_deliveries SET attempted_at = now() - interval '31 days'",
        )
        .expect("time goes by");
    owner.batch_execute("CALL eventlog.maintain()").expect("maintenance");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.webhook_deliveries"), "0");
}
