//! Time stamps of RFC 3161: what is asked of an authority, and what its answer says. Who signed the
//! answer is for `openssl ts -verify` to check, which knows whom to trust.

use eventlog_seal::Hash;
use sha2::{Digest, Sha256};

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0C;
const TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, with a value of its own type in it.
const CONTEXT_0: u8 = 0xA0;

/// 2.16.840.1.101.3.4.2.1
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.16.1.4
const TIME_STAMP: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x10, 0x01, 0x04];

/// Writes a value of DER.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        _ => {
            out.push(0x80 | length.len() as u8);
            out.extend(length);
        }
    }
    out.extend(content);
    out
}

/// Returns a request for a time stamp of some data, with the certificate of the authority.
pub(super) fn request(data: &[u8], nonce: &[u8; 8]) -> Vec<u8> {
    let algorithm = value(SEQUENCE, &[value(OBJECT, SHA256), vec![0x05, 0]].concat());
    let imprint = [algorithm, value(OCTETS, &Sha256::digest(data))].concat();
    let version = value(INTEGER, &[1]);
    let parts = [version, value(SEQUENCE, &imprint), value(INTEGER, nonce), value(0x01, &[0xFF])];
    value(SEQUENCE, &parts.concat())
}

/// A time stamp.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TimeStamp {
    /// The hash of the data that it is of.
    imprint: Hash,
    nonce: Option<Vec<u8>>,
    /// When it was made, as the authority says: `2026-01-31 12:00:00 UTC`.
    pub(super) at: String,
}

impl TimeStamp {
    /// Reads the response of an authority.
    pub(super) fn read(response: &[u8]) -> Result<Self, String> {
        let unreadable = || "this is not a response of RFC 3161".to_owned();
        let mut response = Der(Der(response).only(SEQUENCE).ok_or_else(unreadable)?);
        let mut status = Der(response.next(SEQUENCE).ok_or_else(unreadable)?);
        let granted = status.next(INTEGER).ok_or_else(unreadable)?;
        if !matches!(granted, [0 | 1]) {
            let mut texts = Der(status.next(SEQUENCE).unwrap_or_default());
            let text = String::from_utf8_lossy(texts.next(UTF8).unwrap_or_default()).into_owned();
            let text = if text.is_empty() { text } else { format!(": {text}") };
            let status = granted.last().copied().unwrap_or_default();
            return Err(format!("the authority refused, with status {status}{text}"));
        }
        Self::of_token(response.next(SEQUENCE).ok_or_else(unreadable)?).ok_or_else(unreadable)
    }

    fn of_token(token: &[u8]) -> Option<Self> {
        let mut token = Der(token);
        token.next(OBJECT).filter(|kind| *kind == SIGNED_DATA)?;
        let mut signed = Der(Der(token.next(CONTEXT_0)?).only(SEQUENCE)?);
        signed.next(INTEGER)?;
        signed.next(SET)?;
        let mut content = Der(signed.next(SEQUENCE)?);
        content.next(OBJECT).filter(|kind| *kind == TIME_STAMP)?;
        let mut info = Der(Der(Der(content.next(CONTEXT_0)?).only(OCTETS)?).only(SEQUENCE)?);
        info.next(INTEGER)?;
        info.next(OBJECT)?;
        let mut imprint = Der(info.next(SEQUENCE)?);
        Der(imprint.next(SEQUENCE)?).next(OBJECT).filter(|algorithm| *algorithm == SHA256)?;
        let imprint = imprint.next(OCTETS)?.try_into().ok()?;
        info.next(INTEGER)?;
        let at = time(std::str::from_utf8(info.next(TIME)?).ok()?)?;
        // How exact it is, and whether stamps are in order, may stand before.
        info.next(SEQUENCE);
        info.next(0x01);
        let nonce = info.next(INTEGER).map(<[u8]>::to_vec);
        Some(TimeStamp { imprint, nonce, at })
    }

