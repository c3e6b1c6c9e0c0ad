//! The text of a key, or of a token made from one, and the hash of it that the log stores.

use sha2::{Digest, Sha256};

use crate::hex;

const SECRET_BYTES: usize = 32;
const ID_BYTES: usize = 8;

/// What a key permits.
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

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// The kinds of keys or of tokens, each with a letter in its text.
pub(crate) trait Lettered: Copy + 'static {
    /// All of them.
    const ALL: &[Self];

    /// Returns the letter, which no other kind of keys or tokens has.
    fn letter(self) -> &'static str;
}

impl Lettered for Kind {
    const ALL: &[Self] = &[Kind::Write, Kind::Read];

    fn letter(self) -> &'static str {
        match self {
            Kind::Write => "w",
            Kind::Read => "r",
        }
    }
}

/// A key, `el_w_<id>_<secret>`, which is printed once, by `eventlog key create`.
pub(crate) type ApiKey = Secret<Kind>;

/// A key or a token: `el_<letter>_<id>_<secret>`. Not `Debug`.
pub(crate) struct Secret<K> {
    pub(crate) kind: K,
    id: String,
    bytes: [u8; SECRET_BYTES],
}

impl<K: Lettered> Secret<K> {
    pub(crate) fn generate(kind: K) -> Result<Self, getrandom::Error> {
        let (mut id, mut bytes) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut bytes)?;
        Ok(Secret { kind, id: hex::encode(&id), bytes })
    }

    /// Reads the text of one of these kinds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("el_")?.split('_');
        let (letter, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = *K::ALL.iter().find(|kind| kind.letter() == letter)?;
        let _: [u8; ID_BYTES] = hex::decode(id)?;
        let bytes = hex::decode(secret)?;
        parts.next().is_none().then(|| Secret { kind, id: id.to_owned(), bytes })
    }

    /// Returns the part that is not secret: hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn text(&self) -> String {
        format!("el_{}_{}_{}", self.kind.letter(), self.id, hex::encode(&self.bytes))
    }

    /// Returns the hash that is stored. One round without a salt is enough: a secret of 256 random bits
    /// cannot be guessed, however fast the hash, and every request computes it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiKey, Kind};

    #[test]
    fn a_key_reads_back_as_it_was_made_and_nothing_else_does() {
        let key = ApiKey::generate(Kind::Write).unwrap();
        let text = key.text();
        assert_eq!(text.len(), "el_w__".len() + 16 + 64);
        let read = ApiKey::parse(&text).expect("the text of a key is read back");
        assert!(read.kind == Kind::Write && read.id() == key.id() && read.hash() == key.hash());
        assert!(ApiKey::generate(Kind::Read).unwrap().text().starts_with("el_r_"));
        let other = ApiKey::generate(Kind::Write).unwrap();
        assert!(other.id() != key.id() && other.hash() != key.hash());

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
