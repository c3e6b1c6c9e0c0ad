//! Verifies the proof of one event, without a server.

use std::io::Read;
use std::path::Path;

use eventlog_seal::form::Form;
use eventlog_seal::tree;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::anchored::check_anchors;
use super::proofs::difference;
use super::report::Report;
use crate::hex;
use crate::output::Failure;
use crate::seals::anchors::Anchors;
use crate::seals::document::{DigestDocument, PathStep, SealDocument, climb};
use crate::seals::{event, times};

/// An answer of `event_proof()`.
#[derive(Deserialize)]
struct Proof<'a> {
    version: u32,
    #[serde(borrow)]
    event: &'a RawValue,
    salt: String,
    path: Vec<PathStep>,
    seal: SealDocument,
    digest_path: Vec<PathStep>,
    digest: DigestDocument,
}

pub(super) fn verify(
    path: &Path,
    anchors: Option<&Anchors>,
    report: &mut Report,
) -> Result<(), Failure> {
    let at = |failure: Failure| failure.at(path.display());
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|error| at(error.into()))?;
    let no_proof = |error: String| at(Failure::new(format!("no proof of an event: {error}")));
    let proof: Proof<'_> =
        serde_json::from_str(&text).map_err(|error| no_proof(error.to_string()))?;
    if proof.version != 1 {
        return Err(no_proof(format!("its version is {}, not 1", proof.version)));
    }
    let salt: [u8; 16] =
        hex::decode(&proof.salt).ok_or_else(|| no_proof("the salt is not 16 bytes".to_owned()))?;
    let event = event::read(&mut Form::default(), proof.event.get().as_bytes());
    let event = event.map_err(no_proof)?;

    let (seal, digest) = (proof.seal.record(), &proof.digest);
    let day = (proof.seal.tenant_id, seal.day);
    let mut faults = Vec::new();
    if (event.tenant, times::day_of(event.created_at)) != day {
        faults.push("the event is of another tenant or day than the seal".to_owned());
    }
    if climb(tree::leaf(&salt, &event.digest), &proof.path) != seal.root {
        faults.push(format!("event {} does not lead to the root of the seal", event.id));
    }
    if climb(seal.hash(), &proof.digest_path) != digest.root.0 {
        faults.push(format!("the seal does not lead to the root of {digest}"));
    }
    if !faults.is_empty() {
        report.differs(difference(day, Some(&seal), faults.join("; ")));
    }
    if !digest.is_consistent() {
        let fault = format!("{digest} is not the hash of its number, day, root and previous");
        report.digest_differs(digest, fault);
    }
    if let Some(anchors) = anchors {
        check_anchors(anchors, report);
        let found = anchors.anchors.iter().find(|anchor| anchor.digest.number == digest.number);
        match found {
            Some(anchor) if anchor.digest == *digest => report.anchored += 1,
            Some(_) => report.digest_differs(digest, format!("{digest} is not the anchored one")),
            None => report.digest_differs(digest, format!("{digest} is not among the anchors")),
        }
    }
    report.note = Some(format!(
        "checked event {} ({}) of tenant {}, {}, under seal {} and {digest}",
        event.id,
        event.name,
        event.tenant,
        times::day_text(day.1),
        seal.number
    ));
    Ok(())
}
