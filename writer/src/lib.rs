#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "asynchronous")]
pub mod asynchronous;
mod batch;
mod connect;
mod engine;
mod error;
mod event;
mod name;
mod options;
mod payload;
#[cfg(test)]
mod simulation;
mod stats;
#[cfg(feature = "sync")]
pub mod sync;
mod wire;

pub use error::Error;
pub use event::Event;
pub use eventlog_rules::shorten_path as redact_path;
pub use name::EventName;
pub use options::{Options, WhenFull};
pub use stats::{Report, Stats};
