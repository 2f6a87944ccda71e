//! The worker with real sandboxes and the real Python shim.
//!
//! Sandboxes are made by a launcher, which is this very program executed a second time, before it
//! has any thread; the standard test harness leaves no room for that. So this file has its own
//! `main` and a small runner, which prints what the standard one would. One worker per test: each
//! has its own launcher, pool and cache, and nothing of one is seen by another.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the runner's report")]

mod bed;
mod calls;
mod faults;
mod life;
mod logs;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// A test's name and the test.
type Test = (&'static str, fn());

/// Names the tests of a module, which are ordinary functions.
macro_rules! tests {
    ($($module:ident: $($test:ident),* $(,)?;)*) => {
        &[$($((concat!(stringify!($module), "::", stringify!($test)), $module::$test as fn()),)*)*]
    };
}

const TESTS: &[Test] = tests! {
    calls:
        the_first_call_is_fresh_and_the_second_is_warm,
        a_call_takes_an_empty_sandbox_of_the_stock,
        the_handler_sees_who_it_is_and_what_it_is_called_for,
        code_in_a_zip_with_its_modules_is_loaded,
        the_same_bytes_under_two_names_are_two_packages,
        events_and_answers_of_the_largest_size_pass,
        sixty_four_short_calls_share_a_few_sandboxes,
        sixteen_sleepers_run_at_the_same_time,
        versions_of_a_function_do_not_share_sandboxes;
    faults:
        what_a_handler_raises_is_told_and_the_sandbox_stays_warm,
        what_cannot_be_loaded_is_told_with_its_code,
        an_exit_is_told_with_its_status,
        a_crash_is_told_with_its_signal,
        a_closed_channel_is_an_exit,
        a_forked_child_does_not_hold_up_the_news_of_an_exit,
        memory_beyond_the_limit_is_told_as_such,
        memory_beyond_the_limit_while_loading_is_told_as_such,
        an_attempt_ends_at_its_timeout,
        a_busy_loop_ends_at_its_timeout,
        code_that_never_finishes_loading_ends_at_the_init_timeout,
        what_is_not_the_protocol_ends_the_sandbox,
        an_answer_sent_between_two_calls_is_nobody_s,
        a_runtime_that_is_not_there_is_told,
        code_that_cannot_be_had_is_told;
    logs:
        lines_belong_to_the_attempt_that_wrote_them,
        what_is_printed_while_loading_belongs_to_the_first_attempt,
        no_line_can_forge_another,
        a_flood_is_cut_marked_and_counted_and_does_not_hold_the_function_up,
        what_is_written_between_two_attempts_belongs_to_neither,
        a_long_attempt_can_be_followed_while_it_runs;
    life:
        idle_sandboxes_expire,
        a_frozen_sandbox_does_nothing_until_it_is_called_again,
        forgotten_versions_lose_their_idle_sandboxes,
        memory_is_promised_once,
        room_is_made_by_evicting_what_is_idle,
        an_attempt_that_nobody_waits_for_is_ended,
        a_drained_worker_lets_the_running_attempt_end,
        without_its_launcher_a_worker_says_so,
        code_is_prepared_ahead,
        a_storm_leaves_nothing_behind;
};

fn main() -> ExitCode {
    if let Some(code) = sandbox::run_if_launcher() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let chosen = |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(*f));
    if arguments.iter().any(|argument| argument == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    let tests: Vec<&Test> = TESTS.iter().filter(|(name, _)| chosen(name)).collect();
    println!("\nrunning {} tests", tests.len());
    let mut failed = Vec::new();
    for (name, test) in &tests {
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        let outcome = if passed { "ok" } else { "FAILED" };
        println!("test {name} ... {outcome}");
        if !passed {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|name| println!("    {name}"));
    }
    let (verdict, passed) =
        (if failed.is_empty() { "ok" } else { "FAILED" }, tests.len() - failed.len());
    println!(
        "\ntest result: {verdict}. {passed} passed; {} failed; 0 ignored; 0 measured; {} filtered \
         out; finished in {:.2}s\n",
        failed.len(),
        TESTS.len() - tests.len(),
        begun.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
