//! What the page must show, asked of the log in SQL.

use eventlog_tests::{TENANT_B, rows};
use postgres::Client;
use serde_json::Value;

/// Numbers as JavaScript writes them, and no value as nothing.
fn plain(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) => number.to_string(),
        _ if text == "∅" => String::new(),
        _ => text.to_owned(),
    }
}

fn asked(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    let found = rows(client, sql);
    found.iter().map(|row| row.iter().map(|value| plain(value)).collect()).collect()
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|one| plain(one.as_str().unwrap())).collect()
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
    names.join(", ")
}

/// What was asked for, and found.
struct Found<'a> {
    client: &'a mut Client,
    tenant: &'a str,
    tables: &'a Value,
    what: String,
}

impl Found<'_> {
    fn table(&self, name: &str) -> Vec<Vec<String>> {
        self.tables[name].as_array().into_iter().flatten().map(list).collect()
    }

    #[track_caller]
    fn same(&self, name: &str, expected: &[Vec<String>]) {
        let found = self.table(name);
        assert_eq!(found, expected, "{name} of {}", self.what);
        let may_be_empty = self.tenant == TENANT_B || ["errors", "taxonomy"].contains(&name);
        assert!(may_be_empty || !found.is_empty(), "{name} of {} is empty", self.what);
    }

    #[track_caller]
    fn check(&mut self, name: &str, sql: &str) {
        let expected = asked(self.client, sql);
        self.same(name, &expected);
    }
}

