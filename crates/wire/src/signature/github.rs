//! GitHub's form: `X-Hub-Signature-256: sha256=` and the HMAC of the body in hexadecimal.
//!
//! Forgejo, Gitea and many others send it, too. It does not tell when the request was made: against
//! one that is sent again helps only the event's id.

use model::Digest;

use super::{Refused, Secret};

pub const HEADER: &str = "X-Hub-Signature-256";

/// The header's value for a body.
pub fn sign(secret: &Secret, body: &[u8]) -> String {
    format!("sha256={}", Digest(secret.sign(&[body])))
}

/// Whether a body was sent by somebody who knows the secret.
pub fn verify(secret: &Secret, header: Option<&str>, body: &[u8]) -> Result<(), Refused> {
    let header = header.ok_or(Refused::Unsigned { header: HEADER })?;
    let digest = header.strip_prefix("sha256=").and_then(|hex| hex.parse::<Digest>().ok());
    let Some(Digest(signature)) = digest else {
        let why = "it must be sha256= and 64 characters out of 0-9 and a-f";
        return Err(Refused::Header { header: HEADER, why });
    };
    if secret.has_signed(&[body], &signature) {
        Ok(())
    } else {
        Err(Refused::Wrong { header: HEADER })
    }
}
