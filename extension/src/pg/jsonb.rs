//! PostgreSQL's binary jsonb: reads it in place, and writes the table of a container.
//!
//! Payloads never pass through a JSON value of Rust, which would round numbers and cost
//! microseconds. A container is a header (count and kind), one 4-byte entry for each key and value,
//! then their bytes. An entry holds the length of its bytes; every 32nd holds the offset of their
//! end instead. Keys are sorted by length, then by bytes. Numbers and containers start at a
//! multiple of four, and the padding counts as theirs. (`src/include/utils/jsonb.h` in PostgreSQL.)
//!
//! Only slices are used, so a damaged value is a panic (XX000), never a read out of bounds.

use std::cmp::Ordering;

use pgrx::PgSqlErrorCode;

use crate::error::Fault;

pub(crate) const COUNT: u32 = 0x0FFF_FFFF;
pub(crate) const IS_SCALAR: u32 = 0x1000_0000;
pub(crate) const IS_OBJECT: u32 = 0x2000_0000;
pub(crate) const IS_ARRAY: u32 = 0x4000_0000;

/// Most bytes that an entry can hold.
pub(crate) const LENGTH: u32 = 0x0FFF_FFFF;
pub(crate) const HAS_OFFSET: u32 = 0x8000_0000;
pub(crate) const KIND: u32 = 0x7000_0000;
pub(crate) const STRING: u32 = 0x0000_0000;
pub(crate) const NUMERIC: u32 = 0x1000_0000;
pub(crate) const FALSE: u32 = 0x2000_0000;
pub(crate) const TRUE: u32 = 0x3000_0000;
pub(crate) const NULL: u32 = 0x4000_0000;
pub(crate) const CONTAINER: u32 = 0x5000_0000;

/// Every 32nd entry stores an offset instead of a length.
const OFFSET_STRIDE: usize = 32;

/// Called once a level; returns true if the stack is nearly used up.
pub(crate) type IsTooDeep = fn() -> bool;

/// The value is nested deeper than the stack allows.
#[derive(Debug)]
pub(crate) struct TooDeep;

impl From<TooDeep> for Fault {
    fn from(_: TooDeep) -> Self {
        Fault::new(
            PgSqlErrorCode::ERRCODE_STATEMENT_TOO_COMPLEX,
            "payload has too many levels for max_stack_depth",
        )
    }
}

/// An object or an array, starting at its header.
#[derive(Clone, Copy)]
pub(crate) struct Container<'a>(&'a [u8]);

