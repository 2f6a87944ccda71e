//! Standard Webhooks, version 1: `webhook-id`, `webhook-timestamp` (seconds since 1970) and
//! `webhook-signature: v1,` with the HMAC of `id.timestamp.body` in base64.
//!
//! The signature's header may hold several, separated by spaces, of which one must fit: while a
//! secret is being replaced its owner signs with both. The id is the same whenever the same thing
//! is sent, so the receiver can tell a second try from something new.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Timestamp;

use super::{NotASecret, Refused, Secret};

pub const ID: &str = "webhook-id";
pub const TIMESTAMP: &str = "webhook-timestamp";
pub const SIGNATURE: &str = "webhook-signature";

/// How far off a request's time may be, in either direction: what the specification's own
/// libraries allow for clocks that differ and for a slow way.
const TOLERANCE_S: i64 = 300;
/// Signatures of one request that are looked at: two while a secret is replaced, and room. Each
/// costs a pass over the body.
const SIGNATURES: usize = 8;
/// An id is a UUID, a hash, or a path; a header needs no longer one.
const ID_BYTES: usize = model::limits::KEY_BYTES;

impl Secret {
    /// `whsec_` and 24 to 64 bytes in base64, as the specification has it.
    pub fn standard(text: &str) -> Result<Self, NotASecret> {
        let why = "it must be whsec_ and 24 to 64 bytes in base64";
        let encoded = text.strip_prefix("whsec_").ok_or(NotASecret { why })?;
        match STANDARD.decode(encoded) {
            Ok(bytes) if (24..=64).contains(&bytes.len()) => Self::bytes(&bytes),
            _ => Err(NotASecret { why }),
        }
    }
}

/// The three headers of a request as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    pub id: Option<&'a str>,
    pub timestamp: Option<&'a str>,
    pub signature: Option<&'a str>,
}

/// The headers of a request that is sent now.
pub fn sign(
    secret: &Secret,
    id: &str,
    now: Timestamp,
    body: &[u8],
) -> Result<[(&'static str, String); 3], Refused> {
    let id = check_id(id)?;
    let seconds = (now.millis() / 1_000).to_string();
    let signature = secret.sign(&content(id, &seconds, body));
    let signature = format!("v1,{}", STANDARD.encode(signature));
    Ok([(ID, id.to_owned()), (TIMESTAMP, seconds), (SIGNATURE, signature)])
}

/// Whether a request was sent by somebody who knows the secret, and not long ago.
pub fn verify(
    secret: &Secret,
    headers: &Headers<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Refused> {
    let id = check_id(headers.id.ok_or(Refused::Unsigned { header: ID })?)?;
    let timestamp = headers.timestamp.ok_or(Refused::Unsigned { header: TIMESTAMP })?;
    let signatures = headers.signature.ok_or(Refused::Unsigned { header: SIGNATURE })?;

    let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let Some(sent_s) = timestamp.parse::<i64>().ok().filter(|_| digits) else {
        let why = "it must be whole seconds since 1970";
        return Err(Refused::Header { header: TIMESTAMP, why });
    };
    let age_s = (now.millis() / 1_000).saturating_sub(sent_s);
    if !(-TOLERANCE_S..=TOLERANCE_S).contains(&age_s) {
        return Err(Refused::Stale { age_s, most_s: TOLERANCE_S });
    }

    // Other versions may stand beside ours.
    let ours = signatures.split_ascii_whitespace().filter_map(|one| one.strip_prefix("v1,"));
    let mut decoded = ours.take(SIGNATURES).filter_map(|one| STANDARD.decode(one).ok()).peekable();
    if decoded.peek().is_none() {
        let why = "it must hold v1, and a signature in base64";
        return Err(Refused::Header { header: SIGNATURE, why });
    }
    let parts = content(id, timestamp, body);
    if decoded.any(|signature| secret.has_signed(&parts, &signature)) {
        Ok(())
    } else {
        Err(Refused::Wrong { header: SIGNATURE })
    }
}

fn content<'a>(id: &'a str, seconds: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", seconds.as_bytes(), b".", body]
}

/// A dot in an id would let its end be taken for the time.
fn check_id(id: &str) -> Result<&str, Refused> {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
    if !id.is_empty() && id.len() <= ID_BYTES && id.bytes().all(fits) {
        Ok(id)
    } else {
        let why = "it must be 1 to 256 visible ASCII characters without a dot";
        Err(Refused::Header { header: ID, why })
    }
}
