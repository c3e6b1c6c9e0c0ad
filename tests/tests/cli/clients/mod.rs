//! Clients of others, as they are published, against the gateway. Their programs are in `tests/clients`,
//! the packages where `make setup-tests` puts them.
//!
//! Each logs 1,000 events by its public API while the gateway is killed in the middle of an answer and
//! started again; meets a wrong key and a limit; and has events refused.

mod browsers;
mod libraries;
mod manual;
mod proof;
mod proxy;
mod stage;
