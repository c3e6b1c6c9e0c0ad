//! The signatures of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret begins with when it is written down.
const PREFIX: &str = "whsec_";
/// Lengths of a key in bytes that Standard Webhooks allows.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that an endpoint shares with us, ready to sign.
#[derive(Clone)]
pub(crate) struct Secret(Hmac<Sha256>);

impl Secret {
    /// Reads a secret: `whsec_` and the key in Base64.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let key = text.strip_prefix(PREFIX).ok_or("a secret begins with whsec_")?;
        let key = BASE64_STANDARD
            .decode(key)
            .map_err(|_| "a secret is whsec_ and then Base64, with its padding".to_owned())?;
        Self::of_key(&key)
    }

    /// Makes a secret of its key.
    pub(crate) fn of_key(key: &[u8]) -> Result<Self, String> {
        if !LENGTHS.contains(&key.len()) {
            let (least, most) = (LENGTHS.start(), LENGTHS.end());
            return Err(format!("a secret has {least} to {most} bytes, this one {}", key.len()));
        }
        Ok(Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length")))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut hmac = self.0.clone();
        hmac.update(id.as_bytes());
        hmac.update(b".");
        hmac.update(timestamp.to_string().as_bytes());
        hmac.update(b".");
        hmac.update(body);
        BASE64_STANDARD.encode(hmac.finalize().into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// Returns the value of `webhook-signature`: one signature for each secret, so that receivers can
/// change theirs while both are valid.
pub(crate) fn signatures(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = secrets.iter().map(|secret| format!("v1,{}", secret.sign(id, timestamp, body)));
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn the_published_vector_is_signed_as_published() {
        let secret = Secret::parse(SECRET).unwrap();
        assert_eq!(
            signatures(&[secret], ID, 1_614_265_330, BODY),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn each_secret_signs_while_they_are_rotated() {
        let other = Secret::of_key(&[7; 32]).unwrap();
        let both = [Secret::parse(SECRET).unwrap(), other.clone()];
        let value = signatures(&both, ID, 1_614_265_330, BODY);
        let (first, second) = value.split_once(' ').unwrap();
        assert_eq!(first, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(second, signatures(&[other], ID, 1_614_265_330, BODY));
    }

    #[test]
    fn a_secret_of_another_form_or_length_is_refused() {
        for (text, problem) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "Base64"),
            ("whsec_not base64!", "Base64"),
            ("whsec_", "24 to 64 bytes, this one 0"),
            ("whsec_c2hvcnQ=", "24 to 64 bytes, this one 5"),
        ] {
            let error = Secret::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!(Secret::of_key(&[0; 24]).is_ok() && Secret::of_key(&[0; 64]).is_ok());
        assert!(Secret::of_key(&[0; 23]).is_err() && Secret::of_key(&[0; 65]).is_err());
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::parse(SECRET).unwrap()), "Secret");
    }
}
