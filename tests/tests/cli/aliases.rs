//! Commands that take names of events know their aliases.

use std::process::Command;

use eventlog_tests::{Db, TENANT_A, db, rows, text};

use crate::files::Folder;
use crate::server::{eventlog, printed};

fn run(db: &Db, arguments: &[&str]) -> Command {
    let mut command = eventlog(db::shared(), &db.name, "log_owner");
    command.args(arguments);
    command
}

#[test]
fn an_alias_is_imported_exported_and_given_a_key_as_the_name_that_it_stands_for() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.define_event('purchase', aliases => ARRAY['Order Completed', 'order.done'])",
        )
        .unwrap();
    let folder = Folder::new("aliases");
    let of_segment = folder.write(
        "segment.ndjson",
        br#"{"type": "track", "event": "Order Completed", "userId": "u", "messageId": "m1", "timestamp": "2026-03-01T10:00:00Z", "properties": {"total": 1}}
{"type": "track", "event": "Order Lost", "userId": "u", "messageId": "m2", "timestamp": "2026-03-01T10:00:00Z"}
{"type": "track", "event": "order.done", "userId": "u", "messageId": "m3", "timestamp": "2026-03-01T10:00:00Z"}"#,
    );
    let path = of_segment.to_str().unwrap();
    let import = ["import", path, "--from", "segment", "--tenant", TENANT_A, "--define"];
    assert!(printed(&mut run(&db, &import)).starts_with("3 rows: 3 imported"));
    let own = folder.write(
        "own.ndjson",
        format!(r#"{{"id": 7, "tenant_id": "{TENANT_A}", "name": "order.done", "data": {{}}, "created_at": "2026-03-01T10:00:00Z"}}"#).as_bytes(),
    );
    assert!(
        printed(&mut run(&db, &["import", own.to_str().unwrap()]))
            .starts_with("1 rows: 1 imported")
    );
    let stored = "SELECT name, count(*) FROM eventlog.events GROUP BY 1 ORDER BY 1";
    assert_eq!(rows(&mut owner, stored), [["order_lost", "1"], ["purchase", "3"]]);
    let names = "Order Completed,purchase";
    assert_eq!(printed(&mut run(&db, &["export", "--names", names])).lines().count(), 3);
    let key = ["key", "create", "--tenant", TENANT_A, "--event", "Order Completed"];
    printed(&mut run(&db, &key));
    let of_key = "SELECT event_names FROM eventlog.api_keys";
    assert_eq!(text(&mut owner, of_key), "{purchase}");
}

#[test]
fn a_sample_of_an_alias_is_one_of_its_event() {
    let db = Db::new();
    let folder = Folder::new("lint-aliases");
    let plan = folder.write(
        "plan.json",
        br#"{"eventlog_plan": 1, "events": {"purchase": {"aliases": ["Order Completed"], "value_types": {"total": "number"}}}}"#,
    );
    let samples = folder.write(
        "samples.ndjson",
        br#"{"name": "Order Completed", "data": {"total": 1}} {"name": "Order Completed", "data": {"total": "1"}, "refused": "23514"}"#,
    );
    let lint = ["lint", plan.to_str().unwrap(), samples.to_str().unwrap(), "--all-names"];
    assert_eq!(printed(&mut run(&db, &lint)), "1 names, 2 samples, 0 faults\n");
}
