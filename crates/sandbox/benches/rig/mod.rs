//! What the benchmarks of sandboxes and of the worker stand on: figures that words select, measured
//! in rounds and told as medians, each beside what the start of a bare program takes in the same
//! minute, so that a slow moment of the machine shows as such. The whole service has a rig of its
//! own, which starts a server.
//!
//! It asserts nothing: a goal that is missed is told, and what goes wrong is a panic.

#[path = "../../../lambent/benches/rig/machine.rs"]
pub(crate) mod machine;
mod processor;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

pub(crate) use processor::Processor;

/// Of three, one slow moment of the machine cannot be the median.
const ROUNDS: usize = 3;
/// A tenth of a second in all.
const BARE_STARTS: usize = 200;
/// Without cargo's `--bench` so much less is done, just enough to see that it runs.
const LESS: usize = 50;

/// The unit of readings that are the better the more they are.
pub(crate) const RATE: &str = "/s";

/// What is measured together, and can be asked for by its name.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(Share) -> Vec<Reading>,
}

/// One number of a round.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) what: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// A rate (`/s`) is to be at least this, all else at most.
    pub(crate) goal: Option<f64>,
}

/// How much of the work is done: one of so many parts.
#[derive(Clone, Copy)]
pub(crate) struct Share(usize);

impl Share {
    pub(crate) fn of(self, count: usize) -> usize {
        (count / self.0).max(1)
    }
}

/// Measures the figures that the command line's words select by a part of their names.
pub(crate) fn run(figures: &[Figure]) -> ExitCode {
    let (options, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with('-'));
    let whole = options.iter().any(|option| option == "--bench");
    let (rounds, share) = if whole { (ROUNDS, Share(1)) } else { (1, Share(LESS)) };
    println!("{}", machine::describe());
    let chosen = |figure: &&Figure| {
        words.is_empty() || words.iter().any(|word| figure.name.contains(word.as_str()))
    };
    for figure in figures.iter().filter(chosen) {
        println!("\n{}", figure.name);
        let (mut bares, mut measured) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            bares.push(bare_ms(share));
            measured.push((figure.measure)(share));
        }
        report(&measured, median(bares));
    }
    ExitCode::SUCCESS
}

fn report(rounds: &[Vec<Reading>], bare_ms: f64) {
    for (at, reading) in rounds.first().into_iter().flatten().enumerate() {
        let values: Vec<f64> =
            rounds.iter().filter_map(|round| Some(round.get(at)?.value)).collect();
        let value = median(values.clone());
        let goal = match reading.goal {
            Some(least) if reading.unit == RATE => {
                format!("at least {least}: {}", met(value >= least))
            }
            Some(most) => format!("at most {most}: {}", met(value <= most)),
            None => String::new(),
        };
        let ratio = match reading.unit {
            "ms" => format!("{:.2} x the bare", value / bare_ms),
            RATE => format!("{:.1} in a bare's time", value * bare_ms / 1e3),
            _ => String::new(),
        };
        let Reading { what, unit, .. } = reading;
        println!("  {what:<32} {value:>10.3} {unit:<8} {goal:<24} {ratio:<24} rounds {values:.3?}");
    }
    println!("  bare: a program that does nothing, started and waited for: p50 {bare_ms:.3} ms");
}

/// What any machine spends on any process.
fn bare_ms(share: Share) -> f64 {
    let start = || {
        let mut program = Command::new("/bin/true");
        let status = program.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|it| it.success()), "/bin/true does not run");
    };
    let times: Vec<Duration> = (0..share.of(BARE_STARTS)).map(|_| timed(start).0).collect();
    per_mille(&times, 500).as_secs_f64() * 1e3
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value which so many thousandths of the times do not exceed.
pub(crate) fn per_mille(times: &[Duration], share: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = (times.len() * share / 1_000).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}

pub(crate) fn millis(
    what: &'static str,
    times: &[Duration],
    per_mille_of_them: usize,
    goal: Option<f64>,
) -> Reading {
    let value = per_mille(times, per_mille_of_them).as_secs_f64() * 1e3;
    Reading { what, value, unit: "ms", goal }
}

/// How long `act` takes, and what it gives.
pub(crate) fn timed<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let value = act();
    (begun.elapsed(), value)
}
