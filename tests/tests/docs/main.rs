//! Tests of the manual: README.md, everything below `docs/`, and the READMEs of the folders.
//!
//! The SQL of each page is run and its outputs are compared ([`sql`]); links lead somewhere
//! ([`links`]); the reference is generated from the catalog ([`reference`]), and what is written by
//! hand is compared with it ([`facts`]).

mod facts;
mod links;
mod page;
mod reference;
mod sql;
