//! Figures from the raw rows of the log, in SQL that shares nothing with the reports.

use eventlog_tests::rows;
use postgres::Client;
use serde_json::Value;

/// A row of a table, as the values behind its cells.
pub(super) type Row = Vec<String>;

/// Numbers as JavaScript writes them, and no value as nothing.
pub(super) fn plain(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) => number.to_string(),
        _ if text == "∅" => String::new(),
        _ => text.to_owned(),
    }
}

pub(super) fn asked(client: &mut Client, sql: &str) -> Vec<Row> {
    let found = rows(client, sql);
    found.iter().map(|row| row.iter().map(|value| plain(value)).collect()).collect()
}

pub(super) fn list(value: &Value) -> Row {
    value.as_array().into_iter().flatten().map(|one| plain(one.as_str().unwrap())).collect()
}

pub(super) fn table(found: &Value, name: &str) -> Vec<Row> {
    found[name].as_array().into_iter().flatten().map(list).collect()
}

pub(super) fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A column or a key of the payload, as SQL over a row `e`; no value is null.
pub(super) fn value_of(key: &str) -> String {
    match key.strip_prefix("data.") {
        Some(key) => format!("e.data ->> {}", quoted(key)),
        None => format!("nullif(e.{key}, '')"),
    }
}

pub(super) fn words(found: &Value, name: &str) -> String {
    found[name].as_str().unwrap_or_else(|| panic!("{name}: {found}")).to_owned()
}
