//! The subcommands, a file each.

pub(crate) mod completions;
pub(crate) mod key;
