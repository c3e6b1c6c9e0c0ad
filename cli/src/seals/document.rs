//! Seals, digests and paths as JSON, as `event_proof()` and `seal_proofs()` write them.

use std::borrow::Cow;

use eventlog_seal::Hash;
use eventlog_seal::record::{DayDigest, Seal};
use eventlog_seal::tree::{self, Step};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::times;
use crate::hex;

/// A hash in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HexHash(pub(super) Hash);

impl<'de> Deserialize<'de> for HexHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let hash = hex::decode(&text).map(HexHash);
        hash.ok_or_else(|| D::Error::custom("a hash has 64 hexadecimal digits"))
    }
}

impl Serialize for HexHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

/// Bytes in hexadecimal digits.
pub(super) struct HexBytes(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let pairs = text
            .as_bytes()
            .chunks(2)
            .map(|pair| hex::decode::<1>(std::str::from_utf8(pair).ok()?).map(|[byte]| byte));
        let bytes = pairs.collect::<Option<_>>().map(HexBytes);
        bytes.ok_or_else(|| D::Error::custom("these are not pairs of hexadecimal digits"))
    }
}

/// A day, `2026-01-31`, counted from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Day(pub(super) i32);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let day = times::day(&text).map(Day);
        day.ok_or_else(|| D::Error::custom(format!("{text:?} is not a day, such as 2026-01-31")))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&times::day_text(self.0))
    }
}

/// A step of a path: the other child of the node above.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PathStep {
    Left(HexHash),
    Right(HexHash),
}

/// Returns the root that a path leads to.
pub(super) fn climb(from: Hash, path: &[PathStep]) -> Hash {
    let steps: Vec<Step> = path
        .iter()
        .map(|step| match *step {
            PathStep::Left(HexHash(hash)) => Step { hash, is_left: true },
            PathStep::Right(HexHash(hash)) => Step { hash, is_left: false },
        })
        .collect();
    tree::climb(from, &steps)
}

/// A seal.
#[derive(Clone, Deserialize)]
pub(super) struct SealDocument {
    pub(super) tenant_id: Uuid,
    number: i64,
    day: Day,
    part: i32,
    events: i64,
    root: HexHash,
    previous: HexHash,
}

impl SealDocument {
    /// Returns the seal without its form.
    pub(super) fn record(&self) -> Seal {
        Seal {
            tenant_id: self.tenant_id.into_bytes(),
            number: self.number,
            day: self.day.0,
            part: self.part,
            events: self.events,
            root: self.root.0,
            previous: self.previous.0,
        }
    }
}

/// The digest of a day.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(super) struct DigestDocument {
    pub(super) number: i64,
    pub(super) day: Day,
    pub(super) root: HexHash,
    pub(super) previous: HexHash,
    pub(super) digest: HexHash,
}

impl DigestDocument {
    /// Returns true if the digest is that of its number, day, root and previous.
    pub(super) fn is_consistent(&self) -> bool {
        let (root, previous) = (self.root.0, self.previous.0);
        let record = DayDigest { number: self.number, day: self.day.0, root, previous };
        record.hash() == self.digest.0
    }

    /// Returns what is wrong with a digest after the one before it; nothing is before the first
    /// that is known.
    pub(super) fn fault(&self, before: Option<&DigestDocument>) -> Option<String> {
        let is_next = match before {
            Some(before) => {
                before.number.checked_add(1) == Some(self.number) && before.digest == self.previous
            }
            None => self.number > 1 || (self.number == 1 && self.previous.0 == [0; 32]),
        };
        if !self.is_consistent() {
            Some(format!("{self} is not the hash of its number, day, root and previous"))
        } else if !is_next {
            let before = before.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            Some(format!("{self} does not follow {before}"))
        } else {
            None
        }
    }
}

impl std::fmt::Display for DigestDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "digest {} of {}", self.number, times::day_text(self.day.0))
    }
}
