//! Rollups in one pass over events: an aggregate that counts for all of them at once, in as many
//! processes as PostgreSQL gives, and functions that return its rows.
//!
//! Each process keeps its own [`Counts`]; those of workers come to the leader as bytes (`wire`). The
//! final function keeps the merged counts until the transaction ends or `forget_counts()` is called,
//! and `counted_hourly_counts()` and its like return them, in the order of the indexes (`rows`). What an
//! event counts for (`measure`) is the same as in `eventlog._measured_events()`, and depends on no
//! setting, since a worker lacks those of the session.

mod api;
mod counts;
mod interned;
mod measure;
mod rows;
mod wire;
