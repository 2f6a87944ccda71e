//! Webhooks: URLs that others post to, which need no key and still let nobody in.

use std::process::Output;

use serde_json::{Value, json};
use wire::signature::{Secret, github, standard};

use crate::service::{Answer, Service, lambent, wait_until};

const ECHO: &str = "def handler(event, context):\n    return event\n";
const JSON: (&str, &str) = ("content-type", "application/json");

fn put(service: &Service, name: &str, settings: &Value) -> Answer {
    let body = json!({"kind": "webhook", "settings": settings}).to_string();
    service.request("PUT", &format!("/v1/sources/{name}"), &[], body.as_bytes())
}

fn path(answer: &Answer) -> String {
    answer.json()["hook_path"].as_str().unwrap().to_owned()
}

fn run(service: &Service, words: &[&str]) -> Output {
    lambent().args(words).args(["--url", &service.url()]).output().unwrap()
}

fn text_of(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_posted_to_a_token_runs_the_functions_whose_triggers_match() {
    let service = Service::start();
    service.deploy("f", ECHO, &[]).expect(201);
    service.trigger("f", "alarm");
    let settings = json!({"type": "alarm"});
    let made = put(&service, "aodh", &settings).expect(201);
    let path = path(&made);
    // From the first moment on, without a key, and by whatever name a tunnel calls us.
    let body = br#"{"alarm_name": "cpu", "current": "alarm"}"#;
    let foreign = [JSON, ("origin", "https://elsewhere.example")];
    let accepted = service.request("POST", &path, &foreign, body).expect(202).json();
    let id = accepted["triggers"][0]["invocation_id"].as_str().unwrap();
    let record = service.ended(id)["result"].clone();
    assert_eq!(record["data"], json!({"alarm_name": "cpu", "current": "alarm"}));
    assert_eq!((&record["source"], &record["type"]), (&json!("webhook:aodh"), &json!("alarm")));
    assert_eq!(
        service.request("GET", &path, &[], b"").expect(405).code(),
        service.get("/v1/hooks/guess").expect(405).code(),
    );
    let told = wait_until("it is counted", || {
        let told = service.get("/v1/sources/aodh").expect(200).json();
        if told["state"]["events"] == 1 { Ok(told) } else { Err(told) }
    });
    assert_eq!(told.get("hook_path"), None, "it is a secret: {told}");
    let revealed = service.get("/v1/sources/aodh?reveal=true").expect(200);
    assert_eq!(revealed.json()["hook_path"], path);
    // A change keeps the URL, and its removal ends it.
    put(&service, "aodh", &json!({"type": "other"})).expect(200);
    let kept = service.request("POST", &path, &[JSON], b"{}").expect(202).json();
    assert_eq!(kept["triggers"], json!([]));
    service.request("DELETE", "/v1/sources/aodh", &[], b"").expect(204);
    service.request("POST", &path, &[JSON], b"{}").expect(404);
}

#[test]
fn an_unknown_token_looks_like_a_path_that_is_not_there() {
    let service = Service::start();
    let made = path(&put(&service, "s", &json!({})).expect(201));
    let nothing = service.request("POST", "/v1/no/such/path", &[JSON], b"{}").expect(404);
    let almost = format!("{}A", &made[..made.len() - 1]);
    let almost = if almost == made { format!("{}B", &made[..made.len() - 1]) } else { almost };
    for wrong in [&*almost, "/v1/hooks/x", "/v1/hooks/default/s", "/v1/hooks/%ff", "/v1/hooks/a/b"]
    {
        let answer = service.request("POST", wrong, &[JSON], b"{}");
        assert_eq!((answer.status, &answer.body), (404, &nothing.body), "{wrong}");
    }
    // What is no webhook is still this machine's alone.
    let foreign = [JSON, ("origin", "https://elsewhere.example")];
    service.request("POST", "/v1/events", &foreign, b"{}").expect(401);
    service.request("POST", "/v1/hooks/../events", &foreign, b"{}").expect(404);
}

#[test]
fn a_signed_webhook_believes_signatures_alone() {
    let service = Service::start();
    let settings = json!({
        "auth": "github",
        "secret": "s3cret",
        "type_from": {"header": "X-GitHub-Event"},
    });
    let made = put(&service, "pushes", &settings).expect(201);
    assert!(!String::from_utf8_lossy(&made.body).contains("s3cret"));
    let path = path(&made);
    assert_eq!(path, "/v1/hooks/default/pushes");
    let body = br#"{"ref": "refs/heads/main"}"#;
    let post = |headers: &[(&str, &str)]| {
        let all = [&[JSON, ("x-github-event", "push")], headers].concat();
        service.request("POST", &path, &all, body)
    };
    let signed = |secret: &str| github::sign(&Secret::text(secret).unwrap(), body);
    let (good, bad) = (signed("s3cret"), signed("other"));
    for (headers, reason) in [
        (&[][..], "signature.missing"),
        (&[("x-hub-signature-256", "sha256=00")], "signature.bad_header"),
        (&[("x-hub-signature-256", &*bad)], "signature.wrong"),
    ] {
        let refused = post(headers).expect(401);
        assert_eq!((&*refused.code(), &refused.json()["reason"]), ("unauthorized", &json!(reason)));
    }
    let delivered = [("x-hub-signature-256", &*good), ("x-github-delivery", "d-1")];
    let first = post(&delivered).expect(202).json();
    let again = post(&delivered).expect(202).json();
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!(first["id"], again["id"]);
    let event = service.get(&format!("/v1/events/{}", first["id"].as_str().unwrap()));
    assert_eq!(event.expect(200).json()["type"], "push");
    let told = service.get("/v1/sources/pushes").expect(200).json();
    let counts =
        ["messages", "events", "duplicates", "refused"].map(|it| told["state"][it].clone());
    assert_eq!(counts, [json!(5), json!(1), json!(1), json!(3)], "{told}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the service has the machine's clock, too")]
fn standard_webhooks_are_believed_and_old_ones_are_not() {
    let service = Service::start();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let path =
        path(&put(&service, "s", &json!({"auth": "standard", "secret": secret})).expect(201));
    let post = |at: model::Timestamp| {
        let signed = standard::sign(&Secret::standard(secret).unwrap(), "m-1", at, b"{}").unwrap();
        let mut headers = vec![JSON];
        headers.extend(signed.iter().map(|(name, value)| (*name, value.as_str())));
        service.request("POST", &path, &headers, b"{}")
    };
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = model::Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap());
    let stored = post(now).expect(202).json();
    let event = service.get(&format!("/v1/events/{}", stored["id"].as_str().unwrap()));
    assert_eq!(event.expect(200).json()["id"], "m-1");
    let old = post(now.minus(std::time::Duration::from_secs(3_600))).expect(401);
    assert_eq!(old.json()["reason"], "signature.stale");
}

