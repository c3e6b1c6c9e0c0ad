//! Which windows are evaluated, when, and by whom.

use eventlog_tests::{TENANT_A, TENANT_B, text};
use postgres::Client;

use super::{begin, changes, evaluate, fill, log};

/// The end of the window of a minute that began three minutes ago, so that it can be closed now.
const CLOSED: &str = "date_bin('1 minute', clock_timestamp(), '2001-01-01') - interval '2 minutes'";

fn create_for_closed_windows(owner: &mut Client, alert: &str, tenant: &str) {
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_alert('{alert}', 'not_received', time_window => '1 minute', tenant_id => '{tenant}');
             UPDATE eventlog.alerts SET next_until = {CLOSED} WHERE alert = '{alert}'"
        ))
        .expect("an alert");
}

#[test]
fn windows_close_a_minute_after_their_end_and_maintain_evaluates_them() {
    let (_db, mut owner, mut reader) = log();
    create_for_closed_windows(&mut owner, "silence", TENANT_A);
    create_for_closed_windows(&mut owner, "theirs", TENANT_B);
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, created_at)
             SELECT '{TENANT_B}', 'ping', {CLOSED} + g * interval '1 minute' - interval '1 second' FROM generate_series(0, 30) g"
        ))
        .expect("events of another tenant");
    owner.batch_execute("CALL eventlog.maintain()").expect("maintenance");
    assert_eq!(
        text(
            &mut reader,
            "SELECT count(*) || ' ' || bool_and(is_raised) FROM eventlog.alert_changes"
        ),
        "1 true"
    );
    assert_eq!(
        text(
            &mut owner,
            "SELECT string_agg(alert || ' ' || is_raised, ', ' ORDER BY alert), bool_and(evaluated_until < now() - interval '1 minute')
               FROM eventlog.alerts"
        ),
        "silence true, theirs false"
    );
    assert_eq!(text(&mut owner, "SELECT eventlog.evaluate_alerts()"), "0", "each window once");
}

#[test]
fn a_window_stays_open_while_a_transaction_that_has_written_is_open() {
    let (db, mut owner, mut reader) = log();
    create_for_closed_windows(&mut owner, "silence", TENANT_A);
    let mut writer = db.connect("log_owner");
    writer
        .batch_execute(&format!(
            "BEGIN; INSERT INTO eventlog.events (tenant_id, name, created_at)
             SELECT '{TENANT_A}', 'ping', {CLOSED} + g * interval '1 minute' - interval '1 second' FROM generate_series(0, 30) g"
        ))
        .expect("events");
    for _ in 0..2 {
        assert_eq!(text(&mut owner, "SELECT eventlog.evaluate_alerts()"), "0");
        assert_eq!(text(&mut reader, "SELECT evaluated_until IS NULL FROM eventlog.alerts"), "t");
    }
    writer.batch_execute("COMMIT").expect("an end");
    for _ in 0..60 {
        if text(&mut reader, "SELECT evaluated_until IS NULL FROM eventlog.alerts") == "f" {
            break;
        }
        assert_eq!(text(&mut owner, "SELECT eventlog.evaluate_alerts()"), "0");
    }
    assert_eq!(text(&mut reader, "SELECT value > 0 AND NOT is_raised FROM eventlog.alerts"), "t");
}

#[test]
fn one_evaluates_at_a_time_and_others_return_at_once() {
    let (db, mut owner, mut reader) = log();
    create_for_closed_windows(&mut owner, "silence", TENANT_A);
    let mut other = db.connect("log_owner");
    other.batch_execute("BEGIN").expect("a transaction");
    assert_eq!(text(&mut other, "SELECT eventlog.evaluate_alerts()"), "1");
    owner.batch_execute("SET lock_timeout = '10s'").expect("a setting");
    assert_eq!(text(&mut owner, "SELECT eventlog.evaluate_alerts()"), "0");
    owner.batch_execute("CALL eventlog.maintain()").expect("it does the rest");
    assert_eq!(changes(&mut reader).len(), 0);
    other.batch_execute("ROLLBACK").expect("an end");
    assert_eq!(text(&mut owner, "SELECT eventlog.evaluate_alerts()"), "1");
    assert_eq!(changes(&mut reader).len(), 1);
}

