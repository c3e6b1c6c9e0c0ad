//! Rows as JSON.

use serde_json::Value;

use super::rows::{Kind, Row, Rows};

/// Writes an array of objects, one on each line.
pub(super) fn array(rows: &Rows) -> String {
    let objects: Vec<String> = rows.rows.iter().map(|row| line(rows, row)).collect();
    match objects.is_empty() {
        true => "[]\n".to_owned(),
        false => format!("[\n{}\n]\n", objects.join(",\n")),
    }
}

/// Writes a row as an object on one line. Numbers keep all their digits.
pub(crate) fn line(rows: &Rows, row: &Row) -> String {
    let entry = |(column, value): (&super::rows::Column, &Option<String>)| {
        let name = Value::from(column.name.as_str());
        match value {
            None => format!("{name}:null"),
            Some(text) => match column.kind {
                // NaN and Infinity are numbers for SQL, but not for JSON.
                Kind::Number | Kind::Json
                    if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() =>
                {
                    format!("{name}:{text}")
                }
                _ => format!("{name}:{}", Value::from(text.as_str())),
            },
        }
    };
    let entries: Vec<String> = rows.columns.iter().zip(row).map(entry).collect();
    format!("{{{}}}", entries.join(","))
}
