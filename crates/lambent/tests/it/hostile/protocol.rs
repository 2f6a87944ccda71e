//! Lying to the worker: on the channel that belongs to the shim, in answers, in errors.

use std::time::Duration;

use serde_json::{Value, json};

use super::arena::Arena;
use super::{Ends, act, must, run};
use crate::service::wait_until;

const PROTOCOL: Ends = Ends::Fails(&["Runtime.ProtocolError"]);
const EXIT: Ends = Ends::Fails(&["Runtime.ExitError"]);
const NOT_JSON: Ends = Ends::Fails(&["Runtime.MarshalError"]);

#[test]
fn what_is_not_the_protocol_ends_the_sandbox_and_nothing_else() {
    let mut acts = Vec::new();
    for how in [
        "garbage",
        "zeros",
        "text",
        "huge_meta",
        "huge_payload",
        "version",
        "reserved",
        "kind",
        "workers_kind",
        "meta_not_json",
        "other_id",
        "ready_again",
        "flood",
    ] {
        acts.push(act("H60", "frame_garbage", json!({"how": how}), PROTOCOL));
    }
    // The first of two answers is as good as one, if it is read before the second is written; what
    // comes later is noticed before the sandbox is used again.
    let two = act(
        "H60",
        "frame_garbage",
        json!({"how": "double"}),
        Ends::AnswersOrFails(
            |answer| must(answer == "first answer", || "not the first answer".to_owned()),
            &["Runtime.ProtocolError"],
        ),
    );
    acts.push(two);
    // It is the parent that speaks; what a child says is a first answer, or garbage.
    let child = act(
        "H65",
        "frame_garbage",
        json!({"how": "after_fork"}),
        Ends::AnswersOrFails(
            |answer| {
                must(answer.as_str().is_some_and(|it| it.starts_with("from ")), || {
                    "neither's".to_owned()
                })
            },
            &["Runtime.ProtocolError", "Runtime.ExitError"],
        ),
    );
    acts.push(child);
    // Half a frame, and then no process.
    acts.push(act(
        "H60",
        "frame_garbage",
        json!({"how": "truncated"}),
        Ends::Fails(&["Runtime.ProtocolError", "Runtime.ExitError"]),
    ));
    for how in ["close", "shutdown", "exec", "exit", "exit_status", "kill", "raise"] {
        acts.push(act("H62", "close_channel", json!({"how": how}), EXIT));
    }
    for how in ["nan", "infinity", "set", "bytes", "keys", "circle", "deep"] {
        acts.push(act("H22", "bad_answer", json!({"how": how}), NOT_JSON));
    }
    run("what_is_not_the_protocol_ends_the_sandbox_and_nothing_else", &acts);
}

/// What a function needs to speak for the shim.
const SPEAK: &str = "
import json, os, socket, struct, threading, time
def frame(kind, meta, payload=b''):
    meta = json.dumps(meta).encode()
    return struct.pack('<BBHII', kind, 1, 0, len(meta), len(payload)) + meta + payload
def say(data):
    while data:
        data = data[os.write(3, data):]
RESPONSE, ERROR = 19, 20
";

fn source(body: &str) -> String {
    format!(
        "{SPEAK}\ndef handler(event, context):\n    mine = {{'invocation': context.aws_request_id}}\n{body}\n"
    )
}

