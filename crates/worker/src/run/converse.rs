//! Saying one thing to the shim and listening for what it says, with everything that may happen
//! meanwhile: output that fills the pipes, lines that somebody follows, the sandbox's end, the
//! deadline.
//!
//! For the first milliseconds only the channel and the sandbox's end are listened to. An attempt
//! that lasts gets its pipes watched too, or a function that writes more than a pipe holds would
//! stand still; most attempts end before that and cost no more than they must.

use std::pin::{Pin, pin};
use std::time::Duration;

use model::invocation::LogLine;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, Sleep};
use wire::runtime::{FromShim, Outgoing};

use super::Attempt;
use crate::live::{Broken, End, Live, forget_readiness};

/// How long a full pipe may hold a function up before anybody reads it.
const WATCHED_FROM: Duration = Duration::from_millis(5);

/// How long a pipe is left alone after each read once the log keeps no more: reading what is thrown
/// away costs processor time of the worker's that no limit of the function counts. 64 KiB in this
/// time are six megabytes a second; a function that writes faster waits.
const FULL_LOG_PAUSE: Duration = Duration::from_millis(10);

/// How often the lines of a running attempt are handed on, to whoever follows it.
const FOLLOWED_EVERY: Duration = Duration::from_secs(1);

/// What came of it.
pub(super) enum Heard {
    Frame(FromShim),
    Garbage(String),
    /// The channel is closed, or the sandbox has ended.
    Closed,
    Deadline,
}

impl From<Broken> for Heard {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Closed => Self::Closed,
            Broken::Garbage(why) => Self::Garbage(why),
        }
    }
}

/// What else may happen.
enum Event {
    Timer,
    Stdout,
    Stderr,
    Ended,
}

impl Attempt<'_> {
    /// Sends the frame and waits for one.
    pub(super) async fn converse(
        &mut self,
        live: &mut Live,
        mut frame: Outgoing,
        limit: Duration,
    ) -> Heard {
        let begun = Instant::now();
        let deadline = begun + limit;
        let mut timer = pin!(tokio::time::sleep_until(deadline.min(begun + WATCHED_FROM)));
        let mut pipes = Pipes::default();
        let mut follow_at = begun + FOLLOWED_EVERY;
        let mut sent = match live.channel.write(&mut frame) {
            Ok(sent) => sent,
            Err(broken) => return broken.into(),
        };
        loop {
            let event = if sent {
                tokio::select! {
                    biased;
                    filled = live.channel.fill(&mut live.buffer) => {
                        // What came before a close is heard first.
                        match (live.channel.frame(), filled) {
                            (Ok(Some(frame)), _) => return Heard::Frame(frame),
                            (Err(broken), _) | (Ok(None), Err(broken)) => return broken.into(),
                            (Ok(None), Ok(())) => continue,
                        }
                    }
                    event = event(timer.as_mut(), &mut pipes, &mut live.end) => event,
                }
            } else {
                tokio::select! {
                    biased;
                    writable = live.channel.writable() => {
                        match writable.and_then(|()| live.channel.write(&mut frame)) {
                            Ok(all) => sent = all,
                            Err(broken) => return broken.into(),
                        }
                        continue;
                    }
                    event = event(timer.as_mut(), &mut pipes, &mut live.end) => event,
                }
            };
            match event {
                Event::Ended => {
                    // Its last word may still be in the channel.
                    live.channel.fill_now(&mut live.buffer);
                    return match live.channel.frame() {
                        Ok(Some(frame)) => Heard::Frame(frame),
                        Ok(None) => Heard::Closed,
                        Err(broken) => broken.into(),
                    };
                }
                Event::Stdout => {
                    let now = self.shared.clock.now();
                    let more = live.stdout.drain(&mut self.log, &mut live.buffer, now);
                    pipes.stdout.was_read(more, live.stdout.closed, self.log.is_full());
                }
                Event::Stderr => {
                    let now = self.shared.clock.now();
                    let more = live.stderr.drain(&mut self.log, &mut live.buffer, now);
                    pipes.stderr.was_read(more, live.stderr.closed, self.log.is_full());
                }
                Event::Timer => {
                    let now = Instant::now();
                    if now >= deadline {
                        return Heard::Deadline;
                    }
                    if !pipes.watched {
                        pipes.watch(live);
                    }
                    if now >= follow_at {
                        self.hand_on_lines();
                        follow_at = now + FOLLOWED_EVERY;
                    }
                    let next = if self.job.live_log.is_some() { follow_at } else { deadline };
                    timer.as_mut().reset(next.min(deadline));
                }
            }
        }
    }

    fn hand_on_lines(&mut self) {
        if let Some(sink) = &self.job.live_log
            && !self.log.is_empty()
        {
            let lines: Vec<LogLine> = self.log.take();
            sink.take(self.job.invocation, self.job.attempt, lines);
        }
    }
}

/// Waits for whatever comes first.
async fn event(timer: Pin<&mut Sleep>, pipes: &mut Pipes, end: &mut End) -> Event {
    tokio::select! {
        biased;
        () = timer => Event::Timer,
        _exit = end.wait() => Event::Ended,
        () = pipes.stdout.readable() => Event::Stdout,
        () = pipes.stderr.readable() => Event::Stderr,
    }
}

/// The pipes, as the poller sees them.
#[derive(Default)]
struct Pipes {
    watched: bool,
    stdout: Pipe,
    stderr: Pipe,
}

impl Pipes {
    fn watch(&mut self, live: &Live) {
        self.watched = true;
        // One that cannot be watched (for want of descriptors) is read at the end.
        self.stdout.poller = live.stdout.poller().ok();
        self.stderr.poller = live.stderr.poller().ok();
    }
}

#[derive(Default)]
struct Pipe {
    poller: Option<Receiver>,
    /// The last read stopped before the pipe was empty.
    more: bool,
    /// Not to be read before this.
    rests_until: Option<Instant>,
}

impl Pipe {
    /// Waits until there is something to read; for ever, if nobody watches or nobody writes.
    async fn readable(&mut self) {
        if let Some(until) = self.rests_until {
            tokio::time::sleep_until(until).await;
            self.rests_until = None;
        }
        if self.more {
            // A function that writes without end must not keep this thread from everybody else.
            tokio::task::yield_now().await;
            return;
        }
        let Some(poller) = &self.poller else { return std::future::pending().await };
        match poller.readable().await {
            // Before reading, so that what comes while we read is told anew.
            Ok(()) => forget_readiness(|empty| poller.try_io(empty)),
            Err(_lost_poller) => std::future::pending().await,
        }
    }

    fn was_read(&mut self, more: bool, closed: bool, log_is_full: bool) {
        self.more = more;
        self.rests_until = log_is_full.then(|| Instant::now() + FULL_LOG_PAUSE);
        if closed {
            self.poller = None;
        }
    }
}
