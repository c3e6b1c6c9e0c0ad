//! The key of keyed hashes: HMAC-SHA-256 under the bytes of the file `eventlog.hash_key_file`.
//!
//! There is no unkeyed mode: a bare hash of an e-mail address is guessed in seconds. The file is
//! checked once a transaction, so that a file that is removed, or readable by others, is an error
//! at once. `log_config` stores the id of the key: under another key the same person would become
//! another one, so a replaced file is an error until the owner accepts it.

use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use hmac::{Hmac, KeyInit, Mac};
use pgrx::prelude::*;
use sha2::Sha256;

use crate::error::Fault;
use crate::pg::server;
use crate::pg::transaction::now;
use crate::settings;

/// Shortest and longest key, in bytes.
const SHORTEST: usize = 16;
const LONGEST: usize = 1024;

/// The text whose hash identifies a key.
const LABEL: &[u8] = b"eventlog hash key";
/// Characters of that hash that are stored: enough to tell keys apart, too few to check guesses of
/// a payload.
const LENGTH_OF_ID: usize = 16;

/// The key of this log, read when a hash is needed.
#[derive(Debug)]
pub(crate) struct HashKey {
    /// The id in `log_config`; nothing if no key was accepted yet.
    accepted: Option<Box<str>>,
}

/// The file as it was read.
struct Loaded {
    /// The start of the transaction that checked the file last.
    looked_at: i64,
    path: String,
    stamp: Stamp,
    id: String,
    key: Rc<Hmac<Sha256>>,
}

/// Everything that changes with a file.
type Stamp = (u64, u64, u64, [i64; 4]);

thread_local! {
    static LOADED: RefCell<Option<Loaded>> = const { RefCell::new(None) };
}

impl HashKey {
    pub(crate) fn accepted(id: Option<String>) -> Self {
        HashKey { accepted: id.map(String::into_boxed_str) }
    }

    /// Returns true if a key was ever accepted.
    pub(crate) fn is_accepted(&self) -> bool {
        self.accepted.is_some()
    }

    /// Returns the keyed hash of a text as 64 hexadecimal digits. 55000 if there is no key.
    pub(crate) fn hash(&self, text: &str) -> Result<[u8; 64], Fault> {
        let (id, key) = load()?;
        match &self.accepted {
            Some(accepted) if **accepted == *id => Ok(digits(&key, text.as_bytes())),
            Some(_) => Err(unready("the hash key is not the one that this log hashes with").hint(
                "put the former file back, or, to go on with hashes that differ: SELECT eventlog.accept_hash_key();",
            )),
            None => Err(unready("this log has no hash key yet")
                .hint("its owner types: SELECT eventlog.accept_hash_key();")),
        }
    }
}

/// Returns true if a value looks like our hash.
pub(crate) fn is_hash(text: &[u8]) -> bool {
    text.len() == 64 && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn unready(message: impl Into<String>) -> Fault {
    Fault::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}

fn digits(key: &Hmac<Sha256>, text: &[u8]) -> [u8; 64] {
    let mut hmac = key.clone();
    hmac.update(text);
    let mut digits = [0; 64];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hmac.finalize().into_bytes()) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    digits
}

/// Returns the key in the file now, and its id.
pub(crate) fn load() -> Result<(String, Rc<Hmac<Sha256>>), Fault> {
    let now = now();
    let known = LOADED.with_borrow(|loaded| {
        let loaded = loaded.as_ref().filter(|loaded| loaded.looked_at == now)?;
        Some((loaded.id.clone(), Rc::clone(&loaded.key)))
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let Some(path) = settings::hash_key_file() else {
        return Err(unready("eventlog.hash_key_file is not set: hashing needs a key").hint(
            "write a random key into a file that only the server may read: openssl rand -hex 32",
        ));
    };
    let (mut file, stamp) = open(&path)?;
    LOADED.with_borrow_mut(|loaded| {
        let is_same = |loaded: &Loaded| loaded.path == path && loaded.stamp == stamp;
        if !loaded.as_ref().is_some_and(is_same) {
            let key = Rc::new(read(&mut file)?);
            let id = String::from_utf8_lossy(&digits(&key, LABEL)[..LENGTH_OF_ID]).into_owned();
            *loaded = Some(Loaded { looked_at: now, path, stamp, id, key });
        }
        let loaded = loaded.as_mut().expect("just loaded");
        loaded.looked_at = now;
        Ok((loaded.id.clone(), Rc::clone(&loaded.key)))
    })
}

/// Opens the file, if only the server may read it.
fn open(path: &str) -> Result<(File, Stamp), Fault> {
    let unreadable =
        |error: std::io::Error| unready(format!("the hash key file cannot be read: {error}"));
    // Checked before it is opened: opening a pipe would wait for its other end.
    check(&std::fs::metadata(path).map_err(unreadable)?)?;
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    check(&found)?;
    let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    Ok((file, (found.dev(), found.ino(), found.len(), times)))
}

/// Refuses the file unless it satisfies PostgreSQL's rules for a private key of TLS: it belongs to
/// the server's user, or to root with the server's group allowed to read.
fn check(found: &Metadata) -> Result<(), Fault> {
    let own = server::user();
    let mode = found.mode() & 0o7777;
    let most = if found.uid() == 0 && own != 0 { 0o640 } else { 0o600 };
    if !found.is_file() {
        return Err(unready("the hash key file is not a regular file"));
    }
    if mode & 0o077 & !most != 0 {
        return Err(unready(format!(
            "the hash key file can be read or written by others: mode {mode:04o}"
        ))
        .hint("chmod 600, owned by the server's user; or 640, owned by root"));
    }
    if found.uid() != own && found.uid() != 0 {
        return Err(unready("the hash key file belongs neither to the server's user nor to root"));
    }
    Ok(())
}

fn read(file: &mut File) -> Result<Hmac<Sha256>, Fault> {
    let mut bytes = Vec::new();
    file.take(LONGEST as u64 + 3)
        .read_to_end(&mut bytes)
        .map_err(|error| unready(format!("the hash key file cannot be read: {error}")))?;
    // The line end that an editor adds is not part of the key.
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    match bytes.len() {
        0 => Err(unready("the hash key file is empty")),
        length if length < SHORTEST => {
            Err(unready(format!("the hash key is too short: {length} bytes, at least {SHORTEST}"))
                .hint("openssl rand -hex 32"))
        }
        length if length > LONGEST => {
            Err(unready(format!("the hash key is too long: more than {LONGEST} bytes")))
        }
        _ => Ok(Hmac::new_from_slice(&bytes).expect("a key of any length will do")),
    }
}
