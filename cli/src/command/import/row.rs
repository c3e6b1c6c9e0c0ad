//! A row of a file, and batches of rows as text for COPY.

use std::ops::Range;

use bytes::Bytes;

/// Columns of a file.
pub(super) const COLUMNS: [&str; 9] =
    ["id", "tenant_id", "name", "data", "actor", "subject", "occurred_at", "created_at", "weight"];
/// Columns that every file must have.
pub(super) const NEEDED: [&str; 4] = ["id", "tenant_id", "name", "created_at"];

/// The values of a row as text, in the order of [`COLUMNS`].
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Row(pub(super) [Option<String>; COLUMNS.len()]);

impl Row {
    /// Checks that the required values are present.
    pub(super) fn is_complete(&self) -> Result<(), String> {
        let value = |column| COLUMNS.iter().position(|name| *name == column).map(|n| &self.0[n]);
        match NEEDED.iter().find(|column| value(**column).is_none_or(Option::is_none)) {
            Some(column) => Err(format!("{column} is missing")),
            None => Ok(()),
        }
    }
}

/// Rows with their lines, as text for COPY.
#[derive(Default)]
pub(super) struct Batch {
    text: Vec<u8>,
    /// Line of each row, and the end of its text.
    rows: Vec<(u64, usize)>,
}

impl Batch {
    pub(super) fn add(&mut self, line: u64, row: &Row) {
        self.text.extend_from_slice(line.to_string().as_bytes());
        for value in &row.0 {
            self.text.push(b'\t');
            match value {
                None => self.text.extend_from_slice(b"\\N"),
                Some(value) => escape(&mut self.text, value),
            }
        }
        self.text.push(b'\n');
        self.rows.push((line, self.text.len()));
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Returns the text, and the lines that say which part is which row.
    pub(super) fn finish(self) -> (Bytes, Lines) {
        (self.text.into(), Lines(self.rows))
    }
}

/// The places of a batch's rows.
pub(super) struct Lines(Vec<(u64, usize)>);

impl Lines {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the line of the file that a row began in.
    pub(super) fn line(&self, row: usize) -> u64 {
        self.0[row].0
    }

    /// Returns the bytes of some rows.
    pub(super) fn bytes(&self, rows: &Range<usize>) -> Range<usize> {
        let end_of = |row: usize| self.0[row].1;
        let start = rows.start.checked_sub(1).map_or(0, end_of);
        start..rows.end.checked_sub(1).map_or(start, end_of)
    }
}

fn escape(text: &mut Vec<u8>, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            _ => text.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Row};

    #[test]
    fn the_rows_of_a_batch_are_found_again() {
        let mut batch = Batch::default();
        let mut row = Row::default();
        row.0[2] = Some("a\\\t\n\rb".to_owned());
        row.0[4] = Some(String::new());
        batch.add(7, &row);
        batch.add(9, &Row::default());
        assert_eq!(batch.rows(), 2);
        let (text, lines) = batch.finish();
        let nulls = ["\\N"; 9].join("\t");
        let of = |rows| std::str::from_utf8(&text[lines.bytes(&rows)]).unwrap();
        assert_eq!(of(1..2), format!("9\t{nulls}\n"));
        assert_eq!(of(0..1), "7\t\\N\t\\N\ta\\\\\\t\\n\\rb\t\\N\t\t\\N\t\\N\t\\N\t\\N\n");
        assert_eq!(of(0..2).len(), text.len());
        assert_eq!((lines.len(), lines.line(0), lines.line(1)), (2, 7, 9));
        assert!(of(1..1).is_empty() && row.is_complete().is_err());
    }
}
