//! The demo's own server: `lambent dev`, started, waited for, stopped, and cleaned up after.
//!
//! It takes port 0 and reads the address from the greeting on the standard error, so no port can
//! be taken between the choice and the start. Whatever goes wrong, dropping [`Server`] ends the
//! process and removes its data.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::{Attempting, Failure, Outcome};

/// A start takes a tenth of a second; a slow disk may need some.
const START: Duration = Duration::from_secs(30);
/// Nothing runs when the demo stops the server, so this only bounds a bug.
const STOP: Duration = Duration::from_secs(60);
/// Lines of the server's log that are kept to be shown when the demo fails.
const LINES_KEPT: usize = 200;
/// What the greeting says before the address.
const GREETING: &str = "lambent listens on http://";

pub(super) struct Server {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
    said: Said,
}

/// The last lines that the server wrote.
type Said = Arc<Mutex<Vec<String>>>;

impl Server {
    pub(super) fn start(program: &Path) -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("lambent-demo-{}", std::process::id()));
        std::fs::create_dir(&folder).attempting(|| format!("make {}", folder.display()))?;
        let data = folder.join("data");
        let mut command = Command::new(program);
        command.args(["dev", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        println!("  $ lambent dev --listen 127.0.0.1:0 --data {}", data.display());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let spawned = command.spawn().attempting(|| format!("start {}", program.display()));
        let mut process = match spawned {
            Ok(process) => process,
            Err(failure) => {
                remove(&folder);
                return Err(failure);
            }
        };
        let stderr = process.stderr.take().expect("it was asked for above");
        let said = Said::default();
        let heard = listen(stderr, said.clone());
        // The address is not known yet; from here on a failure is cleaned up after.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { process, folder, address: unknown, said };
        server.address = server.wait_for_greeting(&heard)?;
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to stop and insists that it ends well.
    pub(super) fn stop(mut self) -> Outcome {
        let line = format!("kill -TERM {}", self.process.id());
        println!("  $ {line}");
        // The shell's own `kill`: a bare machine may not have the program.
        let asked = Command::new("sh").args(["-c", &line]).status();
        asked.attempting(|| format!("run `{line}`"))?;
        match self.wait()? {
            Some(status) if status.success() => {
                println!("  it ended with exit code 0");
                Ok(())
            }
            Some(status) => {
                let words = self.last_words();
                Err(Failure::new(format!(
                    "the server was stopped and ended with {status}\n\n{words}"
                )))
            }
            None => Err(Failure::new(format!(
                "the server was asked to stop and still runs after {} s\n\n{}",
                STOP.as_secs(),
                self.last_words()
            ))),
        }
    }

    /// What it wrote last, for a failure's report.
    pub(super) fn last_words(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match said.as_slice() {
            [] => "the server's log is empty".to_owned(),
            lines => format!("the server's log:\n  {}", lines.join("\n  ")),
        }
    }

    fn wait_for_greeting(&mut self, heard: &Receiver<String>) -> Outcome<SocketAddr> {
        let until = Instant::now() + START;
        loop {
            let line = match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Failure::new(format!(
                        "the server did not say where it listens within {} s\n\n{}",
                        START.as_secs(),
                        self.last_words()
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let words = self.last_words();
                    return Err(Failure::new(format!("the server did not start\n\n{words}")));
                }
            };
            println!("  {line}");
            if let Some(address) = greeted(&line) {
                return Ok(address);
            }
        }
    }

    /// Its end, or `None` if it does not come.
    fn wait(&mut self) -> Outcome<Option<ExitStatus>> {
        let until = Instant::now() + STOP;
        loop {
            let ended = self.process.try_wait();
            let ended = ended.attempting(|| "wait for the server".to_owned())?;
            if ended.is_some() || Instant::now() > until {
                return Ok(ended);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where the process has ended already, and then there is nothing to do.
        drop(self.process.kill());
        drop(self.process.wait());
        remove(&self.folder);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        eprintln!("xtask: cannot remove {}: {error}", folder.display());
    }
}

/// Reads the server's standard error to its end, so that it never blocks on us: lines are kept,
/// and offered to whoever waits for the greeting.
fn listen(stderr: impl std::io::Read + Send + 'static, said: Said) -> Receiver<String> {
    // Enough for everything before the greeting; afterwards nobody receives, and lines that do
    // not fit are only kept.
    let (tell, heard) = sync_channel(LINES_KEPT);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() == LINES_KEPT {
                said.remove(0);
            }
            said.push(line.clone());
            drop(said);
            drop(tell.try_send(line));
        }
    });
    heard
}

/// The address in the greeting, if this line is it.
fn greeted(line: &str) -> Option<SocketAddr> {
    line.split_once(GREETING)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_holds_the_address() {
        let address = greeted("lambent listens on http://127.0.0.1:40123");
        assert_eq!(address, Some("127.0.0.1:40123".parse().unwrap()));
        assert_eq!(greeted("2025-01-01 INFO isolation: no user namespaces"), None);
    }

    #[test]
    fn a_program_that_is_no_server_is_told() {
        let failure = Server::start(Path::new("/bin/false")).err().unwrap().to_string();
        assert!(failure.starts_with("the server did not start"), "{failure}");
    }
}
