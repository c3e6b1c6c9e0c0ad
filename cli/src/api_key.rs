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

/// What keys and tokens consist of: `el_<letter>_<id>_<secret>`. Not `Debug`.
pub(crate) struct Secret {
    /// Hexadecimal digits; not secret.
    pub(crate) id: String,
    bytes: [u8; SECRET_BYTES],
}

impl Secret {
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let (mut id, mut bytes) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut bytes)?;
        Ok(Secret { id: hex::encode(&id), bytes })
    }

    /// Reads a text, and its letter.
    pub(crate) fn parse(text: &str) -> Option<(&str, Self)> {
        let mut parts = text.strip_prefix("el_")?.split('_');
        let (letter, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let _: [u8; ID_BYTES] = hex::decode(id)?;
        let bytes = hex::decode(secret)?;
        parts.next().is_none().then(|| (letter, Secret { id: id.to_owned(), bytes }))
    }

    pub(crate) fn text(&self, letter: &str) -> String {
        format!("el_{letter}_{}_{}", self.id, hex::encode(&self.bytes))
    }

    /// Returns the hash that is stored. One round without a salt is enough: a secret of 256 random bits
    /// cannot be guessed, however fast the hash, and every request computes it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.bytes).into()
    }
}

/// A key, `el_w_<id>_<secret>`. Not `Debug`: the secret is printed once, by `eventlog key create`.
pub(crate) struct ApiKey {
    pub(crate) kind: Kind,
    secret: Secret,
}

impl ApiKey {
    pub(crate) fn generate(kind: Kind) -> Result<Self, getrandom::Error> {
        Ok(ApiKey { kind, secret: Secret::generate()? })
    }

    /// Reads the text of a key.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (letter, secret) = Secret::parse(text)?;
        let kind = [Kind::Write, Kind::Read].into_iter().find(|kind| kind.letter() == letter)?;
        Some(ApiKey { kind, secret })
    }

    /// Returns the public part of the key: hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        &self.secret.id
    }

    pub(crate) fn text(&self) -> String {
        self.secret.text(self.kind.letter())
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        self.secret.hash()
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
