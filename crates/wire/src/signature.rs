//! Signatures of webhooks: who sent this body, and is it whole?
//!
//! Two forms, both HMAC-SHA256 of a secret that sender and receiver share. [`github`] signs the
//! body alone (`X-Hub-Signature-256`), so whoever has seen a request can send it again.
//! [`standard`] is that of Standard Webhooks, which our own requests to HTTP destinations carry:
//! id and time are signed, too, and an old request is refused. Comparisons take the same time
//! wherever two signatures differ.
//!
//! Nothing here knows HTTP: a caller passes headers' values in. A secret is never shown, not by
//! `Debug` either, and no error holds one.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

#[cfg(test)]
mod tests;

pub mod github;
pub mod standard;

/// A secret that is fit to sign with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

/// A secret longer than this is a file that was pasted: HMAC gains nothing beyond 64 bytes.
const SECRET_BYTES: usize = 1_024;

impl Secret {
    /// A secret as people agree on it: its bytes are those of the text.
    pub fn text(text: &str) -> Result<Self, NotASecret> {
        Self::bytes(text.as_bytes())
    }

    fn bytes(bytes: &[u8]) -> Result<Self, NotASecret> {
        // Everybody can sign with no secret: a variable that was not set must not open the door.
        match bytes.len() {
            0 => Err(NotASecret { why: "it is empty" }),
            SECRET_BYTES.. => Err(NotASecret { why: "it must be shorter than 1024 bytes" }),
            _ => Ok(Self(bytes.into())),
        }
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        parts.iter().for_each(|part| mac.update(part));
        mac
    }

    fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// In constant time.
    fn has_signed(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.mac(parts).verify_slice(signature).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The text is no secret that can be signed with. It is not told, since it may be nearly one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the secret for signatures cannot be used: {why}")]
pub struct NotASecret {
    why: &'static str,
}

/// Why a request is not believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("the request has no header {header}: it must be signed")]
    Unsigned { header: &'static str },
    #[error("the header {header} is not valid: {why}")]
    Header { header: &'static str, why: &'static str },
    #[error(
        "the request was signed {age_s} s ago by our clock, and may be {most_s} s off: send it \
         anew, and compare the clocks"
    )]
    Stale { age_s: i64, most_s: i64 },
    #[error(
        "the signature in {header} is not that of this body: the secrets differ, or the body was \
         changed on its way"
    )]
    Wrong { header: &'static str },
}

impl Refused {
    /// Stable: what a script tests, and what the reference lists.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned { .. } => "signature.missing",
            Self::Header { .. } => "signature.bad_header",
            Self::Stale { .. } => "signature.stale",
            Self::Wrong { .. } => "signature.wrong",
        }
    }
}
