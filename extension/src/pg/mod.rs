//! PostgreSQL's own interfaces behind safe functions, and the only home of `unsafe`.

pub(crate) mod aggregate;
pub(crate) mod array;
pub(crate) mod attempt;
pub(crate) mod background;
pub(crate) mod call;
pub(crate) mod configuration;
pub(crate) mod datum;
pub(crate) mod identity;
pub(crate) mod input;
pub(crate) mod invalidation;
pub(crate) mod jsonb;
pub(crate) mod lent;
pub(crate) mod lock;
pub(crate) mod memory;
pub(crate) mod messages;
pub(crate) mod numeric;
pub(crate) mod portal;
pub(crate) mod process;
pub(crate) mod relation;
pub(crate) mod sequence;
pub(crate) mod server;
pub(crate) mod shared_memory;
pub(crate) mod spi;
pub(crate) mod transaction;
pub(crate) mod trigger;
pub(crate) mod uuid;
