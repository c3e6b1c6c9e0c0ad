#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Without a writer to drive it, parts of the engine are unused.
#![cfg_attr(
    not(any(feature = "sync", feature = "asynchronous")),
    allow(dead_code, unused_imports, unused_macros)
)]
#![forbid(unsafe_code)]

#[cfg(feature = "asynchronous")]
pub mod asynchronous;
#[cfg(any(feature = "sync", feature = "asynchronous"))]
mod double;
mod engine;
mod error;
mod event;
#[cfg(feature = "tracing-layer")]
mod layer;
mod name;
mod options;
#[cfg(any(feature = "sync", feature = "asynchronous"))]
mod shared;
mod stats;
#[cfg(feature = "sync")]
pub mod sync;
mod track;
mod wire;

pub use error::Error;
pub use event::{Event, Outcome};
pub use eventlog_common::shorten_path as redact_path;
#[cfg(feature = "tracing-layer")]
pub use layer::EventLayer;
pub use name::EventName;
pub use options::{Options, WhenFull};
pub use stats::{Health, Report, Stats};

// The crates whose types this one takes or returns, in the versions it uses.
#[cfg(feature = "sync")]
pub use postgres;
pub use serde_json;
pub use tokio_postgres;
pub use uuid::{self, Uuid};
