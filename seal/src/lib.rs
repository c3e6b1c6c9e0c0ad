//! How eventlog seals events, without a database: the server seals and verifies with it, and
//! `eventlog verify` does so on an export alone.
//!
//! A **seal** covers the events of a tenant that were created on one day in UTC. Each event becomes
//! a digest ([`form`]), each digest with a salt a leaf ([`salts`]), and the leaves a Merkle tree as
//! RFC 9162 has it ([`tree`]). The leaves are in the order of name (by bytes), `created_at` and id, so
//! that what a retention deletes together lies together. A hash is kept for each **block** of
//! [`BLOCK`] leaves ([`block`]), which names a change, and lets events go without the rest losing its
//! proof. The root of the tree is in the seal, each seal has the hash of the tenant's previous one,
//! and a tree over the seals of all tenants gives one digest a day ([`record`]).
//!
//! All hashes are SHA-256, and everything that is hashed begins with a byte of its own kind: 0 for a
//! leaf, 1 for a node, 2 for an event, 3 for a seal, 4 for a receipt, 5 for the digest of a day, 6
//! for a seed.

pub mod block;
pub mod check;
pub mod form;
pub mod keys;
pub mod record;
pub mod salts;
pub mod tree;

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Most leaves of a block.
pub const BLOCK: usize = 256;

/// Version of the form of events, and of everything else that is hashed.
pub const VERSION: u8 = 1;

/// First bytes of what is hashed.
mod kind {
    pub(crate) const LEAF: u8 = 0;
    pub(crate) const NODE: u8 = 1;
    pub(crate) const EVENT: u8 = 2;
    pub(crate) const SEAL: u8 = 3;
    pub(crate) const RECEIPT: u8 = 4;
    pub(crate) const DIGEST: u8 = 5;
    pub(crate) const SEED: u8 = 6;
}

/// Hashes the parts one after the other.
fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}
