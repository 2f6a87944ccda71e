//! What has to be there, and who is let in.

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream;
use brokers::Kind;
use brokers::nats::Login;

use super::*;

#[tokio::test]
async fn a_wrong_password_is_a_refusal_that_does_not_repeat_it() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    let wrong = Secret(format!("{PASSWORD} and more"));
    settings.server.login = Login::Password { user: USER.to_owned(), password: wrong };
    assert_kind(&refusal(&settings).await, Kind::Refused, "authorization violation");
    settings.server.login = Login::Nobody;
    assert_kind(&refusal(&settings).await, Kind::Refused, "authorization violation");
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    settings.server.urls = vec!["nats://127.0.0.1:1".to_owned()];
    assert_kind(&refusal(&settings).await, Kind::Unreachable, "127.0.0.1:1");
    // Any of several will do.
    settings.server.urls.push(nats.url());
    drop(connect(&settings).await);
}

#[tokio::test]
async fn without_declaring_everything_has_to_be_there() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    settings.declare = false;
    assert_kind(&refusal(&settings).await, Kind::Refused, "stream not found");
    let jetstream = operator(nats).await;
    let config = |name: &str, subject: &str| stream::Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        ..stream::Config::default()
    };
    let orders = config(&settings.stream, &settings.stream);
    let orders = jetstream.create_stream(orders).await.unwrap();
    assert_kind(&refusal(&settings).await, Kind::Refused, "no stream keeps");
    let kept = format!("{}-x", settings.stream);
    jetstream.create_stream(config(&kept, &settings.dead_letters)).await.unwrap();
    assert_kind(&refusal(&settings).await, Kind::Refused, "consumer not found");
    let deaf = pull::Config {
        durable_name: Some("deaf".to_owned()),
        ack_policy: AckPolicy::None,
        ..pull::Config::default()
    };
    orders.create_consumer(deaf).await.unwrap();
    settings.durable = "deaf".to_owned();
    assert_kind(&refusal(&settings).await, Kind::Refused, "hear of each message");
    let fine = pull::Config {
        durable_name: Some("fine".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    };
    orders.create_consumer(fine).await.unwrap();
    settings.durable = "fine".to_owned();
    drop(connect(&settings).await);
}

#[tokio::test]
async fn dead_letters_that_would_be_read_again_are_a_refusal() {
    let Some(nats) = shared() else { return };
    let mut settings = settings(nats);
    settings.subjects = vec![format!("{}.>", settings.stream)];
    settings.dead_letters = format!("{}.dead.letters", settings.stream);
    assert_kind(&refusal(&settings).await, Kind::Refused, "round for ever");
    settings.filter = format!("{}.dead.*", settings.stream);
    assert_kind(&refusal(&settings).await, Kind::Refused, "round for ever");
    settings.filter = format!("{}.orders", settings.stream);
    drop(connect(&settings).await);
}

#[tokio::test]
async fn a_server_without_jetstream_is_a_refusal() {
    let Some(nats) = Nats::start_with(|_| String::new()) else { return };
    assert_kind(&refusal(&settings(&nats)).await, Kind::Refused, "use the stream");
}

#[tokio::test]
async fn tls_needs_a_certificate_that_somebody_has_signed() {
    let mut certificate = None;
    let nats = Nats::start_with(|folder| {
        let [cert, key] = ["cert.pem", "key.pem"].map(|it| folder.join(it));
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-out".as_ref(), cert.as_os_str(), "-keyout".as_ref(), key.as_os_str()])
            .output();
        assert!(made.is_ok_and(|it| it.status.success()), "openssl cannot make a certificate");
        let lines = format!(
            "jetstream {{ store_dir: {:?} }}\ntls {{ cert_file: {cert:?}, key_file: {key:?} }}",
            folder.join("data")
        );
        certificate = Some(cert);
        lines
    });
    let Some(nats) = nats else { return };
    let mut settings = settings(&nats);
    settings.server.urls = vec![format!("tls://localhost:{}", nats.port)];
    settings.server.ca_file.clone_from(&certificate);
    fill_new(&settings, 2).await;
    settings.server.ca_file = None;
    assert_kind(&refusal(&settings).await, Kind::Refused, "certificate");
    settings.server.ca_file = Some("/nonexistent.pem".into());
    assert_kind(&refusal(&settings).await, Kind::Refused, "/nonexistent.pem");
}
