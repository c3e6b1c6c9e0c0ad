//! Seals: which nobody changes an event without breaking. What is hashed and how is in the crate
//! `eventlog-seal`; here are the passes over events, and what is read from tables and written to them.
//!
//! | module | holds |
//! |---|---|
//! | `payload`, `decimal` | the canonical form of a payload, from the bytes of its jsonb |
//! | `hashes` | digests of events, seals, receipts and days, for SQL |
//! | `sealing` | the pass that seals |
//! | `checking` | the pass that verifies |
//! | `stored` | seals and blocks as they are in the tables, and the events of a block |
//! | `letting_go` | what is done to seals when their events are deleted |
//! | `proof` | the proof of one event |

mod checking;
mod decimal;
mod hashes;
mod letting_go;
mod payload;
mod proof;
mod sealing;
mod stored;
