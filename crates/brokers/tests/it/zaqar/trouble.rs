//! A Zaqar that is short of workers, behind a broken proxy, or gone.

use std::sync::Arc;
use std::time::Duration;

use brokers::zaqar::{Keystone, KeystoneSettings, Server, Settings};
use brokers::{Kind, Session};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

use super::cloud::{Cloud, Trouble};
use super::*;
use crate::harness::{bodies, numbers, receive, soon};

#[tokio::test]
async fn an_overloaded_zaqar_is_busy_and_the_next_session_has_everything() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 3).await;
    cloud.trouble("PUT", 1, Trouble::Say(503, r#"{"title":"Service temporarily unavailable"}"#));
    assert_kind(&refusal(&settings).await, Kind::Busy, "temporarily unavailable");
    let mut session = connect(&settings).await;
    cloud.trouble("claims", 1, Trouble::Say(503, ""));
    assert_kind(&soon(session.receive(3)).await.unwrap_err(), Kind::Busy, "503");
    drop(session);
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 3).await;
    cloud.trouble("DELETE", 1, Trouble::Say(429, ""));
    let error = soon(session.accept(&deliveries(&messages))).await.unwrap_err();
    assert_kind(&error, Kind::Busy, "429");
    drop(session);
    cloud.end_claims();
    let left = cloud.bodies("orders").len();
    assert!((1..=3).contains(&left), "{left}");
    assert_eq!(receive(&mut *connect(&settings).await, left).await.len(), left);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_loses_the_session_and_no_message() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 3).await;
    for (answer, words) in [(r#"{"messages":[]}"#, "Location"), ("<html>", "Location")] {
        let mut session = connect(&settings).await;
        cloud.trouble("claims", 1, Trouble::Say(201, answer));
        assert_kind(&soon(session.receive(3)).await.unwrap_err(), Kind::Lost, words);
    }
    let mut session = connect(&settings).await;
    cloud.trouble("stats", 1, Trouble::Say(200, "{}"));
    assert_kind(&soon(session.backlog()).await.unwrap_err(), Kind::Lost, "is this a Zaqar?");
    assert_eq!(bodies(&receive(&mut *session, 3).await), numbers(0..3));
}

#[tokio::test]
async fn a_page_or_a_redirection_in_place_of_zaqar_is_a_refusal() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    for status in [302, 403, 404] {
        cloud.trouble("PUT", 1, Trouble::Say(status, "<html>"));
        let error = refusal(&settings).await;
        assert_kind(&error, Kind::Refused, &status.to_string());
        assert!(!error.to_string().contains("html"), "{error}");
    }
}

#[tokio::test]
async fn a_zaqar_that_hangs_up_or_says_nothing_is_a_lost_session() {
    let cloud = Cloud::start().await;
    let mut settings = settings(&cloud);
    fill(&settings, 1).await;
    cloud.trouble("PUT", 1, Trouble::HangUp);
    assert_eq!(refusal(&settings).await.kind(), Kind::Unreachable);
    let mut session = connect(&settings).await;
    cloud.trouble("claims", 1, Trouble::HangUp);
    assert_eq!(soon(session.receive(1)).await.unwrap_err().kind(), Kind::Lost);
    settings.server.answer_wait = Duration::from_millis(200);
    let mut session = connect(&settings).await;
    cloud.trouble("claims", 1, Trouble::Wait(CancellationToken::new()));
    assert_kind(&soon(session.receive(1)).await.unwrap_err(), Kind::Lost, "no answer within 0.2 s");
}

#[tokio::test]
async fn https_needs_a_certificate_that_somebody_has_signed() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] = ["cert.pem", "key.pem"].map(|it| folder.path().join(it));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-out".as_ref(), cert.as_os_str(), "-keyout".as_ref(), key.as_os_str()])
        .output();
    assert!(made.is_ok_and(|it| it.status.success()), "openssl cannot make a certificate");
    let certificate = CertificateDer::from_pem_file(&cert).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_file(&key).unwrap())
        .unwrap();
    let cloud = Cloud::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await;
    let with = |ca_file: Option<&std::path::Path>| {
        let mut keystone = KeystoneSettings::new(cloud.url(), login(PASSWORD));
        keystone.ca_file = ca_file.map(Into::into);
        let mut server = Server::new(Arc::new(Keystone::new(keystone).unwrap()));
        server.ca_file = ca_file.map(Into::into);
        Settings::new(server, "orders")
    };
    let settings = with(Some(&cert));
    fill(&settings, 2).await;
    let mut session: Box<dyn Session> = connect(&settings).await;
    assert_eq!(bodies(&receive(&mut *session, 2).await), numbers(0..2));
    assert_kind(&refusal(&with(None)).await, Kind::Refused, "certificate");
    let nowhere = with(Some("/nonexistent.pem".as_ref()));
    assert_kind(&refusal(&nowhere).await, Kind::Refused, "/nonexistent.pem");
}
