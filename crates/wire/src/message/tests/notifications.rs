//! Notifications: what services of a real cloud sent (trimmed, their tokens replaced), and what
//! they could send.

use super::*;

/// The project of the recorded requests, and the one that Nova's own user has.
const DEMO: &str = "b2fc93c77a7c48c98b90cac5741ab689";
const TOKEN: &str = "a-token-that-must-not-be-kept";

macro_rules! samples {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../samples/", $name, ".json")))),*]
    };
}

pub(super) const SAMPLES: [(&str, &str); 15] = samples! {
    "nova_instance_create_end" "nova_versioned_instance_create_end" "nova_build_instances_error"
    "nova_versioned_exception" "nova_versioned_select_destinations" "nova_server_group"
    "glance_image_create" "glance_image_send" "neutron_port_create_end"
    "neutron_port_update_start" "neutron_network_create_start" "keystone_login_failed"
    "keystone_credential" "swift_object_put" "swift_refused_put"
};

#[track_caller]
fn sample(name: &str) -> (&'static str, Read) {
    let (_, body) = SAMPLES.iter().find(|(other, _)| *other == name).expect(name);
    (body, one(&oslo(), &raw(body.as_bytes())))
}

#[test]
fn what_a_cloud_really_sent_becomes_events_of_the_owners() {
    let demo = || named(DEMO);
    let service = named("5858b4cbbde645ea971ddeee18ac2019");
    let cases = [
        ("nova_instance_create_end", "compute.instance.create.end", "compute.compute1", demo()),
        (
            "nova_versioned_instance_create_end",
            "instance.create.end",
            "nova-compute:compute1",
            demo(),
        ),
        (
            "nova_build_instances_error",
            "compute_task.build_instances",
            "compute_task.compute1",
            demo(),
        ),
        // An administrator asked for it, and the payload is a failure of the hypervisor.
        ("nova_versioned_exception", "compute.exception", "nova-compute:compute1", Owner::Nobody),
        (
            "nova_versioned_select_destinations",
            "scheduler.select_destinations.end",
            "nova-scheduler:compute1",
            demo(),
        ),
        ("nova_server_group", "servergroup.create", "servergroup.compute1", demo()),
        ("glance_image_create", "image.create", "image.localhost", demo()),
        ("glance_image_send", "image.send", "image.localhost", Owner::Nobody),
        ("neutron_port_create_end", "port.create.end", "network.vm", demo()),
        // Nova changed it, in the name of its own project.
        ("neutron_port_update_start", "port.update.start", "network.vm", service),
        ("neutron_network_create_start", "network.create.start", "network.vm", demo()),
        ("keystone_login_failed", "identity.authenticate", "identity.vm", Owner::Nobody),
        ("keystone_credential", "identity.credential.created", "identity.vm", Owner::Nobody),
        ("swift_object_put", "objectstore.http.request", "ceilometermiddleware", demo()),
        ("swift_refused_put", "objectstore.http.request", "ceilometermiddleware", Owner::Nobody),
    ];
    assert_eq!(cases.len(), SAMPLES.len());
    for (name, kind, source, owner) in cases {
        let (body, read) = sample(name);
        assert_eq!((&*read.event.kind, &*read.event.source), (kind, source), "{name}");
        assert_eq!(read.owner, owner, "{name}");
        let envelope: Value = serde_json::from_str(body).unwrap();
        let inner: Value =
            serde_json::from_str(envelope["oslo.message"].as_str().unwrap()).unwrap();
        let record = value(&read);
        assert_eq!(record["id"], inner["message_id"], "{name}");
        let time = inner["timestamp"].as_str().unwrap().replace(' ', "T") + "Z";
        assert_eq!(record["time"], time, "{name}");
        assert_eq!(record["data"]["priority"], inner["priority"], "{name}");
        // Nothing is different for the same message without its envelope, or by its shape.
        let bare = envelope["oslo.message"].as_str().unwrap();
        assert_eq!(one(&oslo(), &raw(bare.as_bytes())), read, "{name}");
        assert_eq!(one(&Format::Auto, &raw(bare.as_bytes())), read, "{name}");
        assert_eq!(one(&Format::Auto, &raw(body.as_bytes())), read, "{name}");

        let all = Format::Oslo { projects: Projects::Source };
        let operators = one(&all, &raw(body.as_bytes()));
        assert_eq!((operators.owner, operators.event), (Owner::Source, read.event), "{name}");
    }
}

