//! What proofs say as a whole: whether they have all that a digest covers, and whether as many events are
//! declared gone as the receipts have.

use std::collections::BTreeMap;

use eventlog_seal::Hash;
use eventlog_seal::tree;
use uuid::Uuid;

use super::proofs::Proofs;
use super::receipt::ReceiptDocument;
use super::report::{Difference, Report};

/// Checks the proofs as a whole.
pub(super) fn check_whole(proofs: &Proofs, report: &mut Report) {
    let mut leaves: BTreeMap<i64, Vec<Hash>> = BTreeMap::new();
    for (digest, seal) in proofs.seals() {
        leaves.entry(digest.unwrap_or_default()).or_default().push(seal.hash());
    }
    let mut receipts: Vec<&ReceiptDocument> = proofs.receipts.iter().collect();
    receipts.sort_by_key(|receipt| receipt.id);
    for receipt in receipts {
        if let Some(digest) = receipt.digest {
            leaves.entry(digest).or_default().push(receipt.hash());
        }
    }
    let is_whole = |number: i64, root: &Hash| {
        tree::root(leaves.get(&number).map_or(&[][..], Vec::as_slice)) == *root
    };
    let digests = proofs.digests.iter();
    report.partial = digests.filter(|digest| !is_whole(digest.number, &digest.root.0)).count();
    report.receipts = proofs.receipts.len();
    check_receipts(proofs, report);
}

/// Compares, for each tenant, how many events are declared gone. Proofs of some days have all receipts
/// of the tenant, so they may have more.
fn check_receipts(proofs: &Proofs, report: &mut Report) {
    let mut counts: BTreeMap<Uuid, (i64, i64)> = BTreeMap::new();
    for ((tenant, _), seals) in &proofs.days {
        let gone: i64 = seals.iter().map(|stored| stored.gone).sum();
        counts.entry(*tenant).or_default().0 += gone;
    }
    for receipt in &proofs.receipts {
        counts.entry(receipt.tenant_id).or_default().1 += receipt.events;
    }
    for (tenant, (gone, receipts)) in counts {
        if gone > receipts || (gone < receipts && report.partial == 0) {
            let differs = format!("{gone} events are declared gone, receipts have {receipts}");
            let tenant_id = Some(tenant);
            report.differs(Difference { tenant_id, number: None, day: None, part: None, differs });
        }
    }
}
