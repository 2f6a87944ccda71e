//! What went wrong with an attempt, as a [`Fault`]: its code, whose fault it is, and the sentence.

use std::fmt::Write;
use std::time::Duration;

use model::fault::{self, Blame, Fault};
use model::{RuntimeName, limits};
use sandbox::ExitStatus;
use wire::runtime::{CallError, InitError};
use wire::worker::{FunctionSpec, Job};

use super::converse::Heard;
use super::{Attempt, Use};
use crate::agent::Taken;
use crate::launcher::Exit;
use crate::pool::{Counts, Reason, Refusal};

/// How long a process whose channel is closed may take to end by itself. An exit closes the channel
/// some microseconds before the launcher has told us of it.
const EXIT_GRACE: Duration = Duration::from_millis(50);

/// How long to wait then for the launcher to have destroyed it. It may have a queue of starts to
/// make first; and whether it is still there at all decides whose fault this is.
const CLOSED_GRACE: Duration = Duration::from_secs(2);

/// How long the report of a destroyed sandbox waits to learn what it had used.
const DESTROY_GRACE: Duration = Duration::from_millis(40);

/// Codes with a dot that the shim may give. Any other dotted name is a platform's, and nothing
/// inside a sandbox speaks for the platform.
const SHIM_CODES: [&str; 8] = [
    "Runtime.ImportModuleError",
    "Runtime.UserCodeSyntaxError",
    "Runtime.HandlerNotFound",
    "Runtime.InitError",
    "Runtime.MarshalError",
    "Runtime.UnmarshalError",
    "Function.ResponseSizeTooLarge",
    "Function.TooManyEffects",
];

/// An exception's class name as a code: longer ones are nobody's.
const CODE_BYTES: usize = 128;

/// Lines of a trace as kept; the shim sends at most 65.
const TRACE_LINES: usize = 65;

/// What the function was doing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Init,
    Run,
}

impl Attempt<'_> {
    /// The conversation ended without an answer: says why, and has the sandbox destroyed.
    pub(super) async fn bad_end(&mut self, taken: &mut Taken, heard: Heard, phase: Phase) -> Use {
        let (fault, reason) = match heard {
            Heard::Deadline => {
                taken.condemn(Reason::Timeout);
                let exit = taken.live().end.within(DESTROY_GRACE).await;
                self.note_usage(exit);
                (self.timeout(phase), Reason::Timeout)
            }
            Heard::Garbage(why) => {
                taken.condemn(Reason::Protocol);
                let message = format!("what came out of the sandbox is not the protocol: {why}");
                (Fault::function(fault::PROTOCOL, message), Reason::Protocol)
            }
            Heard::Frame(frame) => {
                taken.condemn(Reason::Protocol);
                let mut what = String::new();
                // A frame may hold megabytes.
                write!(what, "{frame:?}").expect("writing to a string cannot fail");
                let what: String = what.chars().take(120).collect();
                let message = format!("the sandbox sent a frame that nobody asked for: {what}");
                (Fault::function(fault::PROTOCOL, message), Reason::Protocol)
            }
            Heard::Closed => self.closed(taken, phase).await,
        };
        self.read_output(taken.live());
        if reason == Reason::Timeout || reason == Reason::OutOfMemory || reason == Reason::Exited {
            self.log.note(self.shared.clock.now(), fault.message.clone());
        }
        Use::Over(fault, reason)
    }

    async fn closed(&mut self, taken: &mut Taken, phase: Phase) -> (Fault, Reason) {
        let by_itself = taken.live().end.within(EXIT_GRACE).await;
        let exit = match by_itself {
            Some(exit) => Some(exit),
            None => {
                taken.condemn(Reason::Exited);
                taken.live().end.within(CLOSED_GRACE).await
            }
        };
        self.note_usage(exit);
        let when = if phase == Phase::Init { " while its code was loaded" } else { "" };
        match (exit, by_itself) {
            (Some(Exit { oom_killed: true, .. }), _) => {
                let mib = self.job.spec.memory_mib;
                let message = format!(
                    "the function needed more than its {mib} MiB of memory and was ended{when}; \
                     give it more, or have it use less"
                );
                (Fault::function(fault::OUT_OF_MEMORY, message), Reason::OutOfMemory)
            }
            (_, Some(exit)) => {
                let how = ended(exit.status);
                let message = format!("the function's process {how} without an answer{when}");
                (Fault::function(fault::EXIT, message), Reason::Exited)
            }
            _ if taken.live().end.is_lost() => {
                let message = "the launcher ended, and every sandbox with it";
                (Fault::platform(fault::SANDBOX_FAILURE, message), Reason::Failure)
            }
            _ => {
                let message = format!(
                    "the function's process closed its connection to the worker without an \
                     answer{when}, and was destroyed"
                );
                (Fault::function(fault::EXIT, message), Reason::Exited)
            }
        }
    }

    fn note_usage(&mut self, exit: Option<Exit>) {
        if let Some(exit) = exit {
            self.memory_peak_bytes = Some(exit.usage.memory_peak_bytes);
        }
    }

    fn timeout(&self, phase: Phase) -> Fault {
        match phase {
            Phase::Init => {
                let seconds = limits::INIT_TIMEOUT.as_secs();
                let message = format!("loading the code took more than {seconds} s and was ended");
                Fault::function(fault::INIT_TIMEOUT, message)
            }
            Phase::Run => {
                let seconds = self.job.spec.timeout.as_secs_f64();
                let message =
                    format!("the function ran for {seconds} s, its timeout, and was ended");
                Fault::function(fault::TIMEOUT, message)
            }
        }
    }
}

