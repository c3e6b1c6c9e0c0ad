//! Funnels: every figure from the raw rows, start by start.

use postgres::Client;
use serde_json::Value;

use super::play;
use super::raw::{asked, quoted, sorted, table, value_of, words};

/// SQL with a table `best`: who, the value of a split, how many steps were reached, and when each was. Each start is
/// followed from event to event. The one that gets furthest counts; of several the first to get there, and of several
/// that get there by the same event the latest.
fn best(tenant: &str, found: &Value) -> String {
    let steps: Vec<String> = found["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| quoted(step.as_str().unwrap()))
        .collect();
    let (since, until) = (words(found, "since"), words(found, "until"));
    let within = words(found, "within");
    let who = value_of(found["by"].as_str().unwrap_or("actor"));
    let split = found["split"].as_str().map_or("NULL::text".to_owned(), value_of);
    let filter = found["where"].as_str().unwrap_or("true");
    let mut joins = String::new();
    let mut reached = vec!["1".to_owned()];
    let mut times = vec!["s1.at AS at1".to_owned()];
    let mut ends = vec!["s1".to_owned()];
    for (n, step) in steps.iter().enumerate().skip(1) {
        let (now, last) = (n + 1, n);
        joins += &format!(
            " LEFT JOIN LATERAL (
                SELECT x.at, x.id FROM event x
                 WHERE x.who = s1.who AND x.name = {step} AND (x.at, x.id) > (s{last}.at, s{last}.id)
                   AND x.at < s1.at + interval '{within}'
                 ORDER BY x.at, x.id LIMIT 1) s{now} ON true"
        );
        reached.push(format!("(s{now}.at IS NOT NULL)::integer"));
        times.push(format!("s{now}.at AS at{now}"));
        ends.insert(0, format!("s{now}"));
    }
    let order = match found["is_first_only"] == true {
        true => "started.at1, started.id",
        false => "started.depth DESC, started.end_at, started.end_id, started.at1 DESC, started.id",
    };
    format!(
        "WITH event AS MATERIALIZED (
            SELECT {who} AS who, e.name, coalesce(e.occurred_at, e.created_at) AS at, e.id, e.created_at, {split} AS value
              FROM eventlog.events e
             WHERE e.tenant_id = '{tenant}' AND e.name IN ({names}) AND {who} IS NOT NULL AND ({filter})
               AND e.created_at >= '{since}' AND e.created_at < timestamptz '{until}' + interval '{within}'
         ), started AS (
            SELECT s1.who, s1.value, s1.id, {depth} AS depth, {times}, coalesce({end_at}) AS end_at, coalesce({end_id}) AS end_id
              FROM (SELECT * FROM event e WHERE e.name = {first} AND e.created_at < '{until}') s1 {joins}
         ), best AS (
            SELECT DISTINCT ON (started.who) * FROM started ORDER BY started.who, {order}
         )",
        names = steps.join(", "),
        depth = reached.join(" + "),
        times = times.join(", "),
        end_at = ends.iter().map(|step| format!("{step}.at")).collect::<Vec<_>>().join(", "),
        end_id = ends.iter().map(|step| format!("{step}.id")).collect::<Vec<_>>().join(", "),
        first = steps[0],
    )
}

/// Asserts that a funnel's table is what the raw rows say.
pub(super) fn judge(client: &mut Client, tenant: &str, found: &Value) {
    let steps = found["steps"].as_array().unwrap();
    let is_split = found["split"].is_string();
    let mut expected = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        let (now, last) = (n + 1, n.max(1));
        let sql = format!(
            "{} SELECT {name}, {value} count(*) FILTER (WHERE depth >= {now}),
                    round(count(*) FILTER (WHERE depth >= {now}) / nullif(count(*), 0)::numeric, 4),
                    CASE WHEN {now} > 1 THEN round(count(*) FILTER (WHERE depth >= {now}) / nullif(count(*) FILTER (WHERE depth >= {last}), 0)::numeric, 4) END,
                    CASE WHEN {now} > 1 THEN round((percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM at{now})::float8 - extract(epoch FROM at{last})::float8)
                         FILTER (WHERE depth >= {now}))::numeric, 3) END
               FROM best {group}",
            best(tenant, found),
            name = quoted(step.as_str().unwrap()),
            value = if is_split { "value," } else { "" },
            group = if is_split { "GROUP BY value" } else { "" },
        );
        expected.extend(asked(client, &sql));
    }
    let shown = table(found, "rows");
    assert!(shown.len() >= steps.len(), "{found}");
    assert_eq!(sorted(shown), sorted(expected), "{found}");
}

/// Asserts that the table of those who dropped out is what the raw rows say.
pub(super) fn judge_dropouts(client: &mut Client, tenant: &str, found: &Value) {
    let step = found["step"].as_u64().unwrap();
    // With the last that each did of the steps, whenever that was.
    let sql = format!(
        "{} SELECT b.who, l.name, to_json(l.at) #>> '{{}}' FROM best b
             CROSS JOIN LATERAL (SELECT e.name, e.at FROM event e WHERE e.who = b.who ORDER BY e.at DESC, e.id DESC LIMIT 1) l
             WHERE b.depth = {step} ORDER BY l.at DESC, b.who LIMIT 200",
        best(tenant, found),
    );
    let expected = asked(client, &sql);
    assert!(!expected.is_empty(), "nobody: {found}");
    let shown = table(found, "rows");
    let times = |rows: &[Vec<String>]| rows.iter().map(|row| row[2].clone()).collect::<Vec<_>>();
    assert_eq!(times(&shown), times(&expected), "latest first: {found}");
    assert_eq!(sorted(shown), sorted(expected), "{found}");
}

#[test]
fn each_figure_of_each_funnel_is_that_of_the_raw_rows() {
    play("funnelDefinitions");
}

#[test]
fn steps_of_a_funnel_are_changed_by_keyboard_and_mouse_and_saved() {
    play("funnelSteps");
}

#[test]
fn those_who_dropped_out_of_a_funnel_lead_to_their_events() {
    play("funnelDropouts");
}

#[test]
fn a_funnel_fits_narrow_screens_in_light_and_dark() {
    play("funnelNarrow");
}