#[test]
fn a_forged_answer_is_an_answer_of_the_function_and_no_more() {
    let name = "a_forged_answer_is_an_answer_of_the_function_and_no_more";
    let Some(arena) = Arena::enter(name) else { return };
    let mut wrong = Vec::new();
    let mut observe = |label: &str, attack: &dyn Fn() -> Result<(), String>| {
        wrong.extend(arena.observe(label, attack).err());
    };
    observe("an answer that is not JSON", &|| forged_not_json(&arena));
    observe("an answer that is very deep", &|| forged_deep(&arena));
    observe("an answer of odd numbers and strings", &|| forged_odd(&arena));
    observe("errors that speak for the platform", &|| forged_error(&arena));
    observe("one byte a second", &|| slow(&arena));
    observe("an answer after the answer", &|| late(&arena));
    observe("descriptors sent along (H61)", &|| descriptors(&arena));
    observe("nobody reads the event", &|| deaf(&arena));
    observe("a shim that was patched (H26)", &|| patched(&arena));
    arena.leave();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn forged_not_json(arena: &Arena) -> Result<(), String> {
    for payload in ["b'NaN'", "b''", "b'{'", "b'1 2'", r#"b'"\xff"'"#, r#"b'{"a":1}garbage'"#] {
        let body = format!("    say(frame(RESPONSE, mine, {payload}))\n    time.sleep(60)");
        let answer = arena.try_out("forged", &source(&body), &[]);
        let code = answer.json()["reason"].clone();
        must(code == "Runtime.ProtocolError", || format!("{payload}: {code}"))?;
    }
    Ok(())
}

/// The caller gets it as it is; nobody here may fall over it, now or when it is read again.
fn forged_deep(arena: &Arena) -> Result<(), String> {
    for depth in [2_000, 30_000, 2_000_000] {
        let body = format!(
            "    say(frame(RESPONSE, mine, b'[' * {depth} + b']' * {depth}))\n    time.sleep(60)"
        );
        let answer = arena.try_out("deep", &source(&body), &[]);
        if answer.status == 200 {
            must(answer.body.len() == 2 * depth, || format!("{} bytes", answer.body.len()))?;
        } else {
            let code = answer.json()["reason"].clone();
            must(code == "Runtime.ProtocolError", || format!("depth {depth}: {code}"))?;
        }
        let id = answer.headers["lambent-invocation-id"].clone();
        for path in ["", "/log"] {
            let again = arena.evil("GET", &format!("/v1/invocations/{id}{path}"), b"");
            must(again.status == 200, || format!("{path} of depth {depth}: {}", again.status))?;
        }
        let list = arena.evil("GET", "/v1/invocations", b"");
        must(list.status == 200, || format!("the list, depth {depth}: {}", list.status))?;
    }
    Ok(())
}

fn forged_odd(arena: &Arena) -> Result<(), String> {
    for payload in [
        r#"b'1e999999999'"#,
        r#"b'123456789012345678901234567890123456789012345678901234567890'"#,
        r#"b'"\\ud800"'"#,
        r#"b'{"a":1,"a":2}'"#,
        r#"b' \t\n1 '"#,
        r#"b'{"$serde_json::private::RawValue":"x"}'"#,
    ] {
        let body = format!("    say(frame(RESPONSE, mine, {payload}))\n    time.sleep(60)");
        let answer = arena.try_out("odd", &source(&body), &[]);
        let known = answer.status == 200 || answer.json()["reason"] == "Runtime.ProtocolError";
        must(known, || format!("{payload}: {answer:?}"))?;
        let id = &answer.headers["lambent-invocation-id"];
        let again = arena.evil("GET", &format!("/v1/invocations/{id}"), b"");
        must(again.status == 200, || format!("{payload}, read again: {}", again.status))?;
    }
    Ok(())
}

/// Only the platform may say what the platform says; and a class's name is nobody's header.
fn forged_error(arena: &Arena) -> Result<(), String> {
    for (name, code) in [
        ("Runtime.OutOfMemory", "OutOfMemory"),
        ("Lambent.NoCapacity", "NoCapacity"),
        ("Sandbox.Failure", "Failure"),
        ("Evil\\r\\nset-cookie: a=b", "Evilset-cookie: a=b"),
        ("\u{dc}bel", "\u{dc}bel"),
        ("", "Exception"),
    ] {
        let error = format!(
            "{{'error_type': {name:?}, 'error_message': 'x' * 100_000, 'stack_trace': ['y' * 1_000] * 100}}"
        )
        .replace("\\\\", "\\");
        let body = format!("    say(frame(ERROR, mine | {error}))\n    time.sleep(60)");
        let answer = arena.try_out("error", &source(&body), &[]);
        let problem = answer.json();
        must(problem["reason"] == code, || format!("{name}: {}", problem["reason"]))?;
        must(answer.status == 502 || answer.status == 500, || {
            format!("{name}: {}", answer.status)
        })?;
        must(!answer.headers.contains_key("set-cookie"), || "a header was forged".to_owned())?;
        let length = problem["detail"].as_str().map_or(0, str::len);
        must(length <= 32 * 1024, || format!("a message of {length} bytes"))?;
    }
    Ok(())
}

fn slow(arena: &Arena) -> Result<(), String> {
    let body = "    for byte in frame(RESPONSE, mine, b'1' * 1000):\n        os.write(3, bytes([byte]))\n        time.sleep(1)";
    let answer = arena.try_out("slow", &source(body), &[("timeout_s", "2")]).json();
    must(answer["reason"] == "Sandbox.Timeout", || answer.to_string())
}

/// A thread that speaks when nobody has asked: the next call gets another sandbox, and is answered.
fn late(arena: &Arena) -> Result<(), String> {
    let body = "
    def speak():
        time.sleep(0.01)
        say(frame(RESPONSE, mine, b'\"too late\"'))
    if event.get('late'):
        threading.Thread(target=speak).start()
    return 'in time'";
    arena.deploy("late", "handler.py", source(body).as_bytes(), &[]);
    for _ in 0..3 {
        let answer = arena.call("late", &json!({"late": true})).expect(200);
        must(answer.body == br#""in time""#, || format!("{answer:?}"))?;
        // The gap is the act: in it, the thread speaks.
        std::thread::sleep(Duration::from_millis(40));
        let answer = arena.call("late", &json!({})).expect(200);
        must(answer.body == br#""in time""#, || format!("{answer:?}"))?;
    }
    Ok(())
}

/// The worker's table of descriptors is not a function's to fill.
fn descriptors(arena: &Arena) -> Result<(), String> {
    let held = || std::fs::read_dir(format!("/proc/{}/fd", arena.service.pid())).unwrap().count();
    let before = held();
    let body = "
    channel = socket.socket(fileno=os.dup(3))
    null = os.open('/dev/null', os.O_RDONLY)
    data = frame(RESPONSE, mine, b'1')
    channel.sendmsg([data[:1]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack('200i', *[null] * 200))])
    for byte in data[1:]:
        channel.sendmsg([bytes([byte])], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack('200i', *[null] * 200))])
    time.sleep(60)";
    for _ in 0..3 {
        let answer = arena.try_out("rights", &source(body), &[("timeout_s", "3")]);
        must(answer.status == 200 || answer.status == 504 || answer.status == 502, || {
            format!("{answer:?}")
        })?;
    }
    wait_until("the service holds no more descriptors than before", || {
        let now = held();
        // A connection or two of ours are open at any time.
        if now <= before + 16 { Ok(()) } else { Err(now) }
    });
    Ok(())
}

