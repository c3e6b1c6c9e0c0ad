//! Breakdowns of the reports that count actors or rank: each value has the answer that its filter has.

use eventlog_tests::{TENANT_A, assert_refused, rows, text};

use super::cuts::{BREAKDOWNS, STATES, clients, enter, log, quoted};

/// Reports with their own columns, and the span in which the values have their events.
const REPORTS: &[(&str, &str, &str, &str)] = &[
    (
        "active_actors('2013-03-20', '2013-04-02', ",
        "day, daily, weekly, monthly",
        "2013-02-19",
        "2013-04-02",
    ),
    (
        "cohort_retention(period => 'week', since => '2013-03-09', until => '2013-04-02', ",
        "cohort, period_number, actors, returned, share",
        "2013-03-04",
        "2013-04-02",
    ),
    (
        "cohort_retention(period => 'day', since => '2013-03-09', until => '2013-03-14', first_ever => false, ",
        "cohort, period_number, actors, returned, share",
        "2013-03-09",
        "2013-03-14",
    ),
    (
        "top_subjects(since => '2013-03-09', until => '2013-04-02', row_limit => 3, ",
        "rank, subject, events, share, last_at",
        "2013-03-09",
        "2013-04-02",
    ),
];

const FILTERS: &[(&str, &str)] = &[
    ("", "true"),
    (r#"{"name": ["tool", "message"]}"#, "name IN ('tool', 'message')"),
    (
        r#"{"data.size": {">": 4}}"#,
        "CASE WHEN jsonb_typeof(data -> 'size') = 'number' THEN (data ->> 'size')::numeric > 4 END",
    ),
];

/// A key of a filter, as JSON.
fn condition(breakdown: &str, value: &str) -> String {
    let key = breakdown.trim_matches('\'').replace("''", "'");
    format!("jsonb_build_object({}, {value})", quoted(&key))
}

#[test]
fn each_value_of_a_breakdown_has_the_answer_of_its_filter() {
    let db = log();
    let (mut reader, mut owner) = clients(&db);
    let mut compared = 0;
    for state in STATES {
        enter(&db, state);
        for (filters, meaning) in FILTERS {
            for (breakdown, value) in BREAKDOWNS {
                for (report, columns, since, until) in REPORTS {
                    let given = match *filters {
                        "" => "'[]'::jsonb".to_owned(),
                        filters => format!("jsonb_build_array({}::jsonb)", quoted(filters)),
                    };
                    let best: Vec<String> = rows(
                        &mut owner,
                        &format!(
                            "SELECT to_jsonb(value) FROM public.expected({}, {}, 'NULL', '{since}', '{until}', 3)
                              WHERE NOT is_others ORDER BY events DESC, value",
                            quoted(meaning),
                            quoted(value)
                        ),
                    )
                    .into_iter()
                    .map(|row| row[0].replace('∅', "null"))
                    .collect();
                    let cut = format!(
                        "SELECT coalesce(to_jsonb(breakdown_value), 'null'), is_others, {columns}
                           FROM eventlog.{report}filters => {given}, breakdown => {breakdown}, top => 3)"
                    );
                    let what = format!("{state}: {cut}");
                    let found = rows(&mut reader, &cut);
                    let all = format!("'[{}]'::jsonb", best.join(",").replace('\'', "''"));
                    let others = condition(breakdown, &format!("jsonb_build_object('not', {all})"));
                    let mut parts: Vec<(&str, &str, String)> = best
                        .iter()
                        .map(|value| {
                            let only = condition(breakdown, &format!("{}::jsonb", quoted(value)));
                            (value.as_str(), "f", only)
                        })
                        .collect();
                    parts.push(("null", "t", others));
                    let mut rest = found.len();
                    for (value, is_others, only) in parts {
                        let of_part: Vec<&[String]> = found
                            .iter()
                            .filter(|row| row[0] == value && row[1] == is_others)
                            .map(|row| &row[2..])
                            .collect();
                        let expected = rows(
                            &mut reader,
                            &format!(
                                "SELECT {columns} FROM eventlog.{report}filters => {given} || {only})"
                            ),
                        );
                        // Others that there are not have no rows.
                        if is_others == "f" || !of_part.is_empty() {
                            assert_eq!(of_part, expected, "{what}: {value} {is_others}");
                        }
                        rest -= of_part.len();
                        compared += of_part.len();
                    }
                    assert_eq!(rest, 0, "{what}\n{found:?}\n{best:?}");
                }
            }
        }
    }
    assert!(compared > 5000, "{compared}");
}

#[test]
fn values_of_a_breakdown_that_were_cut_are_among_the_others() {
    let db = log();
    db.superuser()
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
             SELECT '{TENANT_A}', 'ping', jsonb_build_object('long', repeat('x', 199) || n), 'u' || n, 's' || n, '2013-03-10'
               FROM generate_series(1, 3) n"
        ))
        .unwrap();
    let mut reader = db.connect_as("reader", TENANT_A);
    for report in [
        "active_actors('2013-03-10', '2013-03-11', 'ping', ",
        "cohort_retention('ping', 'ping', 'day', '2013-03-10', '2013-03-11', ",
        "top_subjects('{ping}', '2013-03-10', '2013-03-11', ",
    ] {
        let cut = format!(
            "SELECT DISTINCT breakdown_value IS NULL, is_others FROM eventlog.{report}filters => '{{\"data.long\": {{\"present\": true}}}}',
                             breakdown => 'data.long')"
        );
        assert_eq!(rows(&mut reader, &cut), [["t", "t"]], "{report}");
    }
}

#[test]
fn a_breakdown_of_actors_is_refused_as_others_are() {
    let db = log();
    let mut reader = db.connect_as("reader", TENANT_A);
    for report in ["active_actors", "cohort_retention", "top_subjects"] {
        for (arguments, message) in [
            ("breakdown => 'name', top => 0", "top must be from 1 to 50, got 0"),
            ("breakdown => 'name', top => 51", "top must be from 1 to 50, got 51"),
            ("breakdown => 'name', top => NULL", "top must be from 1 to 50, got null"),
            ("breakdown => 'plan'", "unknown breakdown \"plan\""),
            ("breakdown => 'name', filters => '{\"plan\": 1}'", "unknown filter \"plan\""),
            ("breakdown => ''", "unknown breakdown \"\""),
        ] {
            let call = format!("SELECT * FROM eventlog.{report}({arguments})");
            assert_refused(&mut reader, &call, "22023", message);
        }
        // Without a breakdown, top means nothing.
        text(&mut reader, &format!("SELECT count(*) FROM eventlog.{report}(top => 1000)"));
    }
}
