//! Who may define alerts, and what wrong definitions get.

use eventlog_tests::{TENANT_A, TENANT_B, assert_refused, rows, text};

use super::log;

const EVERYBODY: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

#[test]
fn a_definition_is_what_was_typed_and_the_rest_has_defaults() {
    let (_db, mut owner, mut reader) = log();
    reader
        .batch_execute(
            "SELECT eventlog.create_alert('silence', 'not_received', names => '{checkout_completed}'),
                    eventlog.create_alert('flood', condition => 'above', threshold => 1000, time_window => '5 minutes', raise_after => 3),
                    eventlog.create_alert('few', 'below', 1),
                    eventlog.create_alert('some', 'below', 100, resolve_at => 150),
                    eventlog.create_alert('swing', 'changed', 50, time_window => '1 day', compare_with => '7 days', pause => '12 hours'),
                    eventlog.create_alert('failing', 'error_rate', 5),
                    eventlog.create_alert('refusals', 'refused', names => '{of_no_type}'),
                    eventlog.create_alert('over', 'quota'),
                    eventlog.create_alert('stuck', 'stopped_consumers')",
        )
        .expect("alerts");
    assert_eq!(
        rows(
            &mut reader,
            "SELECT alert, condition, names, time_window, threshold, resolve_at, raise_after, compare_with, pause, is_raised
               FROM eventlog.alerts ORDER BY created_at, alert COLLATE \"C\""
        )
        .iter()
        .map(|row| row.join("|"))
        .collect::<Vec<_>>(),
        [
            "failing|error_rate|∅|01:00:00|5|4.5|1|∅|00:00:00|f",
            "few|below|∅|01:00:00|1|1|1|∅|00:00:00|f",
            "flood|above|∅|00:05:00|1000|900|3|∅|00:00:00|f",
            "over|quota|∅|01:00:00|0|0|1|∅|00:00:00|f",
            "refusals|refused|{of_no_type}|01:00:00|0|0|1|∅|00:00:00|f",
            "silence|not_received|{checkout_completed}|01:00:00|∅|∅|1|∅|00:00:00|f",
            "some|below|∅|01:00:00|100|150|1|∅|00:00:00|f",
            "stuck|stopped_consumers|∅|01:00:00|600|540|1|∅|00:00:00|f",
            "swing|changed|∅|1 day|50|45|1|7 days|12:00:00|f",
        ]
    );
    // The first window is the one of now.
    assert_eq!(
        text(
            &mut owner,
            "SELECT bool_and(next_until > now() AND next_until <= now() + time_window) FROM eventlog.alerts"
        ),
        "t"
    );
    owner
        .batch_execute(
            "SELECT eventlog.create_alert('sick', 'findings', tenant_id => eventlog.all_tenants())",
        )
        .expect("the owner's");
    reader.batch_execute("SELECT eventlog.drop_alert('few')").expect("it is there");
    assert_eq!(text(&mut reader, "SELECT count(*) FROM eventlog.alerts"), "8");
}

#[test]
fn alerts_of_another_tenant_are_invisible_and_untouchable() {
    let (db, mut owner, mut reader) = log();
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_alert('theirs', 'not_received', tenant_id => '{TENANT_B}'),
                    eventlog.create_alert('everybodys', 'not_received', tenant_id => eventlog.all_tenants());
             INSERT INTO eventlog.alert_changes (tenant_id, alert, is_raised, details) VALUES ('{TENANT_B}', 'theirs', true, '{{}}')"
        ))
        .expect("alerts");
    for table in ["alerts", "alert_changes"] {
        assert_eq!(text(&mut reader, &format!("SELECT count(*) FROM eventlog.{table}")), "0");
    }
    for call in [
        "create_alert('mine', 'not_received', tenant_id => 'TENANT')",
        "drop_alert('theirs', 'TENANT')",
        "disable_alert('theirs', 'TENANT')",
        "enable_alert('theirs', 'TENANT')",
        "_add_alert('TENANT', 'mine', '{\"condition\": \"not_received\"}')",
        "_add_owner_alert('TENANT', 'mine', '{\"condition\": \"findings\"}')",
        "_remove_alert('TENANT', 'theirs')",
        "_switch_alert('TENANT', 'theirs', false)",
    ] {
        for tenant in [TENANT_B, EVERYBODY] {
            let sql = format!("SELECT eventlog.{}", call.replace("TENANT", tenant));
            assert_refused(&mut reader, &sql, "42501", "");
        }
    }
    assert_refused(&mut reader, "SELECT eventlog.evaluate_alerts()", "42501", "");
    assert_refused(&mut reader, "SELECT eventlog.create_alert('f', 'findings')", "42501", "");
    // Behind the door for readers, too, findings are the owner's.
    let mut service = db.connect("service");
    let call = format!(
        "SELECT eventlog._add_alert('{EVERYBODY}', 'f', '{{\"condition\": \"findings\"}}')"
    );
    assert_refused(&mut service, &call, "42501", "for the log's owner");
    service
        .batch_execute("SELECT eventlog.create_alert('services', 'not_received', tenant_id => eventlog.all_tenants())")
        .expect("a service reads all tenants");
    let mut writer = db.connect("writer");
    writer.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).expect("a tenant");
    assert_refused(
        &mut writer,
        "SELECT eventlog.create_alert('mine', 'not_received')",
        "42501",
        "permission denied",
    );

    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.alerts"), "3");
    owner.batch_execute(&format!("CALL eventlog.forget_tenant('{TENANT_B}')")).expect("an erasure");
    assert_eq!(
        rows(&mut owner, "SELECT alert FROM eventlog.alerts UNION ALL SELECT alert FROM eventlog.alert_changes ORDER BY 1").concat(),
        ["everybodys", "services"]
    );
}

