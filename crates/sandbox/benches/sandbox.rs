//! What a sandbox costs: to make it, to put code into it, and to end it.
//! `cargo bench -p sandbox --bench sandbox [WORD…]`.
//!
//! Real sandboxes with everything that contains one, made by a real launcher one after the other,
//! as the server that asks for them sees it: from the request on the socket to the answer. Nothing
//! of the worker is here. A word selects the figures whose name it is part of.

#![expect(clippy::print_stdout, reason = "a benchmark's readings are what it is for")]

#[path = "../tests/it/harness.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "made for the tests; this uses a part of it")]
mod harness;
mod rig;

use std::process::ExitCode;

use harness::Lab;
use rig::{Figure, Processor, Reading, Share, millis, timed};
use sandbox::{Limits, Message};

/// So many that the slowest hundredth is more than one.
const LIVES: usize = 200;

const FIGURES: [Figure; 2] = [
    Figure { name: "life", measure: life },
    Figure { name: "processor-time", measure: processor_time },
];

fn main() -> ExitCode {
    if let Some(code) = sandbox::run_if_launcher() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    if !harness::is_root() {
        println!("skipped: sandbox: making sandboxes with the whole isolation needs root");
        return ExitCode::SUCCESS;
    }
    println!("{:?}", Lab::start().isolation);
    rig::run(&FIGURES)
}

fn life(share: Share) -> Vec<Reading> {
    let lab = Lab::start();
    lab.code("f1", "main.py", "");
    let limits = Limits { memory_bytes: 256 << 20, tmp_bytes: 64 << 20, ..Limits::default() };
    let [mut created, mut spoke, mut assigned, mut destroyed] = [const { Vec::new() }; 4];
    for _ in 0..share.of(LIVES) {
        let (took, mut guest) = timed(|| lab.sandbox());
        created.push(took);
        // Waited for, so that an interpreter which starts does not compete with what follows.
        spoke.push(took + timed(|| guest.ask("say(1)")).0);
        let (took, message) = timed(|| guest.assign("f1", limits));
        assert!(matches!(message, Message::Assigned { .. }), "{message:?}");
        assigned.push(took);
        destroyed.push(timed(|| guest.destroy()).0);
    }
    vec![
        millis("created, p50", &created, 500, Some(6.0)),
        millis("created, p99", &created, 990, None),
        millis("a Python in it has spoken, p50", &spoke, 500, None),
        millis("code assigned, p50", &assigned, 500, Some(1.0)),
        millis("code assigned, p99", &assigned, 990, None),
        millis("destroyed, p50", &destroyed, 500, Some(5.0)),
        millis("destroyed, p99", &destroyed, 990, None),
    ]
}

/// What other programs of this machine change less: the processor time of a sandbox whose program,
/// a shell, has hardly begun; and the launcher's, from the request to the last cgroup's removal.
fn processor_time(share: Share) -> Vec<Reading> {
    let lab = Lab::start();
    let lives = share.of(LIVES);
    let before = Processor::now(lab.launcher);
    let mut inside = Vec::new();
    for _ in 0..lives {
        let guest = lab.sandbox_with("shell", Limits::default());
        lab.sender.usage(guest.id).expect("the launcher lives as long as the lab");
        let Message::Usage { usage, .. } = guest.message() else { panic!("no usage") };
        inside.push(usage.cpu);
        guest.destroy();
    }
    let launcher_ms = before.since().as_secs_f64() * 1e3 / lives as f64;
    let inside_ms = rig::per_mille(&inside, 500).as_secs_f64() * 1e3;
    let reading = |what, value| Reading { what, value, unit: "cpu ms", goal: None };
    vec![
        reading("in a sandbox when created, p50", inside_ms),
        reading("in the launcher, mean of a life", launcher_ms),
    ]
}
