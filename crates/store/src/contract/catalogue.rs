//! Functions, versions, triggers and API keys: what every store must keep of them.

use model::function::Trigger;
use model::invocation::Status;
use model::{Delivery, Fault, Function, KeyName, Pattern, TriggerName, fault};

use super::World;
use super::world::{name, page, project};
use crate::{Key, NewKey, Next};

fn deleted() -> Fault {
    Fault::platform(fault::FUNCTION_DELETED, "the function was deleted")
}

impl World {
    async fn delete(&self, function: &Function) -> bool {
        self.store.delete_function(function.id, &deleted(), self.now()).await.unwrap()
    }

    fn trigger(&self, function: &Function, pattern: &str) -> Trigger {
        Trigger {
            function: function.id,
            name: TriggerName::parse("on-it").unwrap(),
            pattern: Pattern::parse(pattern).unwrap(),
            delivery: Delivery::default(),
            created_at: self.now(),
        }
    }
}

pub(crate) async fn each_deploy_makes_the_next_version_and_leaves_the_others_alone(w: World) {
    let first = w.deploy("f").await;
    w.wait(5);
    let second = w.deploy("f").await;
    assert_eq!((first.latest.number, second.latest.number), (1, 2));
    assert_eq!(first.id, second.id);
    assert_eq!(second.created_at, first.created_at);
    assert_eq!(w.store.function(&w.project, &name("f")).await.unwrap(), Some(second.clone()));
    assert_eq!(w.store.version(first.id, 1).await.unwrap(), Some(first.latest));
    assert_eq!(w.store.version(first.id, 2).await.unwrap(), Some(second.latest));
    assert_eq!(w.store.version(first.id, 3).await.unwrap(), None);
}

pub(crate) async fn two_projects_can_use_one_name(w: World) {
    let (a, b) = (project("a"), project("b"));
    let (one, two) = (w.deploy_in(&a, "f").await, w.deploy_in(&b, "f").await);
    assert_ne!(one.id, two.id);
    assert_eq!(w.store.function(&a, &name("f")).await.unwrap(), Some(one));
    assert_eq!(w.store.functions(&b, page(10)).await.unwrap().items, [two]);
    assert_eq!(w.store.function(&w.project, &name("f")).await.unwrap(), None);
}

