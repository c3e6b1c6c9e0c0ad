//! The lines of a file, one at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::output::Failure;

/// Longest line in bytes: more than the largest payload with every character escaped.
const LONGEST: u64 = 128 << 20;

/// Reads lines; empty ones are skipped.
pub(super) struct Lines {
    reader: Box<dyn BufRead>,
    path: PathBuf,
    number: u64,
    text: Vec<u8>,
}

impl Lines {
    /// Opens a file; - is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(BufReader::new(io::stdin()))
        } else {
            let file = File::open(path);
            let file = file.map_err(|error| Failure::from(error).at(path.display()))?;
            Box::new(BufReader::with_capacity(1 << 17, file))
        };
        Ok(Lines { reader, path: path.to_owned(), number: 0, text: Vec::new() })
    }

    /// Returns the next line without its end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        loop {
            self.text.clear();
            let mut part = (&mut self.reader).take(LONGEST);
            let read = part.read_until(b'\n', &mut self.text);
            let read = read.map_err(|error| Failure::from(error).at(self.path.display()))?;
            self.number += 1;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 == LONGEST {
                return Err(self.fault(&format!("it has more than {LONGEST} bytes")));
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(Some(self.text.trim_ascii()));
            }
        }
    }

    /// Returns a failure about the line that was read last.
    pub(super) fn fault(&self, message: &str) -> Failure {
        Failure::new(message).at(format!("{}, line {}", self.path.display(), self.number))
    }
}
