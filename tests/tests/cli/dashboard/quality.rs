//! Quality: errors, durations, quarantine and drift from the raw rows, findings from the doctor.

use eventlog_tests::{Cluster, db};
use postgres::Client;
use serde_json::Value;

use super::raw::{Row, asked, list, sorted, table, words};
use super::{Stage, play, play_with};
use crate::server::{GATEWAY, eventlog, printed};

/// Events with their type, whether they failed, and how long they took; as the types' declarations say.
fn measured(tenant: &str, since: &str, until: &str, filter: &str) -> String {
    format!(
        "WITH event AS (
            SELECT e.*, t.error_key,
                   CASE WHEN t.success_values <> '{{}}' AND e.data ? t.success_key THEN e.data ->> t.success_key <> ALL (t.success_values)
                        WHEN jsonb_typeof(e.data -> t.success_key) = 'boolean' THEN e.data ->> t.success_key = 'false'
                        WHEN e.data ? t.error_key THEN true END AS has_failed,
                   CASE WHEN jsonb_typeof(e.data -> t.duration_key) = 'number' THEN (e.data ->> t.duration_key)::numeric END AS duration
              FROM eventlog.events e LEFT JOIN eventlog.event_types t USING (name)
             WHERE e.tenant_id = '{tenant}' AND e.created_at >= '{since}' AND e.created_at < '{until}' AND ({filter})
         )"
    )
}

