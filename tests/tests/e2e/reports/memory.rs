//! What the aggregates of reports may take in memory: a limit is an error of the report, not the end of
//! the server.

use eventlog_tests::{Db, assert_refused, text};

#[test]
fn a_report_that_needs_too_much_memory_is_refused_and_the_next_one_answers() {
    let db = Db::new();
    let mut member = db.connect("member");
    let hours = "ARRAY(SELECT generate_series(timestamptz '2026-01-01', '2027-01-01', '1 hour'))";
    let days = "ARRAY(SELECT generate_series(timestamptz '2017-01-01', '2027-01-01', '1 day'))";
    for sql in [
        format!(
            "SELECT eventlog._period_actors('actor' || i, NULL, NULL, NULL, '2026-05-01', {hours}) FROM generate_series(1, 600000) i"
        ),
        format!(
            "SELECT eventlog._presence('actor' || i, NULL, NULL, NULL, '2020-01-01', true, true, '2017-01-01', {days})
               FROM generate_series(1, 600000) i"
        ),
        "SELECT eventlog._funnel(repeat('x', 1000) || i, 1, now(), i, NULL, NULL, false, 1, true, 1, 0) FROM generate_series(1, 600000) i"
            .to_owned(),
        "SELECT eventlog._funnel('x', 1, now(), i, NULL, 'value' || i, false, 1, true, 1, 0) FROM generate_series(1, 700000) i".to_owned(),
        "SELECT eventlog._experiment(repeat('x', 1000) || i, now(), 'a', NULL, NULL) FROM generate_series(1, 600000) i".to_owned(),
    ] {
        assert_refused(&mut member, &sql, "54000", "more than 512 MB");
        // The states are gone, and what they took is free again.
        let small = sql.replace("600000", "1000").replace("700000", "1000");
        text(&mut member, &format!("SELECT count(*) FROM ({small}) s"));
    }
}
