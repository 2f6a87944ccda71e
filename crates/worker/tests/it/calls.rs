//! Calls that succeed.

use std::time::{Duration, Instant};

use model::invocation::Start;
use model::{EventId, Handler, TriggerName};
use wire::worker::Worker;

use crate::bed::{Bed, SystemClock, answer};

const HELLO: &str = "def handler(event, context):\n    return {'hello': event['name']}\n";

pub(crate) fn the_first_call_is_fresh_and_the_second_is_warm() {
    let bed = Bed::new();
    let spec = bed.function(HELLO);
    let first = bed.call(&spec, r#"{"name": "one"}"#);
    assert_eq!(answer(&first), r#"{"hello":"one"}"#);
    assert_eq!(first.start, Some(Start::Fresh));
    assert!(first.timing.sandbox > Duration::ZERO && first.timing.init > Duration::ZERO);
    assert!(first.timing.run > Duration::ZERO && first.ended_at >= first.started_at);
    assert!(first.memory_peak_bytes.is_none_or(|bytes| bytes > 1024 * 1024), "{first:?}");
    let second = bed.call(&spec, r#"{"name": "two"}"#);
    assert_eq!(answer(&second), r#"{"hello":"two"}"#);
    assert_eq!((second.start, second.timing.init), (Some(Start::Warm), Duration::ZERO));
    assert_eq!(bed.worker.capacity().sandboxes_idle, 1);
}

pub(crate) fn a_call_takes_an_empty_sandbox_of_the_stock() {
    let bed = Bed::with(|config| config.pool_target = 2);
    bed.eventually("two empty sandboxes", |bed| bed.worker.capacity().sandboxes_pooled == 2);
    let report = bed.call(&bed.function(HELLO), r#"{"name": "pool"}"#);
    assert_eq!(
        (answer(&report).as_str(), report.start),
        (r#"{"hello":"pool"}"#, Some(Start::Pool))
    );
    bed.eventually("two empty sandboxes again", |bed| bed.worker.capacity().sandboxes_pooled == 2);
}

pub(crate) fn the_handler_sees_who_it_is_and_what_it_is_called_for() {
    let bed = Bed::new();
    let mut spec = bed.function(
        "import os\n\
         def handler(event, context):\n    \
         left = context.get_remaining_time_in_millis()\n    \
         return [context.aws_request_id, context.function_name, context.function_version,\n            \
         context.memory_limit_in_mb, os.environ['COLOUR'], 18000 < left <= 20000]\n",
    );
    spec.env.insert("COLOUR".into(), "blue".into());
    let mut job = bed.job(&spec, "{}");
    let trigger = TriggerName::parse("on-upload").unwrap();
    job.event = Some((EventId::new(&SystemClock), Some(trigger)));
    let invocation = job.invocation.to_string();
    let answer = answer(&bed.run(job)).replace('"', "");
    let memory = answer.contains(",128,");
    assert!(answer.starts_with(&format!("[{invocation},test,1,")), "{answer}");
    assert!(memory && answer.ends_with(",blue,true]"), "{answer}");
}

pub(crate) fn code_in_a_zip_with_its_modules_is_loaded() {
    let bed = Bed::new();
    let zip = zip(&[
        (
            "app/main.py",
            "import helper\ndef run(event, context):\n    return helper.double(event)\n",
        ),
        ("helper.py", "def double(x):\n    return x * 2\n"),
    ]);
    let mut spec = bed.package(&zip, "code.zip");
    spec.handler = Handler::parse("app/main.run").unwrap();
    assert_eq!(answer(&bed.call(&spec, "21")), "42");
}

pub(crate) fn the_same_bytes_under_two_names_are_two_packages() {
    let bed = Bed::new();
    let one = bed.package(HELLO.as_bytes(), "one.py");
    let two = bed.package(HELLO.as_bytes(), "two.py");
    for (mut spec, handler) in [(one, "one.handler"), (two, "two.handler")] {
        spec.handler = Handler::parse(handler).unwrap();
        assert_eq!(answer(&bed.call(&spec, r#"{"name": "x"}"#)), r#"{"hello":"x"}"#);
    }
}

pub(crate) fn events_and_answers_of_the_largest_size_pass() {
    let bed = Bed::new();
    let mut spec = bed.function("def handler(event, context):\n    return event\n");
    spec.memory_mib = 256;
    let event = format!("\"{}\"", "x".repeat(6 * 1024 * 1024 - 2));
    let report = bed.call(&spec, &event);
    assert!(answer(&report) == event);
}

pub(crate) fn sixty_four_short_calls_share_a_few_sandboxes() {
    let bed = Bed::new();
    let spec = bed.function(HELLO);
    bed.call(&spec, r#"{"name": "first"}"#);
    let calls: Vec<_> = (0..64)
        .map(|number| bed.spawn(bed.job(&spec, &format!(r#"{{"name": {number}}}"#))))
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        let report = bed.runtime.block_on(call).unwrap();
        assert_eq!(answer(&report), format!(r#"{{"hello":{number}}}"#));
    }
    let capacity = bed.worker.capacity();
    let made = capacity.sandboxes_idle + capacity.sandboxes_pooled;
    assert!((1..=16).contains(&made), "{capacity:?}");
}

pub(crate) fn sixteen_sleepers_run_at_the_same_time() {
    let bed = Bed::new();
    let spec = bed.function(
        "import time\ndef handler(event, context):\n    time.sleep(1)\n    return event\n",
    );
    let begun = Instant::now();
    let calls: Vec<_> =
        (0..16).map(|number| bed.spawn(bed.job(&spec, &number.to_string()))).collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(&bed.runtime.block_on(call).unwrap()), number.to_string());
    }
    // One after the other they would take sixteen seconds.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

pub(crate) fn versions_of_a_function_do_not_share_sandboxes() {
    let bed = Bed::new();
    let one = bed.function("def handler(event, context):\n    return 1\n");
    let mut two = bed.function("def handler(event, context):\n    return 2\n");
    two.function = one.function;
    two.version = 2;
    for _ in 0..3 {
        assert_eq!(answer(&bed.call(&one, "{}")), "1");
        assert_eq!(answer(&bed.call(&two, "{}")), "2");
    }
    assert_eq!(bed.worker.capacity().sandboxes_idle, 2);
}

/// An archive with these files, stored.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