pub(crate) async fn a_trigger_is_replaced_by_name(w: World) {
    let function = w.deploy("f").await;
    let patterns = async || {
        let catalogue = w.store.catalogue().await.unwrap();
        let triggers = catalogue.into_iter().flat_map(|it| it.triggers);
        triggers.map(|trigger| trigger.pattern.to_string()).collect::<Vec<_>>()
    };
    assert!(w.store.put_trigger(&w.trigger(&function, r#"{"type":["a"]}"#)).await.unwrap());
    assert!(w.store.put_trigger(&w.trigger(&function, r#"{"type":["b"]}"#)).await.unwrap());
    let kept = Pattern::parse(r#"{"type":["b"]}"#).unwrap().to_string();
    assert_eq!(patterns().await, [kept]);
    let trigger = TriggerName::parse("on-it").unwrap();
    assert!(w.store.delete_trigger(function.id, &trigger).await.unwrap());
    assert!(!w.store.delete_trigger(function.id, &trigger).await.unwrap());
    assert!(patterns().await.is_empty());
}

pub(crate) async fn a_trigger_for_a_deleted_function_is_refused(w: World) {
    let function = w.deploy("f").await;
    assert!(w.delete(&function).await);
    assert!(!w.store.put_trigger(&w.trigger(&function, r#"{"type":["a"]}"#)).await.unwrap());
}

pub(crate) async fn a_name_can_be_used_again_and_is_another_function(w: World) {
    let first = w.deploy("f").await;
    assert!(w.store.put_trigger(&w.trigger(&first, r#"{"type":["a"]}"#)).await.unwrap());
    assert!(w.delete(&first).await);
    assert!(!w.delete(&first).await);
    assert_eq!(w.store.function(&w.project, &name("f")).await.unwrap(), None);
    assert_eq!(w.store.version(first.id, 1).await.unwrap(), None);
    let second = w.deploy("f").await;
    assert_ne!(first.id, second.id);
    assert_eq!(second.latest.number, 1);
    let catalogue = w.store.catalogue().await.unwrap();
    assert_eq!(catalogue.len(), 1);
    assert_eq!(catalogue[0].function, second);
    assert!(catalogue[0].triggers.is_empty());
}

pub(crate) async fn deleting_a_function_makes_dead_letters_of_what_waits(w: World) {
    let (function, other) = (w.deploy("f").await, w.deploy("other").await);
    let (waits, others) = (w.send("1", &function).await, w.send("2", &other).await);
    w.wait(1);
    assert!(w.delete(&function).await);
    let buried = w.detail(waits).await;
    assert_eq!(buried.invocation.status, Status::Dead);
    assert_eq!(buried.invocation.fault, Some(deleted()));
    assert_eq!(buried.invocation.ended_at, Some(w.now()));
    assert_eq!(buried.invocation.function_name, name("f"));
    assert_eq!(buried.transitions.last().unwrap().reason, fault::FUNCTION_DELETED);
    assert_eq!(w.status(others).await, Status::Queued);
    assert!(w.claim(&function, 10).await.is_empty());
    assert!(!w.store.redrive(&w.project, waits, w.now()).await.unwrap());
}

pub(crate) async fn many_that_wait_are_all_buried(w: World) {
    let function = w.deploy("f").await;
    let events = (0..700).map(|n| w.event(&n.to_string(), &[&function])).collect();
    w.store.append(events).await.unwrap();
    assert!(w.delete(&function).await);
    let counts = w.store.counts().await.unwrap();
    assert_eq!((counts.queued, counts.dead), (0, 700));
}

pub(crate) async fn what_arrives_for_a_deleted_function_is_a_dead_letter_at_once(w: World) {
    let function = w.deploy("f").await;
    let late = w.event("1", &[&function]);
    assert!(w.delete(&function).await);
    let appended = w.store.append(vec![late]).await.unwrap();
    let detail = w.detail(appended[0].invocations[0].2).await;
    assert_eq!(detail.invocation.status, Status::Dead);
    assert_eq!(detail.invocation.fault, Some(deleted()));
    assert_eq!(w.store.waiting().await.unwrap(), []);
}

pub(crate) async fn a_running_attempt_of_a_deleted_function_may_end_but_is_not_retried(w: World) {
    let function = w.deploy("f").await;
    for sender_id in ["1", "2", "3"] {
        w.send(sender_id, &function).await;
    }
    let running = w.claim(&function, 3).await;
    assert!(w.delete(&function).await);
    assert!(w.settle(&running[0], Next::Succeeded).await);
    assert_eq!(w.status(running[0].id).await, Status::Succeeded);
    assert!(w.settle(&running[1], Next::RetryAt(w.now())).await);
    assert_eq!(w.detail(running[1].id).await.invocation.fault, Some(deleted()));
    w.wait(31);
    assert_eq!(w.store.interrupt(w.now(), None).await.unwrap(), 1);
    for running in &running[1..] {
        assert_eq!(w.status(running.id).await, Status::Dead);
    }
}

pub(crate) async fn a_key_name_is_taken_once_per_project(w: World) {
    let key = |project: &str, hash| NewKey {
        key: Key {
            project: super::world::project(project),
            name: KeyName::parse("ci").unwrap(),
            created_at: w.now(),
            hash: [hash; 32],
        },
        hash: [hash; 32],
    };
    assert!(w.store.create_key(key("a", 1)).await.unwrap());
    assert!(!w.store.create_key(key("a", 2)).await.unwrap());
    assert!(w.store.create_key(key("b", 3)).await.unwrap());
    let keys = w.store.keys().await.unwrap();
    assert_eq!(keys, [key("a", 1).key, key("b", 3).key]);
    assert!(w.store.delete_key(&project("a"), "ci").await.unwrap());
    assert!(!w.store.delete_key(&project("a"), "ci").await.unwrap());
    assert_eq!(w.store.keys().await.unwrap().len(), 1);
}
