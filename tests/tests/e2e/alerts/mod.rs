//! Alerts, which are raised and resolved on closed windows, each change once.

use eventlog_tests::{Db, TENANT_A, rows, text};
use postgres::Client;

mod conditions;
mod definition;
mod evaluation;
mod month;
mod oracle;

/// A log with event types `ping` and `pong`, its owner, and a reader of tenant A.
fn log() -> (Db, Client, Client) {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(
            "SELECT eventlog.grant_reader('reader'), eventlog.define_event('ping'),
                    eventlog.define_event('pong', required_keys => '{ok}', success_key => 'ok')",
        )
        .expect("a reader");
    owner.batch_execute("SELECT eventlog._make_partition('2020-01-06')").expect("a partition");
    let mut reader = db.connect("reader");
    reader.batch_execute(&format!("SET eventlog.tenant_id = '{TENANT_A}'")).expect("a tenant");
    (db, owner, reader)
}

/// Logs events of tenant A on the 6th of January 2020, a Monday, at these times.
fn fill(owner: &mut Client, name: &str, times: &[&str]) {
    for time in times {
        let row = format!(
            "('{TENANT_A}', '{name}', '2020-01-06 {time}+00', CASE '{name}' WHEN 'pong' THEN '{{\"ok\": true}}' ELSE '{{}}' END::jsonb)"
        );
        owner
            .batch_execute(&format!(
                "INSERT INTO eventlog.events (tenant_id, name, created_at, data) VALUES {row}"
            ))
            .expect("an event");
    }
}

/// Lets the next window of every alert be the one that ends at this time of that day.
fn begin(owner: &mut Client, time: &str) {
    owner
        .batch_execute(&format!("UPDATE eventlog.alerts SET next_until = '2020-01-06 {time}+00'"))
        .expect("the owner may");
}

/// Evaluates the alerts as if this were the time, and nothing before it were open.
fn evaluate(owner: &mut Client, time: &str) -> String {
    evaluate_with(owner, time, "NULL")
}

fn evaluate_with(owner: &mut Client, time: &str, findings: &str) -> String {
    let at = format!("'2020-01-06 {time}+00'");
    text(
        owner,
        &format!(
            "SELECT changes FROM eventlog_private.evaluate_until({at}, {at}, {findings}::jsonb)"
        ),
    )
}

/// What was raised and resolved, in order: the alert, what happened, the end of the window, and its value.
fn changes(client: &mut Client) -> Vec<String> {
    rows(
        client,
        "SELECT alert || CASE WHEN is_raised THEN ' raised ' ELSE ' resolved ' END
                || to_char((details ->> 'until')::timestamptz AT TIME ZONE 'UTC', 'HH24:MI') || ' ' || coalesce(details ->> 'value', '-')
           FROM eventlog.alert_changes ORDER BY id",
    )
    .concat()
}
