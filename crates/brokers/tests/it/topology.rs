//! What is made, what is found, and what is refused.

use std::time::Duration;

use brokers::rabbitmq::{Address, Argument, Binding, ExchangeKind, RabbitPublisher};
use brokers::testing::USER;
use brokers::{Kind, Outgoing, Publisher};
use tokio::net::TcpListener;

use crate::harness::*;

fn binding(exchange: &str, durable: bool) -> Binding {
    Binding {
        exchange: exchange.to_owned(),
        kind: ExchangeKind::Topic,
        durable,
        routing_keys: vec!["notifications.info".to_owned(), "versioned.*".to_owned()],
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    let url = format!("amqp://{USER}:hunter2@127.0.0.1:{}", rabbit.port);
    settings.server.address = Address::parse(&url).unwrap();
    let error = refusal(&settings).await;
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("ACCESS_REFUSED") && text.contains(USER), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn an_unknown_virtual_host_is_refused() {
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    settings.server.address = Address::parse(&format!("{}/nowhere", rabbit.url())).unwrap();
    let error = refusal(&settings).await;
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable_and_so_is_one_that_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [nobody, silent.local_addr().unwrap()] {
        let mut settings =
            brokers::rabbitmq::Settings::new(server(&format!("amqp://u:p@{address}")), "q");
        settings.server.answer_wait = Duration::from_millis(300);
        let error = refusal(&settings).await;
        assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    }
}

#[tokio::test]
async fn a_missing_queue_is_refused_where_none_may_be_declared() {
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    settings.declare = false;
    let error = refusal(&settings).await;
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("NOT_FOUND"), "{error}");
    // Once it is there, it is used.
    settings.declare = true;
    connect(&settings).await.close().await;
    settings.declare = false;
    fill(&settings, 1).await;
    assert_eq!(receive(&mut *connect(&settings).await, 1).await.len(), 1);
}

#[tokio::test]
async fn a_queue_that_exists_with_other_arguments_is_refused() {
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    settings.arguments.insert("x-max-length".to_owned(), Argument::Number(5));
    connect(&settings).await.close().await;
    settings.arguments.clear();
    let error = refusal(&settings).await;
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    assert!(error.to_string().contains("PRECONDITION_FAILED"), "{error}");
}

#[tokio::test]
async fn an_exchange_that_is_missing_is_made_and_one_with_other_flags_is_used() {
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    // The first session makes it, durable; the second would have it otherwise, and makes another.
    let [old, new] = ["old", "new"].map(|it| format!("{} {it}", settings.queue));
    settings.bindings = vec![binding(&old, true)];
    connect(&settings).await.close().await;
    settings.bindings = vec![binding(&old, false), binding(&new, false)];
    settings.bindings[0].kind = ExchangeKind::Fanout;
    let mut session = connect(&settings).await;
    let publisher = RabbitPublisher::new(settings.server.clone()).unwrap();
    for (exchange, key) in [(&old, "notifications.info"), (&new, "versioned.x")] {
        let message = Outgoing { exchange: exchange.clone(), ..outgoing(key, key) };
        soon(publisher.publish(message)).await.unwrap();
    }
    let messages = receive(&mut *session, 2).await;
    assert_eq!(bodies(&messages), ["notifications.info", "versioned.x"]);
    assert_eq!([&messages[0].exchange, &messages[1].exchange], [&old, &new]);
}

#[tokio::test]
async fn a_quorum_queue_is_a_queue() {
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    settings.arguments.insert("x-queue-type".to_owned(), Argument::Text("quorum".to_owned()));
    let mut session = connect(&settings).await;
    fill(&settings, 20).await;
    let messages = receive(&mut *session, 10).await;
    let deliveries: Vec<_> = messages.iter().map(|it| it.delivery).collect();
    soon(session.accept(&deliveries)).await.unwrap();
    session.close().await;
    let mut session = connect(&settings).await;
    assert_eq!(bodies(&receive(&mut *session, 10).await), numbers(10..20));
}

#[tokio::test]
async fn the_connection_has_its_name_at_the_broker() {
    let Some(rabbit) = shared() else { return };
    let mut settings = settings(rabbit);
    settings.server.connection_name = "lambent 0.1.0 orders".to_owned();
    let session = connect(&settings).await;
    let listed = rabbit.ctl(&["list_connections", "client_properties"]);
    assert!(listed.contains("lambent 0.1.0 orders"), "{listed}");
    session.close().await;
}
