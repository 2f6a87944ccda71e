//! Replays: a cursor that moves together with what it starts, once.

use model::limits::DEDUPE_WINDOW;
use model::{Pattern, Project, ReplayId};

use super::World;
use super::world::{page, project, seconds, trigger};
use crate::{
    NewInvocation, NewReplay, Page, REPLAYS_AT_ONCE, Replay, ReplayOrder, ReplayState, ReplayStep,
    ReplayTarget,
};

impl World {
    fn order(&self) -> ReplayOrder {
        ReplayOrder {
            from: self.now().minus(seconds(60)),
            to: self.now(),
            source: None,
            kind: None,
            pattern: None,
            target: None,
            rate_per_s: 100,
        }
    }

    async fn begin_replay(&self, project: &Project) -> ReplayId {
        let id = ReplayId::new(&self.clock);
        let (project, order) = (project.clone(), self.order());
        let new = NewReplay { id, project, order, created_at: self.now() };
        assert!(self.store.create_replay(new).await.unwrap());
        id
    }

    fn step(
        &self,
        replay: ReplayId,
        before: Option<&str>,
        after: &str,
        invocations: Vec<NewInvocation>,
    ) -> ReplayStep {
        ReplayStep {
            replay,
            project: self.project.clone(),
            before: before.map(str::to_owned),
            after: after.into(),
            reached_at: self.now(),
            events: 3,
            matched: 1,
            invocations,
        }
    }

    async fn found(&self, id: ReplayId) -> Replay {
        self.store.replay(&self.project, id).await.unwrap().unwrap()
    }
}

