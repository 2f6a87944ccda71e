//! What happens when the broker goes away, in the ways in which brokers do.

use brokers::Kind;
use brokers::rabbitmq::{Address, RabbitQueue, Settings};
use brokers::testing::{PASSWORD, Rabbit, USER, encoded};
use brokers::{Queue, Session};

use crate::harness::*;

/// The session hears of it, and no wait is left behind.
async fn assert_lost(session: &mut dyn Session) {
    let error = loop {
        match soon(session.receive(100)).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::Lost, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_a_lost_session_and_the_next_one_has_every_message() {
    let Some(mut rabbit) = Rabbit::start() else { return };
    let settings = settings(&rabbit);
    let mut session = connect(&settings).await;
    fill(&settings, 50).await;
    let messages = receive(&mut *session, 10).await;
    let accepted: Vec<_> = messages[..5].iter().map(|it| it.delivery).collect();
    soon(session.accept(&accepted)).await.unwrap();
    session.backlog().await.unwrap();

    rabbit.stop();
    assert_lost(&mut *session).await;
    let error = session.accept(&[messages[5].delivery]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lost, "{error}");
    let error = refusal(&settings).await;
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");

    rabbit.start_again();
    let mut session = connect_when_ready(&settings).await;
    assert_eq!(bodies(&receive(&mut *session, 45).await), numbers(5..50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_failure_every_confirmed_message_is_there() {
    let Some(mut rabbit) = Rabbit::start() else { return };
    let settings = settings(&rabbit);
    let mut session = connect(&settings).await;
    fill(&settings, 100).await;
    assert_eq!(receive(&mut *session, 10).await.len(), 10);
    rabbit.kill();
    assert_lost(&mut *session).await;
    drop(session);
    rabbit.start_again();
    let mut session = connect_when_ready(&settings).await;
    assert_eq!(bodies(&receive(&mut *session, 100).await), numbers(0..100));
}

/// A node answers a little before it has its queues.
async fn connect_when_ready(settings: &Settings) -> Box<dyn Session> {
    let queue = RabbitQueue::new(settings.clone()).unwrap();
    soon(async {
        loop {
            if let Ok(session) = queue.connect().await {
                break session;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_deleted_queue_is_a_lost_session() {
    let Some(rabbit) = shared() else { return };
    let settings = settings(rabbit);
    let mut session = connect(&settings).await;
    rabbit.ctl(&["delete_queue", &settings.queue]);
    assert_lost(&mut *session).await;
}

#[tokio::test]
async fn a_connection_that_an_operator_closes_is_lost() {
    let Some(rabbit) = Rabbit::start() else { return };
    let settings = settings(&rabbit);
    let mut session = connect(&settings).await;
    rabbit.ctl(&["close_all_connections", "maintenance"]);
    assert_lost(&mut *session).await;
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_noticed() {
    let Some(rabbit) = shared() else { return };
    let relay = Relay::to(rabbit.port).await;
    let mut settings = settings(rabbit);
    let url = format!("amqp://{USER}:{}@{}", encoded(PASSWORD), relay.address);
    settings.server.address = Address::parse(&url).unwrap();
    settings.server.heartbeat_s = 1;
    let mut session = connect(&settings).await;
    relay.fall_silent();
    assert_lost(&mut *session).await;
}

#[tokio::test]
async fn a_session_over_tls_needs_a_certificate_that_somebody_has_signed() {
    let mut certificate = None;
    let rabbit = Rabbit::start_with_tls(|folder| {
        let [cert, key] = ["cert.pem", "key.pem"].map(|it| folder.join(it));
        let made = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-out".as_ref(), cert.as_os_str(), "-keyout".as_ref(), key.as_os_str()])
            .output();
        assert!(made.is_ok_and(|it| it.status.success()), "openssl cannot make a certificate");
        let (cert_text, key_text) = (cert.display(), key.display());
        let lines = format!(
            "ssl_options.cacertfile = {cert_text}\nssl_options.certfile = {cert_text}\n\
             ssl_options.keyfile = {key_text}\nssl_options.verify = verify_none\n"
        );
        certificate = Some(cert);
        lines
    });
    let Some(rabbit) = rabbit else { return };
    let mut settings = settings(&rabbit);
    let port = rabbit.tls_port.unwrap();
    let url = format!("amqps://{USER}:{}@localhost:{port}", encoded(PASSWORD));
    settings.server.address = Address::parse(&url).unwrap();

    settings.server.ca_file.clone_from(&certificate);
    let mut session = connect(&settings).await;
    fill(&settings, 300).await;
    assert_eq!(bodies(&receive(&mut *session, 200).await), numbers(0..200));
    session.close().await;

    // The name in the certificate is another one.
    let mut elsewhere = settings.clone();
    elsewhere.server.address = Address::parse(&url.replace("localhost", "127.0.0.1")).unwrap();
    let error = refusal(&elsewhere).await;
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");

    settings.server.ca_file = Some("/nonexistent.pem".into());
    let error = refusal(&settings).await;
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("/nonexistent.pem"), "{error}");
}
