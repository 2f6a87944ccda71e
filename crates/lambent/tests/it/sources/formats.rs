//! What a queue's messages become: events of every format, or letters in the dead-letter queue.

use brokers::Outgoing;
use serde_json::{Value, json};

use super::{Broker, add, ended, message, state};
use crate::service::Service;

/// What Glance sent of an image of this project.
const IMAGE: &str = include_str!("../../../../wire/src/message/samples/glance_image_create.json");
const IMAGE_PROJECT: &str = "b2fc93c77a7c48c98b90cac5741ab689";
const ECHO: &str = "def handler(event, context):\n    return event\n";

/// Deploys a function that gets everything, in a project.
fn deploy(service: &Service, project: &str) {
    let headers = [("lambent-project", project)];
    service.upload("all", "handler.py", ECHO.as_bytes(), &[], &headers).expect(201);
    let trigger = json!({"pattern": {"type": [{"exists": true}]}}).to_string();
    let path = "/v1/functions/all/triggers/all";
    service.request("PUT", path, &headers, trigger.as_bytes()).expect(201);
}

/// What the functions of a project were given.
fn seen(service: &Service, project: &str, count: usize) -> Vec<Value> {
    let headers = [("lambent-project", project)];
    let items = ended(service, project, count);
    let mut seen: Vec<_> = items
        .iter()
        .map(|it| {
            let path = format!("/v1/invocations/{}", it["id"].as_str().unwrap());
            service.request("GET", &path, &headers, b"").expect(200).json()["result"].clone()
        })
        .collect();
    seen.sort_by_key(|it| it["type"].to_string());
    seen
}

