//! The stream of events, from the raw rows.

use postgres::Client;
use serde_json::Value;

use super::play;
use super::raw::{asked, quoted, table, words};

/// Asserts that the newest events are there, newest first.
pub(super) fn judge(client: &mut Client, tenant: &str, page: &Value) {
    let found = table(page, "rows");
    let sql = format!(
        "SELECT e.id, e.name, coalesce(nullif(e.actor, ''), '–'), coalesce(nullif(e.subject, ''), '–') FROM eventlog.events e
          WHERE e.tenant_id = '{tenant}' AND e.created_at >= '{}' AND e.created_at < '{}' AND ({})
          ORDER BY e.created_at DESC, e.id DESC LIMIT {}",
        words(page, "since"),
        words(page, "until"),
        words(page, "where"),
        found.len()
    );
    assert!(!found.is_empty());
    assert_eq!(found, asked(client, &sql));
}

/// Asserts that an event is shown whole, with its id as text.
pub(super) fn judge_event(client: &mut Client, tenant: &str, page: &Value) {
    let event = &page["event"];
    let sql = format!(
        "SELECT e.name, e.actor, e.data = {}::jsonb FROM eventlog.events e WHERE e.tenant_id = '{tenant}' AND e.id = {}",
        quoted(&event["data"].to_string()),
        event["id"].as_str().expect("text")
    );
    let row = asked(client, &sql).concat();
    assert_eq!(row, [event["name"].as_str().unwrap(), event["actor"].as_str().unwrap(), "t"]);
}

#[test]
fn the_stream_has_all_events_and_a_drawer_has_one_and_its_persons() {
    play("eventStream");
}

#[test]
fn new_events_appear_by_themselves_unless_paused() {
    play("newEvents");
}
