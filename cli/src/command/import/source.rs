//! Reads the rows of a file one by one, with the lines that they begin in.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::csv::Csv;
use super::foreign::Mapping;
use super::input::{Input, Numbered};
use super::json::{self, Array, Lines as Ndjson};
use crate::command::filter::{Format, is_standard};
use crate::output::Failure;

pub(super) struct Source {
    /// Length of the file, if known.
    pub(super) bytes: Option<u64>,
    input: Input,
    format: Reader,
    /// How events of another tool are read.
    mapping: Option<Mapping>,
    is_at_end: bool,
    was_read: u64,
}

enum Reader {
    Csv(Csv),
    Ndjson(Ndjson),
    Json(Array),
}

impl Source {
    pub(super) fn open(
        path: &Path,
        format: Format,
        mapping: Option<Mapping>,
    ) -> Result<Self, Failure> {
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
        let mut input = Input::new(reader)?;
        let format = match format {
            Format::Csv if mapping.is_some() => {
                return Err(Failure::usage("--from needs JSON").hint("--format ndjson or json"));
            }
            Format::Csv => Reader::Csv(Csv::begin(&mut input)?),
            Format::Ndjson => Reader::Ndjson(Ndjson::default()),
            Format::Json => Reader::Json(Array::default()),
        };
        Ok(Source { bytes, input, format, mapping, is_at_end: false, was_read: 0 })
    }

    pub(super) fn next(&mut self) -> Result<Option<Numbered>, Failure> {
        loop {
            let object = match &mut self.format {
                Reader::Csv(csv) => {
                    let next = csv.next(&mut self.input)?;
                    self.is_at_end = next.is_none();
                    return Ok(next);
                }
                Reader::Ndjson(lines) => lines.next(&mut self.input)?,
                Reader::Json(array) => array.next(&mut self.input)?,
            };
            let Some((line, text)) = object else {
                self.is_at_end = true;
                return Ok(None);
            };
            let row = match &mut self.mapping {
                None => json::row(&text).map(Some),
                Some(mapping) => mapping.row(&text),
            };
            if let Some(row) = row.transpose() {
                return Ok(Some((line, row)));
            }
        }
    }

    /// Returns the names of another tool's events since the last call.
    pub(super) fn take_names(&mut self) -> Vec<String> {
        let seen = self.mapping.as_mut().map(|mapping| std::mem::take(&mut mapping.seen));
        seen.into_iter().flatten().collect()
    }

    /// Returns how many events of another tool were left out.
    pub(super) fn left_out(&self) -> u64 {
        self.mapping.as_ref().map_or(0, |mapping| mapping.left_out)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Returns the bytes read since the last call.
    pub(super) fn take_read(&mut self) -> u64 {
        let read = self.input.read() - self.was_read;
        self.was_read = self.input.read();
        read
    }
}
