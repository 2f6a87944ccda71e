//! A future that is finished by somebody: by whoever waits for it, or, if they go away, by a task.
//!
//! A caller who hangs up drops the future of their request at whatever await it stands. A call must
//! not end there: its attempt runs in a sandbox, and its record is owed to the ledger. Spawning a
//! task for every call would see to that, too, at the price of two wake-ups for each; here only
//! the abandoned ones become tasks.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::task::TaskTracker;

/// See the module's text.
pub(crate) struct Finish<T: 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: TaskTracker,
}

impl<T> Finish<T> {
    /// The task, if it comes to one, is one of `tasks`, which a drain waits for.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static, tasks: &TaskTracker) -> Self {
        Self { work: Some(Box::pin(work)), tasks: tasks.clone() }
    }
}

impl<T> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T> Drop for Finish<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.tasks.spawn(async move { drop(work.await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_finished_all_the_same() {
        let tasks = TaskTracker::new();
        let (go, gone) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let work = Finish::new(
            async move {
                drop(gone.await);
                tell.send("finished").unwrap();
            },
            &tasks,
        );
        tokio::select! {
            biased;
            () = work => panic!("it waits for us"),
            () = std::future::ready(()) => {}
        }
        go.send(()).unwrap();
        assert_eq!(told.await, Ok("finished"));
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn what_somebody_waits_for_becomes_no_task() {
        let tasks = TaskTracker::new();
        assert_eq!(Finish::new(async { 7 }, &tasks).await, 7);
        assert!(tasks.is_empty());
    }
}
