//! Real sandboxes. This executable is its own launcher, so it has its own `main`, and a small runner
//! in place of the standard one.

#![expect(clippy::print_stdout, reason = "the runner speaks as the standard one does")]
#![expect(clippy::unwrap_used, reason = "all of this is tests, which clippy cannot tell here")]

mod harness;
mod hostile;
mod life;
mod server;
mod sight;
mod unprivileged;

fn main() -> std::process::ExitCode {
    if let Some(code) = sandbox::run_if_launcher() {
        return std::process::ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    if let Some(code) = server::run_if_helper() {
        return std::process::ExitCode::from(code);
    }
    let mut runner = harness::Runner::from_arguments();
    life::tests(&mut runner);
    sight::tests(&mut runner);
    hostile::tests(&mut runner);
    server::tests(&mut runner);
    unprivileged::tests(&mut runner);
    runner.finish()
}
