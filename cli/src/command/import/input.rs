//! Input that counts its lines and limits the size of a row.

use std::io::{self, BufRead};

use super::row::Row;
use crate::output::Failure;

/// Longest row in bytes: more than the largest payload with every character escaped.
pub(super) const MOST_BYTES: usize = 128 << 20;

/// A row or its error, with the line that it begins in.
pub(super) type Numbered = (u64, Result<Row, String>);

/// Bytes with their lines counted.
pub(super) struct Input {
    reader: Box<dyn BufRead>,
    /// Number of the line being read, from 1.
    pub(super) line: u64,
    read: u64,
}

impl Input {
    pub(super) fn new(reader: Box<dyn BufRead>) -> io::Result<Self> {
        let mut input = Input { reader, line: 0, read: 0 };
        input.skip_mark()?;
        Ok(input)
    }

    /// Returns the number of bytes read so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    #[cfg(test)]
    pub(super) fn of(text: &'static [u8]) -> Self {
        Input { reader: Box::new(text), line: 0, read: 0 }
    }

    /// Skips the byte order mark that some programs write.
    fn skip_mark(&mut self) -> io::Result<()> {
        if self.reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            self.reader.consume(3);
        }
        Ok(())
    }

    /// Appends a line with its line end. Returns false at the end of the input.
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

    /// Appends some bytes. Returns false at the end of the input.
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

/// Keeps a row that never ends from filling the memory.
fn check_size(line: u64, bytes: usize) -> Result<(), Failure> {
    match bytes > MOST_BYTES {
        true => Err(Failure::new(format!(
            "line {}: the row has more than {MOST_BYTES} bytes",
            line.max(1)
        ))),
        false => Ok(()),
    }
}
