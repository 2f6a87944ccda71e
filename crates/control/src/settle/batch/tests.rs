//! Every row of what an answer to a batch can mean.

use std::time::Duration;

use bytes::Bytes;
use model::invocation::{LogLine, Origin, Stream, Timing};
use model::{EventId, FunctionId, Handler, InvocationId, Project, RuntimeName};

use super::*;

const BATCH: Batch =
    Batch { size: 10, window: Duration::from_secs(5), partial_responses: true, bisect: false };

fn id(n: u8) -> InvocationId {
    InvocationId::from_bytes([n; 16])
}

fn claimed(n: u8, failures: u32) -> Claimed {
    Claimed {
        id: id(n),
        project: Project::default_project(),
        function: FunctionId::from_bytes([9; 16]),
        origin: Origin::Event,
        event: EventId::from_bytes([n; 16]),
        trigger: None,
        replay: None,
        lane: None,
        ordering_key: None,
        batch_limit: None,
        version: None,
        attempt: failures + 1,
        failures,
        disturbances: 0,
        accepted_at: Timestamp::from_millis(0),
        due_at: Timestamp::from_millis(0),
        payload: Bytes::new(),
    }
}

fn report(outcome: Result<&str, Fault>) -> Report {
    Report {
        started_at: Timestamp::from_millis(1_000),
        ended_at: Timestamp::from_millis(2_000),
        start: None,
        timing: Timing::default(),
        memory_peak_bytes: None,
        outcome: outcome.map(|answer| Bytes::copy_from_slice(answer.as_bytes())),
        effects: Vec::new(),
        log: vec![LogLine {
            at: Timestamp::from_millis(1_500),
            stream: Stream::Stdout,
            text: "a line".into(),
        }],
        log_dropped_bytes: 3,
    }
}

/// Three invocations, 1 to 3, of which the third has failed once already.
fn settled(batch: Batch, outcome: Result<&str, Fault>) -> Vec<Settlement> {
    let all = [claimed(1, 0), claimed(2, 0), claimed(3, 1)];
    let runtime = RuntimeName::parse("python3.11").unwrap();
    let config = Config::new(runtime, Handler::parse("handler.handler").unwrap());
    of_batch(&all, batch, 7, &config, Timestamp::from_millis(500), report(outcome))
}

fn nexts(batch: Batch, outcome: Result<&str, Fault>) -> Vec<Next> {
    settled(batch, outcome).into_iter().map(|it| it.next).collect()
}

fn codes(settlements: &[Settlement]) -> Vec<Option<String>> {
    let code = |it: &Settlement| {
        let fault = it.attempt.fault.as_ref();
        assert_eq!(it.next == Next::Succeeded, fault.is_none(), "{it:?}");
        fault.map(|fault| fault.code.clone())
    };
    settlements.iter().map(code).collect()
}

/// A retry after so many seconds, and the window.
fn retry(seconds: i64) -> Next {
    Next::RetryAt(Timestamp::from_millis(2_000 + (seconds + 5) * 1_000))
}

