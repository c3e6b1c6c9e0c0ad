//! Quarter-hours that the log did not write: a restore or the owner's own UPDATE can leave anything.

use eventlog_tests::{Db, rows};

#[test]
fn quarters_that_nobody_stored_are_read_without_harm() {
    let db = Db::new();
    let mut member = db.connect("member");
    for quarters in ["", "ff", "ffff", "00010000", "0000000000", "ffff0000ffff"] {
        for month in ["2026-02-01", "infinity", "-infinity", "4713-01-01 BC", "5874897-12-31"] {
            for starts in [
                "{infinity,2026-01-01,2020-01-01,-infinity}",
                "{}",
                "{-infinity,2026-02-01,infinity}",
            ] {
                let sql = format!(
                    "SELECT eventlog._quarters_union('\\x{quarters}', '\\x0001'),
                            eventlog._period_actors('a', '{month}', 1, '\\x{quarters}', NULL, '{starts}'),
                            eventlog._present_within(eventlog._presence('a', '{month}', 1, '\\x{quarters}', NULL, true, true,
                                                                        '2026-02-01', '{starts}'), 1, 2)"
                );
                assert_eq!(rows(&mut member, &sql).len(), 1, "{sql}");
            }
        }
    }
    let none = "SELECT eventlog._quarters('infinity'), eventlog._quarters_union(NULL, NULL), eventlog._quarters(NULL)";
    assert_eq!(rows(&mut member, none).len(), 1);
}
