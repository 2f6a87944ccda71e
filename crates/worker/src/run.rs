//! One attempt: a sandbox, the code in it, one event in, one answer out.
//!
//! The story: get a sandbox from the pool (`wait`); if it has no code yet, mount it and let the
//! shim load it; hand over the event and listen for the answer, the end of the sandbox or the
//! deadline, whichever comes first (`converse`); read what was written; give the sandbox back, or
//! have it destroyed. Everything that can go wrong becomes a [`Fault`] with a stable code
//! (`verdict`). Where a sandbox is lost before the handler began, nothing has happened yet and
//! another one is tried.
//!
//! A warm attempt makes one write, one read and a look at each pipe; it starts no task and waits
//! for one thing, the channel.

mod converse;
mod verdict;
mod wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::fault::{self, Fault};
use model::invocation::{Start, Timing};
use model::{Timestamp, limits};
use sandbox::Limits;
use serde::de::IgnoredAny;
use wire::runtime::{FromShim, Init, Invoke};
use wire::worker::{Effect, FunctionSpec, Job, Report};

use crate::agent::{Got, Shared, Taken};
use crate::code::Folder;
use crate::launcher::{self, Reply};
use crate::live::Live;
use crate::logs::Log;
use crate::pool::Reason;
use crate::with_causes;

use converse::Heard;
pub(crate) use verdict::ended;

/// Sandboxes that may be lost before the handler began: the second time it is not chance.
const SANDBOXES_TRIED: u32 = 2;

/// A run that was longer than this has its memory measured; a shorter one is not worth the
/// question, which costs about as much as a warm attempt, and goes by the last measurement.
const MEASURED_FROM: Duration = Duration::from_millis(5);

/// The launcher answers in microseconds unless it is making sandboxes; a report does not wait for
/// a measurement longer than this.
const MEASURE_LIMIT: Duration = Duration::from_millis(100);

/// Mounting and thawing take microseconds. The launcher may have a queue of starts before it.
const LAUNCHER_LIMIT: Duration = Duration::from_secs(10);

/// Checking a larger answer would keep a thread of the runtime for more than a millisecond.
const CHECKED_HERE_BYTES: usize = 256 * 1024;

/// Answers up to this size are copied out of the buffer they were read into, which is reused.
const COPIED_BYTES: usize = 4 * 1024;

/// AWS gives one core at 1,769 MiB and less below. Less than one would make small functions wait
/// without making others faster, as cores are shared by weight anyway; above it, we do the same.
const MIB_PER_CORE: u32 = 1_769;

/// Makes the attempt.
pub(crate) async fn attempt(shared: &Arc<Shared>, job: Job) -> Report {
    let mut attempt = Attempt {
        shared,
        started_at: shared.clock.now(),
        job: &job,
        start: None,
        timing: Timing::default(),
        memory_peak_bytes: None,
        effects: Vec::new(),
        log: Log::default(),
    };
    let outcome = attempt.make().await;
    let Attempt { started_at, start, timing, memory_peak_bytes, effects, mut log, .. } = attempt;
    shared.metrics.dropped_log(log.dropped_bytes());
    Report {
        started_at,
        ended_at: shared.clock.now(),
        start,
        timing,
        memory_peak_bytes,
        effects: if outcome.is_ok() { effects } else { Vec::new() },
        outcome,
        log: log.take(),
        log_dropped_bytes: log.dropped_bytes(),
    }
}

/// What an attempt gathers for its report.
struct Attempt<'a> {
    shared: &'a Arc<Shared>,
    job: &'a Job,
    started_at: Timestamp,
    start: Option<Start>,
    timing: Timing,
    memory_peak_bytes: Option<u64>,
    effects: Vec<Effect>,
    log: Log,
}

/// How it went with one sandbox.
enum Use {
    /// The handler answered or raised; the sandbox is well.
    Answered(Result<Bytes, Fault>),
    /// This is the outcome, and the sandbox must go.
    Over(Fault, Reason),
    /// The sandbox must go, and the handler had not begun.
    Lost(String, Reason),
}

