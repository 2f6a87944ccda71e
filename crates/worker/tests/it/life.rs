//! How sandboxes and workers come to their end, and what they may have until then.

use std::time::{Duration, Instant};

use model::fault::Blame;
use model::invocation::Start;
use wire::worker::Worker;

use crate::bed::{Bed, answer, code};

const HELLO: &str = "def handler(event, context):\n    return 'hello'\n";
const SLEEP: &str =
    "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 1\n";

pub(crate) fn idle_sandboxes_expire() {
    let bed = Bed::with(|config| config.idle_expiry = Duration::from_millis(150));
    bed.call(&bed.function(HELLO), "{}");
    bed.eventually("it is gone", |bed| bed.worker.capacity().memory_reserved_mib == 0);
}

pub(crate) fn a_frozen_sandbox_does_nothing_until_it_is_called_again() {
    let bed = Bed::with(|config| config.freeze_after = Duration::from_millis(50));
    let spec = bed.function(
        "import threading, time\n\
         beats = []\n\
         def beat():\n    \
         while True:\n        time.sleep(.01)\n        beats.append(time.monotonic())\n\
         def handler(event, context):\n    \
         if not beats: threading.Thread(target=beat, daemon=True).start()\n    \
         while len(beats) < 3: time.sleep(.01)\n    \
         gaps = [b - a for a, b in zip(beats, beats[1:])]\n    \
         return max(gaps)\n",
    );
    let calm: f64 = answer(&bed.call(&spec, "{}")).parse().unwrap();
    assert!(calm < 0.5, "{calm}");
    std::thread::sleep(Duration::from_secs(1)); // the function's time, which shall stand still
    let next = bed.call(&spec, "{}");
    let gap: f64 = answer(&next).parse().unwrap();
    assert_eq!(next.start, Some(Start::Warm));
    // It cannot be told to whom the second belongs where nothing can freeze.
    if bed.worker.capacity().isolation_missing.is_empty() {
        assert!(gap > 0.7, "it ran while it should have been frozen: longest gap {gap} s");
    }
}

pub(crate) fn forgotten_versions_lose_their_idle_sandboxes() {
    let bed = Bed::new();
    let one = bed.function(HELLO);
    let mut two = one.clone();
    two.version = 2;
    bed.call(&one, "{}");
    bed.call(&two, "{}");
    assert_eq!(bed.worker.capacity().sandboxes_idle, 2);
    bed.worker.forget(one.function, Some(2));
    bed.eventually("one is left", |bed| bed.worker.capacity().memory_reserved_mib == 128);
    assert_eq!(bed.call(&two, "{}").start, Some(Start::Warm));
    bed.worker.forget(one.function, None);
    bed.eventually("none is left", |bed| bed.worker.capacity().memory_reserved_mib == 0);
}

pub(crate) fn memory_is_promised_once() {
    let bed = Bed::with(|config| config.memory_total_mib = 256);
    let spec = bed.function(SLEEP);
    let running: Vec<_> = (0..2).map(|_| bed.spawn(bed.job(&spec, "2"))).collect();
    bed.eventually("two run", |bed| bed.worker.capacity().sandboxes_busy == 2);
    let mut third = bed.job(&spec, "0");
    third.start_by = bed.now_and(Duration::from_millis(100));
    let begun = Instant::now();
    let report = bed.run(third);
    assert_eq!(code(&report), "Lambent.NoCapacity");
    assert_eq!(report.outcome.as_ref().unwrap_err().blame, Blame::Platform);
    assert_eq!(report.start, None);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(bed.worker.capacity().waiting, 0);
    let mut large = bed.function(SLEEP);
    large.memory_mib = 512;
    let report = bed.call(&large, "0");
    assert_eq!(code(&report), "Lambent.NoCapacity");
    for call in running {
        assert_eq!(answer(&bed.runtime.block_on(call).unwrap()), "1");
    }
    assert_eq!(answer(&bed.call(&spec, "0")), "1");
}

pub(crate) fn room_is_made_by_evicting_what_is_idle() {
    let bed = Bed::with(|config| config.memory_total_mib = 256);
    for _ in 0..6 {
        assert_eq!(answer(&bed.call(&bed.function(HELLO), "{}")), "\"hello\"");
        assert!(bed.worker.capacity().memory_reserved_mib <= 256);
    }
    let mut large = bed.function(HELLO);
    large.memory_mib = 256;
    assert_eq!(answer(&bed.call(&large, "{}")), "\"hello\"");
    assert_eq!(bed.worker.capacity().sandboxes_idle, 1);
}

