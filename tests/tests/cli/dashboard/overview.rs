//! The overview: every figure from the raw rows.

use postgres::Client;
use serde_json::Value;

use super::play;
use super::raw::{Row, asked, list, plain, quoted, table, value_of, words};

/// The rows of the tenants that the filters leave, with whether each failed.
fn source(tenants: &str, filter: &str) -> String {
    format!(
        "(SELECT e.*, CASE WHEN t.success_key IS NOT NULL AND e.data ? t.success_key THEN e.data ->> t.success_key = 'false'
                           WHEN t.error_key IS NOT NULL THEN coalesce(e.data ->> t.error_key, '') <> '' END AS failed,
                 CASE WHEN t.success_key IS NOT NULL AND e.data ? t.success_key THEN e.data ->> t.success_key = 'true' END AS succeeded,
                 (e.data ->> t.duration_key)::numeric AS duration
            FROM eventlog.events e LEFT JOIN eventlog.event_types t USING (name)
           WHERE {tenants} AND ({filter})) AS e"
    )
}

const SUCCESS: &str = "count(*) FILTER (WHERE e.succeeded)::float8
                       / nullif(count(*) FILTER (WHERE e.succeeded) + count(*) FILTER (WHERE e.failed), 0)";

/// The SQL of each metric.
fn measure(metric: &str) -> String {
    match metric {
        "events" => "count(*)".to_owned(),
        // Actors of different tenants are different people.
        "people" => {
            "count(DISTINCT (e.tenant_id, e.actor)) FILTER (WHERE e.actor <> '')".to_owned()
        }
        "success" => SUCCESS.to_owned(),
        "errors" => "count(*) FILTER (WHERE e.failed)".to_owned(),
        "p95" => "percentile_disc(0.95) WITHIN GROUP (ORDER BY e.duration)".to_owned(),
        other => panic!("{other}"),
    }
}

/// Asserts that values are equal; percentiles come from histograms, whose steps are at most 5 % apart.
#[track_caller]
fn same(found: &str, expected: &str, metric: &str, what: &str) {
    if found == expected {
        return;
    }
    let most = match metric {
        "p95" => 0.06,
        // The page divides as the test does, up to the last digit.
        "success" | "change" => 1e-9,
        _ => 0.0,
    };
    let both = (found.parse::<f64>(), expected.parse::<f64>());
    let (Ok(a), Ok(b)) = both else { panic!("{what}: {metric} is {found:?}, not {expected:?}") };
    assert!((a - b).abs() <= most * b.abs().max(1e-3), "{what}: {metric} is {a}, not {b}");
}

/// Asserts that the page shows what the raw rows say.
pub(super) fn judge(client: &mut Client, tenants: &str, page: &Value) {
    let (since, until) = (words(page, "since"), words(page, "until"));
    let filter = words(page, "where");
    let source = source(tenants, &filter);
    let what = format!("{since} to {until} in {}, {filter}", words(page, "zone"));
    let within = |since: &str, until: &str| {
        format!("e.created_at >= '{since}' AND e.created_at < '{until}'")
    };
    let now = within(&since, &until);
    let before = page["before"].as_array().map(|span| {
        let [since, until] = [0, 1].map(|n| span[n].as_str().unwrap());
        within(since, until)
    });

    for metric in ["events", "people", "success", "errors", "p95"] {
        let measure = measure(metric);
        let mut total = |span: &str| {
            asked(client, &format!("SELECT {measure} FROM {source} WHERE {span}")).concat().concat()
        };
        let value = total(&now);
        same(&plain(page["cards"][metric].as_str().unwrap()), &value, metric, &what);
        let former = before.as_deref().map(&mut total).unwrap_or_default();
        let change = match (value.parse::<f64>(), former.parse::<f64>()) {
            (Ok(now), Ok(before)) if metric == "success" => (now - before).to_string(),
            (Ok(now), Ok(before)) if before != 0.0 => (now / before - 1.0).to_string(),
            _ => String::new(),
        };
        // What is estimated is compared above.
        if metric != "p95" {
            same(&plain(page["changes"][metric].as_str().unwrap()), &change, "change", &what);
        }
    }
    judge_time(client, &source, &now, before.as_deref(), page, &what);
    let property = format!("data.{}", page["property"].as_str().unwrap_or_default());
    for (panel, key) in [
        ("names", "name"),
        ("subjects", "subject"),
        ("properties", &*property),
        ("people", "actor"),
    ] {
        // A share link may show no people.
        let Some(rows) = page["panels"][panel].as_array() else { continue };
        judge_panel(
            client,
            &source,
            &now,
            before.as_deref(),
            key,
            rows,
            &format!("{panel} of {what}"),
        );
    }
}