#[test]
fn each_answer_to_a_batch_means_what_it_means_to_aws() {
    const FAILED: Option<&str> = Some(fault::BATCH_ITEM_FAILED);
    const UNCLEAR: [Option<&str>; 3] = [Some(fault::BATCH_ANSWER); 3];
    let (one, two) = (id(1), id(2));
    for (answer, expect) in [
        // All succeeded.
        ("null".to_owned(), [None; 3]),
        ("{}".into(), [None; 3]),
        (r#"{"batchItemFailures":[]}"#.into(), [None; 3]),
        (r#"{"batchItemFailures":null}"#.into(), [None; 3]),
        (r#"{"done":3}"#.into(), [None; 3]),
        // Some failed.
        (
            format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{two}"}}]}}"#),
            [None, FAILED, None],
        ),
        (
            format!(
                r#"{{"batchItemFailures":[{{"itemIdentifier":"{two}"}},{{"itemIdentifier":"{two}"}}]}}"#
            ),
            [None, FAILED, None],
        ),
        (
            format!(
                r#"{{"batchItemFailures":[{{"itemIdentifier":"{two}"}},{{"itemIdentifier":"{one}"}}]}}"#
            ),
            [FAILED, FAILED, None],
        ),
        // Nobody can tell: all failed.
        (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#.into(), UNCLEAR),
        (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#.into(), UNCLEAR),
        (r#"{"batchItemFailures":[{"itemIdentifier":"other"}]}"#.into(), UNCLEAR),
        (
            format!(
                r#"{{"batchItemFailures":[{{"itemIdentifier":"{two}"}},{{"itemIdentifier":"x"}}]}}"#
            ),
            UNCLEAR,
        ),
        (format!(r#"{{"batchItemFailures":[{{"id":"{two}"}}]}}"#), UNCLEAR),
        (format!(r#"{{"batchItemFailures":["{two}"]}}"#), UNCLEAR),
        (r#"{"batchItemFailures":"x"}"#.into(), UNCLEAR),
        (r#""ok""#.into(), UNCLEAR),
        ("[]".into(), UNCLEAR),
        ("true".into(), UNCLEAR),
        ("no json".into(), UNCLEAR),
    ] {
        let expect = expect.map(|code| code.map(str::to_owned));
        assert_eq!(codes(&settled(BATCH, Ok(&answer))), expect, "{answer}");
    }
}

#[test]
fn without_partial_responses_any_answer_is_a_success() {
    let batch = Batch { partial_responses: false, ..BATCH };
    let answer = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{}"}}]}}"#, id(1));
    for answer in [&*answer, "null", "\"ok\""] {
        assert_eq!(codes(&settled(batch, Ok(answer))), [const { None }; 3]);
    }
}

#[test]
fn an_attempt_that_failed_failed_for_all_and_each_goes_on_by_its_own_count() {
    let fault = Fault::function("ValueError", "no");
    assert_eq!(
        codes(&settled(BATCH, Err(fault.clone()))),
        [(); 3].map(|()| Some("ValueError".into()))
    );
    assert_eq!(nexts(BATCH, Err(fault)), [retry(60), retry(60), retry(120)]);
    let ours = Fault::platform(fault::SANDBOX_FAILURE, "no");
    assert_eq!(nexts(BATCH, Err(ours)), [retry(1), retry(1), retry(1)]);
}

#[test]
fn one_that_fails_alone_is_retried_or_given_up_as_if_it_had_been_alone() {
    let third = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{}"}}]}}"#, id(3));
    assert_eq!(nexts(BATCH, Ok(&third)), [Next::Succeeded, Next::Succeeded, retry(120)]);
    let runtime = RuntimeName::parse("python3.11").unwrap();
    let mut config = Config::new(runtime, Handler::parse("handler.handler").unwrap());
    config.retries = 1;
    let all = [claimed(1, 0), claimed(3, 1)];
    let ended = of_batch(&all, BATCH, 7, &config, Timestamp::from_millis(0), report(Ok(&third)));
    assert_eq!(ended[1].next, Next::GaveUp("RetriesExhausted"));
}

#[test]
fn a_batch_that_failed_as_a_whole_is_halved_only_where_that_can_help() {
    let bisect = Batch { bisect: true, ..BATCH };
    let fault = || Fault::function(fault::TIMEOUT, "no");
    let split = || Next::Split { at: Timestamp::from_millis(2_000), limit: 2 };
    assert_eq!(nexts(bisect, Err(fault())), [split(), split(), split()]);
    assert_eq!(nexts(bisect, Ok("[]")), [split(), split(), split()], "nobody can tell which");
    let ours = Fault::platform(fault::SANDBOX_FAILURE, "no");
    assert_eq!(nexts(bisect, Err(ours)), [retry(1), retry(1), retry(1)]);
    let second = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{}"}}]}}"#, id(2));
    assert_eq!(nexts(bisect, Ok(&second)), [Next::Succeeded, retry(60), Next::Succeeded]);
    let runtime = RuntimeName::parse("python3.11").unwrap();
    let config = Config::new(runtime, Handler::parse("handler.handler").unwrap());
    let alone = [claimed(1, 0)];
    let ended =
        of_batch(&alone, bisect, 7, &config, Timestamp::from_millis(0), report(Err(fault())));
    assert_eq!(ended[0].next, retry(60), "one cannot be halved");
}

#[test]
fn the_log_and_the_answer_of_a_batch_are_its_firsts() {
    let ended = settled(BATCH, Ok("{}"));
    for (n, it) in (1..).zip(&ended) {
        assert_eq!(it.invocation, id(n));
        assert_eq!(it.attempt.batch, Some(BatchPart { id: id(1), size: 3 }));
        assert_eq!(
            (it.log.len(), it.attempt.log_dropped_bytes),
            if n == 1 { (1, 3) } else { (0, 0) }
        );
        assert_eq!(it.result_bytes, (n == 1).then_some(2));
    }
}

#[test]
fn the_window_makes_no_retry_too_old() {
    let late = Claimed { accepted_at: Timestamp::from_millis(-21_539_000), ..claimed(1, 0) };
    let runtime = RuntimeName::parse("python3.11").unwrap();
    let mut config = Config::new(runtime, Handler::parse("handler.handler").unwrap());
    config.backoff_s = 58;
    let fault = Fault::function("ValueError", "no");
    let ended = of_batch(&[late], BATCH, 7, &config, Timestamp::from_millis(0), report(Err(fault)));
    assert_eq!(ended[0].next, Next::RetryAt(Timestamp::from_millis(61_000)));
}
