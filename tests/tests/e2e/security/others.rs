//! What other tenants do changes nothing of what a tenant's role is shown: no report, filter,
//! breakdown or overview has a row, a count or a name of theirs.

use eventlog_tests::{Db, TENANT_A, TENANT_B, rows, text};
use postgres::Client;

/// In everything that the other tenant logs, and in its name.
const MARK: &str = "OTHERS";

/// A log with the events of one tenant, or of another one too, up to the start of this day.
fn log(today: &str, with_others: bool) -> Db {
    let db = Db::new();
    let mut superuser = db.superuser();
    let events = |tenant: &str, mark: &str, every: &str| {
        format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
             SELECT '{tenant}', (ARRAY['skill_executed', 'tool_used', 'escalation_triggered', 'conversation_started', 'ingest_started', 'ingest_completed', 'plan_updated', 'checkout_completed', 'quota_exceeded'])[1 + g % 9],
                    jsonb_build_object('skillName', '{mark}s' || g % 3, 'durationMs', g, 'success', g % 4 > 0, 'errorType', '{mark}e', 'conversationId', '{mark}c' || g / 5,
                        'sourceType', '{mark}web', 'url', '{mark}u' || g / 7, 'plan', '{mark}pro', 'newPlan', '{mark}pro', 'previousPlan', 'free', 'status', 'ok', 'quotaType', '{mark}q', 'reason', '{mark}r'),
                    '{mark}user-' || g % 7, '{mark}x/' || g % 4, '{today}'::timestamptz - g * interval '{every}'
               FROM generate_series(1, 400) g;
             SET eventlog.tenant_id = '{tenant}';
             SELECT eventlog.try_log_event(NULL, '{mark}unknown', '{{\"a\": \"{mark}\"}}'::jsonb);
             SELECT eventlog.set_tenant('{tenant}', display_name => '{mark}name', max_bytes => 4000);"
        )
    };
    superuser
        .batch_execute(&format!(
            "SET client_min_messages = error;
             SET SESSION AUTHORIZATION log_owner;
             SELECT eventlog.define_event('skill_executed', count_keys => '{{skillName}}');
             SELECT eventlog._make_partition('{today}'::timestamptz - g * interval '1 month') FROM generate_series(0, 4) g;
             {} {}",
            events(TENANT_A, "", "3 hours"),
            if with_others { events(TENANT_B, MARK, "100 minutes") } else { String::new() },
        ))
        .expect("a superuser may");
    db.superuser().batch_execute("CALL eventlog.maintain()").expect("a superuser may");
    db
}

/// Calls of every report, with filters and breakdowns where it takes them.
fn calls(client: &mut Client, today: &str) -> Vec<String> {
    let reports = rows(
        client,
        "SELECT r.name, string_agg(a ->> 'name' || ' ' || (a ->> 'type'), ',') FROM eventlog.reports() r, jsonb_array_elements(r.arguments) a GROUP BY 1 ORDER BY 1",
    );
    let mut calls = Vec::new();
    for report in &reports {
        let (name, arguments) = (&report[0], &report[1]);
        let takes =
            |wanted: &str| arguments.split(',').any(|argument| argument.starts_with(wanted));
        let mut given = Vec::new();
        if takes("since ") {
            given.push(format!("since => ('{today}'::timestamptz - interval '40 days')"));
        }
        if takes("until ") {
            given.push(format!("until => ('{today}'::timestamptz)"));
        }
        for argument in &mut given {
            let which = argument.split(' ').next().unwrap_or_default().to_owned();
            if takes(&format!("{which} date")) {
                argument.push_str("::date");
            }
        }
        if name.starts_with("funnel") {
            given.push("steps => '{conversation_started,skill_executed}'".to_owned());
        }
        if name == "funnel_dropouts" {
            given.push("step => 1".to_owned());
        }
        if name == "experiment_results" {
            given.push("exposure => 'skill_executed', variant_key => 'skillName', metric => 'plan_updated'".to_owned());
        }
        let mut variants = vec![String::new()];
        if name == "experiment_results" {
            variants.push("value_key => 'durationMs', min_actors => 2".to_owned());
            variants.push(format!(r#"metric_filters => '{{"subject": {{"prefix": "{MARK}"}}}}'"#));
        }
        if takes("filters ") {
            for filter in [
                format!(r#"{{"actor": "{MARK}user-1"}}"#),
                format!(r#"{{"subject": {{"prefix": "{MARK}"}}}}"#),
                format!(r#"{{"data.skillName": ["{MARK}s1", "s1"]}}"#),
                r#"{"data.durationMs": {">": 10}}"#.to_owned(),
                format!(r#"{{"actor": {{"not": "{MARK}user-1"}}}}"#),
                r#"{"name": "skill_executed"}"#.to_owned(),
            ] {
                variants.push(format!("filters => '{filter}'"));
            }
        }
        if takes("breakdown ") {
            for breakdown in ["name", "actor", "subject", "data.skillName", "data.url"] {
                variants.push(format!("breakdown => '{breakdown}', top => 1000"));
                variants.push(format!("breakdown => '{breakdown}', top => 1"));
            }
        }
        if takes("prefix ") {
            variants.push(format!("prefix => '{MARK}'"));
        }
        if takes("tenant_ids ") {
            variants.push(format!("tenant_ids => '{{{TENANT_B}}}'"));
            variants.push(format!("tenant_ids => '{{{TENANT_A},{TENANT_B}}}'"));
        }
        for variant in variants {
            let all: Vec<&str> = given
                .iter()
                .map(String::as_str)
                .chain([variant.as_str()])
                .filter(|a| !a.is_empty())
                .collect();
            calls.push(format!("SELECT * FROM eventlog.{name}({})", all.join(", ")));
        }
    }
    calls
}

/// What a role is shown; errors by their message.
fn shown(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    match client.simple_query(sql) {
        Ok(_) => rows(client, sql),
        Err(error) => vec![vec![error.to_string()]],
    }
}

#[test]
fn no_report_filter_breakdown_or_overview_shows_anything_of_another_tenant() {
    let today = text(
        &mut Db::new().superuser(),
        "SELECT to_char(date_trunc('day', now(), 'UTC') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    );
    let (alone, beside) = (log(&today, false), log(&today, true));
    let calls = calls(&mut alone.superuser(), &today);
    assert!(calls.len() > 60, "{}", calls.len());
    for role in ["reader", "member"] {
        let (mut before, mut after) =
            (alone.connect_as(role, TENANT_A), beside.connect_as(role, TENANT_A));
        for call in &calls {
            let (expected, found) = (shown(&mut before, call), shown(&mut after, call));
            let printed = format!("{found:?}");
            assert!(
                !printed.contains(MARK) || call.contains(MARK) && expected == found,
                "{role}: {call}\n{printed}"
            );
            assert!(!printed.contains(TENANT_B), "{role}: {call}\n{printed}");
            assert_eq!(found, expected, "{role}: {call}");
        }
        let names = "SELECT display_name FROM eventlog.tenant_names";
        assert_eq!(rows(&mut after, names), [["name"]]);
    }
}