#[test]
fn wrong_definitions_say_what_is_right() {
    let (_db, mut owner, mut reader) = log();
    for (call, sqlstate, message) in [
        ("create_alert(NULL, 'above', 1)", "22004", "alert must not be null"),
        ("create_alert('a', NULL, 1)", "22004", "condition must not be null"),
        ("create_alert('a', 'above', 1, time_window => NULL)", "22004", "time_window must not"),
        ("create_alert('', 'above', 1)", "22023", "1 to 100 characters, got 0"),
        ("create_alert('a', 'over', 1)", "22023", "unknown condition \"over\""),
        ("create_alert('a', 'above')", "22023", "above needs a threshold"),
        ("create_alert('a', 'above', -1)", "22023", "threshold of above must be from 0"),
        ("create_alert('a', 'above', 'NaN')", "22023", "threshold of above must be from 0"),
        ("create_alert('a', 'above', 'Infinity')", "22023", "threshold of above must be from 0"),
        ("create_alert('a', 'below', 0)", "22023", "must be more than 0"),
        ("create_alert('a', 'error_rate', 101)", "22023", "from 0 to 100, got 101"),
        ("create_alert('a', 'above', 10, resolve_at => 11)", "22023", "at or below the threshold"),
        ("create_alert('a', 'below', 10, resolve_at => 9)", "22023", "at or above the threshold"),
        ("create_alert('a', 'not_received', 1)", "22023", "not_received has no threshold"),
        ("create_alert('a', 'above', 1, names => '{}')", "22023", "at least one name"),
        (
            "create_alert('a', 'above', 1, names => '{pang}')",
            "42704",
            "unknown event name \"pang\"",
        ),
        ("create_alert('a', 'refused', 1, names => '{}')", "22023", "at least one name"),
        ("create_alert('a', 'quota', 1, names => '{ping}')", "22023", "quota has no names"),
        ("create_alert('a', 'above', 1, time_window => '1 month')", "22023", "whole minutes"),
        ("create_alert('a', 'above', 1, time_window => '90 seconds')", "22023", "whole minutes"),
        ("create_alert('a', 'above', 1, time_window => '0')", "22023", "00:01:00 to 31 days"),
        ("create_alert('a', 'above', 1, time_window => '40 days')", "22023", "got 40 days"),
        ("create_alert('a', 'above', 1, pause => '-1 hour')", "22023", "pause must be"),
        ("create_alert('a', 'above', 1, raise_after => 0)", "22023", "from 1 to 1000 windows"),
        ("create_alert('a', 'above', 1, resolve_after => NULL)", "22023", "got 1 and null"),
        (
            "create_alert('a', 'above', 1, compare_with => '7 days')",
            "22023",
            "for the condition changed",
        ),
        (
            "create_alert('a', 'changed', 1, compare_with => '1 minute')",
            "22023",
            "compare_with must be",
        ),
        ("drop_alert('a')", "42704", "unknown alert \"a\""),
        ("disable_alert('a')", "42704", "unknown alert \"a\""),
        ("enable_alert('a')", "42704", "unknown alert \"a\""),
    ] {
        assert_refused(&mut reader, &format!("SELECT eventlog.{call}"), sqlstate, message);
    }
    let many =
        "SELECT eventlog.create_alert('a' || g, 'not_received') FROM generate_series(1, 101) g";
    assert_refused(&mut reader, many, "54000", "a tenant can have 100 alerts");
    reader.batch_execute("SELECT eventlog.create_alert('a', 'not_received')").expect("the first");
    let again = "SELECT eventlog.create_alert('a', 'above', 1)";
    assert_refused(&mut reader, again, "42710", "alert \"a\" exists");
    let findings =
        format!("SELECT eventlog.create_alert('a', 'findings', tenant_id => '{TENANT_A}')");
    assert_refused(&mut owner, &findings, "22023", "about the whole log");
    assert_refused(
        &mut owner,
        "SELECT eventlog.evaluate_alerts('{}')",
        "22023",
        "findings must be an array, got object",
    );
    owner.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").expect("a transaction");
    assert_refused(&mut owner, "SELECT eventlog.evaluate_alerts()", "55000", "repeatable read");
}