fn judge_time(
    client: &mut Client,
    source: &str,
    now: &str,
    before: Option<&str>,
    page: &Value,
    what: &str,
) {
    let (unit, zone, metric) = (words(page, "unit"), words(page, "zone"), words(page, "metric"));
    let measure = measure(&metric);
    let point = match unit.as_str() {
        // An hour of the zone, also where that is half an hour beside those of UTC.
        "hour" => format!(
            "to_char((e.created_at - (e.created_at AT TIME ZONE '{zone}' - date_trunc('hour', e.created_at AT TIME ZONE '{zone}'))) AT TIME ZONE 'UTC',
                     'YYYY-MM-DD\"T\"HH24:MI:SS\".000Z\"')"
        ),
        _ => format!("date_trunc('{unit}', e.created_at AT TIME ZONE '{zone}')::date::text"),
    };
    let split = page["split"].as_str().map_or("NULL::text".to_owned(), value_of);
    let sql = |span: &str, split: &str| {
        format!(
            "SELECT {point}, {split}, {measure} FROM {source} WHERE {span} GROUP BY 1, 2 ORDER BY 1, 2"
        )
    };
    let expected = asked(client, &sql(now, &split));
    let series = list(&page["series"]);
    let rows = table(page, "time");
    assert!(!rows.is_empty(), "{what}");
    let has_before = series.last().is_some_and(|name| name == "Before");
    assert_eq!(has_before, before.is_some(), "{what}");
    let is_empty = |value: &str| value.is_empty() || value == "0";
    let mut seen = 0;
    for (n, name) in series.iter().enumerate().take(series.len() - usize::from(has_before)) {
        if name == "others" {
            continue;
        }
        let value = match (page["split"].as_str(), name.as_str()) {
            (None, _) | (_, "(none)") => String::new(),
            (_, name) => name.to_owned(),
        };
        for row in &rows {
            let found = expected.iter().find(|one| one[0] == row[0] && one[1] == value);
            let found = found.map_or("", |one| one[2].as_str());
            if is_empty(found) && is_empty(&row[n + 1]) {
                continue;
            }
            seen += 1;
            same(&row[n + 1], found, &metric, &format!("{name} at {} of {what}", row[0]));
        }
    }
    // Each point of the log is one of the chart's.
    let missing: Vec<&Row> =
        expected.iter().filter(|one| !rows.iter().any(|row| row[0] == one[0])).collect();
    assert!(missing.is_empty(), "{missing:?}: {what}");
    assert!(
        expected.is_empty() || seen > 0 || expected.iter().all(|one| is_empty(&one[2])),
        "{what}"
    );
    let Some(before) = before else { return };
    let former: Vec<Row> = asked(client, &sql(before, "NULL::text"));
    let mut found: Vec<String> = rows
        .iter()
        .filter_map(|row| row.last())
        .filter(|value| !is_empty(value))
        .cloned()
        .collect();
    let mut expected: Vec<String> =
        former.into_iter().map(|row| row[2].clone()).filter(|value| !is_empty(value)).collect();
    if expected.len() > found.len() {
        // The period before may have one day more than this one.
        expected.truncate(found.len());
    }
    if metric == "p95" {
        return;
    }
    found.truncate(expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        same(found, expected, &metric, &format!("before {what}"));
    }
}