#[test]
fn no_token_of_a_context_is_kept_wherever_a_service_put_it() {
    for (name, body) in SAMPLES {
        let (_, read) = sample(name);
        let record = &read.event.record;
        for secret in [TOKEN, "auth_token", "_context", "service_catalog"] {
            assert!(!record.contains(secret), "{name}: {secret} in {record}");
        }
        let had = ["nova_instance_create_end", "nova_build_instances_error"].contains(&name);
        assert_eq!(body.contains(TOKEN), had, "{name}");
    }
    let (_, read) = sample("nova_build_instances_error");
    let record = value(&read);
    let requests = &record["data"]["payload"]["instance_properties"]["pci_requests"];
    assert_eq!(requests["VERSION"], "1.1", "what is beside the context stays");
    assert_eq!(
        record["data"]["context"],
        json!({
            "project_id": DEMO,
            "user_id": "72463bf452dd489cb663b0b6ce8a8ad4",
            "request_id": "req-9fa37c98-2ef5-4422-a1c6-5403fa76c6ae",
        })
    );
    let (_, read) = sample("glance_image_create");
    assert_eq!(value(&read)["data"].get("context"), None, "an empty one is none");
}

fn notification(kind: &str, publisher: &str, payload: &Value) -> String {
    json!({
        "event_type": kind, "publisher_id": publisher, "message_id": "m", "payload": payload,
        "_context_project_id": "asked",
    })
    .to_string()
}

#[test]
fn each_service_names_the_owner_in_its_own_place() {
    let nobody = || Owner::Nobody;
    let cases = [
        ("volume.create.end", "volume.a", json!({"tenant_id": "t"}), named("t")),
        ("volume.create.end", "volume.a", json!({"tenant_id": null}), nobody()),
        ("share.create", "manila.a", json!({"project_id": "t", "tenant_id": ""}), named("t")),
        ("compute.metrics.update", "compute.a", json!({"metrics": []}), nobody()),
        ("compute.metrics.update", "compute.a", json!(["tenant_id"]), nobody()),
        ("image.delete", "image.a", json!({"owner": null}), nobody()),
        (
            "floatingip.create.end",
            "network.a",
            json!({"floatingip": {"tenant_id": "t"}}),
            named("t"),
        ),
        (
            "router.interface.create",
            "network.a",
            json!({"router_interface": {"tenant_id": "t"}}),
            named("t"),
        ),
        // What Neutron makes for itself has an empty owner.
        (
            "port.create.end",
            "network.a",
            json!({"port": {"tenant_id": "", "project_id": ""}}),
            nobody(),
        ),
        (
            "port.create.end",
            "network.a",
            json!({"ports": [{"tenant_id": "t"}, {"tenant_id": "t"}]}),
            named("t"),
        ),
        (
            "port.create.end",
            "network.a",
            json!({"ports": [{"tenant_id": "t"}, {"tenant_id": "u"}]}),
            nobody(),
        ),
        ("port.create.end", "network.a", json!({"ports": [{"tenant_id": "t"}, {}]}), nobody()),
        ("port.create.start", "network.a", json!({"ports": [{}, {}]}), named("asked")),
        ("port.create.start", "network.a", json!({"ports": 1}), named("asked")),
        ("port.delete.start", "network.a", json!({"port_id": "p"}), named("asked")),
        ("l3.meter", "metering.a", json!({"tenant_id": "t"}), named("t")),
        // Identity: the initiator, and for a project's basic event itself.
        (
            "identity.user.created",
            "identity.a",
            json!({"initiator": {"project_id": "t"}}),
            named("t"),
        ),
        ("identity.user.created", "identity.a", json!({"resource_info": "u"}), nobody()),
        ("identity.project.created", "identity.a", json!({"resource_info": "t"}), named("t")),
        (
            "identity.project.created",
            "identity.a",
            json!({"resource_info": "t", "initiator": {"project_id": "a"}}),
            named("a"),
        ),
        (
            "identity.project.created",
            "identity.a",
            json!({"resource_info": "t", "initiator": {"domain_id": "d"}}),
            nobody(),
        ),
        ("audit.http.request", "audit", json!({"initiator": {"project_id": "t"}}), named("t")),
        (
            "objectstore.http.request",
            "ceilometermiddleware",
            json!({"initiator": {"project_id": "AUTH_t"}, "target": {"id": "u"}}),
            named("t"),
        ),
        (
            "objectstore.http.request",
            "ceilometermiddleware",
            json!({"target": {"id": "u"}}),
            nobody(),
        ),
    ];
    for (kind, publisher, payload, owner) in cases {
        let body = notification(kind, publisher, &payload);
        assert_eq!(one(&oslo(), &raw(body.as_bytes())).owner, owner, "{body}");
    }
}