#[test]
fn webhooks_outlive_a_restart_and_what_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    let path = path(&put(&service, "s", &json!({})).expect(201));
    assert!(service.stop().success());
    let service = Service::start_on(&data, &[], &[]);
    service.request("POST", &path, &[JSON], b"{}").expect(202);
    let large = vec![b'x'; 1024 * 1024 + 1];
    assert_eq!(service.request("POST", &path, &[], &large).expect(413).code(), "body_too_large");
    let broken = service.request("POST", &path, &[JSON], b"{").expect(400);
    assert_eq!(broken.json()["reason"], "event.not_json");
}

#[test]
fn the_command_line_makes_a_webhook_and_prints_its_url() {
    let service = Service::start();
    let added =
        text_of(run(&service, &["source", "add", "alarms", "--webhook", "--type", "alarm"]));
    let url = added.trim().rsplit("  ").next().unwrap();
    let path = url.strip_prefix(&service.url()).unwrap_or_else(|| panic!("{added}"));
    service.request("POST", path, &[JSON], b"{}").expect(202);
    let shown =
        |words: &[&str]| text_of(run(&service, &[&["source", "show", "alarms"], words].concat()));
    assert!(!shown(&[]).contains(path), "a token is shown to who asks for it");
    assert!(shown(&["--reveal"]).contains(path));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "s3cret\n").unwrap();
    let add = [
        "source",
        "add",
        "pushes",
        "--webhook",
        "--auth",
        "github",
        "--secret-file",
        file.to_str().unwrap(),
        "--type-from-header",
        "X-GitHub-Event",
    ];
    let added = text_of(run(&service, &add));
    assert_eq!(added, format!("pushes  webhook  {}/v1/hooks/default/pushes\n", service.url()));
    let signature = github::sign(&Secret::text("s3cret").unwrap(), b"{}");
    let headers = [JSON, ("x-hub-signature-256", &signature)];
    service.request("POST", "/v1/hooks/default/pushes", &headers, b"{}").expect(202);
}