#[test]
fn an_alert_that_fails_says_why_and_stops_no_other() {
    let (db, mut owner, mut reader) = log();
    reader
        .batch_execute("SELECT eventlog.create_alert(a, 'not_received') FROM unnest('{first,second,third}'::text[]) AS a")
        .expect("alerts");
    db.superuser()
        .batch_execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no such thing'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON eventlog.alert_changes FOR EACH ROW WHEN (NEW.alert = 'second') EXECUTE FUNCTION public.refuse()",
        )
        .expect("the owner may");
    begin(&mut owner, "01:00");
    assert_eq!(evaluate(&mut owner, "01:00"), "2");
    assert_eq!(
        text(&mut reader, "SELECT string_agg(alert || ' ' || failure, ',') FROM eventlog.alerts"),
        "second no such thing"
    );
    owner.batch_execute("DROP TRIGGER refuse ON eventlog.alert_changes").expect("it is there");
    assert_eq!(evaluate(&mut owner, "01:00"), "1");
    assert_eq!(
        changes(&mut reader),
        ["first raised 01:00 0", "third raised 01:00 0", "second raised 01:00 0"]
    );
    assert_eq!(text(&mut reader, "SELECT count(failure) FROM eventlog.alerts"), "0");
}

#[test]
fn windows_that_were_missed_are_evaluated_later_in_order_up_to_a_bound() {
    let (_db, mut owner, mut reader) = log();
    reader
        .batch_execute(
            "SELECT eventlog.create_alert('silence', 'not_received', time_window => '1 minute')",
        )
        .expect("an alert");
    fill(&mut owner, "ping", &["00:10:30", "07:20:30", "17:00:30"]);
    begin(&mut owner, "00:01");
    // 1,000 windows end from 00:40 + 1 minute to 17:20.
    let mut calls = 0;
    while text(
        &mut owner,
        "SELECT is_more FROM eventlog_private.evaluate_until('2020-01-06 17:20+00', '2020-01-06 17:20+00', NULL)",
    ) == "t"
    {
        calls += 1;
        assert!(calls < 100);
    }
    assert_eq!(
        changes(&mut reader),
        [
            "silence raised 00:41 0",
            "silence resolved 07:21 1",
            "silence raised 07:22 0",
            "silence resolved 17:01 1",
            "silence raised 17:02 0"
        ]
    );
    assert_eq!(
        text(
            &mut reader,
            "SELECT windows_skipped || ' ' || (evaluated_until = '2020-01-06 17:20+00') FROM eventlog.alerts"
        ),
        "40 true"
    );
}

#[test]
fn several_windows_in_a_row_are_needed_and_a_pause_keeps_quiet() {
    let (_db, mut owner, mut reader) = log();
    reader
        .batch_execute(
            "SELECT eventlog.create_alert('slow', 'not_received', raise_after => 2, resolve_after => 2),
                    eventlog.create_alert('quiet', 'not_received', pause => '5 hours')",
        )
        .expect("alerts");
    // Hours without an event end at 02, 04, 05, 07, 10, 11, 12 …
    fill(&mut owner, "ping", &["00:30", "02:30", "05:30", "07:30", "08:30"]);
    begin(&mut owner, "01:00");
    evaluate(&mut owner, "12:00");
    assert_eq!(
        changes(&mut reader),
        [
            // Resolved at 03, so not raised before 08, when there is an event.
            "quiet raised 02:00 0",
            "quiet resolved 03:00 1",
            "quiet raised 10:00 0",
            "slow raised 05:00 0",
            "slow resolved 09:00 1",
            "slow raised 11:00 0"
        ]
    );
}

#[test]
fn a_disabled_alert_stands_still_and_goes_on_with_the_window_of_then() {
    let (_db, mut owner, mut reader) = log();
    reader
        .batch_execute("SELECT eventlog.create_alert('silence', 'not_received')")
        .expect("an alert");
    begin(&mut owner, "01:00");
    reader.batch_execute("SELECT eventlog.disable_alert('silence')").expect("it is there");
    assert_eq!(evaluate(&mut owner, "05:00"), "0");
    reader.batch_execute("SELECT eventlog.enable_alert('silence')").expect("it is there");
    assert_eq!(text(&mut reader, "SELECT next_until > now() FROM eventlog.alerts"), "t");
}

#[test]
fn late_events_change_no_verdict_and_count_in_comparisons() {
    let (_db, mut owner, mut reader) = log();
    reader
        .batch_execute("SELECT eventlog.create_alert('silence', 'not_received'), eventlog.create_alert('swing', 'changed', 150)")
        .expect("alerts");
    begin(&mut owner, "01:00");
    evaluate(&mut owner, "01:00");
    fill(&mut owner, "ping", &["00:20", "01:20", "01:30"]);
    evaluate(&mut owner, "02:00");
    assert_eq!(
        changes(&mut reader),
        ["silence raised 01:00 0", "silence resolved 02:00 2"],
        "from one, which was late, to two"
    );
}

#[test]
fn changes_go_after_ninety_days() {
    let (_db, mut owner, _reader) = log();
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.alert_changes (tenant_id, alert, is_raised, changed_at, details)
             SELECT '{TENANT_A}', 'a', true, now() - d * interval '1 day', '{{}}' FROM generate_series(88, 92) d"
        ))
        .expect("changes");
    owner.batch_execute("CALL eventlog.maintain()").expect("maintenance");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.alert_changes"), "2");
}
