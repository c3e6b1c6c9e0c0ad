//! What each condition watches.

use eventlog_tests::{TENANT_A, TENANT_B, text};

use super::{begin, changes, evaluate, evaluate_with, fill, log};

#[test]
fn counts_are_compared_with_thresholds_and_resolve_a_little_back() {
    let (_db, mut owner, mut reader) = log();
    reader
        .batch_execute(
            "SELECT eventlog.create_alert('flood', 'above', 3, names => '{ping}', resolve_at => 1, time_window => '10 minutes'),
                    eventlog.create_alert('few', 'below', 2, time_window => '10 minutes')",
        )
        .expect("alerts");
    begin(&mut owner, "10:10");
    fill(&mut owner, "ping", &["10:00", "10:01", "10:02", "10:09:59.999999"]);
    fill(&mut owner, "ping", &["10:10", "10:11", "10:12"]);
    fill(&mut owner, "pong", &["10:25", "10:35", "10:36"]);
    // Not one that is of the next window, nor one of another name or tenant.
    assert_eq!(evaluate(&mut owner, "10:09:59"), "0");
    assert_eq!(evaluate(&mut owner, "10:39:59"), "3");
    assert_eq!(evaluate(&mut owner, "10:39:59"), "0", "each window once");
    assert_eq!(evaluate(&mut owner, "10:40"), "1");
    assert_eq!(
        changes(&mut reader),
        [
            "few raised 10:30 1",
            "flood raised 10:10 4",
            "flood resolved 10:30 0",
            "few resolved 10:40 2"
        ]
    );
}

#[test]
fn nothing_received_raises_and_the_first_event_resolves() {
    let (_db, mut owner, mut reader) = log();
    reader
        .batch_execute("SELECT eventlog.create_alert('silence', condition => 'not_received', names => '{ping}', time_window => '1 hour')")
        .expect("an alert");
    begin(&mut owner, "01:00");
    fill(&mut owner, "ping", &["00:30", "03:59"]);
    fill(&mut owner, "pong", &["01:30"]);
    evaluate(&mut owner, "06:30");
    assert_eq!(
        changes(&mut reader),
        ["silence raised 02:00 0", "silence resolved 04:00 1", "silence raised 05:00 0"]
    );
    assert_eq!(
        text(&mut reader, "SELECT details FROM eventlog.alert_changes ORDER BY id LIMIT 1"),
        "{\"names\": [\"ping\"], \"since\": \"2020-01-06T01:00:00+00:00\", \"until\": \"2020-01-06T02:00:00+00:00\", \
          \"value\": 0, \"condition\": \"not_received\", \"threshold\": null}"
    );
    assert_eq!(
        text(
            &mut reader,
            "SELECT is_raised AND raised_since = '2020-01-06 05:00+00' AND evaluated_until = '2020-01-06 06:00+00' AND value = 0
               FROM eventlog.alerts"
        ),
        "t"
    );
}

#[test]
fn a_change_is_against_the_window_before_or_one_longer_ago() {
    let (_db, mut owner, mut reader) = log();
    reader
        .batch_execute(
            "SELECT eventlog.create_alert('swing', 'changed', 50, time_window => '1 hour'),
                    eventlog.create_alert('swing of two', 'changed', 50, time_window => '1 hour', compare_with => '2 hours')",
        )
        .expect("alerts");
    fill(&mut owner, "ping", &["00:10", "00:20", "01:10", "01:20", "01:30"]);
    fill(&mut owner, "ping", &["02:10", "04:10"]);
    begin(&mut owner, "02:00");
    evaluate(&mut owner, "06:00");
    assert_eq!(
        changes(&mut reader),
        [
            // From 3 to 1, to none, to 1: from none to some is more than any percentage.
            "swing raised 03:00 -66.66666666666667",
            "swing of two raised 02:00 -",
            // From 1 to 1; half less, an hour before that, was not enough.
            "swing of two resolved 05:00 0"
        ]
    );
}

#[test]
fn errors_are_a_share_of_the_events_that_say_how_they_ended() {
    let (_db, mut owner, mut reader) = log();
    reader
        .batch_execute("SELECT eventlog.create_alert('failing', 'error_rate', 30)")
        .expect("an alert");
    fill(&mut owner, "pong", &["00:10", "00:20", "00:30"]);
    fill(&mut owner, "ping", &["00:40", "01:40"]);
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, created_at, data) VALUES
                    ('{TENANT_A}', 'pong', '2020-01-06 00:50+00', '{{\"ok\": false}}'),
                    ('{TENANT_A}', 'pong', '2020-01-06 02:50+00', '{{\"ok\": false}}'),
                    ('{TENANT_A}', 'pong', '2020-01-06 04:50+00', '{{\"ok\": true}}')"
        ))
        .expect("failures");
    begin(&mut owner, "01:00");
    evaluate(&mut owner, "02:00");
    assert_eq!(
        text(&mut reader, "SELECT value IS NULL AND NOT is_raised FROM eventlog.alerts"),
        "t",
        "an hour without any has no rate"
    );
    evaluate(&mut owner, "05:00");
    assert_eq!(changes(&mut reader), ["failing raised 03:00 100", "failing resolved 05:00 0"]);
}