impl Attempt<'_> {
    async fn make(&mut self) -> Result<Bytes, Fault> {
        let spec = &*self.job.spec;
        let Some(need) = self.shared.need(spec) else {
            return Err(verdict::no_runtime(spec, &self.shared.runtimes));
        };
        let mut tried = 0;
        loop {
            tried += 1;
            let asked = Instant::now();
            let Got { mut taken, start, thaw } = wait::sandbox(self.shared, need, self.job).await?;
            self.start = Some(start);
            self.shared.metrics.attempt_got(start);
            match self.use_sandbox(&mut taken, thaw, asked).await {
                Use::Answered(outcome) => {
                    taken.give_back(self.timing.run);
                    return outcome;
                }
                Use::Over(fault, reason) => {
                    taken.condemn(reason);
                    return Err(fault);
                }
                Use::Lost(why, reason) => {
                    taken.condemn(reason);
                    tracing::warn!(%why, tried, "a sandbox was lost before its attempt began");
                    if tried == SANDBOXES_TRIED {
                        return Err(Fault::platform(fault::SANDBOX_FAILURE, why));
                    }
                }
            }
        }
    }

    async fn use_sandbox(&mut self, taken: &mut Taken, thaw: bool, asked: Instant) -> Use {
        if taken.live().code.is_some() {
            if let Some(end) = self.wake(taken.live(), thaw).await {
                return end;
            }
            self.timing.sandbox = asked.elapsed();
        } else {
            let folder = match self.code().await {
                Ok(folder) => folder,
                Err(fault) => return Use::Over(fault, Reason::Failure),
            };
            let mounting = Instant::now();
            if let Some(end) = self.mount(taken.live(), folder).await {
                return end;
            }
            self.timing.sandbox = asked.elapsed();
            let loading = Instant::now();
            let end = self.load(taken).await;
            self.timing.init = loading.elapsed();
            if let Some(end) = end {
                return end;
            }
            self.shared.metrics.loaded(self.timing.init);
            let id = taken.live().id;
            self.shared.with_pool(|state, _| state.pool.loaded(id, mounting.elapsed()));
        }
        self.invoke(taken).await
    }

    async fn code(&self) -> Result<Arc<Folder>, Fault> {
        let spec = &*self.job.spec;
        self.shared.cache.get(&spec.code).await.map_err(|error| {
            let why = format!("cannot get the code of {}: {error}", spec.name);
            Fault::platform(fault::SANDBOX_FAILURE, why)
        })
    }

    /// Brings the code into an empty sandbox and sets the function's limits.
    async fn mount(&mut self, live: &mut Live, folder: Arc<Folder>) -> Option<Use> {
        let limits = limits_of(&self.job.spec);
        let pending = self.shared.launcher.assign(live.id, folder.name(), limits);
        let lost = |why| Some(Use::Lost(why, Reason::Failure));
        match tokio::time::timeout(LAUNCHER_LIMIT, launcher::answer(pending)).await {
            Ok(Ok(_done)) => {
                live.code = Some(folder);
                None
            }
            Ok(Err(failure)) => lost(failure.to_string()),
            Err(_elapsed) => lost("the launcher did not mount the code in time".into()),
        }
    }

    /// Has the shim load the handler.
    async fn load(&mut self, taken: &mut Taken) -> Option<Use> {
        let spec = &*self.job.spec;
        let live = taken.live();
        let group = format!("/aws/lambda/{}", spec.name);
        let stream = format!("[{}]{:016x}", spec.version, live.id);
        let version = spec.version.to_string();
        let arn =
            format!("arn:aws:lambda:lambent:{}:function:{}:{version}", spec.project, spec.name);
        let init = Init {
            function: spec.name.as_str().into(),
            version: version.into(),
            project: spec.project.as_str().into(),
            handler: spec.handler.as_str().into(),
            memory_mib: spec.memory_mib,
            env: std::borrow::Cow::Borrowed(&spec.env),
            task_root: "/var/task".into(),
            log_group: group.into(),
            log_stream: stream.into(),
            function_arn: arn.into(),
        };
        let frame = match live.channel.encode(&init, Bytes::new()) {
            Ok(frame) => frame,
            Err(error) => return Some(Use::Lost(with_causes(&error), Reason::Failure)),
        };
        let heard = self.converse(live, frame, limits::INIT_TIMEOUT).await;
        match heard {
            Heard::Frame(FromShim::Ready(_)) if !live.channel.has_rest() => None,
            Heard::Frame(FromShim::InitError(error)) => {
                self.read_output(live);
                Some(Use::Over(verdict::init_error(error), Reason::InitFailed))
            }
            heard => Some(self.bad_end(taken, heard, verdict::Phase::Init).await),
        }
    }

    /// Makes sure that a warm sandbox is awake and has done nothing in the meantime that it should
    /// not have done.
    async fn wake(&mut self, live: &mut Live, thaw: bool) -> Option<Use> {
        if live.channel.has_spoken() {
            let why = "an idle sandbox spoke without being asked, or had ended".into();
            return Some(Use::Lost(why, Reason::Protocol));
        }
        if thaw {
            let pending = self.shared.launcher.thaw(live.id);
            let lost = |why| Some(Use::Lost(why, Reason::Failure));
            match tokio::time::timeout(LAUNCHER_LIMIT, launcher::answer(pending)).await {
                Ok(Ok(_done)) => {}
                Ok(Err(failure)) => return lost(failure.to_string()),
                Err(_elapsed) => return lost("the launcher did not thaw it in time".into()),
            }
        }
        let between = live.discard_output();
        if between > 0 {
            self.log.written_between(self.shared.clock.now(), between);
        }
        None
    }

    async fn invoke(&mut self, taken: &mut Taken) -> Use {
        let job = self.job;
        let timeout = job.spec.timeout;
        let invocation = job.invocation.to_string();
        let deadline = self.shared.clock.now().plus(timeout).millis();
        let event_id = job.event.as_ref().map(|(id, _)| id.to_string());
        let trigger = job.event.as_ref().and_then(|(_, trigger)| trigger.as_ref());
        let invoke = Invoke {
            invocation: invocation.as_str().into(),
            attempt: job.attempt,
            deadline_ms: u64::try_from(deadline).unwrap_or(0),
            event_id: event_id.map(Into::into),
            trigger: trigger.map(|trigger| trigger.as_str().into()),
            client_context: None,
            trace: None,
        };
        let live = taken.live();
        let frame = match live.channel.encode(&invoke, job.payload.clone()) {
            Ok(frame) => frame,
            // The event is larger than the door lets in: not the function's doing.
            Err(error) => {
                let fault = Fault::platform(fault::SANDBOX_FAILURE, with_causes(&error));
                return Use::Over(fault, Reason::Failure);
            }
        };
        let begun = Instant::now();
        let heard = self.converse(live, frame, timeout).await;
        self.timing.run = begun.elapsed();
        self.shared.metrics.ran(self.timing.run);
        let outcome = match heard {
            Heard::Frame(_) if live.channel.has_rest() => {
                Err(Heard::Garbage("it sent more than one answer".into()))
            }
            Heard::Frame(FromShim::Response { response, answer })
                if response.invocation == invocation =>
            {
                self.effects = response.effects;
                Ok(Ok(answer))
            }
            Heard::Frame(FromShim::Error(error)) if error.invocation == invocation => {
                Ok(Err(verdict::call_error(error)))
            }
            heard => Err(heard),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(heard) => return self.bad_end(taken, heard, verdict::Phase::Run).await,
        };
        self.read_output(live);
        let outcome = match outcome {
            Ok(answer) => match checked(answer).await {
                Ok(answer) => Ok(answer),
                Err(why) => {
                    let heard = Heard::Garbage(why);
                    return self.bad_end(taken, heard, verdict::Phase::Run).await;
                }
            },
            Err(fault) => Err(fault),
        };
        self.measure(live).await;
        if live.usage.is_some_and(|usage| usage.oom_kills > 0) {
            // A part of it was killed, and the rest did not notice, or hid it well.
            taken.condemn(Reason::OutOfMemory);
        }
        Use::Answered(outcome)
    }

    /// Asks for the memory's peak where it is worth it.
    async fn measure(&mut self, live: &mut Live) {
        if live.usage.is_none() || self.timing.run > MEASURED_FROM {
            let pending = launcher::answer(self.shared.launcher.usage(live.id));
            if let Ok(Ok(Reply::Usage(usage))) = tokio::time::timeout(MEASURE_LIMIT, pending).await
            {
                live.usage = Some(usage);
            }
        }
        self.memory_peak_bytes = live.usage.map(|usage| usage.memory_peak_bytes);
    }

    /// Reads all that was written before this moment, and ends the last lines.
    fn read_output(&mut self, live: &mut Live) {
        let now = self.shared.clock.now();
        for output in [&mut live.stdout, &mut live.stderr] {
            output.drain(&mut self.log, &mut live.buffer, now);
            output.finish(&mut self.log, now);
        }
    }
}

