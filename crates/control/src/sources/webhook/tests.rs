//! What a request becomes, who may make it, and what is kept of a webhook.

use model::{Project, SourceId, SourceName, Timestamp};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use wire::http::problem::Problem;
use wire::http::webhooks::{HookAuth, TypeFrom, Webhook};
use wire::signature::{Secret, github, standard};

use super::hooks::{Hooks, path, public_path};
use super::settings::{self, Kept};
use super::{Incoming, PATH};
use crate::sources::secrets::Secrets;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

#[derive(Debug)]
struct TestClock;

impl model::Clock for TestClock {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn entropy(&self) -> u128 {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        u128::from(COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

fn event(settings: &Webhook, headers: &[(&str, &str)], body: &[u8]) -> Result<Value, Problem> {
    let header = |name: &str| {
        headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    };
    let name = SourceName::parse("hook").unwrap();
    let request = Incoming { header: &header, body };
    let event = super::event(settings, &name, &request, "fresh", NOW)?;
    Ok(serde_json::from_str(&event.record).unwrap())
}

#[test]
fn a_body_becomes_data_whatever_it_is() {
    let settings = Webhook::new(HookAuth::Token);
    let json = [("content-type", "application/json; charset=utf-8")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let text = [("content-type", "text/plain")];
    for (headers, body, member, data) in [
        (&json[..], &br#"{"a": 1.0}"#[..], "data", json!({"a": 1.0})),
        (&json, b"7", "data", json!(7)),
        (&form, br#"{"a": 1}"#, "data", json!({"a": 1})),
        (&form, b"a=1&b=2", "data_base64", json!("YT0xJmI9Mg==")),
        (&text, b"hello", "data", json!("hello")),
        (&[], b"\xff\x00", "data_base64", json!("/wA=")),
        (&[], br#"["x"]"#, "data", json!(["x"])),
        (&[], b"", "data", Value::Null),
    ] {
        let record = event(&settings, headers, body).unwrap();
        assert_eq!(record.get(member).cloned().unwrap_or_default(), data, "{headers:?}");
        assert_eq!(
            (&record["source"], &record["type"]),
            (&json!("webhook:hook"), &json!("webhook.received"))
        );
        assert_eq!(record["time"], "2026-01-01T00:00:00.000000Z");
    }
    let wrong = event(&settings, &json, b"{").unwrap_err();
    assert_eq!((&*wrong.code, wrong.reason.as_deref()), ("invalid_event", Some("event.not_json")));
}

#[test]
fn an_id_and_a_type_are_found_where_senders_put_them() {
    let mut settings = Webhook::new(HookAuth::Token);
    settings.kind = "default".into();
    let id = |headers: &[(&str, &str)]| event(&settings, headers, b"{}").unwrap()["id"].clone();
    assert_eq!(id(&[]), "fresh");
    assert_eq!(id(&[("X-GitHub-Delivery", "d-1")]), "d-1");
    assert_eq!(id(&[("Idempotency-Key", "k"), ("webhook-id", "w")]), "w");
    assert!(event(&settings, &[("webhook-id", &"x".repeat(300))], b"{}").is_err());

    let mut kind = |from: TypeFrom, headers: &[(&str, &str)], body: &str| {
        settings.type_from = Some(from);
        event(&settings, headers, body.as_bytes()).unwrap()["type"].clone()
    };
    let header = || TypeFrom::Header("X-GitHub-Event".into());
    assert_eq!(kind(header(), &[("x-github-event", "push")], "{}"), "push");
    assert_eq!(kind(header(), &[], "{}"), "default");
    let member = || TypeFrom::Member("alarm_name".into());
    assert_eq!(kind(member(), &[], r#"{"alarm_name": "cpu"}"#), "cpu");
    for other in [r#"{"alarm_name": 7}"#, r#"{"alarm_name": ""}"#, "[]", "not json"] {
        assert_eq!(kind(member(), &[], other), "default", "{other}");
    }
}

struct World {
    folder: tempfile::TempDir,
    project: Project,
    name: SourceName,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (project, name) = (Project::parse("p").unwrap(), SourceName::parse("s").unwrap());
        Self { folder, project, name }
    }

    fn secrets(&self) -> Secrets {
        Secrets::in_folder(self.folder.path())
    }

    fn put(&self, settings: &str, earlier: Option<&store::Source>) -> Result<Kept, Problem> {
        let settings = RawValue::from_string(settings.to_owned()).unwrap();
        settings::check(&self.secrets(), &TestClock, &self.project, &self.name, &settings, earlier)
    }

    fn stored(&self, kept: Kept) -> store::Source {
        store::Source {
            id: SourceId::from_bytes([1; 16]),
            project: self.project.clone(),
            name: self.name.clone(),
            kind: "webhook".into(),
            settings: kept.settings,
            sealed: Some(kept.sealed),
            enabled: true,
            created_at: NOW,
            updated_at: NOW,
            cursor: None,
        }
    }
}

const SIGNED: &str = r#"{"auth": "github", "secret": "s3cret"}"#;

#[test]
fn a_token_is_made_once_and_survives_a_change() {
    let w = World::new();
    let source = w.stored(w.put("{}", None).unwrap());
    let first = path(&w.secrets(), &source).unwrap();
    assert_eq!(first.len(), PATH.len() + 43, "32 bytes: {first}");
    assert_eq!(public_path(&source), None);
    let changed = w.stored(w.put(r#"{"type": "other"}"#, Some(&source)).unwrap());
    assert_eq!(path(&w.secrets(), &changed).unwrap(), first);
    let another = w.stored(w.put("{}", None).unwrap());
    assert_ne!(path(&w.secrets(), &another).unwrap(), first);
    assert!(!source.settings.contains(&first[PATH.len()..]));
}

#[test]
fn a_secret_is_kept_as_stars_and_asked_for_where_there_is_none() {
    let w = World::new();
    let source = w.stored(w.put(SIGNED, None).unwrap());
    assert!(source.settings.contains(r#""secret":"***""#), "{}", source.settings);
    assert_eq!(public_path(&source).as_deref(), Some("/v1/hooks/p/s"));
    for keeps in [&*source.settings, r#"{"auth": "github"}"#] {
        assert_eq!(Some(w.put(keeps, Some(&source)).unwrap().sealed), source.sealed);
    }
    for (settings, earlier, field) in [
        (r#"{"auth": "github"}"#, None, "settings.secret"),
        (r#"{"auth": "github", "secret": "***"}"#, None, "settings.secret"),
        (r#"{"auth": "github", "secret": ""}"#, None, "settings.secret"),
        (r#"{"auth": "standard"}"#, Some(&source), "settings.secret"),
        (r#"{"auth": "standard", "secret": "plain"}"#, None, "settings.secret"),
        (r#"{"secret": "x"}"#, None, "settings.secret"),
        (r#"{"type": ""}"#, None, "settings.type"),
        (r#"{"type_from": {"header": ""}}"#, None, "settings.type_from"),
        (r#"{"headers": ["X-GitHub-Event"]}"#, None, "settings"),
    ] {
        let problem = w.put(settings, earlier).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some(field), "{settings}: {}", problem.detail);
    }
}

#[test]
fn a_webhook_is_found_by_its_token_or_by_its_name_and_by_nothing_else() {
    let w = World::new();
    let token = w.stored(w.put("{}", None).unwrap());
    let url = path(&w.secrets(), &token).unwrap();
    let mut signed = w.stored(w.put(SIGNED, None).unwrap());
    signed.id = SourceId::from_bytes([2; 16]);
    let hooks = Hooks::default();
    let follow = |sources: &[store::Source]| hooks.follow(&w.secrets(), sources, NOW);
    follow(std::slice::from_ref(&token));
    let found = hooks.by_token(&url[PATH.len()..]).unwrap();
    assert!(hooks.by_token("").is_none() && hooks.by_token("p").is_none());
    assert!(hooks.by_name("p", "s").is_none(), "a token's place is its token");
    follow(&[token.clone(), signed.clone()]);
    let again = hooks.by_token(&url[PATH.len()..]).unwrap();
    assert!(std::sync::Arc::ptr_eq(&found, &again), "what did not change stays");
    assert!(hooks.by_name("p", "s").is_some() && hooks.by_name("q", "s").is_none());
    assert_eq!(hooks.report(&signed).unwrap().shape(NOW).status, "connected");
    follow(&[store::Source { enabled: false, ..token.clone() }, signed.clone()]);
    assert!(hooks.by_token(&url[PATH.len()..]).is_none());

    std::fs::write(w.folder.path().join("secret.key"), [9; 32]).unwrap();
    follow(std::slice::from_ref(&token));
    assert!(hooks.by_token(&url[PATH.len()..]).is_none());
    let state = hooks.report(&token).unwrap().shape(NOW);
    assert_eq!(state.status, "failing");
    assert!(state.error.unwrap().contains("another key"));
}

#[test]
fn a_request_must_be_signed_as_the_webhook_says() {
    let w = World::new();
    let hook = |settings: &str| {
        let hooks = Hooks::default();
        hooks.follow(&w.secrets(), &[w.stored(w.put(settings, None).unwrap())], NOW);
        hooks.by_name("p", "s").unwrap()
    };
    let admits = |settings: &str, headers: &[(&str, &str)], body: &[u8]| {
        let header = |name: &str| {
            headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
        };
        let admitted = hook(settings).admits(&Incoming { header: &header, body }, NOW);
        admitted.map_err(|problem| (problem.status, problem.reason.unwrap()))
    };
    let refused = |reason: &str| Err((401, reason.to_owned()));

    let good = github::sign(&Secret::text("s3cret").unwrap(), b"{}");
    let bad = github::sign(&Secret::text("other").unwrap(), b"{}");
    assert_eq!(admits(SIGNED, &[("x-hub-signature-256", &good)], b"{}"), Ok(()));
    assert_eq!(
        admits(SIGNED, &[("x-hub-signature-256", &good)], b"{ }"),
        refused("signature.wrong")
    );
    assert_eq!(admits(SIGNED, &[("x-hub-signature-256", &bad)], b"{}"), refused("signature.wrong"));
    assert_eq!(admits(SIGNED, &[], b"{}"), refused("signature.missing"));

    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let settings = json!({"auth": "standard", "secret": secret}).to_string();
    let signed = |at| standard::sign(&Secret::standard(secret).unwrap(), "id", at, b"{}").unwrap();
    let with = |signed: &[(&'static str, String); 3]| {
        let headers: Vec<_> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        admits(&settings, &headers, b"{}")
    };
    assert_eq!(with(&signed(NOW)), Ok(()));
    let old = NOW.minus(std::time::Duration::from_secs(3_600));
    assert_eq!(with(&signed(old)), refused("signature.stale"));
}