#[test]
fn refused_events_and_events_over_quota_are_counted() {
    let (db, mut owner, mut reader) = log();
    reader
        .batch_execute(
            "SELECT eventlog.create_alert('refusals', 'refused'), eventlog.create_alert('bogus', 'refused', 1, names => '{bogus}'),
                    eventlog.create_alert('over', 'quota', 2)",
        )
        .expect("alerts");
    let mut writer = db.connect("writer");
    let calls = "SET client_min_messages = error; SELECT eventlog.try_log_event(NULL, n) FROM unnest('{bogus,pang,pang}'::text[]) AS n";
    for tenant in [TENANT_A, TENANT_B] {
        writer
            .batch_execute(&format!("SET eventlog.tenant_id = '{tenant}'; {calls}"))
            .expect("refused");
    }
    // Connections note what was over a quota when they log again, and when they end.
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.hygiene_counts (tenant_id, kind, name, events)
             VALUES ('{TENANT_A}', 'over_quota', '', 1), ('{TENANT_A}', 'over_quota', '', 2), ('{TENANT_B}', 'over_quota', '', 40),
                    ('{TENANT_A}', 'clock_clamped', 'ping', 50);
             UPDATE eventlog.rejected_events SET created_at = '2020-01-06 00:10+00';
             UPDATE eventlog.hygiene_counts SET created_at = '2020-01-06 00:10+00'"
        ))
        .expect("the owner may");
    begin(&mut owner, "01:00");
    evaluate(&mut owner, "02:00");
    assert_eq!(
        changes(&mut reader),
        [
            "over raised 01:00 3",
            "over resolved 02:00 0",
            "refusals raised 01:00 3",
            "refusals resolved 02:00 0"
        ]
    );
}

#[test]
fn a_consumer_that_stands_still_is_named() {
    let (_db, mut owner, mut reader) = log();
    fill(&mut owner, "ping", &["00:10", "02:10"]);
    fill(&mut owner, "pong", &["00:20"]);
    reader
        .batch_execute(
            "SELECT eventlog.create_consumer('pongs', names => '{pong}'), eventlog.create_consumer('new', start => 'now'),
                    eventlog.create_consumer('all');
             SELECT eventlog.create_alert('stuck', 'stopped_consumers', 3000),
                    eventlog.create_alert('stuck twice', 'stopped_consumers', 3000, raise_after => 2)",
        )
        .expect("a consumer");
    begin(&mut owner, "01:00");
    evaluate(&mut owner, "01:00");
    assert_eq!(text(&mut reader, "SELECT max(value) FROM eventlog.alerts"), "3000");
    // Of those that were missed, only the last is known.
    evaluate(&mut owner, "03:00");
    assert_eq!(changes(&mut reader), ["stuck raised 03:00 10200"]);
    assert_eq!(
        text(&mut reader, "SELECT details -> 'consumers' FROM eventlog.alert_changes"),
        "[\"all\", \"pongs\"]"
    );
    evaluate(&mut owner, "05:00");
    reader
        .batch_execute("SELECT eventlog.acknowledge('all', (SELECT max(id) FROM eventlog.events)), eventlog.drop_consumer('pongs')")
        .expect("both are there");
    evaluate(&mut owner, "06:00");
    assert_eq!(
        changes(&mut reader),
        [
            "stuck raised 03:00 10200",
            "stuck twice raised 05:00 17400",
            "stuck resolved 06:00 0",
            "stuck twice resolved 06:00 0"
        ]
    );
}

#[test]
fn findings_are_the_doctors_and_wait_until_it_has_examined() {
    let (_db, mut owner, _reader) = log();
    owner
        .batch_execute(
            "SELECT eventlog.create_alert('sick', 'findings', tenant_id => eventlog.all_tenants())",
        )
        .expect("an alert");
    begin(&mut owner, "01:00");
    assert_eq!(evaluate(&mut owner, "02:30"), "0", "nobody has examined");
    let findings = r#"'[{"check": "worker", "state": "wrong"}, {"check": "clock", "state": "ok"}, {"check": "owner", "state": "advice"}]'"#;
    assert_eq!(evaluate_with(&mut owner, "02:30", findings), "1");
    assert_eq!(
        text(&mut owner, "SELECT details -> 'checks' FROM eventlog.alert_changes"),
        "[\"worker\"]"
    );
    assert_eq!(evaluate_with(&mut owner, "03:00", "'[]'"), "1");
    assert_eq!(changes(&mut owner), ["sick raised 02:00 1", "sick resolved 03:00 0"]);
}