fn judge_panel(
    client: &mut Client,
    source: &str,
    now: &str,
    before: Option<&str>,
    key: &str,
    rows: &[Value],
    what: &str,
) {
    let value = value_of(key);
    let counts = |span: &str| {
        format!("SELECT {value}, count(*) FROM {source} WHERE {span} GROUP BY 1 ORDER BY 2 DESC")
    };
    let all = asked(client, &counts(now));
    let former = before.map(|span| asked(client, &counts(span)));
    let total: f64 = all.iter().map(|row| row[1].parse::<f64>().unwrap()).sum();
    if all.iter().all(|row| row[0].is_empty()) {
        assert!(rows.is_empty(), "{what}");
        return;
    }
    let mut sum = 0.0;
    for row in rows {
        let name = row["value"].as_str().unwrap_or_default();
        let events = plain(row["events"].as_str().unwrap());
        sum += events.parse::<f64>().unwrap();
        if row["isOthers"] == true {
            continue;
        }
        let of = |rows: &[Row]| {
            rows.iter().find(|row| row[0] == name).map_or(0.0, |row| row[1].parse().unwrap())
        };
        let expected: f64 = of(&all);
        assert_eq!(events, expected.to_string(), "{name} of {what}");
        let share = (1000.0 * expected / total).round() / 10.0;
        assert_eq!(row["share"], format!("{share}%"), "{name} of {what}");
        let Some(former) = &former else { continue };
        if name.is_empty() {
            continue;
        }
        let former = of(former);
        assert_eq!(row["isNew"], former == 0.0, "{name} of {what}");
        let change =
            if former == 0.0 { String::new() } else { (expected / former - 1.0).to_string() };
        same(
            &plain(row["change"].as_str().unwrap()),
            &change,
            "change",
            &format!("{name} of {what}"),
        );
    }
    assert_eq!(sum, total, "{what}: all rows and the others are all events");
    // Those with the most events are there.
    let least = rows.iter().filter(|row| row["isOthers"] != true && !row["value"].is_null());
    let least = least
        .map(|row| row["events"].as_str().unwrap().parse::<f64>().unwrap())
        .fold(f64::MAX, f64::min);
    let more =
        all.iter().filter(|row| !row[0].is_empty() && row[1].parse::<f64>().unwrap() > least);
    for row in more {
        assert!(rows.iter().any(|found| found["value"] == *row[0]), "{row:?} is missing in {what}");
    }
}

/// Asserts that the dialog has all values.
pub(super) fn judge_details(client: &mut Client, tenants: &str, page: &Value) {
    let (since, until, key) = (words(page, "since"), words(page, "until"), words(page, "key"));
    let (value, source) = (value_of(&key), source(tenants, &words(page, "where")));
    let mut expected = asked(
        client,
        &format!(
            "SELECT {value}, count(*), round(count(*)::numeric / sum(count(*)) OVER (), 4), count(DISTINCT nullif(e.actor, '')),
                    count(*) FILTER (WHERE e.failed), {SUCCESS}
               FROM {source} WHERE e.created_at >= '{since}' AND e.created_at < '{until}' GROUP BY 1"
        ),
    );
    let mut found: Vec<Row> =
        table(page, "rows").into_iter().map(|row| row[..6].to_vec()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found.len(), expected.len(), "{} {found:?}", quoted(&key));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found[..5], expected[..5]);
        same(&found[5], &expected[5], "success", &found[0]);
    }
}

#[test]
fn each_figure_of_each_range_unit_and_metric_is_that_of_the_raw_rows() {
    play("ranges");
}

#[test]
fn hours_days_and_months_are_those_of_the_zone_on_both_sides_of_a_change_of_clocks() {
    play("timeZones");
}

#[test]
fn rows_chips_splits_and_bars_cut_all_figures_alike() {
    play("clicks");
}

#[test]
fn details_have_all_rows_and_can_be_found_and_saved() {
    play("details");
}

#[test]
fn the_overview_fits_narrow_and_wide_screens_in_light_and_dark() {
    play("narrow");
}
