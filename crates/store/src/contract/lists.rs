//! Lists: pages that neither skip nor repeat, whatever is written meanwhile, and show one project.

use model::invocation::Status;
use model::{Fault, InvocationId};

use super::World;
use super::world::{page, project};
use crate::{Counts, Error, Filter, LogOf, Next, Page};

pub(crate) async fn invocations_are_listed_newest_first_and_filtered(w: World) {
    let (f, g) = (w.deploy("f").await, w.deploy("g").await);
    let mut all = Vec::new();
    for n in 0..4 {
        all.push(w.send(&format!("f{n}"), &f).await);
        all.push(w.send(&format!("g{n}"), &g).await);
        w.wait(3_600);
    }
    let since = w.now();
    let failed = w.call(&f, Some(Fault::function("ValueError", "no")));
    let good = w.call(&f, None);
    let (failed_id, good_id) = (failed.id, good.id);
    w.store.record(failed).await.unwrap();
    w.store.record(good).await.unwrap();
    let claimed = w.claim(&f, 2).await;
    let (dead, runs) = (claimed[0].id, claimed[1].id);
    assert!(w.settle(&claimed[0], Next::GaveUp("RetriesExhausted")).await);
    all.extend([failed_id, good_id]);
    all.reverse();
    let by = |function: Option<model::FunctionId>, status| Filter {
        function,
        status,
        ..Filter::default()
    };
    for limit in [1, 3, 100] {
        assert_eq!(w.list(Filter::default(), limit).await, all);
        assert_eq!(w.list(by(None, Some(Status::Dead)), limit).await, [dead]);
        assert_eq!(w.list(by(Some(f.id), Some(Status::Dead)), limit).await, [dead]);
        assert!(w.list(by(Some(g.id), Some(Status::Dead)), limit).await.is_empty());
        assert_eq!(w.list(by(None, Some(Status::Failed)), limit).await, [failed_id]);
        assert_eq!(w.list(by(None, Some(Status::Running)), limit).await, [runs]);
        assert_eq!(w.list(by(Some(f.id), Some(Status::Running)), limit).await, [runs]);
        assert_eq!(w.list(by(None, Some(Status::Succeeded)), limit).await, [good_id]);
        assert_eq!(w.list(by(Some(f.id), Some(Status::Succeeded)), limit).await, [good_id]);
        assert_eq!(w.list(by(None, Some(Status::Queued)), limit).await.len(), 6);
        assert_eq!(w.list(by(Some(g.id), Some(Status::Queued)), limit).await.len(), 4);
        assert!(w.list(by(None, Some(Status::Retrying)), limit).await.is_empty());
        assert_eq!(w.list(by(Some(f.id), None), limit).await.len(), 6);
        let young = Filter { since: Some(since), ..Filter::default() };
        assert_eq!(w.list(young, limit).await, [good_id, failed_id]);
        let young = Filter { since: Some(since), ..by(Some(g.id), Some(Status::Queued)) };
        assert!(w.list(young, limit).await.is_empty());
    }
}

pub(crate) async fn paging_sees_each_invocation_once_while_others_are_written(w: World) {
    let f = w.deploy("f").await;
    let mut before = Vec::new();
    for n in 0..10 {
        before.push(w.send(&n.to_string(), &f).await);
        w.wait(1);
    }
    before.reverse();
    let (mut cursor, mut seen) = (None, Vec::<InvocationId>::new());
    for n in 100.. {
        let listed = w
            .store
            .invocations(&w.project, Filter::default(), Page { limit: 3, cursor })
            .await
            .unwrap();
        seen.extend(listed.items.iter().map(|one| one.id));
        w.send(&n.to_string(), &f).await;
        let claimed = w.claim_one(&f).await;
        assert!(w.settle(&claimed, Next::Succeeded).await);
        w.wait(1);
        cursor = listed.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, before);
}