/// The event fills the socket and nobody takes it out: the deadline ends that, too.
fn deaf(arena: &Arena) -> Result<(), String> {
    let source = "
import os, signal, time
def handler(event, context):
    if event == {}:
        if os.fork() == 0:
            time.sleep(0.2)  # until the parent has answered and waits for the next event
            os.kill(os.getppid(), signal.SIGSTOP)
            os._exit(0)
    return 1
";
    arena.deploy("deaf", "handler.py", source.as_bytes(), &[("timeout_s", "2")]);
    arena.call("deaf", &json!({})).expect(200);
    std::thread::sleep(Duration::from_millis(30));
    let answer = arena.call("deaf", &Value::String("x".repeat(5 << 20)));
    let fine = answer.status == 200 || answer.json()["reason"] == "Sandbox.Timeout";
    must(fine, || format!("{answer:?}"))
}

/// What a function does to its interpreter stays in its own sandbox, and cannot reach another
/// version or function.
fn patched(arena: &Arena) -> Result<(), String> {
    let source = "
import atexit, builtins, gc, json, os, signal, sys, threading
def handler(event, context):
    builtins.len = lambda x: 0
    json.loads = json.dumps = os.write = os.read = lambda *a: b'poison'
    sys.stdout = sys.stderr = None
    signal.signal(signal.SIGALRM, lambda *a: os._exit(7))
    atexit.register(print, 'exit')
    for thing in gc.get_objects():
        if type(thing).__name__ == 'Channel':
            thing.rest = b'poison'
    return 'poisoned'
";
    arena.deploy("patched", "handler.py", source.as_bytes(), &[]);
    for _ in 0..3 {
        let answer = arena.call("patched", &json!({}));
        // Its own calls may fail; that is its own doing.
        must(answer.status == 200 || answer.status == 502, || format!("{answer:?}"))?;
    }
    let clean = "def handler(event, context):\n    return len('abc')\n";
    arena.deploy("patched", "handler.py", clean.as_bytes(), &[]);
    let answer = arena.call("patched", &json!({})).expect(200);
    must(answer.body == b"3", || format!("{answer:?}"))
}
