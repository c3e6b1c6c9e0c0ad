//! The file of anchored digests: a line of JSON for each, in order.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::document::DigestDocument;
use super::timestamp::TimeStamp;
use crate::hex;
use crate::output::Failure;

/// A digest that was anchored.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Anchor {
    #[serde(flatten)]
    pub(super) digest: DigestDocument,
    /// When, in UTC.
    pub(super) anchored_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<Stamped>,
}

/// What a time-stamping authority answered.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Stamped {
    authority: String,
    response: String,
}

impl Stamped {
    pub(super) fn new(authority: &str, response: &[u8]) -> Self {
        let response = BASE64_STANDARD.encode(response);
        Stamped { authority: authority.to_owned(), response }
    }
}

/// Returns what authorities stamp of a digest: its 64 digits.
pub(super) fn stamped_text(digest: &DigestDocument) -> String {
    hex::encode(&digest.digest.0)
}

impl Anchor {
    /// Returns what is wrong with the time stamp; nothing if it is of this digest, or if there is none.
    pub(super) fn stamp_fault(&self) -> Option<String> {
        let stamped = self.timestamp.as_ref()?;
        let stamp = match BASE64_STANDARD.decode(&stamped.response) {
            Ok(response) => TimeStamp::read(&response),
            Err(_) => Err("it is not Base64".to_owned()),
        };
        match stamp {
            Ok(stamp) if stamp.is_of(stamped_text(&self.digest).as_bytes()) => None,
            Ok(_) => Some(format!("the time stamp of {} is of something else", self.digest)),
            Err(error) => {
                Some(format!("the time stamp of {} cannot be read: {error}", self.digest))
            }
        }
    }
}

/// What a file of anchors holds.
#[derive(Default)]
pub(super) struct Anchors {
    pub(super) anchors: Vec<Anchor>,
    /// Bytes of the lines that are whole.
    whole: u64,
    /// True if something follows those: a line that a crash left half written.
    pub(super) is_cut: bool,
    /// True if the last line has no end.
    is_open: bool,
}

impl Anchors {
    /// Reads a file for verification.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let mut text = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut text))
            .map_err(|error| Failure::from(error).at(path.display()))?;
        Self::of(path, &text)
    }

    fn of(path: &Path, text: &[u8]) -> Result<Self, Failure> {
        let mut found = Anchors::default();
        for (line, number) in text.split_inclusive(|byte| *byte == b'\n').zip(1..) {
            let is_open = !line.ends_with(b"\n");
            match serde_json::from_slice(line.trim_ascii()) {
                Ok(anchor) => found.anchors.push(anchor),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(_) if is_open => {
                    found.is_cut = true;
                    break;
                }
                Err(error) => {
                    let place = format!("{}, line {number}", path.display());
                    return Err(Failure::new(format!("no anchored digest: {error}")).at(place));
                }
            }
            found.whole += line.len() as u64;
            found.is_open = is_open;
        }
        Ok(found)
    }

    /// Returns the first fault of the chain of digests.
    pub(super) fn chain_fault(&self) -> Option<(&DigestDocument, String)> {
        let mut before = None;
        for Anchor { digest, .. } in &self.anchors {
            if let Some(fault) = digest.fault(before) {
                return Some((digest, fault));
            }
            before = Some(digest);
        }
        None
    }

    /// Returns the digest that was anchored last.
    pub(super) fn last(&self) -> Option<&DigestDocument> {
        self.anchors.last().map(|anchor| &anchor.digest)
    }
}

/// A file of anchors that is locked for one who adds to it.
pub(super) struct AnchorFile {
    file: File,
    path: PathBuf,
    is_new: bool,
    pub(super) known: Anchors,
}

impl AnchorFile {
    /// Opens a file, or makes it, and waits until nobody else adds to it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| Failure::from(error).at(path.display());
        let is_new = !path.exists();
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(path).map_err(cannot)?;
        file.lock().map_err(cannot)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(cannot)?;
        let known = Anchors::of(path, &text)?;
        Ok(AnchorFile { file, path: path.to_owned(), is_new, known })
    }

    /// Adds lines and waits until they are on the disk. A half-written line is cut off before.
    pub(super) fn append(&mut self, anchors: &[Anchor]) -> Result<(), Failure> {
        let cannot = |error: std::io::Error| Failure::from(error).at(self.path.display());
        let mut text = if self.known.is_open { b"\n".to_vec() } else { Vec::new() };
        for anchor in anchors {
            serde_json::to_writer(&mut text, anchor).expect("keys are text");
            text.push(b'\n');
        }
        self.file.set_len(self.known.whole).map_err(cannot)?;
        self.file.seek(SeekFrom::Start(self.known.whole)).map_err(cannot)?;
        self.file.write_all(&text).map_err(cannot)?;
        self.file.sync_all().map_err(cannot)?;
        if self.is_new
            && let Some(folder) = self.path.parent()
        {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot)?;
        }
        Ok(())
    }
}
