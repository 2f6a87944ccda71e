//! A webhook's settings: from the API's shape to what is kept and what is sealed.
//!
//! What is sealed is the token, which is made here, or the secret that requests are signed with. Either
//! survives a change of other settings.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use model::event::attribute;
use model::{Clock, Project, SourceName, limits};
use serde_json::value::RawValue;
use wire::http::problem::{Code, Problem};
use wire::http::webhooks::{Hidden, HookAuth, KEPT, TypeFrom, Webhook};
use wire::signature::Secret;

use crate::sources::secrets::{Place, SecretError, Secrets};

/// The name of a header or of a member.
const NAME_BYTES: usize = 256;

/// What the store keeps of a webhook.
#[derive(Debug)]
pub(in crate::sources) struct Kept {
    pub(in crate::sources) settings: String,
    pub(in crate::sources) sealed: Bytes,
}

/// Checks what somebody put. `earlier` is the webhook that is there.
pub(in crate::sources) fn check(
    secrets: &Secrets,
    clock: &dyn Clock,
    project: &Project,
    name: &SourceName,
    settings: &RawValue,
    earlier: Option<&store::Source>,
) -> Result<Kept, Problem> {
    let mut settings: Webhook = serde_json::from_str(settings.get()).map_err(|error| {
        let detail = format!("the settings of a webhook cannot be read: {error}");
        Problem::new(Code::InvalidValue, detail).field("settings")
    })?;
    let invalid = |field: &str, why: String| {
        Err(Problem::new(Code::InvalidValue, why).field(format!("settings.{field}")))
    };
    attribute("type", &settings.kind, limits::KEY_BYTES)
        .map_err(|why| Problem::from(why).field("settings.type"))?;
    if let Some(TypeFrom::Header(name) | TypeFrom::Member(name)) = &settings.type_from
        && !(1..=NAME_BYTES).contains(&name.len())
    {
        let why = format!("the name has {} bytes, and may have 1 to {NAME_BYTES}", name.len());
        return invalid("type_from", why);
    }
    let kept =
        earlier.filter(|it| auth(it) == Some(settings.auth)).and_then(|it| it.sealed.clone());
    let given = settings.secret.take().filter(|it| it.0 != KEPT);
    let place = place(project, name, settings.auth);
    let sealed = match (settings.auth, given, kept) {
        (HookAuth::Token, Some(_), _) => {
            let why = "a webhook with the auth token takes no secret: its URL is one";
            return invalid("secret", why.into());
        }
        (_, None, Some(kept)) => kept,
        (HookAuth::Token, None, None) => seal(secrets, place, token(clock).as_bytes())?,
        (auth, Some(Hidden(secret)), _) => {
            if let Err(why) = parse(auth, &secret) {
                return invalid("secret", why);
            }
            seal(secrets, place, secret.as_bytes())?
        }
        (_, None, None) => {
            let why =
                "requests are to be signed, so the secret that they are signed with is needed";
            return invalid("secret", why.into());
        }
    };
    if settings.auth != HookAuth::Token {
        settings.secret = Some(Hidden(KEPT.into()));
    }
    let settings = serde_json::to_string(&settings).expect("strings are JSON");
    Ok(Kept { settings, sealed })
}

/// What is kept of a stored webhook, and its token or secret.
pub(in crate::sources) fn open(
    secrets: &Secrets,
    source: &store::Source,
) -> Result<(Webhook, String), String> {
    let settings: Webhook = serde_json::from_str(&source.settings)
        .map_err(|error| format!("the stored settings cannot be read: {error}; put them again"))?;
    let place = place(&source.project, &source.name, settings.auth);
    let sealed = source.sealed.as_deref().unwrap_or_default();
    let secret = secrets.open(place, sealed).map_err(|why| why.to_string())?;
    let secret = String::from_utf8(secret).map_err(|_bytes| "the stored secret is not text")?;
    Ok((settings, secret))
}

/// What requests are signed with. None where nothing is signed.
pub(super) fn parse(auth: HookAuth, secret: &str) -> Result<Option<Secret>, String> {
    let parsed = match auth {
        HookAuth::Token => return Ok(None),
        HookAuth::Github => Secret::text(secret),
        HookAuth::Standard => Secret::standard(secret),
    };
    parsed.map(Some).map_err(|why| why.to_string())
}

fn auth(source: &store::Source) -> Option<HookAuth> {
    serde_json::from_str::<Webhook>(&source.settings).ok().map(|it| it.auth)
}

/// 256 bits that nobody can guess, as a segment of a path.
fn token(clock: &dyn Clock) -> String {
    let mut bits = [0; 32];
    bits[..16].copy_from_slice(&clock.entropy().to_le_bytes());
    bits[16..].copy_from_slice(&clock.entropy().to_le_bytes());
    URL_SAFE_NO_PAD.encode(bits)
}

fn seal(secrets: &Secrets, place: Place<'_>, secret: &[u8]) -> Result<Bytes, Problem> {
    secrets.seal(place, secret).map_err(|error: SecretError| {
        tracing::error!(%error, "secrets cannot be kept");
        Problem::new(Code::Internal, "the service cannot keep secrets; its log says why")
    })
}

/// A token does not open as a signing secret, nor the other way round.
fn place<'a>(project: &'a Project, source: &'a SourceName, auth: HookAuth) -> Place<'a> {
    let field = match auth {
        HookAuth::Token => "webhook.token",
        HookAuth::Github => "webhook.github",
        HookAuth::Standard => "webhook.standard",
    };
    Place { project, source, field }
}
