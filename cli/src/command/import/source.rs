//! The rows of a file, one after the other, with the lines that they begin in.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::csv::Csv;
use super::json::{Array, Lines as Ndjson};
use super::row::Row;
use crate::command::filter::{Format, is_standard};
use crate::output::Failure;

/// The longest row: the largest payload with each character escaped, and more.
pub(super) const MOST_BYTES: usize = 128 << 20;

/// A row, or what is wrong with it.
pub(super) type Numbered = (u64, Result<Row, String>);

pub(super) struct Source {
    /// How long it is, where that is known.
    pub(super) bytes: Option<u64>,
    input: Input,
    format: Reader,
    is_at_end: bool,
    was_read: u64,
}

enum Reader {
    Csv(Csv),
    Ndjson(Ndjson),
    Json(Array),
}

impl Source {
    pub(super) fn open(path: &Path, format: Format) -> Result<Self, Failure> {
        let cannot =
            |error: io::Error| Failure::new(format!("cannot read {}: {error}", path.display()));
        let (reader, bytes): (Box<dyn BufRead>, _) = match is_standard(path) {
            true => (Box::new(io::stdin().lock()), None),
            false => {
                let file = File::open(path).map_err(cannot)?;
                let found = file.metadata().map_err(cannot)?;
                if found.is_dir() {
                    return Err(Failure::new(format!("{} is a folder", path.display())));
                }
                let bytes = found.is_file().then_some(found.len());
                (Box::new(BufReader::with_capacity(1 << 16, file)), bytes)
            }
        };
        let mut input = Input { reader, line: 0, read: 0 };
        input.skip_mark()?;
        let format = match format {
            Format::Csv => Reader::Csv(Csv::begin(&mut input)?),
            Format::Ndjson => Reader::Ndjson(Ndjson::default()),
            Format::Json => Reader::Json(Array::default()),
        };
        Ok(Source { bytes, input, format, is_at_end: false, was_read: 0 })
    }

    pub(super) fn next(&mut self) -> Result<Option<Numbered>, Failure> {
        let next = match &mut self.format {
            Reader::Csv(csv) => csv.next(&mut self.input),
            Reader::Ndjson(lines) => lines.next(&mut self.input),
            Reader::Json(array) => array.next(&mut self.input),
        }?;
        self.is_at_end = next.is_none();
        Ok(next)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Bytes that were read since this was last asked.
    pub(super) fn take_read(&mut self) -> u64 {
        let read = self.input.read - self.was_read;
        self.was_read = self.input.read;
        read
    }
}

/// Bytes with their lines counted.
pub(super) struct Input {
    reader: Box<dyn BufRead>,
    /// The last line that was begun.
    pub(super) line: u64,
    read: u64,
}

impl Input {
    #[cfg(test)]
    pub(super) fn of(text: &'static [u8]) -> Self {
        Input { reader: Box::new(text), line: 0, read: 0 }
    }

    /// Leaves out the byte order mark that some programs write.
    fn skip_mark(&mut self) -> Result<(), Failure> {
        if self.reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            self.reader.consume(3);
        }
        Ok(())
    }

    /// Appends a line, with its end; whether there was one.
    pub(super) fn line(&mut self, text: &mut Vec<u8>) -> Result<bool, Failure> {
        let before = text.len();
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let part = end.unwrap_or(buffer.len());
            text.extend_from_slice(&buffer[..part]);
            self.reader.consume(part);
            self.read += part as u64;
            if end.is_some() || part == 0 {
                break;
            }
            check_size(self.line + 1, text.len())?;
        }
        let is_there = text.len() > before;
        self.line += u64::from(is_there);
        check_size(self.line, text.len())?;
        Ok(is_there)
    }

    /// Appends some bytes; whether there were any.
    pub(super) fn chunk(&mut self, text: &mut Vec<u8>) -> Result<bool, Failure> {
        let buffer = self.reader.fill_buf()?;
        let bytes = buffer.len();
        text.extend_from_slice(buffer);
        self.reader.consume(bytes);
        self.read += bytes as u64;
        self.line +=
            text[text.len() - bytes..].iter().filter(|byte| **byte == b'\n').count() as u64;
        check_size(self.line, text.len())?;
        Ok(bytes > 0)
    }
}

/// A row that never ends must not fill the memory.
fn check_size(line: u64, bytes: usize) -> Result<(), Failure> {
    match bytes > MOST_BYTES {
        true => Err(Failure::new(format!(
            "line {}: the row has more than {MOST_BYTES} bytes",
            line.max(1)
        ))),
        false => Ok(()),
    }
}
