//! Logs: lines in the order in which they came, to be read by page and to be followed.

use model::limits::LOG_LINE_BYTES;

use super::World;
use super::world::{line, page};
use crate::{LogAppend, LogOf, Page};

impl World {
    /// Pages from here to the end, and the cursor there.
    async fn read_log(
        &self,
        of: LogOf,
        limit: usize,
        from: Option<String>,
    ) -> (Vec<String>, String) {
        let (mut cursor, mut texts) = (from, Vec::new());
        loop {
            let page = Page { limit, cursor: cursor.clone() };
            let listed = self.store.log(&self.project, of, page).await.unwrap();
            assert!(listed.items.len() <= limit);
            let end = listed.items.is_empty();
            texts.extend(listed.items.into_iter().map(|logged| logged.line.text));
            cursor = Some(listed.next.expect("a log always goes on"));
            if end {
                return (texts, cursor.unwrap());
            }
        }
    }
}

pub(crate) async fn lines_come_in_order_page_by_page_and_can_be_followed(w: World) {
    let f = w.deploy("f").await;
    let mut call = w.call(&f, None);
    call.log = (0..5).map(|n| line(w.now(), &format!("a{n}"))).collect();
    w.store.record(call.clone()).await.unwrap();
    let of = LogOf::Function { function: f.id, since: None };
    for limit in 1..7 {
        let (texts, _) = w.read_log(of, limit, None).await;
        assert_eq!(texts, ["a0", "a1", "a2", "a3", "a4"]);
    }
    let (_, end) = w.read_log(of, 2, None).await;
    let (texts, end) = w.read_log(of, 2, Some(end)).await;
    assert!(texts.is_empty());
    let mut next = w.call(&f, None);
    next.log = vec![line(w.now(), "b0")];
    w.store.record(next.clone()).await.unwrap();
    assert_eq!(w.read_log(of, 2, Some(end)).await.0, ["b0"]);
    assert_eq!(w.read_log(LogOf::Invocation(next.id), 2, None).await.0, ["b0"]);
}

pub(crate) async fn a_function_log_holds_its_invocations_since_a_time(w: World) {
    let (f, g) = (w.deploy("f").await, w.deploy("g").await);
    for (function, text) in [(&f, "old"), (&g, "other"), (&f, "older")] {
        let mut call = w.call(function, None);
        call.log = vec![line(w.now(), text)];
        w.store.record(call).await.unwrap();
    }
    w.wait(10);
    let since = Some(w.now());
    let mut call = w.call(&f, None);
    call.log = vec![
        line(w.now().minus(std::time::Duration::from_secs(1)), "before"),
        line(w.now(), "new"),
    ];
    w.store.record(call).await.unwrap();
    let of = |since| LogOf::Function { function: f.id, since };
    assert_eq!(w.read_log(of(None), 10, None).await.0, ["old", "older", "before", "new"]);
    assert_eq!(w.read_log(of(since), 1, None).await.0, ["new"]);
}

pub(crate) async fn lines_before_the_end_of_an_attempt_are_seen(w: World) {
    let f = w.deploy("f").await;
    let call = w.call(&f, None);
    let append = LogAppend {
        invocation: call.id,
        function: f.id,
        attempt: 1,
        lines: vec![line(w.now(), "so far")],
    };
    w.store.append_log(vec![append]).await.unwrap();
    let log = w.store.log(&w.project, LogOf::Invocation(call.id), page(9)).await.unwrap();
    assert_eq!(log.items.len(), 1);
    assert_eq!((log.items[0].invocation, log.items[0].attempt), (call.id, 1));
}

pub(crate) async fn a_large_log_comes_in_bounded_pages(w: World) {
    let f = w.deploy("f").await;
    let long = "x".repeat(LOG_LINE_BYTES);
    let mut call = w.call(&f, None);
    call.log = (0..100).map(|_| line(w.now(), &long)).collect();
    w.store.record(call.clone()).await.unwrap();
    let of = LogOf::Invocation(call.id);
    let first = w.store.log(&w.project, of, page(1_000)).await.unwrap();
    assert!(first.items.len() < 100, "a page is bounded in bytes");
    assert_eq!(w.read_log(of, 1_000, None).await.0.len(), 100);
}
