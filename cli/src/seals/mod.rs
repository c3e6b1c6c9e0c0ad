//! Seals outside of the server: anchoring digests, and verifying a log, an export or one event.
//!
//! | module | does |
//! |---|---|
//! | `anchor` | `eventlog anchor`: writes new digests to a file, and to others who keep them |
//! | `anchors` | the file of anchored digests |
//! | `timestamp` | requests and responses of RFC 3161 |
//! | `verify` | `eventlog verify` |
//! | `document` | seals, digests and paths as JSON |
//! | `event` | the digest of an exported event |
//! | `json` | the form of a payload |
//! | `times` | days and times as the server prints them |
//! | `lines` | the lines of a file |
//! | `digests` | reads the digests of a log |

pub(crate) mod anchor;
mod anchors;
mod digests;
mod document;
mod event;
mod json;
mod lines;
mod times;
mod timestamp;
pub(crate) mod verify;
