//! The canonical form of an event: the bytes that are hashed, the same from a row of any version of
//! PostgreSQL, a dump and an export.
//!
//! | field | bytes |
//! |---|---|
//! | kind, version | 2, 1 |
//! | id | 8, the highest first, as all numbers here |
//! | `tenant_id` | 16 |
//! | `created_at` | 8: microseconds since 1970-01-01 UTC; infinity is the largest number |
//! | `occurred_at` | 0, or 1 and 8 as above |
//! | weight | 0, or 1 and the 4 bytes of the float |
//! | name | length in 4, then UTF-8 |
//! | actor, subject | 0, or 1 and as above |
//! | data | a value |
//!
//! A value is `n` (null), `t`, `f`, `s` and a text (its length in 4 bytes, then UTF-8), `#` and a text
//! (the number in decimal as `numeric` prints it, with all digits of its scale and no exponent), `[`,
//! the number of elements in 4 bytes and the elements, or `{`, the number of pairs in 4 bytes and each
//! key as a text with its value: the shorter key first, keys of one length by their bytes, as `jsonb`
//! has them.

use crate::{Hash, VERSION, kind, sha256};

/// Microseconds from 1970-01-01 to 2000-01-01, from where PostgreSQL counts.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Returns microseconds since 1970 for a `timestamptz`, which counts from 2000. Both infinities stay
/// what they are.
pub fn unix_micros(timestamp: i64) -> i64 {
    match timestamp {
        i64::MIN | i64::MAX => timestamp,
        _ => timestamp.saturating_add(POSTGRES_EPOCH),
    }
}

/// The columns of an event besides its payload; times in microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// Number of the event.
    pub id: i64,
    /// The tenant.
    pub tenant_id: [u8; 16],
    /// When it was logged.
    pub created_at: i64,
    /// When it happened by the client's clock, if given.
    pub occurred_at: Option<i64>,
    /// Number of events that the row stands for, if not 1.
    pub weight: Option<f32>,
    /// Name of the event, in UTF-8.
    pub name: &'a [u8],
    /// Who did it.
    pub actor: Option<&'a [u8]>,
    /// What it was done to.
    pub subject: Option<&'a [u8]>,
}

/// The form of an event while it is being written: begin it with the columns, then write the one value
/// that is its payload.
#[derive(Debug, Default)]
pub struct Form(Vec<u8>);

impl Form {
    /// Begins the form of an event; the memory of the one before is used again.
    pub fn begin(&mut self, columns: &Columns<'_>) -> &mut Self {
        self.0.clear();
        self.0.extend([kind::EVENT, VERSION]);
        self.0.extend(columns.id.to_be_bytes());
        self.0.extend(columns.tenant_id);
        self.0.extend(columns.created_at.to_be_bytes());
        self.optional(columns.occurred_at.map(i64::to_be_bytes));
        self.optional(columns.weight.map(|weight| weight.to_bits().to_be_bytes()));
        self.text(columns.name);
        for text in [columns.actor, columns.subject] {
            self.0.push(u8::from(text.is_some()));
            if let Some(text) = text {
                self.text(text);
            }
        }
        self
    }

    fn optional<const N: usize>(&mut self, bytes: Option<[u8; N]>) {
        self.0.push(u8::from(bytes.is_some()));
        self.0.extend(bytes.iter().flatten());
    }

    fn length(&mut self, length: usize) {
        self.0.extend((length as u32).to_be_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        self.0.extend_from_slice(text);
    }

    /// Writes null.
    pub fn null(&mut self) {
        self.0.push(b'n');
    }

    /// Writes a boolean.
    pub fn boolean(&mut self, value: bool) {
        self.0.push(if value { b't' } else { b'f' });
    }

    /// Writes a string, without its quotes and escapes.
    pub fn string(&mut self, text: &[u8]) {
        self.0.push(b's');
        self.text(text);
    }

    /// Writes a number, given in decimal as `numeric` prints it.
    pub fn number(&mut self, decimal: &[u8]) {
        self.0.push(b'#');
        self.text(decimal);
    }

    /// Begins an array; its elements follow.
    pub fn array(&mut self, elements: usize) {
        self.0.push(b'[');
        self.length(elements);
    }

    /// Begins an object; its pairs follow, each a key and a value, in the order of [`key_order`].
    pub fn object(&mut self, pairs: usize) {
        self.0.push(b'{');
        self.length(pairs);
    }

    /// Writes the key of a pair.
    pub fn key(&mut self, key: &[u8]) {
        self.text(key);
    }

    /// Returns the digest of the form: its hash.
    pub fn digest(&self) -> Hash {
        sha256(&[&self.0])
    }
}

/// Compares the keys of an object: the shorter first, then by bytes.
pub fn key_order(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Returns the digest of an event that cannot be read, because its bytes were damaged. No seal has it.
pub fn damaged(id: i64) -> Hash {
    sha256(&[&[kind::EVENT, 0], &id.to_be_bytes()])
}
