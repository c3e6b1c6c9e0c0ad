//! `eventlog verify`: checks a log, an export with its proofs, or the proof of one event.
//!
//! | module | does |
//! |---|---|
//! | `arguments` | the options |
//! | `log` | a log, by `verify_seals()` |
//! | `export` | an export with its proofs |
//! | `proofs` | reads those proofs, and checks seals and digests |
//! | `receipt` | receipts of events that are gone |
//! | `whole` | what the proofs say as a whole |
//! | `proof` | the proof of one event |
//! | `anchored` | compares digests with those that were anchored |
//! | `report` | what was found, and how it is printed |

mod anchored;
mod arguments;
mod export;
mod log;
mod proof;
mod proofs;
mod receipt;
mod report;
mod whole;

pub(crate) use self::arguments::Arguments;
use self::report::Report;
use crate::connection::Server;
use crate::output::Failure;

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let anchors = arguments.anchors.as_deref().map(anchored::read).transpose()?;
    let anchors = anchors.as_ref();
    let mut report = Report::default();
    if let Some(path) = &arguments.proof {
        proof::verify(path, anchors, &mut report)?;
    } else if let (Some(events), Some(proofs)) = (&arguments.export, &arguments.proofs) {
        export::verify(events, proofs, anchors, &mut report)?;
    } else {
        log::verify(server, &arguments, anchors, &mut report).await?;
    }
    report.finish(arguments.json)
}
