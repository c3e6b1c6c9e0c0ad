//! Reads what `eventlog export --proofs` wrote: seals with their blocks, and digests.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use eventlog_seal::block::Block;
use eventlog_seal::check::{StoredBlock, StoredSeal};
use eventlog_seal::record::Seal;
use eventlog_seal::{Hash, tree};
use serde::Deserialize;
use uuid::Uuid;

use super::receipt::ReceiptDocument;
use super::report::{Difference, Report};
use crate::output::Failure;
use crate::seals::document::{DigestDocument, HexBytes, HexHash, PathStep, SealDocument, climb};
use crate::seals::lines::Lines;
use crate::seals::times;

#[derive(Deserialize)]
struct Line {
    seal: Option<ProvedSeal>,
    #[serde(default)]
    blocks: Vec<BlockDocument>,
    unsealed: Option<Unsealed>,
    receipt: Option<ReceiptDocument>,
    digest: Option<DigestDocument>,
}

#[derive(Deserialize)]
struct ProvedSeal {
    #[serde(flatten)]
    seal: SealDocument,
    gone: i64,
    digest: Option<i64>,
    path: Option<Vec<PathStep>>,
}

#[derive(Deserialize)]
struct BlockDocument {
    events: usize,
    first: Option<(String, i64, i64)>,
    ids: Option<(i64, i64)>,
    hash: HexHash,
    seeds: HexBytes,
    gone: Option<HexBytes>,
    gone_hashes: Option<HexBytes>,
    keys: Option<Vec<(i64, i64)>>,
}

impl BlockDocument {
    fn stored(self) -> StoredBlock {
        let bytes = |bytes: Option<HexBytes>| bytes.map(|bytes| bytes.0).unwrap_or_default();
        let (gone, gone_hashes) = (bytes(self.gone), bytes(self.gone_hashes));
        StoredBlock {
            block: Block::read(self.events, &self.hash.0, &self.seeds.0, &gone, &gone_hashes),
            first: self.first.map(|(name, at, id)| (name.into_bytes(), at, id)),
            ids: self.ids,
            keys: self.keys,
        }
    }
}

#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Unsealed {
    tenant_id: Uuid,
    id: i64,
    created_at: i64,
}

/// A seal with its path to the digest of the day on which it was made. Proofs of all tenants and days have
/// no paths, since they have all seals of each digest.
struct Proved {
    seal: Seal,
    digest: Option<i64>,
    path: Option<Vec<PathStep>>,
}

/// A tenant and a day.
pub(super) type TenantDay = (Uuid, i32);

/// The proofs of an export.
#[derive(Default)]
pub(super) struct Proofs {
    /// The seals of each tenant's day, in the order of their parts.
    pub(super) days: BTreeMap<TenantDay, Vec<StoredSeal>>,
    /// Digests, in order.
    pub(super) digests: Vec<DigestDocument>,
    proved: BTreeMap<(Uuid, i64), Proved>,
    unsealed: HashSet<Unsealed>,
    pub(super) receipts: Vec<ReceiptDocument>,
    /// Numbers of the digests of which the proofs have all seals and receipts.
    pub(super) whole: HashSet<i64>,
}