pub(crate) async fn a_project_sees_nothing_of_another(w: World) {
    let mine = w.deploy("f").await;
    let theirs = project("theirs");
    let secret = w.deploy_in(&theirs, "secret").await;
    let event = w.event("1", &[&secret]);
    let id = event.invocations[0].id;
    w.store.append(vec![event.clone()]).await.unwrap();
    let claimed = w.claim_one(&secret).await;
    assert!(w.settle(&claimed, Next::GaveUp("RetriesExhausted")).await);
    w.send("1", &mine).await;
    assert_eq!(w.store.invocation(&w.project, id).await.unwrap(), None);
    assert!(w.store.invocation(&theirs, id).await.unwrap().is_some());
    assert_eq!(w.store.event(&w.project, event.id).await.unwrap(), None);
    for status in Status::ALL {
        let listed = w.list(Filter { status: Some(status), ..Filter::default() }, 10).await;
        assert!(!listed.contains(&id), "{status:?}");
    }
    let of_function = Filter { function: Some(secret.id), ..Filter::default() };
    assert!(w.list(of_function, 10).await.is_empty());
    let of_event = Filter { event: Some(event.id), ..Filter::default() };
    assert!(w.list(of_event, 10).await.is_empty());
    for of in [LogOf::Invocation(id), LogOf::Function { function: secret.id, since: None }] {
        assert!(w.store.log(&w.project, of, page(10)).await.unwrap().items.is_empty());
        assert_eq!(w.store.log(&theirs, of, page(10)).await.unwrap().items.len(), 1);
    }
    assert_eq!(w.store.functions(&w.project, page(10)).await.unwrap().items, [mine]);
}

pub(crate) async fn functions_and_versions_are_paged(w: World) {
    for function in ["b", "c", "a", "b", "b"] {
        w.deploy(function).await;
    }
    let first = w.store.functions(&w.project, page(2)).await.unwrap();
    let names: Vec<_> = first.items.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let rest = Page { limit: 2, cursor: first.next };
    let rest = w.store.functions(&w.project, rest).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
    let b = first.items[1].id;
    let versions = w.store.versions(b, page(2)).await.unwrap();
    let numbers: Vec<_> = versions.items.iter().map(|version| version.number).collect();
    assert_eq!(numbers, [3, 2]);
    let rest = w.store.versions(b, Page { limit: 2, cursor: versions.next }).await.unwrap();
    assert_eq!((rest.items.len(), rest.items[0].number, rest.next), (1, 1, None));
}

pub(crate) async fn a_foreign_cursor_is_refused(w: World) {
    let bad = || Page { limit: 1, cursor: Some("nonsense".into()) };
    let f = w.deploy("f").await;
    let refused = [
        w.store.functions(&w.project, bad()).await.map(drop),
        w.store.versions(f.id, bad()).await.map(drop),
        w.store.invocations(&w.project, Filter::default(), bad()).await.map(drop),
        w.store.events(&w.project, crate::EventFilter::default(), bad()).await.map(drop),
        w.store
            .log(&w.project, LogOf::Function { function: f.id, since: None }, bad())
            .await
            .map(drop),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::Cursor { .. })), "{refused:?}");
    }
}

pub(crate) async fn counts_follow_what_happens(w: World) {
    let f = w.deploy("f").await;
    assert_eq!(w.store.counts().await.unwrap(), Counts::default());
    let begin = w.now();
    w.send("1", &f).await;
    w.wait(1);
    w.send("2", &f).await;
    w.send("3", &f).await;
    w.send("4", &f).await;
    let claimed = w.claim(&f, 3).await;
    assert!(w.settle(&claimed[0], Next::RetryAt(w.now())).await);
    assert!(w.settle(&claimed[1], Next::GaveUp("RetriesExhausted")).await);
    let expect = Counts {
        queued: 1,
        running: 1,
        retrying: 1,
        dead: 1,
        oldest_waiting: Some(begin),
        messages_waiting: 0,
        damaged_rows: 0,
    };
    assert_eq!(w.store.counts().await.unwrap(), expect);
    w.store.probe().await.unwrap();
}
