//! Calls that fail, each with its own code; and what becomes of the sandbox.

use std::time::{Duration, Instant};

use model::fault::Blame;
use model::function::Digest;
use model::invocation::{Start, Stream};
use model::{RuntimeName, limits};
use wire::worker::{FunctionSpec, Report, Worker};

use crate::bed::{Bed, answer, code, lines};

/// Calls a function whose handler does what its event says.
const ACTS: &str = r#"
import os, sys, threading, time
sys.path.append('/var/runtime')

def frame(kind, meta, payload=b''):
    import struct
    return struct.pack('<BBHII', kind, 1, 0, len(meta), len(payload)) + meta + payload

def answer(context, payload):
    return frame(19, b'{"invocation":"%s"}' % context.aws_request_id.encode(), payload)

def handler(event, context):
    exec(event, {**globals(), 'context': context})
    return 'well'
"#;

fn message(report: &Report) -> &str {
    &report.outcome.as_ref().unwrap_err().message
}

/// The act ends the sandbox with this code, and the function works again afterwards.
#[track_caller]
fn check(bed: &Bed, spec: &FunctionSpec, act: &str, expect: &str) -> Report {
    let event = serde_json::to_string(act).unwrap();
    let report = bed.call(spec, &event);
    assert_eq!(code(&report), expect, "{act}: {report:?}");
    assert_eq!(report.outcome.as_ref().unwrap_err().blame, Blame::Function, "{act}");
    let next = bed.call(spec, "\"pass\"");
    assert_eq!(answer(&next), "\"well\"", "after {act}");
    assert_ne!(next.start, Some(Start::Warm), "the sandbox of {act} was used again");
    report
}

