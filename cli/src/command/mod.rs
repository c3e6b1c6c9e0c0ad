//! The subcommands, each in its own file or folder, and the code that they share.

pub(crate) mod alerts;
pub(crate) mod codegen;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod filter;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod lint;
pub(crate) mod log;
pub(crate) mod man;
mod progress;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod tail;
pub(crate) mod time_zone;