impl Proofs {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let mut lines = Lines::open(path)?;
        let mut proofs = Proofs::default();
        while let Some(text) = lines.next()? {
            let line = serde_json::from_slice::<Line>(text);
            let line = line.map_err(|error| lines.fault(&error.to_string()))?;
            proofs.add(line).map_err(|fault| lines.fault(&fault))?;
        }
        if proofs.digests.is_empty() {
            return Err(Failure::new("there are no seals in it").at(path.display()));
        }
        proofs.digests.sort_by_key(|digest| digest.number);
        for seals in proofs.days.values_mut() {
            seals.sort_by_key(|stored| stored.seal.part);
        }
        proofs.whole = proofs.whole_digests();
        Ok(proofs)
    }

    /// Returns the numbers of the digests of which the proofs have all seals and receipts.
    fn whole_digests(&self) -> HashSet<i64> {
        let mut leaves: BTreeMap<i64, Vec<Hash>> = BTreeMap::new();
        for (digest, seal) in self.seals() {
            leaves.entry(digest.unwrap_or_default()).or_default().push(seal.hash());
        }
        let mut receipts: Vec<&ReceiptDocument> = self.receipts.iter().collect();
        receipts.sort_by_key(|receipt| receipt.id);
        for receipt in receipts {
            if let Some(digest) = receipt.digest {
                leaves.entry(digest).or_default().push(receipt.hash());
            }
        }
        let is_whole = |number: i64, root: &Hash| {
            tree::root(leaves.get(&number).map_or(&[][..], Vec::as_slice)) == *root
        };
        let digests = self.digests.iter();
        digests.filter(|d| is_whole(d.number, &d.root.0)).map(|digest| digest.number).collect()
    }

    fn add(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line { seal: Some(proved), blocks, .. } => {
                let (tenant, seal) = (proved.seal.tenant_id, proved.seal.record());
                let kept = Proved { seal: seal.clone(), digest: proved.digest, path: proved.path };
                if self.proved.insert((tenant, seal.number), kept).is_some() {
                    return Err(format!("seal {} of tenant {tenant} comes again", seal.number));
                }
                let blocks = blocks.into_iter().map(BlockDocument::stored).collect();
                let day = (tenant, seal.day);
                let stored = StoredSeal { seal, gone: proved.gone, blocks };
                self.days.entry(day).or_default().push(stored);
            }
            Line { unsealed: Some(unsealed), .. } => {
                self.unsealed.insert(unsealed);
            }
            Line { digest: Some(digest), .. } => self.digests.push(digest),
            Line { receipt: Some(receipt), .. } => self.receipts.push(receipt),
            _ => return Err("this is neither a seal nor a digest".to_owned()),
        }
        Ok(())
    }

    /// Returns all seals, by tenant and number, each with the number of its digest.
    pub(super) fn seals(&self) -> impl Iterator<Item = (Option<i64>, &Seal)> {
        self.proved.values().map(|proved| (proved.digest, &proved.seal))
    }

    /// Returns true for an event that came late, and waits for a supplement.
    pub(super) fn waits(&self, tenant_id: Uuid, id: i64, created_at: i64) -> bool {
        !self.unsealed.is_empty() && self.unsealed.contains(&Unsealed { tenant_id, id, created_at })
    }

    /// Returns the last day of which there is a digest: later ones are not sealed yet.
    pub(super) fn last_day(&self) -> i32 {
        self.digests.iter().map(|digest| digest.day.0).max().unwrap_or(i32::MIN)
    }

    /// Checks the digests for themselves.
    pub(super) fn check_digests(&self, report: &mut Report) {
        let mut before = None;
        for digest in &self.digests {
            let is_first = before.is_none() && digest.number != 1;
            let fault = if is_first {
                Some(format!("{digest} is the first, those before are missing"))
            } else {
                digest.fault(before)
            };
            if let Some(fault) = fault {
                report.digest_differs(digest, fault);
            }
            before = Some(digest);
        }
        report.digests = self.digests.len();
    }

    /// Returns what is wrong with a seal, apart from its events: its place in the chain of the tenant's
    /// seals, and its path.
    pub(super) fn faults_of(&self, tenant: Uuid, number: i64) -> Vec<String> {
        let Some(proved) = self.proved.get(&(tenant, number)) else { return Vec::new() };
        let mut faults = Vec::new();
        let before = self.proved.get(&(tenant, number.wrapping_sub(1)));
        let is_chained = match before {
            Some(before) => before.seal.hash() == proved.seal.previous,
            None => number > 1 || (number == 1 && proved.seal.previous == [0; 32]),
        };
        if !is_chained {
            faults.push("it does not carry the seal before it".to_owned());
        }
        let number = proved.digest.unwrap_or(0);
        let digest = self.digests.binary_search_by_key(&number, |digest| digest.number);
        match digest.map(|place| &self.digests[place]) {
            Ok(digest) => match &proved.path {
                Some(path) if climb(proved.seal.hash(), path) == digest.root.0 => {}
                None if self.whole.contains(&number) => {}
                Some(_) => faults.push(format!("its path does not lead to {digest}")),
                None => faults.push(format!("{digest} is not of these seals and receipts")),
            },
            Err(_) => faults.push(format!("its digest, {number}, is missing")),
        }
        faults
    }
}

/// Makes a difference of what was found about a seal, or about events without one.
pub(super) fn difference(day: TenantDay, seal: Option<&Seal>, differs: String) -> Difference {
    Difference {
        tenant_id: Some(day.0),
        number: seal.map(|seal| seal.number),
        day: Some(times::day_text(day.1)),
        part: seal.map(|seal| seal.part),
        differs,
    }
}