    /// Returns true if it is of this data.
    pub(super) fn is_of(&self, data: &[u8]) -> bool {
        self.imprint == Hash::from(Sha256::digest(data))
    }

    /// Returns true if it answers the request with this nonce.
    pub(super) fn answers(&self, nonce: &[u8; 8]) -> bool {
        self.nonce.as_deref() == Some(nonce)
    }
}

/// Makes a time of `20260131120000Z`.
fn time(text: &str) -> Option<String> {
    let digits = text.get(..14).filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()))?;
    text.ends_with('Z').then(|| {
        let part = |from: usize| &digits[from..from + 2];
        let (month, day, hour) = (part(4), part(6), part(8));
        format!("{}-{month}-{day} {hour}:{}:{} UTC", &digits[..4], part(10), part(12))
    })
}

/// Values of DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Returns the content of the next value if it has this tag.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [found, first, rest @ ..] = self.0 else { return None };
        let (length, rest) = match *first {
            short @ 0..0x80 => (usize::from(short), rest),
            first => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
                let is_length = (1..=4).contains(&bytes.len());
                let length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (is_length.then_some(length)?, rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        (*found == tag).then(|| {
            self.0 = rest;
            content
        })
    }

    /// Returns the content of the one value that there is.
    fn only(mut self, tag: u8) -> Option<&'a [u8]> {
        self.next(tag).filter(|_| self.0.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u8, data: &[u8], nonce: &[u8; 8]) -> Vec<u8> {
        let algorithm = value(SEQUENCE, &value(OBJECT, SHA256));
        let imprint = value(SEQUENCE, &[algorithm, value(OCTETS, &Sha256::digest(data))].concat());
        let number = value(INTEGER, &[1]);
        let info = [
            number.clone(),
            value(OBJECT, &[42]),
            imprint,
            value(INTEGER, &[9; 20]),
            value(TIME, b"20260131120001.5Z"),
            value(SEQUENCE, &number),
            value(INTEGER, nonce),
        ];
        let info = value(OCTETS, &value(SEQUENCE, &info.concat()));
        let content =
            value(SEQUENCE, &[value(OBJECT, TIME_STAMP), value(CONTEXT_0, &info)].concat());
        let signed = value(SEQUENCE, &[number, value(SET, &[]), content, vec![7; 300]].concat());
        let token = [value(OBJECT, SIGNED_DATA), value(CONTEXT_0, &signed)].concat();
        let texts = value(SEQUENCE, &value(UTF8, b"not today"));
        let status = value(SEQUENCE, &[value(INTEGER, &[status]), texts].concat());
        value(SEQUENCE, &[status, value(SEQUENCE, &token)].concat())
    }

    #[test]
    fn a_response_says_of_what_it_is_and_which_request_it_answers() {
        let response = response(0, b"data", &[0x41; 8]);
        let stamp = TimeStamp::read(&response).expect("a response");
        assert_eq!(stamp.at, "2026-01-31 12:00:01 UTC");
        assert!(stamp.is_of(b"data") && !stamp.is_of(b"date"));
        assert!(stamp.answers(&[0x41; 8]) && !stamp.answers(&[0x42; 8]));
        // Cut off anywhere it is none, and no byte that is changed brings the reader down.
        for end in 0..response.len() {
            assert!(TimeStamp::read(&response[..end]).is_err());
        }
        for place in 0..response.len() {
            for byte in [0, 0x7F, 0x80, 0x84, 0xFF] {
                let mut changed = response.clone();
                changed[place] = byte;
                let _ = TimeStamp::read(&changed);
            }
        }
    }

    #[test]
    fn a_refusal_has_the_words_of_the_authority() {
        let said = TimeStamp::read(&response(2, b"data", &[1; 8])).expect_err("refused");
        assert_eq!(said, "the authority refused, with status 2: not today");
    }
}