pub(crate) fn an_attempt_that_nobody_waits_for_is_ended() {
    let bed = Bed::new();
    let spec = bed.function(SLEEP);
    let call = bed.spawn(bed.job(&spec, "60"));
    bed.eventually("it runs", |bed| bed.worker.capacity().sandboxes_busy == 1);
    call.abort();
    bed.eventually("it is gone", |bed| bed.worker.capacity().memory_reserved_mib == 0);
}

pub(crate) fn a_drained_worker_lets_the_running_attempt_end() {
    let bed = Bed::with(|config| config.pool_target = 1);
    let spec = bed.function(SLEEP);
    bed.call(&bed.function(HELLO), "{}");
    let running = bed.spawn(bed.job(&spec, "0.5"));
    bed.eventually("it runs", |bed| bed.worker.capacity().sandboxes_busy == 1);
    let worker = bed.worker.clone();
    let drain = bed.runtime.spawn(async move { worker.drain().await });
    bed.eventually("it drains", |bed| bed.worker.capacity().draining);
    assert_eq!(code(&bed.call(&spec, "0")), "Lambent.NoCapacity");
    assert_eq!(answer(&bed.runtime.block_on(running).unwrap()), "1");
    bed.runtime.block_on(drain).unwrap();
    let capacity = bed.worker.capacity();
    assert_eq!((capacity.memory_reserved_mib, capacity.sandboxes_pooled), (0, 0), "{capacity:?}");
}

pub(crate) fn without_its_launcher_a_worker_says_so() {
    let bed = Bed::new();
    let spec = bed.function(SLEEP);
    let running = bed.spawn(bed.job(&spec, "60"));
    bed.eventually("it runs", |bed| bed.worker.capacity().sandboxes_busy == 1);
    let pid = i32::try_from(bed.launcher_pid).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let why = bed.runtime.block_on(bed.worker.fatal());
    assert!(why.contains("the launcher is gone"), "{why}");
    let report = bed.runtime.block_on(running).unwrap();
    assert_eq!(code(&report), "Sandbox.Failure", "{report:?}");
    assert_eq!(report.outcome.unwrap_err().blame, Blame::Platform);
    assert_eq!(code(&bed.call(&spec, "0")), "Sandbox.Failure");
    bed.runtime.block_on(bed.worker.drain());
}

pub(crate) fn code_is_prepared_ahead() {
    let bed = Bed::new();
    let spec = bed.function(HELLO);
    bed.worker.prepare(std::sync::Arc::new(spec.clone()));
    assert_eq!(answer(&bed.call(&spec, "{}")), "\"hello\"");
}

/// Everything at once, in too little memory: each attempt ends in one of the ways that it may, and
/// nothing is left of any.
pub(crate) fn a_storm_leaves_nothing_behind() {
    let bed = Bed::with(|config| {
        config.memory_total_mib = 640;
        config.pool_target = 1;
        config.freeze_after = Duration::from_millis(5);
    });
    let source = "import os, time\n\
                  def handler(event, context):\n    \
                  if event % 5 == 1: raise ValueError(event)\n    \
                  if event % 5 == 2: os._exit(event % 7)\n    \
                  if event % 5 == 3: time.sleep(.02)\n    \
                  return event\n";
    let specs: Vec<_> = (0..4)
        .map(|number| {
            let mut spec = bed.function(source);
            spec.memory_mib = 64 << number;
            spec
        })
        .collect();
    let calls: Vec<_> = (0..200)
        .map(|number| {
            let call = bed.spawn(bed.job(&specs[number % specs.len()], &number.to_string()));
            if number % 5 == 4 && number % 2 == 0 {
                call.abort();
            }
            (number, call)
        })
        .collect();
    for (number, call) in calls {
        let Ok(report) = bed.runtime.block_on(call) else { continue };
        match number % 5 {
            1 => assert_eq!(code(&report), "ValueError"),
            2 => assert_eq!(code(&report), "Runtime.ExitError"),
            _ => assert_eq!(answer(&report), number.to_string()),
        }
    }
    let capacity = bed.worker.capacity();
    assert_eq!((capacity.waiting, capacity.sandboxes_busy), (0, 0), "{capacity:?}");
    bed.runtime.block_on(bed.worker.drain());
    assert_eq!(bed.worker.capacity().memory_reserved_mib, 0);
}
