//! Webhooks: sends the events of the log to their receivers.
//!
//! | module | does |
//! |---|---|
//! | `signature` | the signatures of Standard Webhooks, and the secrets that make them |
//! | `address` | which addresses may be reached |
//! | `endpoint` | the URL of a receiver |
//! | `connect` | the name's look-up, TCP and TLS |
//! | `exchange` | one connection: a request, its answer |
//! | `idle` | connections that wait for the next request |
//! | `send` | one request, and what it came to |

pub(crate) mod address;
mod connect;
pub(crate) mod endpoint;
mod exchange;
mod idle;
pub(crate) mod send;
pub(crate) mod signature;

#[cfg(test)]
mod tests;
