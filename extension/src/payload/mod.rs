//! What the type of an event demands of its payload, and what becomes of the payload.

pub(crate) mod additions;
pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod edit;
pub(crate) mod enrichment;
pub(crate) mod event_type;
pub(crate) mod hash_key;
pub(crate) mod scalar;
