//! Sources: kept with their cursor, which moves together with the events that were read.

use bytes::Bytes;
use model::{Project, SourceId, SourceName};

use super::World;
use super::world::project;
use crate::{NewSource, Source};

impl World {
    pub(crate) fn source(&self, project: &Project, name: &str, kind: &str) -> NewSource {
        NewSource {
            id: SourceId::new(&self.clock),
            project: project.clone(),
            name: SourceName::parse(name).unwrap(),
            kind: kind.into(),
            settings: r#"{"a": "b"}"#.into(),
            sealed: Some(Bytes::from_static(b"\0secret")),
            enabled: true,
            now: self.now(),
        }
    }

    async fn put(&self, new: &NewSource) -> Source {
        self.store.put_source(new.clone()).await.unwrap()
    }

    async fn only_source(&self) -> Source {
        let mut sources = self.store.sources(None).await.unwrap();
        assert_eq!(sources.len(), 1);
        sources.remove(0)
    }

    /// Moves the cursor without events.
    async fn skip(&self, source: SourceId, before: Option<&str>, after: &str) -> bool {
        let before = before.map(str::to_owned);
        let moved = self.store.append_from(source, before, after.into(), Vec::new()).await;
        moved.unwrap().is_some()
    }
}

pub(crate) async fn a_source_is_kept_as_it_was_given(w: World) {
    let new = w.source(&w.project, "s", "rabbitmq");
    let put = w.put(&new).await;
    let expect = Source {
        id: new.id,
        project: new.project,
        name: new.name.clone(),
        kind: new.kind,
        settings: new.settings,
        sealed: new.sealed,
        enabled: true,
        created_at: new.now,
        updated_at: new.now,
        cursor: None,
    };
    assert_eq!(put, expect);
    assert_eq!(w.only_source().await, expect);
    assert!(w.store.delete_source(&w.project, &new.name).await.unwrap());
    assert!(!w.store.delete_source(&w.project, &new.name).await.unwrap());
    assert_eq!(w.store.sources(None).await.unwrap(), []);
}

pub(crate) async fn a_changed_source_keeps_its_id_and_cursor_unless_its_kind_changes(w: World) {
    let first = w.put(&w.source(&w.project, "s", "schedule")).await;
    assert!(w.skip(first.id, None, "c1").await);
    w.wait(5);
    let mut change = w.source(&w.project, "s", "schedule");
    (change.settings, change.sealed, change.enabled) = ("{}".into(), None, false);
    let changed = w.put(&change).await;
    let (settings, cursor) = ("{}".to_owned(), Some("c1".to_owned()));
    let expect =
        Source { settings, sealed: None, enabled: false, updated_at: w.now(), cursor, ..first };
    assert_eq!(changed, expect);
    let other = w.source(&w.project, "s", "rabbitmq");
    let replaced = w.put(&other).await;
    assert_eq!((replaced.id, replaced.cursor.clone()), (other.id, None));
    assert_eq!(replaced.created_at, w.now());
    assert_eq!(w.only_source().await, replaced);
    assert!(!w.skip(expect.id, Some("c1"), "c2").await, "that source is gone");
}

pub(crate) async fn a_project_lists_its_own_sources(w: World) {
    let (a, b) = (project("a"), project("b"));
    for (project, name) in [(&b, "x"), (&a, "y"), (&a, "x")] {
        w.put(&w.source(project, name, "schedule")).await;
    }
    let names = async |project: Option<&Project>| {
        let sources = w.store.sources(project).await.unwrap();
        sources.iter().map(|it| format!("{}/{}", it.project, it.name)).collect::<Vec<_>>()
    };
    assert_eq!(names(None).await, ["a/x", "a/y", "b/x"]);
    assert_eq!(names(Some(&a)).await, ["a/x", "a/y"]);
    assert!(names(Some(&w.project)).await.is_empty());
    assert!(!w.store.delete_source(&b, &SourceName::parse("y").unwrap()).await.unwrap());
}

pub(crate) async fn a_cursor_moves_with_its_events_and_only_from_where_it_is(w: World) {
    let f = w.deploy("f").await;
    let source = w.put(&w.source(&w.project, "s", "schedule")).await.id;
    let event = w.event("1", &[&f]);
    let from = async |before: Option<&str>, after: &str, event| {
        let before = before.map(str::to_owned);
        w.store.append_from(source, before, after.into(), vec![event]).await.unwrap()
    };
    let appended = from(None, "c1", event.clone()).await.unwrap();
    assert_eq!((appended[0].id, appended[0].invocations.len()), (event.id, 1));
    assert_eq!(w.only_source().await.cursor.as_deref(), Some("c1"));
    for before in [None, Some("c0"), Some("c2")] {
        let late = w.event("late", &[&f]);
        assert_eq!(from(before, "c2", late.clone()).await, None);
        assert_eq!(w.store.event(&w.project, late.id).await.unwrap(), None);
    }
    assert_eq!(w.store.counts().await.unwrap().queued, 1);
    assert!(w.skip(source, Some("c1"), "c2").await, "a tick without events");
    let again = from(Some("c2"), "c3", w.event("1", &[&f])).await.unwrap();
    assert!(again[0].duplicate, "an event that is there already moves the cursor, too");
    assert_eq!(w.only_source().await.cursor.as_deref(), Some("c3"));
}

pub(crate) async fn of_those_who_read_the_same_one_stores_it(w: World) {
    let f = w.deploy("f").await;
    let source = w.put(&w.source(&w.project, "s", "schedule")).await.id;
    let read = |n: usize| {
        let events = vec![w.event(&n.to_string(), &[&f])];
        w.store.append_from(source, None, "c1".into(), events)
    };
    let (a, b, c, d) = tokio::join!(read(1), read(2), read(3), read(4));
    let stored = [a, b, c, d].into_iter().filter(|it| it.as_ref().unwrap().is_some()).count();
    assert_eq!(stored, 1);
    assert_eq!(w.store.counts().await.unwrap().queued, 1);
}

pub(crate) async fn what_cannot_be_stored_leaves_the_cursor(w: World) {
    let f = w.deploy("f").await;
    let source = w.put(&w.source(&w.project, "s", "schedule")).await.id;
    let mut bad = w.event("1", &[&f, &f]);
    bad.invocations[1].id = bad.invocations[0].id;
    w.store.append_from(source, None, "c1".into(), vec![bad]).await.unwrap_err();
    assert_eq!(w.only_source().await.cursor, None);
    assert!(w.skip(source, None, "c1").await);
}
