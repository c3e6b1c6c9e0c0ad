//! Rows of reports as people read them on a terminal: without columns that say nothing, retention as a
//! matrix, counts over time with bars.

use crate::output::{Column, Kind, Row, Rows, bar, fits, width};

/// Most columns of a bar.
const LONGEST_BAR: usize = 30;
const SHORTEST_BAR: usize = 5;
/// The first columns of counts over time.
const TIMES: [&str; 2] = ["day", "hour"];
/// Columns of counts over time that give way where a table does not fit, the first ones first.
const GIVE_WAY: [&str; 5] = ["successes", "p95_duration", "median_duration", "actors", "failures"];

/// Shapes rows for a table.
pub(super) fn for_people(mut rows: Rows) -> Rows {
    drop_silent_columns(&mut rows);
    if let Some(matrix) = retention(&rows) {
        return matrix;
    }
    if rows.columns.first().is_some_and(|column| TIMES.contains(&column.name.as_str())) {
        over_time(&mut rows);
    }
    rows
}

/// Removes columns without a value, flags that are as usual in all rows, and a time that all rows share.
fn drop_silent_columns(rows: &mut Rows) {
    let values = |place: usize| rows.rows.iter().map(move |row| row[place].as_deref());
    let is_silent = |place: usize, name: &str| match name {
        "is_others" | "is_sampled" => values(place).all(|value| value == Some("false")),
        "is_complete" => values(place).all(|value| value == Some("true")),
        "breakdown_value" => values(place).all(|value| value.is_none()),
        "covered_since" => values(place).all(|value| value == rows.value(0, place)),
        _ => rows.rows.len() > 1 && values(place).all(|value| value.is_none()),
    };
    if rows.rows.is_empty() {
        return;
    }
    let keeps: Vec<bool> = rows
        .columns
        .iter()
        .enumerate()
        .map(|(place, column)| !is_silent(place, &column.name))
        .collect();
    let since = rows.place("covered_since").filter(|place| !keeps[*place]);
    let since = since.and_then(|place| rows.value(0, place)).map(str::to_owned);
    if let Some(since) = since {
        rows.notes.insert(0, format!("complete since {since}"));
    }
    rows.keep_columns(|place, _| keeps[place]);
}

/// Returns the rows of `cohort_retention` as a matrix: a line per cohort, a column per period.
fn retention(rows: &Rows) -> Option<Rows> {
    let [cohort, actors, number, share] =
        ["cohort", "actors", "period_number", "share"].map(|name| rows.place(name));
    let (cohort, actors, number, share) = (cohort?, actors?, number?, share?);
    let complete = rows.place("is_complete");
    let mut matrix = Rows::new(&[("cohort", Kind::Text), ("actors", Kind::Number)]);
    let mut is_any_unfinished = false;
    for row in &rows.rows {
        let period: usize = row[number].as_deref()?.parse().ok()?;
        while matrix.columns.len() <= period + 2 {
            let name = (matrix.columns.len() - 2).to_string();
            matrix.columns.push(Column::new(&name, Kind::Number));
        }
        if matrix.rows.last().is_none_or(|last| last[0] != row[cohort]) {
            matrix.rows.push(vec![row[cohort].clone(), row[actors].clone()]);
        }
        let line = matrix.rows.last_mut()?;
        line.resize(line.len().max(period + 3), None);
        let is_unfinished = complete.is_some_and(|place| row[place].as_deref() == Some("false"));
        is_any_unfinished |= is_unfinished;
        let mark = if is_unfinished { "*" } else { "" };
        line[period + 2] = row[share].as_deref().and_then(percent).map(|it| format!("{mark}{it}"));
    }
    let columns = matrix.columns.len();
    for row in &mut matrix.rows {
        row.resize(columns, None);
    }
    let unfinished = if is_any_unfinished { " (* the period is not over)" } else { "" };
    matrix.notes.push(format!("% of the actors, by periods since the first{unfinished}"));
    matrix.notes.extend(rows.notes.iter().cloned());
    Some(matrix)
}

fn percent(share: &str) -> Option<String> {
    Some(format!("{:.0}", share.parse::<f64>().ok()? * 100.0))
}

/// Marks periods that are not whole, in the column of the times.
fn mark_unfinished(rows: &mut Rows) {
    let Some(complete) = rows.place("is_complete") else { return };
    for row in &mut rows.rows {
        if row[complete].as_deref() == Some("false")
            && let Some(time) = &mut row[0]
        {
            time.push('*');
        }
    }
    rows.keep_columns(|place, _| place != complete);
    rows.notes.push("* not all of it is in the span, or it is not over".to_owned());
}

/// Leaves out rows without events, and adds bars. Where the table does not fit, columns give way.
fn over_time(rows: &mut Rows) {
    let Some(events) = rows.place("events") else { return };
    let number = |row: &Row| row[events].as_deref().and_then(|it| it.parse::<f64>().ok());
    let before = rows.rows.len();
    rows.rows.retain(|row| number(row) != Some(0.0));
    if rows.rows.len() < before && !rows.rows.is_empty() {
        rows.notes.push(format!("{} rows without events are left out", before - rows.rows.len()));
    }
    mark_unfinished(rows);
    let width = width();
    let room = width.saturating_sub(SHORTEST_BAR + 2);
    let mut left_out = Vec::new();
    for name in GIVE_WAY {
        if fits(rows, room) {
            break;
        }
        if rows.place(name).is_some() {
            left_out.push(name);
            rows.keep_columns(|_, column| column.name != name);
        }
    }
    if !left_out.is_empty() {
        rows.notes
            .push(format!("left out for want of room: {} (-x shows all)", left_out.join(", ")));
    }
    let most = rows.rows.iter().filter_map(number).fold(0.0, f64::max);
    let longest =
        (SHORTEST_BAR..=LONGEST_BAR).rev().find(|bar| fits(rows, width.saturating_sub(bar + 2)));
    let (Some(longest), Some(events)) = (longest, rows.place("events")) else { return };
    rows.columns.insert(events + 1, Column::new("", Kind::Text));
    for row in &mut rows.rows {
        let number = row[events].as_deref().and_then(|it| it.parse().ok()).unwrap_or(0.0);
        row.insert(events + 1, Some(bar(number, most, longest)));
    }
}
