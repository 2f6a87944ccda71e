//! What a person reads, held against what the API said: whole pages, compared line by line.

use serde_json::{Value, json};

use super::*;

fn at(seconds: u32, micros: u32) -> String {
    format!("2026-01-31T12:{:02}:{:02}.{micros:06}Z", seconds / 60, seconds % 60)
}

fn attempt(number: u32, from: (u32, u32), to: (u32, u32), error: Value) -> Value {
    json!({
        "number": number, "version": 3, "started_at": at(from.0, from.1),
        "ended_at": at(to.0, to.1), "queued_ms": 2.5, "placed_ms": 0.0, "sandbox_ms": 2.5,
        "init_ms": 5.0, "run_ms": 10.0, "start": "fresh", "billed_ms": 15,
        "memory_peak_bytes": 9_437_184, "log_dropped_bytes": 0, "error": error,
    })
}

fn detail(change: impl FnOnce(&mut Value)) -> InvocationDetail {
    let error = json!({
        "code": "ValueError", "message": "bad size", "blame": "function",
        "trace": ["File \"resize.py\", line 3, in handler\n    raise ValueError"],
    });
    let mut value = json!({
        "id": "i-1", "function": "resize", "version": 3, "event_id": "e-1", "trigger": "on-1",
        "origin": "event", "replay_id": null, "status": "succeeded", "attempts": 2,
        "created_at": at(0, 0), "due_at": null, "ended_at": at(60, 40_000),
        "queued_ms": 2.5, "placed_ms": 0.0, "sandbox_ms": 2.5, "init_ms": 5.0, "run_ms": 10.0,
        "start": "fresh", "billed_ms": 15, "memory_peak_bytes": null, "result_bytes": 4,
        "error": null,
        "attempt_list": [
            attempt(1, (0, 2_500), (0, 20_000), error),
            attempt(2, (60, 22_500), (60, 40_000), Value::Null),
        ],
        "transitions": [
            {"at": at(0, 0), "status": "queued", "attempt": 0, "reason": ""},
            {"at": at(0, 2_500), "status": "running", "attempt": 1, "reason": ""},
            {"at": at(0, 20_000), "status": "retrying", "attempt": 1,
             "reason": "waits until 12:01:00: back-off of 60 s after ValueError"},
            {"at": at(60, 22_500), "status": "running", "attempt": 2, "reason": ""},
            {"at": at(60, 40_000), "status": "succeeded", "attempt": 2, "reason": ""},
        ],
        "result": "ok",
    });
    change(&mut value);
    serde_json::from_str(&value.to_string()).unwrap()
}

fn line(attempt: u32, at: String, stream: &str, text: &str) -> LogLine {
    let (stream, text) = (stream.into(), text.into());
    LogLine { at, invocation_id: "i-1".into(), attempt, stream, text }
}

