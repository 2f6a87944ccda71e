//! Effects: events that a handler wants sent because it succeeded. From what it asked for to messages
//! in the outbox. Pure.
//!
//! They are committed with the attempt's outcome. One that is no event, or more of them than may be,
//! is an error of the function's: then the attempt has failed, and nothing is sent.

use bytes::Bytes;
use model::{Clock, Fault, FunctionName, InvocationId, MessageId, Timestamp, fault, limits};
use serde_json::json;
use serde_json::value::RawValue;
use store::{NewMessage, Purpose, Target};
use wire::worker::{Effect, Report};

use super::made::Draft;
use super::record;

/// To whatever has a trigger for it, when it is delivered.
pub(crate) const EVENTS: &str = "events";

/// The messages of an attempt, taken out of its report; or its outcome becomes a failure. `hops` is
/// of what it was made for.
pub(crate) fn take(
    clock: &dyn Clock,
    function: &FunctionName,
    invocation: InvocationId,
    hops: impl FnOnce() -> u32,
    report: &mut Report,
) -> Vec<NewMessage> {
    if report.effects.is_empty() {
        return Vec::new();
    }
    let effects = std::mem::take(&mut report.effects);
    if report.outcome.is_err() {
        return Vec::new();
    }
    let made = within(&effects).and_then(|()| {
        let (hops, at) = (hops() + 1, report.ended_at);
        let numbered = effects.iter().enumerate();
        let made =
            numbered.map(|(n, effect)| message(clock, function, invocation, hops, at, n, effect));
        made.collect()
    });
    made.unwrap_or_else(|fault| {
        report.outcome = Err(fault);
        Vec::new()
    })
}

fn within(effects: &[Effect]) -> Result<(), Fault> {
    let bytes: usize = effects.iter().map(bytes).sum();
    let (count, most, most_bytes) = (effects.len(), limits::EFFECTS, limits::EFFECTS_BYTES);
    if count <= most && bytes <= most_bytes {
        return Ok(());
    }
    let message = format!(
        "the handler asked to send {count} events of {bytes} bytes, and may send {most} of \
         {most_bytes} bytes in one attempt: send a reference to what is large"
    );
    Err(Fault::function(fault::TOO_MANY_EFFECTS, message))
}

fn bytes(effect: &Effect) -> usize {
    let Effect { kind, source, id, subject, data } = effect;
    let text = [source, id, subject].into_iter().flatten().map(String::len).sum::<usize>();
    kind.len() + text + data.as_ref().map_or(0, |data| data.get().len())
}

fn message(
    clock: &dyn Clock,
    function: &FunctionName,
    invocation: InvocationId,
    hops: u32,
    at: Timestamp,
    n: usize,
    effect: &Effect,
) -> Result<NewMessage, Fault> {
    let default_id = format!("{invocation}/{n}");
    let default_source = record::source(function);
    let draft = Draft {
        id: effect.id.as_deref().unwrap_or(&default_id),
        source: effect.source.as_deref().unwrap_or(&default_source),
        kind: &effect.kind,
        subject: effect.subject.as_deref(),
        at,
        hops,
        data: effect.data.as_deref().filter(|data| data.get() != RawValue::NULL.get()),
    };
    let event = draft.finish().map_err(|malformed| {
        let message = format!("event {n} that the handler asked to send is not one: {malformed}");
        Fault::function(fault::INVALID_EFFECT, message)
    })?;
    let settings = json!({"type": event.kind, "source": event.source, "id": event.id});
    Ok(NewMessage {
        id: MessageId::new(clock),
        target: Target { kind: EVENTS.into(), settings: settings.to_string(), sealed: None },
        body: Bytes::copy_from_slice(event.record.as_bytes()),
        purpose: Purpose::Effect,
    })
}

#[cfg(test)]
mod tests {
    use model::invocation::Timing;
    use serde_json::Value;

    use super::*;

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_000)
        }

        fn entropy(&self) -> u128 {
            7
        }
    }

    fn effect(kind: &str) -> Effect {
        Effect { kind: kind.into(), source: None, id: None, subject: None, data: None }
    }

    fn taken(effects: Vec<Effect>) -> (Vec<Value>, Report) {
        let mut report = Report {
            started_at: Timestamp::from_millis(0),
            ended_at: Timestamp::from_millis(1_000),
            start: None,
            timing: Timing::default(),
            memory_peak_bytes: None,
            outcome: Ok(Bytes::from_static(b"1")),
            effects,
            log: Vec::new(),
            log_dropped_bytes: 0,
        };
        let function = FunctionName::parse("f").unwrap();
        let invocation = InvocationId::from_bytes([1; 16]);
        let messages = take(&Still, &function, invocation, || 2, &mut report);
        let bodies = messages.iter().map(|it| serde_json::from_slice(&it.body).unwrap());
        (bodies.collect(), report)
    }

    fn fails(effects: Vec<Effect>) -> Fault {
        let (messages, report) = taken(effects);
        assert!(messages.is_empty());
        report.outcome.unwrap_err()
    }

    #[test]
    fn what_a_handler_leaves_out_is_filled_in_and_equal_attempts_give_equal_ids() {
        let (bodies, report) = taken(vec![
            effect("a"),
            Effect {
                source: Some("s".into()),
                id: Some("i".into()),
                data: Some(RawValue::from_string("{\"n\":1.0}".into()).unwrap()),
                ..effect("b")
            },
        ]);
        assert!(report.outcome.is_ok() && report.effects.is_empty());
        let id = format!("{}/0", InvocationId::from_bytes([1; 16]));
        assert_eq!((&bodies[0]["id"], &bodies[0]["lambenthops"]), (&json!(id), &json!(3)));
        assert_eq!(bodies[0]["source"], "lambent:function/f");
        assert_eq!((&bodies[1]["id"], &bodies[1]["source"]), (&json!("i"), &json!("s")));
        assert_eq!(bodies[1]["data"], json!({"n": 1.0}));
    }

    #[test]
    fn what_is_no_event_fails_the_attempt_and_says_which() {
        let fault = fails(vec![effect("fine"), effect("")]);
        assert_eq!(fault.code, fault::INVALID_EFFECT);
        assert!(fault.message.contains("event 1"), "{}", fault.message);
    }

    #[test]
    fn too_many_and_too_large_fail_the_attempt() {
        assert_eq!(taken(vec![effect("a"); limits::EFFECTS]).0.len(), limits::EFFECTS);
        let many = fails(vec![effect("a"); limits::EFFECTS + 1]);
        assert_eq!(many.code, fault::TOO_MANY_EFFECTS);
        let data = RawValue::from_string(format!("{:?}", "x".repeat(limits::EFFECTS_BYTES)));
        let large = fails(vec![Effect { data: Some(data.unwrap()), ..effect("a") }]);
        assert_eq!(large.code, fault::TOO_MANY_EFFECTS);
    }

    #[test]
    fn a_failed_attempt_sends_nothing() {
        let (_, mut report) = taken(Vec::new());
        report.effects = vec![effect("a")];
        report.outcome = Err(Fault::function("ValueError", "no"));
        let function = FunctionName::parse("f").unwrap();
        let id = InvocationId::from_bytes([1; 16]);
        assert!(take(&Still, &function, id, || 0, &mut report).is_empty());
    }
}
