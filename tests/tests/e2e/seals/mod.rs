//! Seals hold: each change of a sealed log is found, an untouched log stays valid, what was erased
//! cannot be confirmed, and a tenant sees its own seals only.

mod bytes;
mod carried;
mod erased;
mod forged;
mod forger;
mod log;
mod payload;
mod sight;
mod stored;
mod tampered;
mod untouched;
mod verdicts;
