//! What comes, and what becomes of it.

use std::time::Duration;

use brokers::zaqar::ZaqarPublisher;
use brokers::{Kind, Outgoing, Publisher};
use tokio_util::sync::CancellationToken;

use super::cloud::{Cloud, Trouble};
use super::*;
use crate::harness::{bodies, numbers, outgoing, receive, soon};

#[tokio::test]
async fn a_hundred_messages_come_in_order_and_are_deleted() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 100).await;
    let mut session = connect(&settings).await;
    let mut seen = Vec::new();
    while seen.len() < 100 {
        let batch = soon(session.receive(64)).await.unwrap();
        seen.extend(bodies(&batch).into_iter().map(str::to_owned));
        soon(session.accept(&deliveries(&batch))).await.unwrap();
    }
    assert_eq!(seen, numbers(0..100));
    assert_eq!(cloud.bodies("orders"), Vec::<String>::new());
    // One login for the publisher and the session together: they share the tokens.
    assert_eq!(cloud.logins().len(), 1);
}

#[tokio::test]
async fn a_message_is_the_bytes_that_were_sent_and_has_zaqars_own_id() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    let publisher = ZaqarPublisher::new(settings.server.clone(), LIFE).unwrap();
    let json = Some("application/json".to_owned());
    for (body, content_type) in
        [("{\"n\" : 1.00}", &json), ("{\"n\" : 1.00}", &None), ("a \"text\" é", &None)]
    {
        let message = Outgoing { content_type: content_type.clone(), ..outgoing("orders", body) };
        soon(publisher.publish(message)).await.unwrap();
    }
    assert_eq!(cloud.bodies("orders")[0], "{\"n\" : 1.00}");
    let mut session = connect(&settings).await;
    let got = receive(&mut *session, 3).await;
    assert_eq!(bodies(&got), ["{\"n\" : 1.00}", "{\"n\" : 1.00}", "a \"text\" é"]);
    assert_eq!(got[0].content_type, json);
    assert_eq!(got[1].content_type, None);
    assert_eq!((got[0].exchange.as_str(), got[0].routing_key.as_str()), ("", "orders"));
    let ids: Vec<_> = got.iter().map(|it| it.message_id.clone().unwrap()).collect();
    drop(session);
    cloud.end_claims();
    let again = receive(&mut *connect(&settings).await, 3).await;
    assert_eq!(again.into_iter().map(|it| it.message_id.unwrap()).collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn what_zaqar_cannot_carry_is_refused() {
    let cloud = Cloud::start().await;
    let publisher = ZaqarPublisher::new(server(&cloud), LIFE).unwrap();
    for (message, words) in [
        (Outgoing { exchange: "x".to_owned(), ..outgoing("orders", "1") }, "no exchanges"),
        (Outgoing { body: vec![0xff].into(), ..outgoing("orders", "") }, "the body is none"),
        (
            Outgoing { headers: vec![("a".into(), "1".into())], ..outgoing("orders", "1") },
            "no place for headers",
        ),
        (outgoing("a/b", "1"), "no name for a queue"),
    ] {
        assert_kind(&soon(publisher.publish(message)).await.unwrap_err(), Kind::Refused, words);
    }
    let large = outgoing("orders", "x".repeat(300_000));
    let error = soon(publisher.publish(large)).await.unwrap_err();
    assert_kind(&error, Kind::Refused, "too large");
    assert_eq!(cloud.bodies("orders"), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_not_accepted_comes_again_after_its_claim_and_what_was_does_not() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 10).await;
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 10).await;
    let accepted: Vec<_> = [0, 1, 2, 3, 7].map(|index: usize| messages[index].delivery).to_vec();
    soon(session.accept(&accepted)).await.unwrap();
    drop(session);
    cloud.end_claims();
    let mut session = connect(&settings).await;
    assert_eq!(bodies(&receive(&mut *session, 5).await), ["4", "5", "6", "8", "9"]);
    // An answer meant for the old session must not answer for a delivery of the new one.
    let error = soon(session.accept(&[messages[4].delivery])).await.unwrap_err();
    assert_kind(&error, Kind::Lost, "does not hold it");
    assert_eq!(cloud.bodies("orders").len(), 5);
}

#[tokio::test]
async fn a_goodbye_gives_everything_back_at_once() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 3).await;
    let mut session = connect(&settings).await;
    assert_eq!(receive(&mut *session, 2).await.len(), 2);
    assert_eq!(cloud.claimed("orders"), 2);
    soon(session.close()).await;
    assert_eq!(cloud.claimed("orders"), 0);
    assert_eq!(bodies(&receive(&mut *connect(&settings).await, 3).await), numbers(0..3));
}

#[tokio::test]
async fn a_claim_is_renewed_until_its_last_message_has_an_answer() {
    let cloud = Cloud::start().await;
    let mut settings = settings(&cloud);
    settings.renew_every = Duration::from_millis(10);
    fill(&settings, 2).await;
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 2).await;
    soon(session.accept(&[messages[0].delivery])).await.unwrap();
    // One that fails is no loss.
    cloud.trouble("PATCH", 1, Trouble::Say(503, ""));
    cloud.until("PATCH", 5).await;
    soon(session.accept(&[messages[1].delivery])).await.unwrap();
    fill(&settings, 1).await;
    assert_eq!(receive(&mut *session, 1).await.len(), 1);
}

