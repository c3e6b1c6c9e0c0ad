//! Webhooks: sends the events of the log to their receivers.
//!
//! | module | does |
//! |---|---|
//! | `command` | `eventlog deliver`: options, connections, the end |
//! | `alerts` | evaluates alerts meanwhile |
//! | `engine` | leases webhooks, starts and stops workers, notes what came of it |
//! | `feed` | reads the log, once for all webhooks that keep up |
//! | `serving` | a webhook with a running worker, and what it was given |
//! | `worker` | sends to one webhook, in order |
//! | `schedule` | when a message is sent again, and when a receiver is put aside |
//! | `notes` | gathers what is to be written down |
//! | `event` | the body of a message |
//! | `database` | the calls of the database |
//! | `signature` | the signatures of Standard Webhooks, and the secrets that make them |
//! | `address` | which addresses may be reached |
//! | `endpoint` | the URL of a receiver |
//! | `connect` | the name's look-up, TCP and TLS |
//! | `exchange` | one connection: a request, its answer |
//! | `idle` | connections that wait for the next request |
//! | `send` | one request, and what it came to |

pub(crate) mod address;
mod alerts;
mod command;
mod connect;
mod database;
pub(crate) mod endpoint;
mod engine;
mod event;
mod exchange;
mod feed;
mod idle;
mod notes;
mod schedule;
pub(crate) mod send;
mod serving;
pub(crate) mod signature;
mod worker;

#[cfg(test)]
mod tests;

pub(crate) use self::command::{Arguments, Options, deliver, run};