#[test]
fn an_owner_that_is_no_name_is_refused() {
    let body = notification("volume.create.end", "volume.a", &json!({"tenant_id": "a b"}));
    check_refused(
        &oslo(),
        &body,
        "message.bad_project",
        "the message's tenant_id names no project: project \"a b\" is not valid",
    );
    let body = notification("volume.create.end", "volume.a", &json!({"tenant_id": 7}));
    check_refused(
        &oslo(),
        &body,
        "message.bad_member",
        "the message's tenant_id is not valid: it must be a string, and is a number",
    );
    let body = notification("port.create.end", "network.a", &json!({"port": {"tenant_id": "a b"}}));
    check_refused(&oslo(), &body, "message.bad_project", "names no project");
}

#[test]
fn a_notification_may_lack_what_a_message_or_its_receipt_can_tell() {
    let body = r#"{"event_type":"a","publisher_id":"p","payload":null,"_context_user":"u","_context_tenant":"t","_context_request_id":7}"#;
    let read = one(&oslo(), &Raw { message_id: Some("m-1"), ..raw(body.as_bytes()) });
    assert_eq!(
        &*read.event.record,
        format!(
            concat!(
                r#"{{"specversion":"1.0","id":"m-1","source":"p","type":"a","time":"{}","#,
                r#""data":{{"payload":null,"context":{{"project_id":"t","user_id":"u"}}}}}}"#
            ),
            TIME
        )
    );
    let times = [
        ("2026-11-24 03:12:11.123456", "2026-11-24T03:12:11.123456Z"),
        ("2026-11-24 03:12:11", "2026-11-24T03:12:11Z"),
        ("2026-11-24T03:12:11.5Z", "2026-11-24T03:12:11.5Z"),
        ("2026-11-24 03:12:11+00:00", "2026-11-24T03:12:11+00:00"),
    ];
    for (sent, kept) in times {
        let body = body.replace("\"payload\"", &format!("\"timestamp\":\"{sent}\",\"payload\""));
        assert_eq!(value(&one(&oslo(), &raw(body.as_bytes())))["time"], kept);
    }
    for bad in ["", "now", "2026-11-24", "2026-13-24 03:12:11", "éééééééééé"] {
        let body = body.replace("\"payload\"", &format!("\"timestamp\":\"{bad}\",\"payload\""));
        check_refused(&oslo(), &body, "event.bad_attribute", "\"time\" is not valid");
    }
}

#[test]
fn an_envelope_that_cannot_be_opened_is_refused_with_the_reason() {
    let refused = |body: &str, code: &str, says: &str| check_refused(&oslo(), body, code, says);
    let envelope = |inner: &str| json!({"oslo.version": "2.0", "oslo.message": inner}).to_string();
    let inner = "message.oslo_message";
    refused(
        &envelope("hello"),
        inner,
        "the text in the message's oslo.message cannot be read: this is not JSON: expected value \
         at line 1, column 1",
    );
    refused(&envelope(""), inner, "the body is empty");
    refused(&envelope(&"[".repeat(5_000)), inner, "deeper than 100 levels");
    refused(&envelope("[]"), "message.not_an_object", "the message's oslo.message must be");
    refused("[]", "message.not_an_object", "the message's body must be a JSON object");
    refused(
        r#"{"oslo.version":"2.0","oslo.message":{}}"#,
        "message.bad_member",
        "the message's oslo.message is not valid: it must be a string, and is an object",
    );
    refused(
        r#"{"oslo.version":"3.0","oslo.message":"{}"}"#,
        "message.oslo_version",
        "the message's oslo.version is \"3.0\", and only 2.x is spoken here",
    );
    refused(
        &envelope("{}"),
        "message.missing_member",
        "the message has no event_type and no publisher_id and no payload, which a notification \
         asks for",
    );
    // A call between services, which nobody meant for us.
    refused(&envelope(r#"{"method":"x","args":{}}"#), "message.missing_member", "no event_type");
    refused(
        r#"{"event_type":7,"publisher_id":"p","payload":{}}"#,
        "message.bad_member",
        "event_type is not valid: it must be a string, and is a number",
    );
    refused(r#"{"event_type":"","publisher_id":"p","payload":{}}"#, "event.bad_attribute", "type");
    let long = format!(r#"{{"event_type":"a","publisher_id":"p","payload":"{}"}}"#, "\"".repeat(0));
    one(&oslo(), &raw(envelope(&long).as_bytes()));
    let large = long.replace(":\"\"}", &format!(":\"{}\"}}", "x".repeat(limits::EVENT_BYTES)));
    refused(&envelope(&large), "event.too_large", "the event's record has");
    let deep = format!(
        r#"{{"event_type":"a","publisher_id":"p","payload":{}{}}}"#,
        "[".repeat(limits::JSON_DEPTH - 1),
        "]".repeat(limits::JSON_DEPTH - 1)
    );
    refused(&envelope(&deep), "event.too_deep", "deeper than 99 levels");
}
