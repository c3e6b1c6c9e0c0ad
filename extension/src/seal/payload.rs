//! The canonical form of a payload, from the bytes of its jsonb. Nothing is taken for granted: who can
//! change the data file can write any bytes there, and verifying must say so and go on. There is no
//! recursion, since a payload may be nested as deep as the session that logged it could parse.

use eventlog_seal::form::Form;

use crate::pg::jsonb::{
    CONTAINER, COUNT, FALSE, HAS_OFFSET, IS_ARRAY, IS_OBJECT, IS_SCALAR, KIND, LENGTH, NULL,
    NUMERIC, STRING, TRUE,
};
use crate::seal::decimal;

/// A scalar at the root is the one element of an array.
const SCALAR: u32 = IS_ARRAY | IS_SCALAR;

/// Writes a payload; nothing if its bytes are damaged.
pub(super) fn write(root: &[u8], form: &mut Form) -> Option<()> {
    let root = Container::read(root)?;
    if root.header & IS_SCALAR != 0 {
        let (kind, value) = root.entries(0, 0).next()?;
        let is_scalar = root.count == 1 && kind != CONTAINER;
        return is_scalar.then(|| write_scalar(kind, value, form))?;
    }
    let mut open = vec![root.begin(form)?];
    while let Some(container) = open.last_mut() {
        if container.left == 0 {
            open.pop();
            continue;
        }
        container.left -= 1;
        if let Some(keys) = &mut container.keys {
            form.key(keys.next()?.1.bytes()?);
        }
        let (kind, value) = container.values.next()?;
        if kind == CONTAINER {
            let child = Container::read(value.aligned()?)?;
            (child.header & IS_SCALAR == 0).then_some(())?;
            open.push(child.begin(form)?);
        } else {
            write_scalar(kind, value, form)?;
        }
    }
    Some(())
}

fn write_scalar(kind: u32, value: Slice<'_>, form: &mut Form) -> Option<()> {
    match kind {
        NULL => form.null(),
        TRUE => form.boolean(true),
        FALSE => form.boolean(false),
        STRING => form.string(value.bytes()?),
        NUMERIC => {
            let mut decimal = Vec::with_capacity(24);
            decimal::write(value.aligned()?, &mut decimal)?;
            form.number(&decimal);
        }
        _ => return None,
    }
    Some(())
}

struct Container<'a> {
    bytes: &'a [u8],
    header: u32,
    count: usize,
}

/// A container of which this many values are still to be written.
struct Open<'a> {
    left: usize,
    /// Of an object.
    keys: Option<Entries<'a>>,
    values: Entries<'a>,
}

impl<'a> Container<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let header = word(bytes, 0)?;
        let is_known = matches!(header & !COUNT, IS_OBJECT | IS_ARRAY | SCALAR);
        is_known.then_some(Container { bytes, header, count: (header & COUNT) as usize })
    }

    fn is_object(&self) -> bool {
        self.header & IS_OBJECT != 0
    }

    /// Returns the entries from `index` on, which begin at `start` of the content.
    fn entries(&self, index: usize, start: usize) -> Entries<'a> {
        // A pair of an object is two entries.
        let entries = if self.is_object() { 2 * self.count } else { self.count };
        let content = self.bytes.get(4 + 4 * entries..).unwrap_or_default();
        Entries { bytes: self.bytes, content, index, start }
    }

    fn begin(&self, form: &mut Form) -> Option<Open<'a>> {
        let left = self.count;
        if !self.is_object() {
            form.array(left);
            return Some(Open { left, keys: None, values: self.entries(0, 0) });
        }
        form.object(left);
        // The values follow all keys.
        let mut keys = self.entries(0, 0);
        for _ in 0..left {
            let (kind, _) = keys.next()?;
            (kind == STRING).then_some(())?;
        }
        Some(Open { left, keys: Some(self.entries(0, 0)), values: self.entries(left, keys.start) })
    }
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let at = index * 4;
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

struct Entries<'a> {
    bytes: &'a [u8],
    content: &'a [u8],
    index: usize,
    start: usize,
}

impl<'a> Entries<'a> {
    /// Returns kind and bytes of the next entry; nothing if it is damaged.
    fn next(&mut self) -> Option<(u32, Slice<'a>)> {
        let entry = word(self.bytes, 1 + self.index)?;
        let length = (entry & LENGTH) as usize;
        let end = if entry & HAS_OFFSET != 0 { length } else { self.start + length };
        let slice = Slice { content: self.content, start: self.start, end };
        slice.bytes()?;
        self.index += 1;
        self.start = end;
        Some((entry & KIND, slice))
    }
}

/// The bytes of an entry; numbers and containers begin at a multiple of four.
#[derive(Clone, Copy)]
struct Slice<'a> {
    content: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Slice<'a> {
    fn bytes(&self) -> Option<&'a [u8]> {
        self.content.get(self.start..self.end)
    }

    fn aligned(&self) -> Option<&'a [u8]> {
        self.content.get((self.start + 3) & !3..self.end)
    }
}