pub(crate) async fn a_replay_is_kept_as_it_was_ordered(w: World) {
    let f = w.deploy("f").await;
    let order = ReplayOrder {
        source: Some("s".into()),
        kind: Some("t".into()),
        pattern: Some(Pattern::parse(r#"{"data":{"a":[1]}}"#).unwrap()),
        target: Some(ReplayTarget {
            function: f.id,
            function_name: f.name.clone(),
            trigger: Some(trigger("on-it")),
            version: Some(1),
            ignore_triggers: true,
        }),
        rate_per_s: 7,
        ..w.order()
    };
    for order in [order, w.order()] {
        let id = ReplayId::new(&w.clock);
        let project = w.project.clone();
        let new = NewReplay { id, project, order, created_at: w.now() };
        assert!(w.store.create_replay(new.clone()).await.unwrap());
        let expect = Replay {
            id,
            project: new.project,
            order: new.order,
            created_at: new.created_at,
            state: ReplayState::Running,
            reason: None,
            ended_at: None,
            cursor: None,
            reached_at: None,
            events: 0,
            matched: 0,
            invocations: 0,
        };
        assert_eq!(w.found(id).await, expect);
        assert!(w.store.running_replays().await.unwrap().contains(&expect));
    }
}

pub(crate) async fn a_replay_moves_with_its_invocations_and_only_from_where_it_is(w: World) {
    let f = w.deploy("f").await;
    let event = w.event("1", &[]);
    w.store.append(vec![event.clone()]).await.unwrap();
    let replay = w.begin_replay(&w.project).await;
    let again = || NewInvocation { replay: Some(replay), ..w.invocation(event.id, &f) };
    w.wait(1);
    let step = w.step(replay, None, "c1", vec![again(), again()]);
    assert_eq!(w.store.advance_replay(step.clone()).await.unwrap(), Some(2));
    for before in [None, Some("c0"), Some("c2")] {
        let late = w.step(replay, before, "c2", vec![again()]);
        assert_eq!(w.store.advance_replay(late).await.unwrap(), None);
    }
    let foreign =
        ReplayStep { project: project("other"), ..w.step(replay, Some("c1"), "c2", vec![]) };
    assert_eq!(w.store.advance_replay(foreign).await.unwrap(), None);
    assert_eq!(w.store.counts().await.unwrap().queued, 2);
    let nothing = w.step(replay, Some("c1"), "c2", Vec::new());
    assert_eq!(w.store.advance_replay(nothing).await.unwrap(), Some(0));
    let found = w.found(replay).await;
    assert_eq!((found.cursor.as_deref(), found.reached_at), (Some("c2"), Some(w.now())));
    assert_eq!((found.events, found.matched, found.invocations), (6, 2, 2));
    let detail = w.detail(step.invocations[0].id).await;
    assert_eq!(detail.invocation.replay, Some(replay));
}

pub(crate) async fn of_those_who_make_the_same_step_one_does(w: World) {
    let f = w.deploy("f").await;
    let event = w.event("1", &[]);
    w.store.append(vec![event.clone()]).await.unwrap();
    let replay = w.begin_replay(&w.project).await;
    let step = || {
        let step = w.step(replay, None, "c1", vec![w.invocation(event.id, &f)]);
        w.store.advance_replay(step)
    };
    let (a, b, c, d) = tokio::join!(step(), step(), step(), step());
    let made = [a, b, c, d].into_iter().filter(|it| it.as_ref().unwrap().is_some()).count();
    assert_eq!(made, 1);
    assert_eq!(w.store.counts().await.unwrap().queued, 1);
}

pub(crate) async fn an_ended_replay_does_not_move_and_stays_as_it_ended(w: World) {
    let replay = w.begin_replay(&w.project).await;
    let end = async |project: &Project, state, reason: Option<&str>| {
        let reason = reason.map(str::to_owned);
        w.store.end_replay(project, replay, state, reason, w.now()).await.unwrap()
    };
    assert!(!end(&project("other"), ReplayState::Cancelled, None).await);
    assert!(end(&w.project, ReplayState::Failed, Some("no")).await);
    let ended = w.found(replay).await;
    assert_eq!((ended.state, ended.reason.as_deref()), (ReplayState::Failed, Some("no")));
    assert_eq!(ended.ended_at, Some(w.now()));
    w.wait(1);
    assert!(!end(&w.project, ReplayState::Done, None).await);
    let step = w.step(replay, None, "c1", Vec::new());
    assert_eq!(w.store.advance_replay(step).await.unwrap(), None);
    assert_eq!(w.found(replay).await, ended);
    assert_eq!(w.store.running_replays().await.unwrap(), []);
}

pub(crate) async fn a_step_that_cannot_be_stored_leaves_the_replay_where_it_is(w: World) {
    let f = w.deploy("f").await;
    let event = w.event("1", &[]);
    w.store.append(vec![event.clone()]).await.unwrap();
    let replay = w.begin_replay(&w.project).await;
    let one = w.invocation(event.id, &f);
    let bad = w.step(replay, None, "c1", vec![one.clone(), one]);
    w.store.advance_replay(bad).await.unwrap_err();
    let found = w.found(replay).await;
    assert_eq!((found.cursor, found.events, found.invocations), (None, 0, 0));
    assert_eq!(w.store.counts().await.unwrap().queued, 0);
}

pub(crate) async fn a_step_leaves_out_what_a_sweep_has_taken(w: World) {
    let f = w.deploy("f").await;
    let event = w.event("1", &[]);
    w.store.append(vec![event.clone()]).await.unwrap();
    w.clock.advance(DEDUPE_WINDOW + seconds(1));
    let replay = w.begin_replay(&w.project).await;
    assert_eq!(w.store.sweep(w.now(), w.now(), 10).await.unwrap(), 1);
    let step = w.step(replay, None, "c1", vec![w.invocation(event.id, &f)]);
    assert_eq!(w.store.advance_replay(step).await.unwrap(), Some(0));
    assert_eq!(w.found(replay).await.invocations, 0);
}

pub(crate) async fn a_project_may_run_so_many_replays_at_once(w: World) {
    let mut last = None;
    for _ in 0..REPLAYS_AT_ONCE {
        last = Some(w.begin_replay(&w.project).await);
    }
    let new = || {
        let (project, order) = (w.project.clone(), w.order());
        NewReplay { id: ReplayId::new(&w.clock), project, order, created_at: w.now() }
    };
    assert!(!w.store.create_replay(new()).await.unwrap());
    w.begin_replay(&project("other")).await;
    let done = w.store.end_replay(&w.project, last.unwrap(), ReplayState::Done, None, w.now());
    assert!(done.await.unwrap());
    assert!(w.store.create_replay(new()).await.unwrap());
}

pub(crate) async fn replays_are_listed_newest_first_and_each_project_has_its_own(w: World) {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(w.begin_replay(&w.project).await);
    }
    let other = w.begin_replay(&project("other")).await;
    made.reverse();
    let first = w.store.replays(&w.project, page(2)).await.unwrap();
    let rest = Page { limit: 2, cursor: first.next };
    let rest = w.store.replays(&w.project, rest).await.unwrap();
    let listed: Vec<_> = first.items.iter().chain(&rest.items).map(|it| it.id).collect();
    assert_eq!((listed, rest.next), (made, None));
    assert_eq!(w.store.replay(&w.project, other).await.unwrap(), None);
    assert_eq!(w.store.running_replays().await.unwrap().len(), 4);
}

pub(crate) async fn an_ended_replay_is_swept_and_a_running_one_is_not(w: World) {
    let (ended, running) = (w.begin_replay(&w.project).await, w.begin_replay(&w.project).await);
    let done = w.store.end_replay(&w.project, ended, ReplayState::Done, None, w.now());
    assert!(done.await.unwrap());
    assert_eq!(w.store.sweep(w.now(), w.now(), 10).await.unwrap(), 0);
    w.wait(1);
    assert_eq!(w.store.sweep(w.now(), w.now(), 10).await.unwrap(), 1);
    assert_eq!(w.store.replay(&w.project, ended).await.unwrap(), None);
    assert_eq!(w.found(running).await.state, ReplayState::Running);
}
