//! Retention: every cell from the raw rows.

use postgres::Client;
use serde_json::Value;

use super::play;
use super::raw::{asked, quoted, table, words};

/// Asserts that the matrix is what the raw rows say.
pub(super) fn judge(client: &mut Client, tenant: &str, found: &Value) {
    let (since, until) = (words(found, "since"), words(found, "until"));
    let (period, zone) = (words(found, "period"), words(found, "time_zone"));
    let named = |name: &Value| match name.as_str() {
        Some(name) => format!("e.name = {}", quoted(name)),
        None => "true".to_owned(),
    };
    let (first, returning) = (named(&found["first"]), named(&found["returning"]));
    let filter = found["where"].as_str().unwrap();
    let is_ever = found["is_ever"] == true;
    // The periods that the range touches, whole days of the zone.
    let local = |at: &str| format!("(timestamptz '{at}' AT TIME ZONE '{zone}')");
    let begins = format!("date_trunc('{period}', {})", local(&since));
    let ends = format!(
        "(date_trunc('day', {} - interval '1 microsecond') + interval '1 day')",
        local(&until)
    );
    let in_range = format!("e.at >= {begins} AND e.at < {ends}");
    // Filters are about coming back; who is new in the range is asked with them too.
    let firsts = if is_ever { "true".to_owned() } else { format!("{in_range} AND ({filter})") };
    let sql = format!(
        "WITH event AS (
            SELECT e.*, e.created_at AT TIME ZONE '{zone}' AS at FROM eventlog.events e
             WHERE e.tenant_id = '{tenant}' AND nullif(e.actor, '') IS NOT NULL
         ), newcomer AS (
            SELECT e.actor, date_trunc('{period}', min(e.at)) AS cohort FROM event e WHERE {first} AND {firsts} GROUP BY e.actor
         ), came AS (
            SELECT DISTINCT e.actor, date_trunc('{period}', e.at) AS period FROM event e WHERE {returning} AND ({filter}) AND {in_range}
         ), cell AS (
            SELECT c.at AS cohort, p.at AS period,
                   (row_number() OVER (PARTITION BY c.at ORDER BY p.at) - 1) AS number
              FROM generate_series({begins}, {ends} - interval '1 microsecond', '1 {period}') AS c (at)
              JOIN generate_series({begins}, {ends} - interval '1 microsecond', '1 {period}') AS p (at) ON p.at >= c.at
         )
         SELECT cell.cohort::date, cell.number, count(DISTINCT n.actor), count(DISTINCT n.actor) FILTER (WHERE came.actor IS NOT NULL),
                cell.period + interval '1 {period}' <= least({ends}, date_trunc('day', now() AT TIME ZONE '{zone}'))
           FROM cell
           JOIN newcomer n ON n.cohort = cell.cohort
           LEFT JOIN came ON came.actor = n.actor AND came.period = cell.period
          GROUP BY cell.cohort, cell.number, cell.period ORDER BY 1, 2"
    );
    let cells = asked(client, &sql);
    assert!(!cells.is_empty(), "{found}");
    let width = cells.iter().map(|cell| cell[1].parse::<usize>().unwrap() + 1).max().unwrap();
    let mut expected: Vec<Vec<String>> = Vec::new();
    let mut returned = vec![0.0; width];
    let mut actors = vec![0.0; width];
    let mut everybody = 0.0;
    for cell in &cells {
        let [cohort, number, people, came, is_complete] = &cell[..] else { panic!("{cell:?}") };
        if expected.last().is_none_or(|row| row[0] != *cohort) {
            expected.push(vec![cohort.clone(), people.clone()]);
            everybody += people.parse::<f64>().unwrap();
        }
        expected.last_mut().unwrap().push(came.clone());
        if is_complete == "t" {
            let number: usize = number.parse().unwrap();
            returned[number] += came.parse::<f64>().unwrap();
            actors[number] += people.parse::<f64>().unwrap();
        }
    }
    let mut average = vec!["average".to_owned(), everybody.to_string()];
    average.extend((0..width).map(|n| match actors[n] > 0.0 {
        true => returned[n].to_string(),
        false => String::new(),
    }));
    expected.insert(0, average);
    expected.iter_mut().for_each(|row| row.resize(width + 2, String::new()));
    assert_eq!(table(found, "rows"), expected, "{found}");

    // What the cells say: whole percentages, and which are not over.
    let shown = found["cells"].as_array().unwrap();
    for cell in &cells {
        let [cohort, number, people, came, is_complete] = &cell[..] else { panic!("{cell:?}") };
        let row = expected.iter().position(|row| row[0] == *cohort).unwrap();
        let cell = &shown[row][number.parse::<usize>().unwrap()];
        let (people, came): (f64, f64) = (people.parse().unwrap(), came.parse().unwrap());
        let is_over = is_complete == "t";
        assert_eq!(cell["isUnfinished"], !is_over, "{cell}");
        let so_far = if is_over { "" } else { " so far" };
        let share = came / people;
        let text = match found["as_counts"] == true {
            true => came.to_string(),
            false if share > 0.0 && share < 0.01 => "<1%".to_owned(),
            false if share < 1.0 && share > 0.99 => ">99%".to_owned(),
            false => format!("{}%", (share * 100.0).round()),
        };
        assert_eq!(cell["text"], format!("{text}{so_far}"), "{cohort} {number}");
        assert!(
            cell["title"].as_str().unwrap().starts_with(&format!("{came} of {people} ")),
            "{cell}"
        );
    }
}

#[test]
fn each_cell_of_retention_is_that_of_the_raw_rows() {
    play("retentionDefinitions");
}

#[test]
fn retention_scrolls_beside_its_first_column_on_narrow_screens() {
    play("retentionNarrow");
}
