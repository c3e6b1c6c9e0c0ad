//! Rows as CSV (RFC 4180), for spreadsheets.

use std::collections::HashMap;

use axum::http::{HeaderMap, header};
use serde_json::value::RawValue;

use crate::gateway::problem::Problem;
use crate::reports::Column;

/// Texts that begin with one of these are formulas for a spreadsheet. Clients choose names and payloads.
const FORMULAS: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Returns true if the answer is to be CSV: by `?format=`, or else by the header Accept.
pub(super) fn is_wanted(format: Option<&str>, headers: &HeaderMap) -> Result<bool, Problem> {
    match format {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(_) => Err(Problem::bad_request("format must be json or csv")),
        None => {
            let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
            let accepted = accepted.collect::<Vec<_>>().join(",");
            Ok(weight(&accepted, "text/csv") > weight(&accepted, "application/json"))
        }
    }
}

/// Returns the weight of a type that an Accept header names; zero if it does not name it.
fn weight(accepted: &str, wanted: &str) -> f32 {
    let weight = |part: &str| {
        let mut parts = part.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(wanted) {
            return None;
        }
        let weight = parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1");
        weight.parse().ok()
    };
    accepted.split(',').find_map(weight).unwrap_or(0.0)
}

/// Writes the rows of a JSON array, with a line of headings.
pub(super) fn write(columns: &[Column], rows: &str) -> Result<String, serde_json::Error> {
    let rows: Vec<HashMap<String, &RawValue>> = serde_json::from_str(rows)?;
    let mut csv = String::new();
    let headings = columns.iter().map(|column| Ok(quoted(&defused(column.name.clone()))));
    line(&mut csv, headings)?;
    for row in &rows {
        let cell = |column: &Column| row.get(&column.name).map_or(Ok(String::new()), cell);
        line(&mut csv, columns.iter().map(cell))?;
    }
    Ok(csv)
}

fn line(
    csv: &mut String,
    cells: impl Iterator<Item = Result<String, serde_json::Error>>,
) -> Result<(), serde_json::Error> {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            csv.push(',');
        }
        csv.push_str(&cell?);
    }
    csv.push_str("\r\n");
    Ok(())
}

fn cell(json: &&RawValue) -> Result<String, serde_json::Error> {
    let json = json.get();
    Ok(match json.as_bytes().first() {
        Some(b'n') => String::new(),
        Some(b'"') => quoted(&defused(serde_json::from_str(json)?)),
        // Numbers, true and false are no formulas, and are kept to the last digit.
        _ => quoted(json),
    })
}

/// Puts an apostrophe before what a spreadsheet would compute.
fn defused(text: String) -> String {
    if text.starts_with(FORMULAS) { format!("'{text}") } else { text }
}

fn quoted(cell: &str) -> String {
    // A space at an end is lost by some readers.
    let is_plain = !cell.contains(['"', ',', '\r', '\n']) && cell.trim() == cell;
    if is_plain { cell.to_owned() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{is_wanted, write};
    use crate::reports::Column;

    #[test]
    fn cells_are_quoted_and_formulas_defused() {
        let column = |name: &str| Column { name: name.to_owned(), type_name: "text".to_owned() };
        let columns = [column("a"), column("b,c"), column("none")];
        let rows = r#"[{"a": "=1+1", "b,c": -5.10}, {"a": "x \"y\"\r\n", "b,c": {"k": [1, "=z"]}, "more": 1},
                       {"a": null, "b,c": true}, {"a": "\tq", "b,c": "@SUM(A1)"}, {"a": "＝1", "b,c": " b"}]"#;
        assert_eq!(
            write(&columns, rows).unwrap(),
            "a,\"b,c\",none\r\n'=1+1,-5.10,\r\n\"x \"\"y\"\"\r\n\",\"{\"\"k\"\": [1, \"\"=z\"\"]}\",\r\n\
             ,true,\r\n'\tq,'@SUM(A1),\r\n'＝1,\" b\",\r\n"
        );
        assert_eq!(write(&columns, "[]").unwrap(), "a,\"b,c\",none\r\n");
    }

    #[test]
    fn the_parameter_decides_and_else_the_header() {
        let accepts = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            headers
        };
        let is = |format, accept| is_wanted(format, &accepts(accept)).ok();
        assert_eq!(is(Some("csv"), "application/json"), Some(true));
        assert_eq!(is(Some("json"), "text/csv"), Some(false));
        assert_eq!(is(Some("xml"), "text/csv"), None);
        assert_eq!(is(None, "text/csv"), Some(true));
        assert_eq!(is(None, "text/html, Text/CSV;q=0.9, */*;q=0.8"), Some(true));
        assert_eq!(is(None, "application/json, text/csv;q=0.5"), Some(false));
        assert_eq!(is(None, "*/*"), Some(false));
        assert_eq!(is(None, ""), Some(false));
    }
}