#[tokio::test]
async fn a_claim_that_is_over_is_a_lost_session() {
    let cloud = Cloud::start().await;
    let mut settings = settings(&cloud);
    fill(&settings, 1).await;
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 1).await;
    cloud.end_claims();
    let error = soon(session.accept(&deliveries(&messages))).await.unwrap_err();
    assert_kind(&error, Kind::Lost, "comes again");
    drop(session);
    assert_eq!(cloud.bodies("orders").len(), 1);

    // Nobody answers, and the renewal hears of it.
    settings.renew_every = Duration::from_millis(10);
    let mut session = connect(&settings).await;
    assert_eq!(receive(&mut *session, 1).await.len(), 1);
    settings.renew_every = Duration::from_secs(20);
    cloud.end_claims();
    let mut other = connect(&settings).await;
    assert_eq!(receive(&mut *other, 1).await.len(), 1);
    assert_kind(&ended(&mut *session).await, Kind::Lost, "it is over");
    soon(other.close()).await;
}

#[tokio::test]
async fn a_refused_message_is_in_the_dead_letter_queue_with_the_reason() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 2).await;
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 2).await;
    soon(session.refuse(&messages[0], "line 1: not JSON")).await.unwrap();
    let letters = cloud.bodies("orders.dead-letters");
    let id = messages[0].message_id.as_deref().unwrap();
    let expected = format!(
        r#"{{"lambent-reason":"line 1: not JSON","lambent-queue":"orders","lambent-message-id":"{id}","body":"0"}}"#
    );
    assert_eq!(letters, [expected]);
    assert_eq!(cloud.bodies("orders"), ["\"1\""]);
}

#[tokio::test]
async fn a_refused_message_that_is_too_large_for_its_reason_goes_as_it_came() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    let publisher = ZaqarPublisher::new(settings.server.clone(), LIFE).unwrap();
    let large = "x".repeat(262_144 - 50);
    soon(publisher.publish(outgoing("orders", large.as_str()))).await.unwrap();
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 1).await;
    soon(session.refuse(&messages[0], "not JSON")).await.unwrap();
    assert_eq!(cloud.bodies("orders.dead-letters"), [format!("\"{large}\"")]);
    assert_eq!(cloud.bodies("orders"), Vec::<String>::new());
}

#[tokio::test]
async fn without_its_dead_letter_a_message_is_not_deleted() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 1).await;
    let mut session = connect(&settings).await;
    let messages = receive(&mut *session, 1).await;
    cloud.trouble("dead-letters/messages", 1, Trouble::Say(503, ""));
    let error = soon(session.refuse(&messages[0], "no JSON")).await.unwrap_err();
    assert_kind(&error, Kind::Busy, "503");
    assert_eq!(cloud.bodies("orders").len(), 1);
    assert_eq!(cloud.bodies("orders.dead-letters").len(), 0);
}

#[tokio::test]
async fn what_is_given_back_comes_again_in_its_order_with_what_was_not_received() {
    let cloud = Cloud::start().await;
    let mut settings = settings(&cloud);
    settings.claim_most = 10;
    fill(&settings, 15).await;
    let mut session = connect(&settings).await;
    let first = receive(&mut *session, 5).await;
    soon(session.accept(&[first[0].delivery])).await.unwrap();
    soon(session.give_back(&deliveries(&first[2..]))).await.unwrap();
    // One of the claim is still under way, and Zaqar releases whole claims.
    assert_eq!(cloud.claimed("orders"), 4);
    soon(session.accept(&[first[1].delivery])).await.unwrap();
    assert_eq!(cloud.claimed("orders"), 0);
    assert_eq!(bodies(&receive(&mut *session, 13).await), numbers(2..15));
}

#[tokio::test]
async fn the_backlog_is_what_nobody_has_claimed() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 10).await;
    let mut session = connect(&settings).await;
    receive(&mut *session, 3).await;
    assert_eq!(soon(session.backlog()).await.unwrap(), Some(7));
}

#[tokio::test]
async fn an_empty_queue_is_asked_until_there_is_something() {
    let cloud = Cloud::start().await;
    let mut settings = settings(&cloud);
    settings.poll = (Duration::from_millis(1), Duration::from_millis(4));
    let mut session = connect(&settings).await;
    let waiting = tokio::spawn(async move { receive(&mut *session, 1).await.len() });
    cloud.until("claims", 5).await;
    fill(&settings, 1).await;
    assert_eq!(soon(waiting).await.unwrap(), 1);
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let cloud = Cloud::start().await;
    let settings = settings(&cloud);
    fill(&settings, 1).await;
    let mut session = connect(&settings).await;
    let answer = CancellationToken::new();
    cloud.trouble("claims", 1, Trouble::Wait(answer.clone()));
    soon(async {
        tokio::select! {
            _ = session.receive(1) => panic!("nothing can have come"),
            () = cloud.until("claims", 1) => {}
        }
    })
    .await;
    answer.cancel();
    assert_eq!(bodies(&receive(&mut *session, 1).await), ["0"]);
    assert_eq!(cloud.count("claims"), 1);
}
