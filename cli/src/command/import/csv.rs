//! CSV as COPY writes it (RFC 4180): an unquoted empty field is null, a quoted one the empty text.

use super::input::{Input, Numbered};
use super::row::{COLUMNS, NEEDED, Row};
use crate::output::Failure;

/// The column of each field of a record.
pub(super) struct Csv {
    columns: Vec<usize>,
}

/// A field, and whether it was quoted.
type Field = (Vec<u8>, bool);

impl Csv {
    /// Reads the header line.
    pub(super) fn begin(input: &mut Input) -> Result<Self, Failure> {
        let mut record = Vec::new();
        if !read(input, &mut record)? {
            return Err(Failure::new("the file has no header")
                .hint(format!("the first line is {}", COLUMNS.join(","))));
        }
        let mut columns = Vec::new();
        for (name, _) in fields(&record).map_err(|why| Failure::new(format!("line 1: {why}")))? {
            let name = String::from_utf8_lossy(&name).into_owned();
            let column = COLUMNS.iter().position(|column| *column == name);
            let column = column.ok_or_else(|| {
                Failure::new(format!("line 1: unknown column {name:?}"))
                    .hint(format!("known are {}", COLUMNS.join(", ")))
            })?;
            if columns.contains(&column) {
                return Err(Failure::new(format!("line 1: the column {name} occurs twice")));
            }
            columns.push(column);
        }
        let is_there = |name: &str| columns.iter().any(|column| COLUMNS[*column] == name);
        match NEEDED.iter().find(|name| !is_there(name)) {
            Some(missing) => Err(Failure::new(format!("line 1: the column {missing} is missing"))),
            None => Ok(Csv { columns }),
        }
    }

    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Numbered>, Failure> {
        loop {
            let mut record = Vec::new();
            let line = input.line + 1;
            if !read(input, &mut record)? {
                return Ok(None);
            }
            if !trimmed(&record).is_empty() {
                return Ok(Some((line, self.row(&record))));
            }
        }
    }

    fn row(&self, record: &[u8]) -> Result<Row, String> {
        let fields = fields(record)?;
        let (found, wanted) = (fields.len(), self.columns.len());
        if found != wanted {
            return Err(format!("found {found} fields, the header has {wanted}"));
        }
        let mut row = Row::default();
        for (column, (value, is_quoted)) in self.columns.iter().zip(fields) {
            if is_quoted || !value.is_empty() {
                let text = String::from_utf8(value);
                row.0[*column] =
                    Some(text.map_err(|_| format!("{} is not UTF-8", COLUMNS[*column]))?);
            }
        }
        Ok(row)
    }
}

/// Reads a record, which has several lines if a quoted field has. Returns false at the end of the input.
fn read(input: &mut Input, record: &mut Vec<u8>) -> Result<bool, Failure> {
    let (mut looked, mut is_open) = (0, false);
    loop {
        if !input.line(record)? {
            // `fields` reports a quote that is still open.
            return Ok(!record.is_empty());
        }
        is_open ^= record[looked..].iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        looked = record.len();
        if !is_open {
            return Ok(true);
        }
    }
}

fn trimmed(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

fn fields(record: &[u8]) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    let (mut value, mut is_quoted, mut is_open) = (Vec::new(), false, false);
    let mut bytes = trimmed(record).iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if is_open && bytes.next_if(|next| **next == b'"').is_some() => value.push(b'"'),
            b'"' => (is_quoted, is_open) = (true, !is_open),
            b',' if !is_open => {
                fields.push((std::mem::take(&mut value), std::mem::take(&mut is_quoted)));
            }
            byte => value.push(*byte),
        }
    }
    if is_open {
        return Err("the last quote is not closed".to_owned());
    }
    fields.push((value, is_quoted));
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::Csv;
    use crate::command::import::input::Input;

    type NameAndActor = [Option<String>; 2];

    fn names_and_actors(text: &'static str) -> Vec<(u64, Result<NameAndActor, String>)> {
        let mut input = Input::of(text.as_bytes());
        let mut csv = Csv::begin(&mut input).unwrap();
        let mut rows = Vec::new();
        while let Some((line, row)) = csv.next(&mut input).unwrap() {
            rows.push((line, row.map(|row| [row.0[2].clone(), row.0[4].clone()])));
        }
        rows
    }

    #[test]
    fn null_and_the_empty_text_differ_and_text_may_have_lines_commas_and_quotes() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            names_and_actors(
                "name,id,tenant_id,created_at,actor\r\na,1,t,c,\r\n\"b\",1,t,c,\"\"\n\n\
                 \"x\r\ny\n\\.\n\",1,t,c,\"say \"\"hi\"\", you\"\nlast,1,t,c,\\N"
            ),
            [
                (2, Ok([some("a"), None])),
                (3, Ok([some("b"), some("")])),
                (5, Ok([some("x\r\ny\n\\.\n"), some("say \"hi\", you")])),
                (9, Ok([some("last"), some("\\N")])),
            ]
        );
    }

    #[test]
    fn a_bad_record_is_reported_and_the_next_one_is_read() {
        let rows =
            names_and_actors("id,tenant_id,created_at,name,actor\n1,2\n1,t,c,n,a\n1,\"\n1\n");
        assert_eq!(rows[0], (2, Err("found 2 fields, the header has 5".to_owned())));
        assert_eq!(rows[1], (3, Ok([Some("n".to_owned()), Some("a".to_owned())])));
        assert_eq!(rows[2], (4, Err("the last quote is not closed".to_owned())));
        for wrong in ["", "id,tenant_id,name\n", "id,id\n", "id,what\n"] {
            assert!(Csv::begin(&mut Input::of(wrong.as_bytes())).is_err(), "{wrong}");
        }
    }
}
