//! `cargo xtask fuzz [TARGET] [SECONDS]`: the fuzz targets of `fuzz/`, one after the other, each for
//! so long. Coverage chooses the inputs; what a target holds against them stands in its head.
//!
//! It begins with the target's seeds and with what earlier runs on this machine came upon, which is
//! kept in `fuzz/target/corpus`. An input that breaks a promise is written to `fuzz/artifacts`, and
//! the command that tries it again is printed. Whoever mends it adds a test to the crate: these
//! inputs are of one machine, and no commit waits for a fuzzer.

use std::path::Path;
use std::process::Command;

use crate::failure::{Attempting, Failure, Outcome};
use crate::tools;

/// Enough to meet a mistake that was just made. Who looks for old ones says more.
const SECONDS: u32 = 60;
/// No input of a few KiB may take as long as this, not even with all checks compiled in.
const SLOWEST_S: u32 = 10;
/// No input of a few KiB may ask for so much at once: a length was believed.
const LARGEST_ALLOCATION_MIB: u32 = 16;

pub(crate) fn run(words: &[&str]) -> Outcome {
    let all = targets(&tools::root())?;
    let (chosen, seconds) = choose(&all, words)?;
    if tools::answer(&mut fuzz(&["--version"])).is_none() {
        return Err(Failure::new(
            "cannot fuzz: cargo-fuzz is not installed. `cargo install --locked cargo-fuzz` installs \
             it; the targets need a C++ compiler, too (Debian's package g++)",
        ));
    }
    let mut broken = Vec::new();
    for target in chosen {
        let corpus = format!("fuzz/target/corpus/{target}");
        let made = std::fs::create_dir_all(tools::root().join(&corpus));
        made.attempting(|| format!("make the folder {corpus}"))?;
        println!("\n== {target}: {seconds} s");
        let seeds = format!("fuzz/seeds/{target}");
        let mut fuzz = fuzz(&["run", target, &corpus, &seeds, "--"]);
        fuzz.arg(format!("-dict=fuzz/dictionaries/{target}.dict"));
        fuzz.arg(format!("-max_total_time={seconds}"));
        fuzz.arg(format!("-timeout={SLOWEST_S}"));
        fuzz.arg(format!("-malloc_limit_mb={LARGEST_ALLOCATION_MIB}"));
        fuzz.arg("-print_final_stats=1");
        // A finding in one reader says nothing about the next.
        if let Err(failure) = tools::succeed(&mut fuzz) {
            println!("{failure}");
            broken.push(target);
        }
    }
    match broken.as_slice() {
        [] => Ok(()),
        broken => Err(Failure::new(format!(
            "not all is well with {}: what is wrong stands above. The commands that are told there \
             want RUSTC_BOOTSTRAP=1 in their environment",
            broken.join(", ")
        ))),
    }
}

fn fuzz(arguments: &[&str]) -> Command {
    let mut cargo = tools::cargo(&["fuzz"]);
    // The compiler's instrumentation is marked as unstable. With this, the compiler that builds the
    // product builds the targets, instead of another one, of some night.
    cargo.args(arguments).env("RUSTC_BOOTSTRAP", "1");
    cargo
}

/// Names of the files in `fuzz/fuzz_targets`, sorted.
fn targets(root: &Path) -> Outcome<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let listed = std::fs::read_dir(&folder);
    let listed = listed.attempting(|| format!("read the folder {}", folder.display()))?;
    let mut names: Vec<String> = listed
        .filter_map(|entry| {
            entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned)
        })
        .collect();
    names.sort();
    Ok(names)
}

/// Which targets, and for how many seconds each.
fn choose<'a>(all: &'a [String], words: &[&str]) -> Outcome<(Vec<&'a str>, u32)> {
    let (target, seconds) = match words {
        [] => (None, None),
        [word] if word.parse::<u32>().is_ok() => (None, Some(*word)),
        [target] => (Some(*target), None),
        [target, seconds] => (Some(*target), Some(*seconds)),
        _ => return Err(Failure::new("usage: cargo xtask fuzz [TARGET] [SECONDS]")),
    };
    let seconds = seconds.map_or(Ok(SECONDS), |word| match word.parse() {
        // To libFuzzer, 0 is for ever.
        Ok(0) => Err(Failure::new("cannot fuzz for 0 seconds: say how many, from 1")),
        Ok(seconds) => Ok(seconds),
        Err(why) => Err(Failure::new(format!("cannot fuzz for {word:?} seconds: {why}"))),
    })?;
    let chosen: Vec<&str> =
        all.iter().map(String::as_str).filter(|name| target.is_none_or(|it| it == *name)).collect();
    if chosen.is_empty() {
        let asked = target.unwrap_or_default();
        let all = all.join(", ");
        return Err(Failure::new(format!("there is no fuzz target {asked:?}, but: {all}")));
    }
    Ok((chosen, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], expected: Result<(&[&str], u32), &str>) {
        let all = ["json".to_owned(), "zip".to_owned()];
        match (choose(&all, words), expected) {
            (Ok((chosen, seconds)), Ok(expected)) => {
                assert_eq!((chosen.as_slice(), seconds), expected);
            }
            (Err(failure), Err(part)) => assert!(failure.to_string().contains(part), "{failure}"),
            (chosen, expected) => panic!("{words:?}: {chosen:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_number_is_seconds_and_a_word_is_a_target() {
        check(&[], Ok((&["json", "zip"], 60)));
        check(&["5"], Ok((&["json", "zip"], 5)));
        check(&["zip"], Ok((&["zip"], 60)));
        check(&["zip", "5"], Ok((&["zip"], 5)));
    }

    #[test]
    fn what_cannot_be_fuzzed_is_said() {
        check(&["tar"], Err("there is no fuzz target \"tar\", but: json, zip"));
        check(&["zip", "long"], Err("cannot fuzz for \"long\" seconds"));
        check(&["zip", "0"], Err("for 0 seconds"));
        check(&["zip", "5", "6"], Err("usage"));
    }

    #[test]
    fn every_target_is_in_the_manifest_and_has_seeds_and_a_dictionary() {
        let fuzz = tools::root().join("fuzz");
        let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        for target in targets(&tools::root()).unwrap() {
            let line = format!("path = \"fuzz_targets/{target}.rs\"");
            assert!(manifest.contains(&line), "{target} is not in fuzz/Cargo.toml");
            let seeds = std::fs::read_dir(fuzz.join("seeds").join(&target));
            assert!(seeds.is_ok_and(|mut seeds| seeds.next().is_some()), "{target} has no seeds");
            let dictionary = fuzz.join(format!("dictionaries/{target}.dict"));
            assert!(dictionary.exists(), "{target} has no dictionary");
        }
    }
}
