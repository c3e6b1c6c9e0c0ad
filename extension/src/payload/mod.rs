//! Payloads: the rules of an event type, and what is checked, added and edited.

pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod completion;
pub(crate) mod edit;
pub(crate) mod enrichment;
pub(crate) mod event_type;
pub(crate) mod hash_key;
pub(crate) mod scalar;
pub(crate) mod value_type;
