//! The writer against real servers: `eventlog-writer` as an application uses it.

mod asynchronous;
mod chaos;
mod common;
mod ends;
mod examples;
mod pooler;
mod sync;
mod tls;