/// The limits of a sandbox that runs this version.
fn limits_of(spec: &FunctionSpec) -> Limits {
    let memory_bytes = u64::from(spec.memory_mib) * 1024 * 1024;
    Limits {
        memory_bytes,
        cpu_millis: (spec.memory_mib.saturating_mul(1_000) / MIB_PER_CORE).max(1_000),
        tmp_bytes: (memory_bytes / 4).max(limits::TMP_BYTES_MIN),
        ..Limits::default()
    }
}

/// The answer, if it is JSON. The shim sees to that; what else may hold the other end need not.
async fn checked(answer: Bytes) -> Result<Bytes, String> {
    if answer.len() <= CHECKED_HERE_BYTES {
        check_json(&answer)?;
    } else {
        let copy = answer.clone();
        match tokio::task::spawn_blocking(move || check_json(&copy)).await {
            Ok(checked) => checked?,
            Err(error) => return Err(format!("its answer could not be checked: {error}")),
        }
    }
    if answer.len() <= COPIED_BYTES { Ok(Bytes::copy_from_slice(&answer)) } else { Ok(answer) }
}

fn check_json(answer: &[u8]) -> Result<(), String> {
    let text =
        str::from_utf8(answer).map_err(|error| format!("its answer is not UTF-8: {error}"))?;
    serde_json::from_str::<IgnoredAny>(text)
        .map(drop) // only whether it is JSON
        .map_err(|error| format!("its answer is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_be_one_json_value_in_utf_8() {
        for good in [&b"null"[..], b" {\"a\": [1, 2.5e3]} ", "\"é\"".as_bytes()] {
            assert_eq!(check_json(good), Ok(()));
        }
        for bad in [&b""[..], b"NaN", b"{", b"1 2", b"\"\xff\"", b"{'a': 1}", b"\"\x01\""] {
            assert!(check_json(bad).is_err(), "{bad:?}");
        }
        // As deep as it likes: nothing here recurses.
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(check_json(deep.as_bytes()), Ok(()));
    }
}
