//! The text of a key, and the hash that is kept of it.

use sha2::{Digest, Sha256};

const SECRET_BYTES: usize = 32;
const ID_BYTES: usize = 8;

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Logs events
    Write,
    /// Reads reports and events
    Read,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Write => "write",
            Kind::Read => "read",
        }
    }

    fn letter(self) -> &'static str {
        match self {
            Kind::Write => "w",
            Kind::Read => "r",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Kind::Write, Kind::Read].into_iter().find(|kind| kind.name() == name)
    }
}

/// A key, `el_w_<id>_<secret>`. Not `Debug`: its secret is printed once, where it is made.
pub(crate) struct ApiKey {
    pub(crate) kind: Kind,
    /// Hexadecimal digits, no secret.
    pub(crate) id: String,
    secret: [u8; SECRET_BYTES],
}

impl ApiKey {
    pub(crate) fn generate(kind: Kind) -> Result<Self, getrandom::Error> {
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        Ok(ApiKey { kind, id: hex(&id), secret })
    }

    /// The key whose text it is, if it is one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("el_")?.split('_');
        let (letter, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = [Kind::Write, Kind::Read].into_iter().find(|kind| kind.letter() == letter)?;
        let _: [u8; ID_BYTES] = unhex(id)?;
        let secret = unhex(secret)?;
        parts.next().is_none().then(|| ApiKey { kind, id: id.to_owned(), secret })
    }

    pub(crate) fn text(&self) -> String {
        format!("el_{}_{}_{}", self.kind.letter(), self.id, hex(&self.secret))
    }

    /// What is stored. One round without a salt is enough: a secret of 256 random bits cannot be
    /// guessed, so there is nothing that a slow hash would slow down, and it is checked with each
    /// request.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }
}

/// As lower-case digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes from lower-case digits.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{ApiKey, Kind};

    #[test]
    fn a_key_reads_back_as_it_was_made_and_nothing_else_does() {
        let key = ApiKey::generate(Kind::Write).unwrap();
        let text = key.text();
        assert_eq!(text.len(), "el_w__".len() + 16 + 64);
        let read = ApiKey::parse(&text).expect("it is one");
        assert!(read.kind == Kind::Write && read.id == key.id && read.hash() == key.hash());
        assert!(ApiKey::generate(Kind::Read).unwrap().text().starts_with("el_r_"));
        let other = ApiKey::generate(Kind::Write).unwrap();
        assert!(other.id != key.id && other.hash() != key.hash());

        for wrong in [
            "",
            "el_",
            "el_w",
            "el_w__",
            &text[..text.len() - 1],
            &format!("{text}0"),
            &format!("{text}_"),
            &format!(" {text}"),
            &text.to_uppercase(),
            &text.replace("el_w", "el_x"),
            &text.replace("el_w", "el_"),
            "el_w_é000000000000000_00",
        ] {
            assert!(ApiKey::parse(wrong).is_none(), "{wrong}");
        }
    }
}
