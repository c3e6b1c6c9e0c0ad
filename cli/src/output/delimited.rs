//! Tab-separated and comma-separated values, as PostgreSQL's COPY writes and reads them.

use super::rows::Rows;

/// Writes a line for each row, in COPY's text format: a tab, a newline and a backslash in a value are
/// escaped, and null is `\N`. Control characters that could steer a terminal are escaped too.
pub(super) fn tsv(rows: &Rows, has_header: bool) -> String {
    let header = rows.columns.iter().map(|column| escaped(&column.name));
    let header = has_header.then(|| joined(header, "\t")).into_iter();
    let lines = rows.rows.iter().map(|row| {
        let value = |value: &Option<String>| value.as_deref().map_or("\\N".to_owned(), escaped);
        joined(row.iter().map(value), "\t")
    });
    header.chain(lines).collect()
}

/// Writes a line for each row, in COPY's CSV format: null is nothing, and the empty text is `""`.
pub(super) fn csv(rows: &Rows, has_header: bool) -> String {
    let header = rows.columns.iter().map(|column| quoted(&column.name));
    let header = has_header.then(|| joined(header, ",")).into_iter();
    let lines = rows.rows.iter().map(|row| {
        let value = |value: &Option<String>| value.as_deref().map_or(String::new(), quoted);
        joined(row.iter().map(value), ",")
    });
    header.chain(lines).collect()
}

fn joined(values: impl Iterator<Item = String>, separator: &str) -> String {
    values.collect::<Vec<_>>().join(separator) + "\n"
}

fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\u{8}' => line.push_str("\\b"),
            '\u{b}' => line.push_str("\\v"),
            '\u{c}' => line.push_str("\\f"),
            c if c.is_ascii_control() => line.push_str(&format!("\\x{:02x}", c as u32)),
            c => line.push(c),
        }
    }
    line
}

fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && text != "\\." && !text.contains([',', '"', '\n', '\r']);
    match is_plain {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Kind;
    use super::*;

    #[test]
    fn each_row_is_one_line_and_null_is_not_the_empty_text() {
        let mut rows = Rows::new(&[("a", Kind::Text), ("b", Kind::Number)]);
        rows.rows.push(vec![Some("x\ty\n\\z\u{1b}[1m".to_owned()), None]);
        rows.rows.push(vec![Some(String::new()), Some("1.50".to_owned())]);
        rows.rows.push(vec![Some("say \"a, b\"".to_owned()), Some("2".to_owned())]);
        assert_eq!(tsv(&rows, true), "a\tb\nx\\ty\\n\\\\z\\x1b[1m\t\\N\n\t1.50\nsay \"a, b\"\t2\n");
        assert_eq!(
            csv(&rows, false),
            "x\ty\n\\z\u{1b}[1m,\n".replace("x\ty\n\\z\u{1b}[1m", "\"x\ty\n\\z\u{1b}[1m\"")
                + "\"\",1.50\n\"say \"\"a, b\"\"\",2\n"
        );
    }
}