#[test]
fn the_queue_contract_is_spoken_as_it_always_was() {
    let Some(broker) = Broker::start() else { return };
    let service = Service::start();
    deploy(&service, "default");
    deploy(&service, "other");
    let settings = json!({"url": broker.url(), "format": "lambda-queue", "projects": "any"});
    add(&service, "legacy", settings);
    let contract = |user: &str, name: &str| {
        json!({"event_data": {"type": "file.created", "filename": name, "metadata_type": "x"},
            "user_name": user, "event_source": "S1"})
        .to_string()
    };
    broker.send(message("lambda Queue", "1", contract("default", "a.txt")));
    broker.send(message("lambda Queue", "2", contract("other", "b.txt")));
    // The prototype's senders gave no id; theirs is a new event each time.
    broker.send(message("lambda Queue", "", contract("other", "c.txt")));
    // Sent twice, it is one.
    broker.send(message("lambda Queue", "2", contract("other", "b.txt")));
    broker.send(message("lambda Queue", "3", "no JSON"));
    broker.send(message("lambda Queue", "4", r#"{"event_data": {"type": "x"}}"#));
    let mine = seen(&service, "default", 1);
    assert_eq!(mine.len(), 1);
    assert_eq!((&mine[0]["type"], &mine[0]["source"]), (&json!("file.created"), &json!("S1")));
    let data = json!({"type": "file.created", "filename": "a.txt", "metadata_type": "x"});
    assert_eq!(mine[0]["data"], data);
    let source = state(&service, "legacy", "all are counted", |it| {
        (&it["messages"], &it["refused"]) == (&json!(6), &json!(2))
    });
    assert_eq!(
        (&source["state"]["events"], &source["state"]["duplicates"]),
        (&json!(3), &json!(1)),
        "{source}"
    );
    assert_eq!(seen(&service, "other", 2).len(), 2);
    let letters = broker.take("lambda Queue.dead-letters", 2);
    let reasons: Vec<_> = letters.iter().map(reason).collect();
    assert!(reasons[0].starts_with("event.not_json: "), "{reasons:?}");
    assert!(reasons[1].starts_with("message.missing_member: "), "{reasons:?}");
    assert_eq!(letters[0].body, "no JSON");
}

fn reason(letter: &brokers::Message) -> String {
    let found = letter.headers.iter().find(|(name, _)| name == "lambent-reason");
    found.map(|(_, reason)| reason.clone()).unwrap_or_else(|| panic!("no reason: {letter:?}"))
}

#[test]
fn plain_json_and_cloudevents_become_events_and_poison_is_put_aside() {
    let Some(broker) = Broker::start() else { return };
    let service = Service::start();
    deploy(&service, "default");
    let url = broker.url();
    let plain = json!({"url": url, "queue": "plain", "format": "plain", "type_from": "kind",
        "event_source": "shop", "bindings": [{"exchange": "orders", "routing_keys": ["order.#"]}]});
    add(&service, "plain", plain);
    add(&service, "events", json!({"url": url, "queue": "events", "format": "cloudevents"}));
    broker.send(Outgoing {
        exchange: "orders".into(),
        ..message("order.paid", "1", r#"{"kind": "a-plain", "n": 1}"#)
    });
    broker.send(message("plain", "2", r#"{"n": 1}"#));
    let attributes = [
        ("cloudEvents:specversion", "1.0"),
        ("cloudEvents:id", "e-1"),
        ("cloudEvents:source", "/s"),
        ("cloudEvents:type", "b-binary"),
    ];
    let headers = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let content_type = Some("application/json".to_owned());
    broker.send(Outgoing {
        headers: headers.into(),
        content_type: content_type.clone(),
        ..message("events", "", r#"{"n": 2}"#)
    });
    let structured =
        json!({"specversion": "1.0", "id": "e-2", "source": "/s", "type": "c-structured"});
    broker.send(Outgoing {
        content_type: Some("application/cloudevents+json".into()),
        ..message("events", "", structured.to_string())
    });
    broker.send(Outgoing { content_type, ..message("events", "3", r#"{"type": "x"}"#) });
    let seen = seen(&service, "default", 3);
    let types: Vec<_> = seen.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["a-plain", "b-binary", "c-structured"]);
    assert_eq!((&seen[0]["source"], &seen[0]["id"]), (&json!("shop"), &json!("1")));
    assert_eq!(seen[1]["data"], json!({"n": 2}));
    for queue in ["plain", "events"] {
        let letter = broker.take(&format!("{queue}.dead-letters"), 1).remove(0);
        assert!(reason(&letter).contains(": "), "{letter:?}");
        let queue_of = letter.headers.iter().find(|(name, _)| name == "lambent-queue").unwrap();
        assert_eq!(queue_of.1, queue);
    }
}

#[test]
fn a_project_sees_the_notifications_that_are_its_own_and_no_others() {
    let Some(broker) = Broker::start() else { return };
    let service = Service::start();
    deploy(&service, "default");
    deploy(&service, IMAGE_PROJECT);
    let settings = json!({"url": broker.url(), "queue": "cloud", "format": "oslo",
        "projects": "any", "bindings": [{"exchange": "glance", "durable": false,
        "routing_keys": ["notifications.*"]}]});
    add(&service, "cloud", settings);
    broker.send(Outgoing { exchange: "glance".into(), ..message("notifications.info", "", IMAGE) });
    let nobodys = json!({"event_type": "compute.exception", "publisher_id": "compute.a",
        "payload": {}, "message_id": "m"});
    broker.send(message("cloud", "", nobodys.to_string()));
    broker.send(message("cloud", "", r#"{"oslo.version": "3.0", "oslo.message": "{}"}"#));
    let theirs = seen(&service, IMAGE_PROJECT, 1);
    assert_eq!(theirs[0]["type"], "image.create");
    assert_eq!(theirs[0]["data"]["payload"]["owner"], IMAGE_PROJECT);
    let source = state(&service, "cloud", "all are counted", |it| it["refused"] == 1);
    assert_eq!(source["state"]["dropped"], 1, "{source}");
    let mine = service.get("/v1/invocations").expect(200).json();
    assert_eq!(mine["items"], json!([]));
    assert!(reason(&broker.take("cloud.dead-letters", 1)[0]).starts_with("message.oslo_version"));

    // A source of another project's hears the same and keeps nothing of it.
    let own = json!({"url": broker.url(), "queue": "own", "format": "oslo",
        "bindings": [{"exchange": "glance", "durable": false, "routing_keys": ["#"]}]});
    add(&service, "own", own);
    broker.send(Outgoing { exchange: "glance".into(), ..message("notifications.info", "", IMAGE) });
    let source = state(&service, "own", "it came", |it| it["messages"] == 1 && it["lag"] == 0);
    assert_eq!(
        (&source["state"]["dropped"], &source["state"]["events"]),
        (&json!(1), &json!(0)),
        "{source}"
    );
}
