//! The protocols of other clients. Each module reads the events of one and answers as its clients
//! expect; [`super::intake`] does the rest.

pub(crate) mod answer;
mod entries;
mod request;
pub(crate) mod segment;
mod time;