/// A value inside a container.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    String(&'a [u8]),
    /// The number as PostgreSQL's `numeric`, with its header.
    Numeric(&'a [u8]),
    Container(Container<'a>),
}

/// Compares keys in the order in which an object stores them.
pub(crate) fn key_order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn aligned(offset: usize) -> usize {
    (offset + 3) & !3
}

impl<'a> Container<'a> {
    /// Returns the root container of a jsonb value, given without its length header.
    pub(crate) fn root(bytes: &'a [u8]) -> Self {
        Container(bytes)
    }

    /// Returns the container as a root container of its own.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.0
    }

    fn word(&self, index: usize) -> u32 {
        let at = index * 4;
        u32::from_ne_bytes(self.0[at..at + 4].try_into().expect("four bytes"))
    }

    pub(crate) fn len(&self) -> usize {
        (self.word(0) & COUNT) as usize
    }

    pub(crate) fn is_object(&self) -> bool {
        self.word(0) & IS_OBJECT != 0
    }

    /// Returns the kind of JSON value in a root container, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        if self.is_object() {
            return "an object";
        }
        if self.word(0) & IS_SCALAR == 0 {
            return "an array";
        }
        match self.elements().next() {
            Some(Value::String(_)) => "a string",
            Some(Value::Numeric(_)) => "a number",
            Some(Value::Bool(_)) => "a boolean",
            _ => "null",
        }
    }

    fn entries(&self) -> usize {
        if self.is_object() { self.len() * 2 } else { self.len() }
    }

    fn entry(&self, index: usize) -> u32 {
        self.word(1 + index)
    }

    /// Returns the bytes of all keys and values.
    fn content(&self) -> &'a [u8] {
        &self.0[4 + 4 * self.entries()..]
    }

    /// Returns the end of the entry before `index`.
    fn start_of(&self, index: usize) -> usize {
        let mut end = 0;
        for i in (0..index).rev() {
            let entry = self.entry(i);
            end += (entry & LENGTH) as usize;
            if entry & HAS_OFFSET != 0 {
                break;
            }
        }
        end
    }

    fn run(&self, first: usize) -> Run<'a> {
        Run { container: *self, content: self.content(), index: first, start: self.start_of(first) }
    }

    /// Returns keys and values of an object, in the order of [`key_order`].
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> + use<'a> {
        let n = self.len();
        let mut keys = self.run(0);
        let mut values = self.run(n);
        (0..n).map(move |_| {
            let (_, start, end) = keys.advance();
            (&keys.content[start..end], values.next_value())
        })
    }

    /// Returns the elements of an array; of a scalar at the root, the scalar.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut values = self.run(0);
        (0..self.len()).map(move |_| values.next_value())
    }

    /// Returns the value of a key of an object.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Value<'a>> {
        if !self.is_object() {
            return None;
        }
        self.pairs().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Returns true if any object in here, at any depth, has a key whose value is null.
    pub(crate) fn has_null_keys(&self, is_too_deep: IsTooDeep) -> Result<bool, TooDeep> {
        if is_too_deep() {
            return Err(TooDeep);
        }
        let first = if self.is_object() { self.len() } else { 0 };
        let mut values = self.run(first);
        for _ in first..self.entries() {
            let found = match values.next_value() {
                Value::Null => self.is_object(),
                Value::Container(child) => child.has_null_keys(is_too_deep)?,
                _ => false,
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Walks entries in order and keeps track of their bytes.
struct Run<'a> {
    container: Container<'a>,
    content: &'a [u8],
    index: usize,
    start: usize,
}

impl<'a> Run<'a> {
    fn advance(&mut self) -> (u32, usize, usize) {
        let entry = self.container.entry(self.index);
        let start = self.start;
        let length = (entry & LENGTH) as usize;
        let end = if entry & HAS_OFFSET != 0 { length } else { start + length };
        self.index += 1;
        self.start = end;
        (entry & KIND, start, end)
    }

    fn next_value(&mut self) -> Value<'a> {
        let (kind, start, end) = self.advance();
        match kind {
            NULL => Value::Null,
            TRUE => Value::Bool(true),
            FALSE => Value::Bool(false),
            STRING => Value::String(&self.content[start..end]),
            NUMERIC => Value::Numeric(&self.content[aligned(start)..end]),
            CONTAINER => Value::Container(Container(&self.content[aligned(start)..end])),
            other => panic!("unknown kind {other:#x} of a jsonb entry"),
        }
    }
}

/// Pads for a number or a container, which begin at a multiple of four.
pub(crate) fn pad(out: &mut Vec<u8>) {
    out.resize(aligned(out.len()), 0);
}

/// The header and entries of a container that is being written.
pub(crate) struct Table {
    /// Where the next entry is to be written.
    at: usize,
    index: usize,
    /// Where the content of the container begins, and where that of the next entry does.
    content: usize,
    start: usize,
}

impl Table {
    /// Begins an object of `pairs`; its keys are to be written first, then its values.
    pub(crate) fn object(out: &mut Vec<u8>, pairs: usize) -> Self {
        Self::begin(out, IS_OBJECT | pairs as u32, pairs * 2)
    }

    /// Begins an array, or a scalar at the root, with as many elements as `like` has.
    pub(crate) fn array(out: &mut Vec<u8>, like: &Container<'_>) -> Self {
        Self::begin(out, like.word(0), like.len())
    }

    fn begin(out: &mut Vec<u8>, header: u32, entries: usize) -> Self {
        out.extend_from_slice(&header.to_ne_bytes());
        let at = out.len();
        out.resize(at + entries * 4, 0);
        Table { at, index: 0, content: out.len(), start: out.len() }
    }

    /// Ends the key or value that was appended to `out`; `kind` is one of those above.
    pub(crate) fn end_entry(&mut self, out: &mut [u8], kind: u32) {
        let end = out.len();
        let entry = if self.index.is_multiple_of(OFFSET_STRIDE) {
            kind | HAS_OFFSET | (end - self.content) as u32
        } else {
            kind | (end - self.start) as u32
        };
        out[self.at..self.at + 4].copy_from_slice(&entry.to_ne_bytes());
        self.at += 4;
        self.index += 1;
        self.start = end;
    }
}