#[test]
fn an_event_that_succeeded_at_its_second_attempt_is_told_from_its_beginning_to_its_end() {
    let log = [
        line(1, at(0, 12_500), "stdout", "reading"),
        line(1, at(0, 13_000), "stderr", "odd \u{1b}[2Jsize"),
    ];
    let text = render(&detail(|_| {}), &log, None, Paint::NEVER);
    let expect = r#"invocation i-1
  function  resize, version 3
  because   trigger on-1 matched event e-1
  status    succeeded, 2 attempts
  created   2026-01-31T12:00:00.000000Z
  took      1 min 0 s

Timeline
         +0 ms  queued     waited 2.50 ms
      +2.50 ms  running    attempt 1; for 17.5 ms
      +20.0 ms  retrying   waits until 12:01:00: back-off of 60 s after ValueError; waited 1 min 0 s
    +1 min 0 s  running    attempt 2; for 17.5 ms
    +1 min 0 s  succeeded

Attempt 1 failed: ValueError
  ran       version 3 in a fresh sandbox, 20.0 ms in all
  queued    █████···································    2.50 ms  for its turn
  placed    ········································       0 ms  for room on the worker
  sandbox   ·····█████······························    2.50 ms  making the sandbox
  init      ··········██████████····················    5.00 ms  loading the code
  run       ····················████████████████████    10.0 ms  in the handler
  billed    15 ms, 9.0 MiB of memory at most
  error     ValueError: bad size
            File "resize.py", line 3, in handler
                raise ValueError
  log         +10.0 ms  reading
              +10.5 ms  stderr: odd \u{1b}[2Jsize

Attempt 2 succeeded
  ran       version 3 in a fresh sandbox, 20.0 ms in all
  queued    █████···································    2.50 ms  for its turn
  placed    ········································       0 ms  for room on the worker
  sandbox   ·····█████······························    2.50 ms  making the sandbox
  init      ··········██████████····················    5.00 ms  loading the code
  run       ····················████████████████████    10.0 ms  in the handler
  billed    15 ms, 9.0 MiB of memory at most

Answer
  "ok"
"#;
    assert_eq!(text, expect);
}

#[test]
fn what_has_not_ended_says_what_comes_next() {
    let waiting = detail(|it| {
        it["status"] = json!("retrying");
        it["ended_at"] = Value::Null;
        it["due_at"] = json!(at(120, 0));
        it["attempt_list"] = json!([]);
        it["transitions"] = json!([]);
        it["result"] = Value::Null;
    });
    let log = [line(3, at(90, 0), "stdout", "still here")];
    let text = render(&waiting, &log, None, Paint::NEVER);
    assert!(
        text.contains("next      an attempt, not before 2026-01-31T12:02:00.000000Z"),
        "{text}"
    );
    assert!(
        text.ends_with("Attempt 3 has not ended\n  log            +0 ms  still here\n"),
        "{text}"
    );
}

#[test]
fn an_event_with_an_ordering_key_says_what_it_waits_for() {
    let page = |held: bool, ahead| {
        let it = detail(|it| {
            it["ordering_key"] = json!("user 7");
            it["held"] = json!(held);
        });
        render(&it, &[], ahead, Paint::NEVER)
    };
    for (held, ahead, expect) in [
        (false, None, "  order     ordering key \"user 7\"\n"),
        (true, None, "  order     held behind an earlier one (ordering key \"user 7\")\n"),
        (true, Some("i-0"), "  order     held behind i-0 (ordering key \"user 7\")\n"),
    ] {
        let text = page(held, ahead);
        assert!(text.contains(expect), "{text}");
    }
}

#[test]
fn an_attempt_in_a_batch_says_with_how_many_and_whose_the_log_is() {
    let page = |first: &str, size| {
        let it = detail(|it| {
            let batch = json!({"first_invocation_id": first, "size": size});
            it["attempt_list"][0]["batch"] = batch;
            it["transitions"][2]["reason"] = json!("BatchSplit: waits until 12:00:01");
        });
        render(&it, &[], None, Paint::NEVER)
    };
    for (first, size, expect) in [
        ("i-1", 1, "  batch     of 1\n"),
        ("i-1", 42, "  batch     of 42, with 41 more; this is its first\n"),
        ("i-0", 42, "  batch     of 42; its log and its answer are those of i-0\n"),
    ] {
        let text = page(first, size);
        assert!(text.contains(expect), "{text}");
        let split = "its batch failed and is tried again in halves: waits until 12:00:01";
        assert!(text.contains(split), "{text}");
    }
}

#[test]
fn a_failure_of_the_platform_is_not_blamed_on_the_function() {
    let disturbed = detail(|it| {
        it["attempt_list"][0]["error"]["blame"] = json!("platform");
        it["attempt_list"][0]["start"] = Value::Null;
        it["result"] = Value::Null;
    });
    let text = render(&disturbed, &[], None, Paint::NEVER);
    assert!(text.contains("bad size (not the function's fault)"), "{text}");
    assert!(text.contains("version 3 in no sandbox"), "{text}");
    assert!(text.ends_with("Answer\n  4 bytes, not kept\n"), "{text}");
}

#[test]
fn a_phase_that_took_any_time_is_seen_and_no_bar_is_longer_than_another() {
    for (before, ms, all) in
        [(0.0, 0.001, 1_000.0), (999.999, 0.001, 1_000.0), (0.0, 5.0, 5.0), (0.0, 0.0, 0.0)]
    {
        let bar = bar(before, ms, all);
        assert_eq!(bar.chars().count(), BAR);
        assert_eq!(bar.contains('█'), ms > 0.0, "{before} {ms} {all}");
    }
}
