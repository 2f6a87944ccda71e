//! How long it takes, as medians, printed beside the targets: figures to look at. What is asserted is
//! that each step works, sixty times over; a busy machine proves nothing about speed.

use crate::harness::{Lab, Runner};
use sandbox::{Limits, Message};
use std::time::{Duration, Instant};

const ROUNDS: u32 = 60;

pub(crate) fn tests(runner: &mut Runner) {
    runner.root("making_assigning_and_ending_a_sandbox_works_sixty_times_over", || {
        let lab = Lab::start();
        lab.code("f1", "main.py", "");
        let limits = Limits { memory_bytes: 256 << 20, tmp_bytes: 64 << 20, ..Limits::default() };
        let (mut made, mut assigned, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let mut guest = lab.sandbox();
            guest.ask("say(1)");
            made.push(guest.setup);
            let began = Instant::now();
            let message = guest.assign("f1", limits);
            assigned.push(began.elapsed());
            assert!(matches!(message, Message::Assigned { .. }), "{message:?}");
            let began = Instant::now();
            guest.destroy();
            ended.push(began.elapsed());
        }
        // Apart from what other programs of this machine cost us: the processor time of a sandbox
        // whose program, a shell, has hardly begun.
        let mut worked = Vec::new();
        for _ in 0..ROUNDS {
            let guest = lab.sandbox_with("shell", Limits::default());
            lab.sender.usage(guest.id).unwrap();
            let Message::Usage { usage, .. } = guest.message() else { panic!("no usage") };
            worked.push(usage.cpu);
            guest.destroy();
        }
        println!("    made with {:?} of processor time (median of {ROUNDS})", median(worked));
        for (what, times, target) in [
            ("made", made, Duration::from_millis(6)),
            ("assigned", assigned, Duration::from_millis(1)),
            ("ended", ended, Duration::from_millis(5)),
        ] {
            let median = median(times);
            println!("    {what} in {median:?} (median of {ROUNDS}; target {target:?})");
        }
    });
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
