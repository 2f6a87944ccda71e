//! Sources over the API and the command line: checked, kept, shown without secrets, removed.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use brokers::testing::{PASSWORD, Rabbit, USER, encoded};
use serde_json::{Value, json};

use super::{Broker, add, message, state};
use crate::service::{Service, lambent, wait_until};

/// The command line, told where the service is.
fn run(service: &Service, words: &[&str]) -> Output {
    lambent().args(words).args(["--url", &service.url()]).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn a_source_is_added_shown_and_removed_on_the_command_line() {
    let Some(broker) = Broker::start() else { return };
    let service = Service::start();
    let url = broker.url();
    let added = run(
        &service,
        &[
            "source",
            "add",
            "orders",
            "--broker",
            &url,
            "--queue",
            "orders",
            "--format",
            "plain",
            "--type",
            "order",
            "--bind",
            "shop=order.*",
            "--prefetch",
            "10",
            "--wait",
        ],
    );
    assert!(added.status.success(), "{added:?}");
    assert_eq!(String::from_utf8(added.stdout).unwrap(), "orders  rabbitmq  connected\n");
    let shown = json_of(&run(&service, &["source", "show", "orders", "--output", "json"]));
    assert_eq!(shown["settings"]["prefetch"], 10);
    assert_eq!(shown["state"]["status"], "connected");
    let listed = json_of(&run(&service, &["source", "ls", "--output", "json"]));
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let text = run(&service, &["source", "show", "orders"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("***") && !text.contains(PASSWORD), "{text}");
    let connections = || broker.rabbit.ctl(&["list_connections", "client_properties"]);
    assert!(connections().contains("default/orders"));
    assert!(run(&service, &["source", "rm", "orders"]).status.success());
    assert_eq!(run(&service, &["source", "show", "orders"]).status.code(), Some(6));
    wait_until("the connection is gone", || match connections() {
        it if it.contains("default/orders") => Err(it),
        _ => Ok(()),
    });
    // Nobody reads it any more.
    broker.send(message("orders", "1", "{}"));
    assert_eq!(broker.take("orders", 1).len(), 1);
}

#[test]
fn a_password_is_found_nowhere_and_survives_a_restart() {
    let Some(broker) = Broker::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[("LAMBENT_LOG", "debug")]);
    let source = add(&service, "s", json!({"url": broker.url(), "queue": "q"}));
    let shown = source["settings"]["url"].as_str().unwrap();
    assert!(shown.starts_with("amqp://lambent:***@"), "{shown}");
    // What was shown can be put back, with something else changed.
    let mut settings = source["settings"].clone();
    settings["prefetch"] = json!(7);
    let body = json!({"kind": "rabbitmq", "settings": settings}).to_string();
    service.request("PUT", "/v1/sources/s", &[], body.as_bytes()).expect(200);
    state(&service, "s", "it is connected anew", |it| it["status"] == "connected");
    assert!(service.stop().success());
    let log = service.log();
    let mut service = Service::start_on(&data, &[], &[]);
    state(&service, "s", "it is connected again", |it| it["status"] == "connected");
    assert!(service.stop().success());
    for secret in [PASSWORD, &encoded(PASSWORD)] {
        assert!(!log.contains(secret));
        for entry in std::fs::read_dir(&data).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
                assert!(!found, "the password is in {}", path.display());
            }
        }
    }
    // With another key the source says what is wrong, and is mended by putting it again.
    std::fs::write(data.join("secret.key"), [1; 32]).unwrap();
    let service = Service::start_on(&data, &[], &[]);
    let source = state(&service, "s", "it fails", |it| it["status"] == "failing");
    let error = source["state"]["error"].as_str().unwrap();
    assert!(error.contains("another key"), "{error}");
    let body = json!({"kind": "rabbitmq", "settings": {"url": broker.url(), "queue": "q"}});
    service.request("PUT", "/v1/sources/s", &[], body.to_string().as_bytes()).expect(200);
    state(&service, "s", "it is mended", |it| it["status"] == "connected");
}

