//! Compares digests with those that were anchored.

use std::path::Path;

use super::report::Report;
use crate::output::{Failure, warn};
use crate::seals::anchors::Anchors;
use crate::seals::document::DigestDocument;

/// Reads a file of anchors, which must have some.
pub(super) fn read(path: &Path) -> Result<Anchors, Failure> {
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
pub(super) fn check_anchors(anchors: &Anchors, report: &mut Report) {
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
pub(super) fn compare_anchors(anchors: &Anchors, digests: &[DigestDocument], report: &mut Report) {
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