/// Asserts that the tables are what the raw rows say.
pub(super) fn judge(client: &mut Client, tenant: &str, found: &Value) {
    let (since, until, filter) =
        (words(found, "since"), words(found, "until"), words(found, "where"));
    let event = measured(tenant, &since, &until, &filter);
    let errors = asked(
        client,
        &format!(
            "{event} SELECT data ->> error_key, name, count(*), count(DISTINCT nullif(actor, '')),
                    (array_agg(coalesce(data ->> 'errorMessage', data ->> 'error_message', data ->> 'message') ORDER BY created_at DESC, id DESC))[1],
                    (array_agg(subject ORDER BY created_at DESC, id DESC))[1],
                    to_json(max(created_at)) #>> '{{}}'
               FROM event WHERE has_failed GROUP BY name, data ->> error_key
              ORDER BY max(created_at) DESC, name, data ->> error_key"
        ),
    );
    assert_eq!(table(found, "errors"), errors, "errors from {since} to {until}, {filter}");
    assert!(!errors.is_empty());

    // Whole days of UTC.
    let day = |at: &str| format!("date_trunc('day', timestamptz '{at}', 'UTC')");
    let days = event
        .replace(&format!("'{since}'"), &day(&since))
        .replace(&format!("< '{until}'"), &format!("< {} + interval '1 day'", day(&until)));
    let last = |subject: &str| {
        format!(
            "(SELECT concat_ws(': ', nullif(x.data ->> x.error_key, ''), nullif(coalesce(x.data ->> 'errorMessage', x.data ->> 'error_message', x.data ->> 'message'), ''))
                FROM event x WHERE x.has_failed AND x.name = event.name AND x.{subject} IS NOT DISTINCT FROM event.{subject}
                 AND x.created_at >= '{since}' AND x.created_at < '{until}' ORDER BY x.created_at DESC, x.id DESC LIMIT 1)"
        )
    };
    // The two values between which a percentile lies; of few events they are far apart.
    let around = |part: &str| {
        let at = |round: &str| {
            format!(
                "(array_agg(duration ORDER BY duration) FILTER (WHERE duration IS NOT NULL))[{round}({part} * (count(duration) - 1))::int + 1]"
            )
        };
        format!("{} || ' ' || {}", at("floor"), at("ceil"))
    };
    let expected = asked(
        client,
        &format!(
            "{days} SELECT subject, name, count(*), round((count(*) FILTER (WHERE has_failed = false))
                           / nullif(count(has_failed), 0)::numeric, 4), count(*) FILTER (WHERE has_failed),
                    {}, {}, {}
               FROM event WHERE subject IS NOT NULL GROUP BY name, subject HAVING count(has_failed) > 0 OR count(duration) > 0
              ORDER BY count(*) DESC, name, subject",
            around("0.5"),
            around("0.95"),
            last("subject")
        ),
    );
    let shown = table(found, "durations");
    let exact = |rows: &[Row]| -> Vec<Row> {
        rows.iter().map(|row| [&row[..5], &row[7..]].concat()).collect()
    };
    assert_eq!(exact(&shown), exact(&expected), "durations from {since} to {until}, {filter}");
    for (shown, expected) in shown.iter().zip(&expected) {
        for place in [5, 6] {
            let around: Vec<f64> =
                expected[place].split(' ').filter_map(|value| value.parse().ok()).collect();
            match (shown[place].parse::<f64>(), &around[..]) {
                // Percentiles are of a histogram of ranges of 4 %.
                (Ok(shown), [lower, upper]) => {
                    assert!((lower * 0.95..=upper * 1.05).contains(&shown), "{shown} {around:?}");
                }
                (shown, around) => assert_eq!(shown.is_ok(), !around.is_empty(), "{expected:?}"),
            }
        }
    }

    let own = format!("coalesce(tenant_id, claimed_tenant_id) = '{tenant}'");
    let reasons = asked(
        client,
        &format!(
            "SELECT reason, name, sqlstate, count(*), to_json(max(created_at)) #>> '{{}}' FROM eventlog.rejected_events
              WHERE {own} GROUP BY name, sqlstate, reason ORDER BY max(created_at) DESC, name"
        ),
    );
    assert_eq!(sorted(table(found, "rejected")), sorted(reasons));
    let events = asked(
        client,
        &format!(
            "SELECT to_json(created_at) #>> '{{}}', name, sqlstate, reason, data FROM eventlog.rejected_events
              WHERE {own} ORDER BY id DESC LIMIT 100"
        ),
    );
    assert_eq!(table(found, "events"), events);

    let types = asked(
        client,
        &format!(
            "WITH key AS (
                SELECT e.name, k.key, count(*) AS events FROM eventlog.events e, jsonb_object_keys(e.data) AS k (key)
                 WHERE e.tenant_id = '{tenant}' GROUP BY e.name, k.key
             ), seen AS (
                SELECT e.name, count(*) AS events FROM eventlog.events e WHERE e.tenant_id = '{tenant}' GROUP BY e.name
             )
             SELECT name, CASE WHEN t.name IS NULL THEN 'undeclared' WHEN seen.name IS NULL THEN 'unused' ELSE t.status END,
                    coalesce(seen.events, 0),
                    coalesce((SELECT string_agg(k.key, ' ' ORDER BY k.key COLLATE \"C\") FROM key k
                               WHERE k.name = name.name AND k.key <> ALL (t.required_keys || t.optional_keys)), ''),
                    coalesce((SELECT string_agg(d.key, ' ' ORDER BY d.key COLLATE \"C\") FROM unnest(t.required_keys) AS d (key)
                               WHERE coalesce((SELECT k.events FROM key k WHERE k.name = name.name AND k.key = d.key), 0) < seen.events), ''),
                    coalesce((SELECT string_agg(d.key, ' ' ORDER BY d.key COLLATE \"C\") FROM unnest(t.required_keys || t.optional_keys) AS d (key)
                               WHERE seen.name IS NOT NULL AND NOT EXISTS (SELECT FROM key k WHERE k.name = name.name AND k.key = d.key)), '')
               FROM (SELECT name FROM eventlog.event_types UNION SELECT name FROM seen) name
               LEFT JOIN eventlog.event_types t USING (name) LEFT JOIN seen USING (name)"
        ),
    );
    let drifting =
        types.iter().filter(|row| row[1] != "active" || row[3..5].concat() != "").cloned();
    assert_eq!(sorted(table(found, "taxonomy")), sorted(drifting.collect()));
    for state in found["states"].as_array().unwrap() {
        let [state, count] = &list(state)[..] else { panic!("{state}") };
        let expected = types.iter().filter(|row| row[1] == *state).count();
        assert_eq!(*count, expected.to_string(), "{state}");
    }
}

/// Asserts that the findings are those of `eventlog doctor`.
pub(super) fn judge_doctor(cluster: &Cluster, database: &str, found: &Value) {
    let output = eventlog(cluster, database, GATEWAY).args(["doctor", "--json"]).output();
    let findings: Value = serde_json::from_slice(&output.expect("it starts").stdout).unwrap();
    let findings = findings.as_array().unwrap();
    let mut expected: Vec<Row> = findings
        .iter()
        .map(|finding| vec![words(finding, "check"), words(finding, "state")])
        .collect();
    expected.sort();
    assert_eq!(sorted(table(found, "found")), expected);
}

#[test]
fn errors_durations_quarantine_and_drift_are_those_of_the_raw_rows() {
    play("qualityFigures");
}

#[test]
fn rejected_events_are_retried_by_a_key_that_may() {
    play_with("qualityRetry", "replay", &["--kind", "read", "--can-replay"]);
}

#[test]
fn a_key_of_all_tenants_sees_what_the_doctor_finds() {
    let db = eventlog_tests::Db::new();
    let mut stage = Stage::new(db::shared(), &db.name);
    let mut command = eventlog(db::shared(), &db.name, "log_owner");
    command.args(["key", "create", "--kind", "read", "--all-tenants"]);
    stage.keys["all"] = printed(&mut command).trim().into();
    stage.play("qualityOfTheLog");
}

#[test]
fn quality_fits_narrow_screens_in_light_and_dark() {
    play("qualityNarrow");
}
