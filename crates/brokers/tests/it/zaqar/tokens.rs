//! Who we are, and what happens when that is not believed any more.

use std::sync::Arc;

use brokers::zaqar::{
    FixedToken, Interface, Keystone, KeystoneSettings, Login, Server, Settings, Tokens,
};
use brokers::{Kind, Secret};

use super::cloud::Cloud;
use super::*;
use crate::harness::{bodies, numbers, receive, soon};

#[tokio::test]
async fn a_token_that_is_revoked_in_the_middle_is_replaced_once() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 30).await;
    let mut session = connect(&settings).await;
    let first = receive(&mut *session, 20).await;
    cloud.revoke_tokens();
    // Several requests at a time hear that the token is gone.
    soon(session.accept(&deliveries(&first))).await.unwrap();
    assert_eq!(cloud.logins().len(), 2);
    assert_eq!(bodies(&receive(&mut *session, 10).await), numbers(20..30));
}

#[tokio::test]
async fn a_token_that_has_ended_by_its_own_words_is_not_used_again() {
    let cloud = Cloud::start().await;
    cloud.tokens_live(0);
    let settings = settings(&cloud);
    fill(&settings, 3).await;
    assert!(cloud.logins().len() >= 3, "{:?}", cloud.logins());
}

#[tokio::test]
async fn a_new_token_that_is_not_believed_either_is_a_refusal() {
    let cloud = Cloud::start().await;
    let mut settings = settings(&cloud);
    settings.server.url = Some(cloud.url());
    cloud.trouble("/v2/", 2, cloud::Trouble::Say(401, ""));
    assert_kind(&refusal(&settings).await, Kind::Refused, "401");
    assert_eq!(cloud.logins().len(), 2);
}

#[tokio::test]
async fn a_fixed_token_needs_a_url_and_is_asked_for_once() {
    let cloud = Cloud::start().await;
    cloud.believe("gAAAAAB-fixed");
    let fixed =
        |token: &str| -> Arc<dyn Tokens> { Arc::new(FixedToken::new(Secret(token.to_owned()))) };
    let mut settings = Settings::new(Server::new(fixed("gAAAAAB-fixed")), "orders");
    assert_kind(&refusal(&settings).await, Kind::Refused, "name a url");
    settings.server.url = Some(cloud.url());
    fill(&settings, 1).await;
    assert_eq!(receive(&mut *connect(&settings).await, 1).await.len(), 1);

    settings.server.tokens = fixed("gAAAAAB-other");
    let error = refusal(&settings).await;
    assert_kind(&error, Kind::Refused, "requires authentication");
    assert!(!error.to_string().contains("gAAAAAB"), "{error}");
    settings.server.tokens = fixed("");
    assert_kind(&refusal(&settings).await, Kind::Refused, "it is empty");
    settings.server.tokens = fixed("a\nb");
    assert_kind(&refusal(&settings).await, Kind::Refused, "no token has");
}

#[tokio::test]
async fn an_application_credential_lets_us_in() {
    let cloud = Cloud::start().await;
    let secret = Secret(PASSWORD.to_owned());
    let login = Login::ApplicationCredential { id: "c-1".to_owned(), secret };
    let keystone = Keystone::new(KeystoneSettings::new(cloud.url(), login)).unwrap();
    let settings = Settings::new(Server::new(Arc::new(keystone)), "orders");
    drop(connect(&settings).await);
    let methods = &cloud.logins()[0]["auth"]["identity"]["methods"];
    assert_eq!(methods, &serde_json::json!(["application_credential"]));
}

#[tokio::test]
async fn a_login_that_fails_is_said_without_the_password() {
    let cloud = Cloud::start().await;
    let with = |url: String, password: &str| {
        let keystone = Keystone::new(KeystoneSettings::new(url, login(password))).unwrap();
        Settings::new(Server::new(Arc::new(keystone)), "orders")
    };
    let wrong = format!("{PASSWORD} and more");
    let error = refusal(&with(cloud.url(), &wrong)).await;
    assert_kind(&error, Kind::Refused, "get a token");

    let nobody = "http://127.0.0.1:1".to_owned();
    assert_kind(&refusal(&with(nobody, PASSWORD)).await, Kind::Unreachable, "127.0.0.1:1");

    for (trouble, kind, words) in [
        (cloud::Trouble::Say(503, ""), Kind::Busy, "503"),
        (cloud::Trouble::Say(201, "{}"), Kind::Refused, "X-Subject-Token"),
        (cloud::Trouble::Say(200, "<html>"), Kind::Refused, "200"),
        (cloud::Trouble::HangUp, Kind::Unreachable, "get a token"),
    ] {
        cloud.trouble("/v3/auth/tokens", 1, trouble);
        assert_kind(&refusal(&with(cloud.url(), PASSWORD)).await, kind, words);
    }
}

#[tokio::test]
async fn a_catalogue_without_zaqar_is_a_refusal_that_says_what_was_looked_for() {
    let cloud = Cloud::start().await;
    let mut settings = settings(&cloud);
    settings.server.interface = Interface::Internal;
    settings.server.region = Some("RegionTwo".to_owned());
    assert_kind(&refusal(&settings).await, Kind::Refused, "internal in the region RegionTwo");
    settings.server.interface = Interface::Public;
    settings.server.region = Some("RegionOne".to_owned());
    drop(connect(&settings).await);
    cloud.without_catalogue();
    cloud.revoke_tokens();
    assert_kind(&refusal(&super::settings(&cloud)).await, Kind::Refused, "\"messaging\"");
}