#[test]
fn what_cannot_work_is_refused_and_what_cannot_be_reached_says_so() {
    let service = Service::start();
    let put = |name: &str, body: Value| {
        let path = format!("/v1/sources/{name}");
        service.request("PUT", &path, &[], body.to_string().as_bytes())
    };
    let rabbit = |settings: Value| json!({"kind": "rabbitmq", "settings": settings});
    let refused = put("s", rabbit(json!({"url": "http://h"}))).expect(400).json();
    assert_eq!(
        (&refused["code"], &refused["field"]),
        (&json!("invalid_value"), &json!("settings.url"))
    );
    put("s", rabbit(json!({"url": "amqp://h", "queue": ""}))).expect(400);
    put("a b", rabbit(json!({"url": "amqp://h"}))).expect(400);
    assert_eq!(
        put("s", json!({"kind": "kafka", "settings": {}})).expect(400).json()["field"],
        "kind"
    );
    service.get("/v1/sources/s").expect(404);
    // Nobody listens on port 1.
    put("s", rabbit(json!({"url": "amqp://u:secret@127.0.0.1:1"}))).expect(201);
    let source = state(&service, "s", "it fails", |it| it["status"] == "failing");
    let error = source["state"]["error"].as_str().unwrap();
    assert!(error.contains("amqp://u:***@127.0.0.1:1"), "{error}");
    let mut off = rabbit(json!({"url": "amqp://u:secret@127.0.0.1:1"}));
    off["enabled"] = json!(false);
    put("s", off).expect(200);
    state(&service, "s", "it is off", |it| it["status"] == "off");
    service.request("DELETE", "/v1/sources/s", &[], b"").expect(204);
    service.request("DELETE", "/v1/sources/s", &[], b"").expect(404);
    let list = service.get("/v1/sources").expect(200).json();
    assert_eq!(list, json!({"items": [], "next": null}));
}

#[test]
fn a_key_opens_its_projects_sources_and_no_source_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let key = |project: &str| {
        let mut command = lambent();
        command.args(["key", "create", "--name", "k", "--project", project, "--data"]).arg(&data);
        format!("Bearer {}", String::from_utf8(command.output().unwrap().stdout).unwrap().trim())
    };
    let (mine, theirs) = (key("mine"), key("theirs"));
    let service = Service::start_on(&data, &[], &[]);
    let ask = |method: &str, path: &str, key: &str, body: Value| {
        service.request(method, path, &[("authorization", key)], body.to_string().as_bytes())
    };
    let rabbit = |settings: Value| json!({"kind": "rabbitmq", "settings": settings});
    let any = rabbit(json!({"url": "amqp://127.0.0.1:1", "projects": "any"}));
    assert_eq!(ask("PUT", "/v1/sources/s", &mine, any).expect(403).code(), "forbidden");
    let own = rabbit(json!({"url": "amqp://127.0.0.1:1"}));
    ask("PUT", "/v1/sources/s", &mine, own).expect(201);
    ask("GET", "/v1/sources/s", &theirs, json!(null)).expect(404);
    let listed = ask("GET", "/v1/sources", &theirs, json!(null)).expect(200).json();
    assert_eq!(listed["items"], json!([]));
    ask("DELETE", "/v1/sources/s", &theirs, json!(null)).expect(404);
    ask("GET", "/v1/sources/s", &mine, json!(null)).expect(200);
}

#[test]
fn a_broker_that_speaks_tls_is_known_by_its_certificate() {
    // Where the server's own user may go.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &key, "-out", &certificate])
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: openssl is not installed");
        return;
    }
    let lines = format!(
        "ssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n\
         ssl_options.cacertfile = {certificate}\nssl_options.verify = verify_none\n"
    );
    let Some(rabbit) = Rabbit::start_with_tls(|_| lines) else { return };
    let service = Service::start();
    let port = rabbit.tls_port.unwrap();
    let url = format!("amqps://{USER}:{}@localhost:{port}", encoded(PASSWORD));
    let body = json!({"kind": "rabbitmq", "settings": {"url": url, "queue": "q"}}).to_string();
    service.request("PUT", "/v1/sources/unknown", &[], body.as_bytes()).expect(201);
    let source = state(&service, "unknown", "it fails", |it| it["status"] == "failing");
    let error = source["state"]["error"].as_str().unwrap();
    assert!(error.contains("certificate"), "{error}");
    add(&service, "known", json!({"url": url, "queue": "q", "ca_file": certificate}));
}
