//! What is hashed besides events: seals, receipts, and the digest of a day over all of them.

use crate::{Hash, VERSION, kind, sha256};

/// A seal of a tenant's day, or of late events of a day, which are its supplement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The tenant.
    pub tenant_id: [u8; 16],
    /// Its number among the tenant's seals, from 1.
    pub number: i64,
    /// The day in UTC, counted from 1970-01-01.
    pub day: i32,
    /// 0 for the first seal of the tenant's day, 1 and more for supplements.
    pub part: i32,
    /// Number of events.
    pub events: i64,
    /// The root of the tree over the events.
    pub root: Hash,
    /// The hash of the tenant's previous seal; 32 zeros for its first.
    pub previous: Hash,
}

impl Seal {
    /// Returns the hash of the seal, which is a leaf of the day's tree, and which the tenant's next seal
    /// carries.
    pub fn hash(&self) -> Hash {
        sha256(&[
            &[kind::SEAL, VERSION],
            &self.tenant_id,
            &self.number.to_be_bytes(),
            &self.day.to_be_bytes(),
            &self.part.to_be_bytes(),
            &self.events.to_be_bytes(),
            &self.root,
            &self.previous,
        ])
    }
}

/// A receipt: it says which sealed events of a tenant were let go, when, and by which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// The tenant.
    pub tenant_id: [u8; 16],
    /// Its number among all receipts.
    pub id: i64,
    /// The first day of the events, counted from 1970-01-01.
    pub first_day: i32,
    /// The last day of the events.
    pub last_day: i32,
    /// How many there were.
    pub events: i64,
    /// The call that deleted them.
    pub call: &'a str,
    /// The role that called it.
    pub role_name: &'a str,
    /// When the first of them was let go, in microseconds since 1970-01-01 UTC.
    pub at: i64,
}

impl Receipt<'_> {
    /// Returns the hash of the receipt, which is a leaf of the day's tree.
    pub fn hash(&self) -> Hash {
        sha256(&[
            &[kind::RECEIPT, VERSION],
            &self.tenant_id,
            &self.id.to_be_bytes(),
            &self.first_day.to_be_bytes(),
            &self.last_day.to_be_bytes(),
            &self.events.to_be_bytes(),
            &(self.call.len() as u32).to_be_bytes(),
            self.call.as_bytes(),
            &(self.role_name.len() as u32).to_be_bytes(),
            self.role_name.as_bytes(),
            &self.at.to_be_bytes(),
        ])
    }
}

/// The digest of a day: over the seals of all tenants and the receipts that were made with it, and the
/// digest before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayDigest {
    /// Its number, from 1.
    pub number: i64,
    /// The day in UTC, counted from 1970-01-01.
    pub day: i32,
    /// The root of the tree over the hashes of seals, by tenant and number, and then of receipts, by
    /// id.
    pub root: Hash,
    /// The digest before; 32 zeros for the first.
    pub previous: Hash,
}

impl DayDigest {
    /// Returns the digest, which is what is anchored outside.
    pub fn hash(&self) -> Hash {
        sha256(&[
            &[kind::DIGEST, VERSION],
            &self.number.to_be_bytes(),
            &self.day.to_be_bytes(),
            &self.root,
            &self.previous,
        ])
    }
}
