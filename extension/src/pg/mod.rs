//! PostgreSQL's own interfaces, and the only home of `unsafe`.

pub(crate) mod array;
pub(crate) mod attempt;
pub(crate) mod datum;
pub(crate) mod identity;
pub(crate) mod input;
pub(crate) mod jsonb;
pub(crate) mod numeric;
pub(crate) mod relation;
pub(crate) mod spi;
pub(crate) mod transaction;
pub(crate) mod uuid;
