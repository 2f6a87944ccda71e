//! Webhooks: sources that are a URL, to which somebody else's service posts what happened there.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use utoipa::ToSchema;

use super::sources::SourceBody;

/// A URL that others post to.
pub const WEBHOOK: &str = "webhook";

/// Who may post, and what type the events have. Their source is `webhook:` and the source's name, and
/// their data is the body.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    #[serde(default)]
    pub auth: HookAuth,
    /// What `github` and `standard` sign with. Kept encrypted; shown as `***`, which keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub secret: Option<Hidden>,
    /// The events' type, or that of those in which `type_from` finds none.
    #[serde(default = "kind", rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_from: Option<TypeFrom>,
}

/// How a sender shows that it may post.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HookAuth {
    /// It knows the URL, which holds 256 random bits.
    #[default]
    Token,
    /// It signs the body, in `X-Hub-Signature-256`.
    Github,
    /// It signs id, time and body, as Standard Webhooks has it.
    Standard,
}

/// Where an event's type is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypeFrom {
    /// In this header of the request.
    #[schema(example = "X-GitHub-Event")]
    Header(String),
    /// In this member of the body.
    Member(String),
}

/// A text that is not shown by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

/// What stands for a secret that is kept.
pub const KEPT: &str = "***";

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KEPT)
    }
}

fn kind() -> String {
    "webhook.received".into()
}

impl Webhook {
    /// With the defaults.
    pub fn new(auth: HookAuth) -> Self {
        Self { auth, secret: None, kind: kind(), type_from: None }
    }
}

impl SourceBody {
    pub fn webhook(settings: &Webhook) -> Self {
        let settings = to_raw_value(settings).expect("strings are JSON");
        Self { kind: WEBHOOK.into(), enabled: true, settings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default_and_no_secret_is_printed() {
        let read = serde_json::from_str::<Webhook>;
        assert_eq!(read("{}").unwrap(), Webhook::new(HookAuth::Token));
        let text = r#"{"auth":"github","secret":"s3cret","type":"t","type_from":{"header":"X-GitHub-Event"}}"#;
        let settings = read(text).unwrap();
        assert_eq!(settings.type_from, Some(TypeFrom::Header("X-GitHub-Event".into())));
        assert_eq!(serde_json::to_string(&settings).unwrap(), text);
        assert!(!format!("{settings:?}").contains("s3cret"));
        assert!(read(r#"{"headers": []}"#).is_err());
    }
}
