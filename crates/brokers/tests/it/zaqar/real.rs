//! The same against a real Zaqar, if the environment names one: `LAMBENT_TEST_ZAQAR_URL`, and
//! `LAMBENT_TEST_ZAQAR_TOKEN` of a project that may make queues.

use std::sync::Arc;

use brokers::Secret;
use brokers::zaqar::{FixedToken, Server, Settings};

use super::*;
use crate::harness::{bodies, numbers, receive, soon};

#[tokio::test]
async fn a_real_zaqar_gives_takes_back_and_keeps_dead_letters() {
    let [url, token] =
        ["URL", "TOKEN"].map(|it| std::env::var(format!("LAMBENT_TEST_ZAQAR_{it}")).ok());
    let (Some(url), Some(token)) = (url, token) else {
        eprintln!("skipped: LAMBENT_TEST_ZAQAR_URL and LAMBENT_TEST_ZAQAR_TOKEN name no Zaqar");
        return;
    };
    let mut server = Server::new(Arc::new(FixedToken::new(Secret(token))));
    server.url = Some(url);
    let name = format!("lambent-test-{}-{}", std::process::id(), rand_suffix());
    let settings = Settings::new(server, name);
    let mut session = connect(&settings).await;
    fill(&settings, 25).await;
    let messages = receive(&mut *session, 25).await;
    assert_eq!(bodies(&messages), numbers(0..25));
    soon(session.accept(&deliveries(&messages[..23]))).await.unwrap();
    soon(session.refuse(&messages[23], "no JSON")).await.unwrap();
    soon(session.give_back(&[messages[24].delivery])).await.unwrap();
    assert_eq!(bodies(&receive(&mut *session, 1).await), ["24"]);
    assert_eq!(soon(session.backlog()).await.unwrap(), Some(0));
    soon(session.close()).await;
    let mut letters = settings.clone();
    letters.queue.clone_from(&settings.dead_letters);
    letters.dead_letters = format!("{}.2", settings.dead_letters);
    let mut letters = connect(&letters).await;
    let letter = receive(&mut *letters, 1).await.remove(0);
    assert!(bodies(std::slice::from_ref(&letter))[0].contains("no JSON"), "{letter:?}");
    soon(letters.accept(&[letter.delivery])).await.unwrap();
}

/// Queues of earlier runs may still be there.
fn rand_suffix() -> String {
    uuid::Uuid::now_v7().simple().to_string()[..12].to_owned()
}
