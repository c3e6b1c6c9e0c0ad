//! The writer against real servers: `eventlog-writer` as an application uses it.

mod asynchronous;
mod chaos;
mod common;
mod double;
mod doubt;
mod ends;
mod examples;
mod forks;
mod lanes;
mod losses;
mod packaged;
mod poison;
mod pooler;
mod proxy;
mod sync;
mod tls;