/// Asserts that what was found is what the log says.
pub(super) fn judge(client: &mut Client, owner: &mut Client, tenant: &str, page: &Value) {
    let (since, until) = (page["since"].as_str().unwrap(), page["until"].as_str().unwrap());
    let names = list(&page["names"]);
    let array = match names.is_empty() {
        true => "NULL::text[]".to_owned(),
        false => format!("ARRAY[{}]", quoted(&names)),
    };
    let one = if names.len() == 1 { quoted(&names) } else { "NULL".to_owned() };
    let days: i64 = match page["range"].as_str().unwrap() {
        "24h" => 1,
        "7d" => 7,
        "30d" => 30,
        "90d" => 90,
        _ => {
            let sql = format!("SELECT '{until}'::date - '{since}'::date");
            asked(client, &sql)[0][0].parse().unwrap()
        }
    };
    let span = format!("since => '{since}', until => '{until}', names => {array}");
    let since_day = format!("('{since}'::timestamptz AT TIME ZONE 'UTC')::date");
    let until_day = format!(
        "(('{until}'::timestamptz + interval '1 day' - interval '1 microsecond') AT TIME ZONE 'UTC')::date"
    );
    let whole_days = format!("since => {since_day}, until => {until_day}");
    let (unit, function) = match page["unit"].as_str().unwrap() {
        "hour" => ("hour", "events_per_hour"),
        _ => ("day", "events_per_day"),
    };
    let counts = format!("eventlog.{function}({span})");
    let what = format!("{since} to {until}, {names:?}");
    let mut found = Found { client, tenant, tables: &page["tables"], what };

    found.check(
        "time",
        &format!(
            "SELECT to_json({unit}) #>> '{{}}', sum(events), sum(failures) FROM {counts} GROUP BY {unit} ORDER BY {unit}"
        ),
    );
    found.check(
        "names",
        &format!(
            "SELECT name, sum(events) FROM {counts} GROUP BY name HAVING sum(events) > 0
              ORDER BY 2 DESC, name COLLATE \"C\" LIMIT 8"
        ),
    );
    let mut shares = asked(
        found.client,
        &format!(
            "SELECT coalesce(t.domain, 'undeclared'), sum(c.events) FROM {counts} c LEFT JOIN eventlog.event_types t USING (name)
              GROUP BY 1 HAVING sum(c.events) > 0 ORDER BY 2 DESC, 1 COLLATE \"C\""
        ),
    );
    let number = |row: &Vec<String>| row[1].parse::<f64>().unwrap();
    let all: f64 = shares.iter().map(number).sum();
    for row in &mut shares {
        row.push((number(row) / all).to_string());
    }
    found.same("share", &shares);
    found.check(
        "subjects",
        &format!("SELECT subject, events FROM eventlog.top_subjects(names => {array}, {whole_days}, row_limit => 8)"),
    );
    found.check(
        "actors",
        &format!("SELECT day, daily, weekly, monthly FROM eventlog.active_actors({whole_days}, name => {one})"),
    );
    found.check(
        "errors",
        &format!(
            "SELECT name, error_type, events, actors, last_subject, to_json(last_at) #>> '{{}}'
               FROM eventlog.recent_errors({span}, row_limit => 10)"
        ),
    );
    found.check(
        "taxonomy",
        "SELECT name, rows, array_to_string(undeclared_keys, ' '), array_to_string(missing_keys, ' ')
           FROM eventlog.stat_taxonomy
          WHERE state = 'undeclared' OR missing_keys <> '{}' OR (rows > 0 AND undeclared_keys <> '{}') ORDER BY name",
    );
    let states = asked(found.client, "SELECT state, count(*) FROM eventlog.stat_taxonomy GROUP BY state ORDER BY state");
    let mut shown: Vec<Vec<String>> = page["states"].as_array().unwrap().iter().map(list).collect();
    shown.sort();
    assert_eq!(shown, states);
    // What the gateway quarantined is of the tenant that it named.
    let rejected = asked(
        owner,
        &format!(
            "SELECT name, reason, count(*), to_json(max(created_at)) #>> '{{}}' FROM eventlog.rejected_events
              WHERE coalesce(tenant_id, claimed_tenant_id) = '{tenant}' GROUP BY name, sqlstate, reason
              ORDER BY max(created_at) DESC"
        ),
    );
    found.same("rejected", &rejected);

    let steps: Vec<String> = found.table("funnel").into_iter().map(|row| row[0].clone()).collect();
    found.check(
        "funnel",
        &format!(
            "SELECT name, reached, conversion, conversion_from_previous, median_seconds
               FROM eventlog.funnel(ARRAY[{}], since => '{since}', until => '{until}')",
            quoted(&steps)
        ),
    );
    let (period, first) = match days <= 14 {
        true => ("day", format!("('{until}'::timestamptz AT TIME ZONE 'UTC')::date - 13")),
        false => ("week", since_day),
    };
    let cohorts = asked(
        found.client,
        &format!(
            "SELECT cohort, actors, array_to_string(array_agg(returned ORDER BY period_number), ' ')
               FROM eventlog.cohort_retention(period => '{period}', since => {first}, until => {until_day}, returning_name => {one})
              WHERE actors > 0 GROUP BY cohort, actors ORDER BY cohort"
        ),
    );
    let mut cohorts: Vec<Vec<String>> = cohorts
        .into_iter()
        .map(|row| row[..2].iter().cloned().chain(row[2].split(' ').map(str::to_owned)).collect())
        .collect();
    let width = cohorts.iter().map(Vec::len).max().unwrap_or(0);
    cohorts.iter_mut().for_each(|row| row.resize(width, String::new()));
    found.same("retention", &cohorts);

    let mut summary = |from: &str, to: &str| {
        let sql = format!(
            "SELECT events, actors, success_rate, failures FROM eventlog.summary(since => {from}, until => {to}, names => {array})"
        );
        asked(found.client, &sql).concat()
    };
    let now = summary(&format!("'{since}'"), &format!("'{until}'"));
    let back = |at: &str| format!("'{at}'::timestamptz - interval '{days} days'");
    let before = summary(&back(since), &back(until));
    assert_eq!(list(&page["cards"]), now, "the cards of {since} to {until}");
    let change = |n: usize| match (now[n].parse::<f64>(), before[n].parse::<f64>()) {
        (Ok(now), Ok(before)) if n == 2 => (now - before).to_string(),
        (Ok(now), Ok(before)) if before != 0.0 => (now / before - 1.0).to_string(),
        _ => String::new(),
    };
    let changes: Vec<String> = (0..4).map(change).collect();
    assert_eq!(list(&page["changes"]), changes, "the changes of {since} to {until}");
}