pub(crate) fn what_a_handler_raises_is_told_and_the_sandbox_stays_warm() {
    let bed = Bed::new();
    let spec = bed.function(ACTS);
    for (act, expect) in [
        ("raise ValueError('no good')", "ValueError"),
        ("1 / 0", "ZeroDivisionError"),
        ("class Custom(Exception): pass\nraise Custom()", "Custom"),
        ("raise type('Sandbox.Failure', (Exception,), {})('forged')", "Failure"),
    ] {
        let event = serde_json::to_string(act).unwrap();
        let report = bed.call(&spec, &event);
        assert_eq!(code(&report), expect, "{report:?}");
    }
    let report = bed.call(&spec, r#""raise ValueError('no good')""#);
    let fault = report.outcome.unwrap_err();
    assert_eq!((fault.message.as_str(), fault.blame), ("no good", Blame::Function));
    assert!(fault.trace.iter().any(|line| line.contains("handler.py")), "{fault:?}");
    let next = bed.call(&spec, "\"pass\"");
    assert_eq!((answer(&next).as_str(), next.start), ("\"well\"", Some(Start::Warm)));

    let marshal = bed.function("def handler(event, context):\n    return {1, 2}\n");
    assert_eq!(code(&bed.call(&marshal, "{}")), "Runtime.MarshalError");
    let large = bed.function("def handler(event, context):\n    return 'x' * 7_000_000\n");
    assert_eq!(code(&bed.call(&large, "{}")), "Function.ResponseSizeTooLarge");
    assert_eq!(code(&bed.call(&spec, "{broken")), "Runtime.UnmarshalError");
}

pub(crate) fn what_cannot_be_loaded_is_told_with_its_code() {
    let bed = Bed::new();
    for (source, expect) in [
        ("import no_such_module\n", "Runtime.ImportModuleError"),
        ("def handler(:\n", "Runtime.UserCodeSyntaxError"),
        ("def another(event, context): pass\n", "Runtime.HandlerNotFound"),
        ("handler = 3\n", "Runtime.HandlerNotFound"),
        ("raise RuntimeError('at import')\n", "Runtime.InitError"),
    ] {
        let spec = bed.function(source);
        for _ in 0..2 {
            let report = bed.call(&spec, "{}");
            assert_eq!(code(&report), expect, "{report:?}");
            assert_ne!(report.start, Some(Start::Warm));
        }
    }
    bed.eventually("nothing is left of them", |bed| bed.worker.capacity().memory_reserved_mib == 0);
}

pub(crate) fn an_exit_is_told_with_its_status() {
    let bed = Bed::new();
    let spec = bed.function(ACTS);
    let report = check(&bed, &spec, "print('bye', flush=True); os._exit(3)", "Runtime.ExitError");
    assert!(message(&report).contains("exited with status 3"), "{report:?}");
    assert_eq!(lines(&report, Stream::Stdout), ["bye"]);
    assert_eq!(lines(&report, Stream::Platform).len(), 1);
    check(&bed, &spec, "sys.exit(0)", "Runtime.ExitError");
    let begun = Instant::now();
    bed.call(&spec, "\"os._exit(0)\"");
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    let spec = bed.function("import os\nos._exit(7)\n");
    let report = bed.call(&spec, "{}");
    assert_eq!(code(&report), "Runtime.ExitError");
    assert!(message(&report).contains("status 7"), "{report:?}");
    assert!(message(&report).contains("loaded"), "{report:?}");
}

pub(crate) fn a_crash_is_told_with_its_signal() {
    let bed = Bed::new();
    let spec = bed.function(ACTS);
    let crash = "import signal; signal.signal(11, signal.SIG_DFL); os.kill(os.getpid(), 11)";
    let report = check(&bed, &spec, crash, "Runtime.ExitError");
    assert!(message(&report).contains("SIGSEGV"), "{report:?}");
}

pub(crate) fn a_closed_channel_is_an_exit() {
    let bed = Bed::new();
    let spec = bed.function(ACTS);
    let begun = Instant::now();
    let report = check(&bed, &spec, "os.close(3); time.sleep(60)", "Runtime.ExitError");
    assert!(message(&report).contains("closed its connection"), "{report:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

pub(crate) fn a_forked_child_does_not_hold_up_the_news_of_an_exit() {
    let bed = Bed::new();
    let spec = bed.function(ACTS);
    let begun = Instant::now();
    // The child keeps the channel open.
    let act = "if os.fork() == 0: time.sleep(60)\nelse: os._exit(4)";
    let report = check(&bed, &spec, act, "Runtime.ExitError");
    assert!(message(&report).contains("status 4"), "{report:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

pub(crate) fn memory_beyond_the_limit_is_told_as_such() {
    let bed = Bed::new();
    let spec = bed.function(ACTS);
    let hog = "hog = []\nwhile True: hog.append(bytearray(8 << 20))";
    let report = check(&bed, &spec, hog, "Runtime.OutOfMemory");
    assert!(message(&report).contains("128 MiB"), "{report:?}");
    assert!(report.memory_peak_bytes.is_some_and(|bytes| bytes > 100 << 20), "{report:?}");
}

pub(crate) fn memory_beyond_the_limit_while_loading_is_told_as_such() {
    let bed = Bed::new();
    let spec = bed.function("hog = []\nwhile True: hog.append(bytearray(8 << 20))\n");
    assert_eq!(code(&bed.call(&spec, "{}")), "Runtime.OutOfMemory");
}

#[track_caller]
fn check_timeout(act: &str) {
    let bed = Bed::new();
    let mut spec = bed.function(ACTS);
    spec.timeout = Duration::from_secs(1);
    let report = check(&bed, &spec, act, "Sandbox.Timeout");
    let run = report.timing.run;
    assert!((1_000..1_200).contains(&run.as_millis()), "{act}: {run:?}");
    assert_eq!(lines(&report, Stream::Platform).len(), 1);
}

pub(crate) fn an_attempt_ends_at_its_timeout() {
    check_timeout("time.sleep(60)");
}

pub(crate) fn a_busy_loop_ends_at_its_timeout() {
    check_timeout(
        "import signal\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
    );
}

pub(crate) fn code_that_never_finishes_loading_ends_at_the_init_timeout() {
    let bed = Bed::new();
    let spec = bed.function("import time\ntime.sleep(60)\n");
    let report = bed.call(&spec, "{}");
    assert_eq!(code(&report), "Runtime.InitTimeout");
    let init = report.timing.init;
    assert!(init >= limits::INIT_TIMEOUT, "{init:?}");
    assert!(init < limits::INIT_TIMEOUT + Duration::from_secs(2), "{init:?}");
}

pub(crate) fn what_is_not_the_protocol_ends_the_sandbox() {
    let bed = Bed::new();
    let spec = bed.function(ACTS);
    for act in [
        // No frame at all; lengths of 2^32 - 1; a kind that there is not; reserved bytes.
        "os.write(3, b'x' * 100); time.sleep(60)",
        r"os.write(3, b'\x13\x01\0\0' + b'\xff' * 8); time.sleep(60)",
        r"os.write(3, b'\x63\x01\0\0' + b'\0' * 8); time.sleep(60)",
        r"os.write(3, b'\x13\x01\x01\0' + b'\0' * 8); time.sleep(60)",
        // Frames of the wrong direction, at the wrong time, without sense.
        "os.write(3, frame(2, b'{}')); time.sleep(60)",
        "os.write(3, frame(16, b'{\"runtime\":\"x\",\"pid\":1}')); time.sleep(60)",
        "os.write(3, frame(17, b'{\"init_us\":1}')); time.sleep(60)",
        "os.write(3, frame(19, b'[]', b'1')); time.sleep(60)",
        "os.write(3, frame(19, b'{', b'1')); time.sleep(60)",
        // Somebody else's answer; two answers; answers that are none.
        "os.write(3, frame(19, b'{\"invocation\":\"01940000-0000-7000-8000-000000000000\"}', b'1'))",
        "os.write(3, answer(context, b'1') * 2); time.sleep(60)",
        "os.write(3, answer(context, b'NaN')); time.sleep(60)",
        r"os.write(3, answer(context, b'\xff\xff')); time.sleep(60)",
        "os.write(3, answer(context, b'')); time.sleep(60)",
    ] {
        check(&bed, &spec, act, "Runtime.ProtocolError");
    }
    // A frame that never ends is a timeout.
    let mut slow = spec.clone();
    slow.timeout = Duration::from_secs(1);
    slow.version = 2;
    let drip = "for byte in answer(context, b'1')[:-1]: os.write(3, bytes([byte])); time.sleep(.01)\n\
                time.sleep(60)";
    check(&bed, &slow, drip, "Sandbox.Timeout");
}

pub(crate) fn an_answer_sent_between_two_calls_is_nobody_s() {
    let bed = Bed::with(|config| config.freeze_after = Duration::from_secs(60));
    let spec = bed.function(ACTS);
    let act = "def late():\n    time.sleep(.05)\n    os.write(3, answer(context, b'\"forged\"'))\n\
               threading.Thread(target=late).start()";
    let event = serde_json::to_string(act).unwrap();
    assert_eq!(answer(&bed.call(&spec, &event)), "\"well\"");
    std::thread::sleep(Duration::from_millis(200)); // the function's own time, not ours
    let next = bed.call(&spec, "\"pass\"");
    assert_eq!(answer(&next), "\"well\"");
    assert_ne!(next.start, Some(Start::Warm), "{next:?}");
}

pub(crate) fn a_runtime_that_is_not_there_is_told() {
    let bed = Bed::new();
    let mut spec = bed.function(ACTS);
    spec.runtime = RuntimeName::parse("python3.99").unwrap();
    let report = bed.call(&spec, "\"pass\"");
    assert_eq!(code(&report), "Sandbox.Failure");
    assert!(message(&report).contains("python3.99 is not on this machine"), "{report:?}");
    assert_eq!(report.start, None);
}

pub(crate) fn code_that_cannot_be_had_is_told() {
    let bed = Bed::new();
    let mut spec = bed.function(ACTS);
    spec.code.digest = Digest([7; 32]);
    let report = bed.call(&spec, "\"pass\"");
    assert_eq!(code(&report), "Sandbox.Failure");
    assert_eq!(report.outcome.as_ref().unwrap_err().blame, Blame::Platform);
    assert!(message(&report).contains("cannot read package 0707"), "{report:?}");
}
