//! Functions that want to harm, in the whole service: real binary, real HTTP, real sandboxes.
//!
//! Every act runs as project `evil` while a function of project `good` is called some twenty times
//! a second. After each act the [`Arena`] asks: did the call end as it should have? Was every call
//! of the neighbour answered? Is every process and every control group of the act gone, does the
//! service hold no more memory than before, does it still answer? The functions are those of
//! `examples/hostile`; what needs no file of its own is written beside its test.
//!
//! The themes: [`exhaustion`] takes what there is, [`escape`] wants out, [`protocol`] lies to the
//! worker, [`logs`] to whoever reads them, [`peeking`] looks around, and [`benign`] is the control:
//! ordinary programs, which must not notice any of it.
//!
//! Only root can give sandboxes users and control groups of their own, so these tests are for root,
//! and say aloud that they are skipped otherwise. What an unprivileged user gets is tested by the
//! sandbox crate.

mod arena;
mod benign;
mod escape;
mod exhaustion;
mod logs;
mod neighbour;
mod peeking;
mod protocol;

use serde_json::Value;

use arena::Arena;

/// One row of a table: an act, and how it must end.
struct Act {
    /// Its number in the list of hostile acts, such as `H1`.
    number: &'static str,
    module: &'static str,
    event: Value,
    settings: &'static [(&'static str, &'static str)],
    ends: Ends,
    /// Whether it is quick enough to be done twice: the second call must end like the first.
    twice: bool,
}

/// How a call ends.
enum Ends {
    /// With one of these codes.
    Fails(&'static [&'static str]),
    /// With an answer that satisfies this, or says what is wrong with it.
    Answers(fn(&Value) -> Result<(), String>),
    /// With such an answer, or with one of these codes: which of them is chance.
    AnswersOrFails(fn(&Value) -> Result<(), String>, &'static [&'static str]),
}

/// Which limit is met first may be chance: another one, or that of memory.
const fn answers_or_runs_out(answers: fn(&Value) -> Result<(), String>) -> Ends {
    Ends::AnswersOrFails(answers, &["Runtime.OutOfMemory"])
}

const SHORT: &[(&str, &str)] = &[("timeout_s", "2")];

fn act(number: &'static str, module: &'static str, event: Value, ends: Ends) -> Act {
    Act { number, module, event, settings: &[], ends, twice: true }
}

/// An act that lasts until its timeout.
fn long_act(number: &'static str, module: &'static str, event: Value, ends: Ends) -> Act {
    Act { number, module, event, settings: SHORT, ends, twice: false }
}

/// Does all acts, and tells of all that went wrong, not only of the first.
fn run(name: &str, acts: &[Act]) {
    let Some(arena) = Arena::enter(name) else { return };
    let wrong: Vec<String> = acts.iter().filter_map(|act| arena.watch(act).err()).collect();
    arena.leave();
    assert!(wrong.is_empty(), "{} of {} acts:\n{}", wrong.len(), acts.len(), wrong.join("\n"));
}

/// Says what is wrong unless the fact holds.
fn must(fact: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if fact { Ok(()) } else { Err(what()) }
}

/// All values of the answer, of any depth, are one of these words.
fn only(answer: &Value, words: &[&str]) -> Result<(), String> {
    match answer {
        Value::Object(parts) => parts
            .iter()
            .try_for_each(|(name, part)| only(part, words).map_err(|why| format!("{name}: {why}"))),
        Value::String(word) if words.contains(&word.as_str()) => Ok(()),
        other => Err(format!("{other} is not one of {words:?}")),
    }
}