/// How a process ended, as a part of a sentence.
pub(crate) fn ended(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exited with status {code}"),
        ExitStatus::Signal(signal) => format!("was ended by {}", signal_name(signal)),
    }
}

/// The name of a signal, as Linux numbers them on x86-64 and ARM.
fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let name =
        usize::try_from(signal).ok().and_then(|n| n.checked_sub(1)).and_then(|n| NAMES.get(n));
    name.map_or_else(|| format!("signal {signal}"), |name| (*name).to_owned())
}

pub(super) fn init_error(error: InitError) -> Fault {
    let InitError { error_type, error_message, stack_trace } = error;
    told(&error_type, error_message, stack_trace)
}

pub(super) fn call_error(error: CallError) -> Fault {
    let CallError { error_type, error_message, stack_trace, .. } = error;
    told(&error_type, error_message, stack_trace)
}

/// A fault as the shim tells it; or as whoever holds its channel does.
fn told(code: &str, mut message: String, mut trace: Vec<String>) -> Fault {
    message.truncate(message.floor_char_boundary(limits::ERROR_MESSAGE_BYTES));
    trace.truncate(TRACE_LINES);
    Fault { blame: Blame::Function, code: own_code(code), message, trace }
}

fn own_code(code: &str) -> String {
    if SHIM_CODES.contains(&code) {
        return code.to_owned();
    }
    let name = code.rsplit('.').next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    match &name[..name.floor_char_boundary(CODE_BYTES)] {
        "" => "Exception".to_owned(),
        name => name.to_owned(),
    }
}

pub(super) fn no_runtime(spec: &FunctionSpec, there: &[RuntimeName]) -> Fault {
    let there: Vec<_> = there.iter().map(RuntimeName::as_str).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    let runtime = &spec.runtime;
    let message = format!(
        "runtime {runtime} is not on this machine, which has {there}; install it, or deploy the \
         function for another"
    );
    Fault::platform(fault::SANDBOX_FAILURE, message)
}

pub(super) fn refused(why: &Refusal, job: &Job) -> Fault {
    let name = &job.spec.name;
    let no_capacity = |message: String| Fault::platform(fault::NO_CAPACITY, message);
    match why {
        Refusal::Draining => no_capacity("this worker is stopping and takes no attempts".into()),
        Refusal::QueueFull(most) => no_capacity(format!(
            "{most} attempts wait for a sandbox of {name} already, and no more may"
        )),
        Refusal::TooLarge { memory_mib, total_mib } => no_capacity(format!(
            "{name} needs {memory_mib} MiB of memory, and this worker has {total_mib} MiB in all"
        )),
        Refusal::StartFailed(why) => Fault::platform(fault::SANDBOX_FAILURE, why),
        Refusal::LauncherGone(why) => Fault::platform(fault::SANDBOX_FAILURE, why),
    }
}

pub(super) fn no_capacity(patience: Duration, counts: &Counts, job: &Job) -> Fault {
    let Counts { busy, waiting, memory_reserved_mib, .. } = counts;
    let message = format!(
        "no sandbox could be had for {} within {} ms: {busy} attempts run and {waiting} more wait; \
         sandboxes hold {memory_reserved_mib} MiB",
        job.spec.name,
        patience.as_millis()
    );
    Fault::platform(fault::NO_CAPACITY, message)
}

/// The worker contradicts itself.
pub(super) fn missing() -> Fault {
    Fault::platform(fault::SANDBOX_FAILURE, "the worker lost the sandbox it had for this attempt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_speaks_for_itself_only() {
        for (code, own) in [
            ("ValueError", "ValueError"),
            ("Runtime.MarshalError", "Runtime.MarshalError"),
            ("Sandbox.Failure", "Failure"),
            ("Lambent.Interrupted", "Interrupted"),
            ("Runtime.OutOfMemory", "OutOfMemory"),
            ("a\nb", "ab"),
            ("", "Exception"),
            ("x.", "Exception"),
        ] {
            assert_eq!(own_code(code), own);
        }
        assert_eq!(own_code(&"é".repeat(100)).len(), 128);
    }

    #[test]
    fn an_end_is_told_by_status_or_by_the_signal_s_name() {
        assert_eq!(ended(ExitStatus::Code(3)), "exited with status 3");
        assert_eq!(ended(ExitStatus::Signal(11)), "was ended by SIGSEGV");
        assert_eq!(ended(ExitStatus::Signal(9)), "was ended by SIGKILL");
        assert_eq!(ended(ExitStatus::Signal(34)), "was ended by signal 34");
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let fault = told("E", "é".repeat(limits::ERROR_MESSAGE_BYTES), vec![]);
        assert_eq!(fault.message.len(), limits::ERROR_MESSAGE_BYTES);
    }
}
