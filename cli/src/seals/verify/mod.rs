//! `eventlog verify`: checks a log, an export with its proofs, or the proof of one event.

mod export;
mod log;
mod proof;
mod proofs;
mod report;
mod whole;

use std::path::{Path, PathBuf};

use clap::Args;

use self::report::Report;
use super::anchors::Anchors;
use super::document::DigestDocument;
use crate::command::filter::Tenant;
use crate::command::time_zone::TimeZone;
use crate::connection::Server;
use crate::output::{Failure, warn};

const HELP: &str = "\
Without --export or --proof, checks the log with eventlog.verify_seals(), with the caller's own \
rights: a reader checks its tenant, the log's owner and services all tenants, or the one of --tenant. \
It prints what differs, and how much was checked.\n\n\
--export checks a file of `eventlog export --proofs` without a server: the events against the blocks \
and the roots of their seals, the seals against each other, and against the digests of their days. \
Only NDJSON; it needs 64 bytes of memory an event. An export of some tenants or days is checked \
against the seals in its proofs. If these are not all that a digest covers, the last line says so: \
then other days or tenants are left out, by the options of the export or by somebody.\n\n\
--proof checks a file with the answer of eventlog.event_proof(), without a server:\n\n\
psql -Atc 'SELECT eventlog.event_proof(42)' > proof.json; eventlog verify --proof proof.json\n\n\
--anchors compares the digests with a file of `eventlog anchor`, that must come from where the log's \
owner cannot change it. Without it, an owner who changed events and made all seals anew goes \
unnoticed. Time stamps in it must be of their digests; who signed them is for openssl to say:\n\n\
jq -j 'select(.number == 42).digest' FILE > digest\n\
jq -r 'select(.number == 42).timestamp.response' FILE | base64 -d > stamp.tsr\n\
openssl ts -verify -data digest -in stamp.tsr -CAfile AUTHORITY.pem\n\n\
Exit code 1 if anything differs, or if there are no seals; the first that differs is named on standard \
error.";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    tenant: Tenant,
    /// Only days from this time on: 2026-01-31, '2026-01-31 12:00+01', yesterday
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only days before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    #[command(flatten)]
    time_zone: TimeZone,
    /// Check this export instead of a log; needs --proofs
    #[arg(long, value_name = "FILE", requires = "proofs")]
    #[arg(conflicts_with_all = ["since", "until", "time_zone", "all_tenants"])]
    export: Option<PathBuf>,
    /// The proofs that `eventlog export --proofs` wrote with the export
    #[arg(long, value_name = "FILE", requires = "export")]
    proofs: Option<PathBuf>,
    /// Check this answer of event_proof() instead of a log; - is standard input
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["export", "since", "until", "time_zone", "all_tenants"])]
    proof: Option<PathBuf>,
    /// Compare the digests with this file of `eventlog anchor`
    #[arg(long, value_name = "FILE")]
    anchors: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let anchors = arguments.anchors.as_deref().map(read_anchors).transpose()?;
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

fn read_anchors(path: &Path) -> Result<Anchors, Failure> {
    let anchors = Anchors::read(path)?;
    if anchors.anchors.is_empty() {
        let hint = format!("eventlog anchor {}", path.display());
        return Err(Failure::new("no digests are anchored").at(path.display()).hint(hint));
    }
    if anchors.is_cut {
        warn("the last anchored digest is half written, and not compared", None);
    }
    Ok(anchors)
}

/// Checks a file of anchors for itself: the chain of its digests, and its time stamps.
fn check_anchors(anchors: &Anchors, report: &mut Report) {
    if let Some((digest, fault)) = anchors.chain_fault() {
        report.digest_differs(digest, format!("in the anchors, {fault}"));
    }
    for anchor in &anchors.anchors {
        match anchor.stamp_fault() {
            Some(fault) => report.digest_differs(&anchor.digest, fault),
            None => report.time_stamps += usize::from(anchor.timestamp.is_some()),
        }
    }
}

/// Compares all digests with those that were anchored.
fn compare_anchors(anchors: &Anchors, digests: &[DigestDocument], report: &mut Report) {
    check_anchors(anchors, report);
    for anchor in &anchors.anchors {
        let anchored = &anchor.digest;
        let found = digests.binary_search_by_key(&anchored.number, |digest| digest.number);
        match found.map(|place| &digests[place]) {
            Ok(found) if found == anchored => report.anchored += 1,
            Ok(_) => report.digest_differs(anchored, format!("{anchored} is not the anchored one")),
            Err(_) => {
                report.digest_differs(anchored, format!("{anchored} is anchored, but missing"));
            }
        }
    }
    let last = anchors.last().map_or(0, |digest| digest.number);
    report.unanchored = digests.iter().filter(|digest| digest.number > last).count();
}
