//! A server of its own, in a folder of its own, on a free port, which can be stopped, killed and
//! started again. It goes away with the test's process, however that ends.

use std::fs;
use std::io::{self, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use brokers::testing::{Watched, free_port};

pub(super) const USER: &str = "lambent";
pub(super) const PASSWORD: &str = "a secret/of:the@test";
/// May not send to `forbidden.>`.
pub(super) const LIMITED: &str = "limited";
/// A tenth of a second on an idle machine.
const START: Duration = Duration::from_secs(60);
/// Where Debian has it, and where people put it.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];

pub(super) struct Nats {
    folder: PathBuf,
    pub(super) port: u16,
    program: String,
    node: Option<Watched>,
    /// Outlives every node, and takes the folder with it.
    _keeper: Watched,
}

impl Nats {
    /// None if there is no nats-server.
    pub(super) fn start() -> Option<Nats> {
        Nats::start_with(|folder| format!("jetstream {{ store_dir: {:?} }}", folder.join("data")))
    }

    /// With these lines in place of JetStream's.
    pub(super) fn start_with(more: impl FnOnce(&Path) -> String) -> Option<Nats> {
        let program = program()?;
        let folder = tempfile::Builder::new().prefix("lambent-nats-").tempdir().unwrap().keep();
        let port = free_port();
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\n{}\nauthorization {{ users: [\n\
             {{ user: {USER}, password: \"{PASSWORD}\" }},\n\
             {{ user: {LIMITED}, password: \"{PASSWORD}\", \
                permissions: {{ publish: {{ deny: \"forbidden.>\" }} }} }}\n] }}\n",
            more(&folder)
        );
        fs::write(folder.join("nats.conf"), config).unwrap();
        let keeper = Watched::start("sleep", &["infinity"], &folder, &[], true);
        let mut nats = Nats { folder, port, program, node: None, _keeper: keeper };
        nats.start_again();
        Some(nats)
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// With the messages that it had.
    pub(super) fn start_again(&mut self) {
        assert!(self.node.is_none(), "the server runs");
        let config = self.folder.join("nats.conf").display().to_string();
        let node = Watched::start(&self.program, &["-c", &config], &self.folder, &[], false);
        self.node = Some(node);
        let deadline = Instant::now() + START;
        while let Err(error) = greets(self.port) {
            let output = fs::read_to_string(self.folder.join("output")).unwrap_or_default();
            assert!(Instant::now() < deadline, "no answer after {START:?}: {error}\n{output}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As the kernel does it when memory is short.
    pub(super) fn kill(&mut self) {
        self.node.take().unwrap().end("kill");
    }

    /// As an operator does it.
    pub(super) fn stop(&mut self) {
        self.node.take().unwrap().end("stop");
    }
}

#[expect(clippy::print_stderr, reason = "a test that did nothing has to say so")]
fn program() -> Option<String> {
    let mut places = PLACES.iter().map(|it| format!("{it}/nats-server"));
    let found = places.find(|it| Path::new(it).exists());
    if found.is_none() {
        let required = std::env::var_os("LAMBENT_REQUIRE_BROKERS").is_some_and(|it| it == "1");
        assert!(!required, "LAMBENT_REQUIRE_BROKERS=1, and nats-server is not in {PLACES:?}");
        eprintln!("skipped: nats-server is not installed");
    }
    found
}

/// Whether somebody who speaks NATS answers there.
fn greets(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut hello = [0; 5];
    stream.read_exact(&mut hello)?;
    if &hello == b"INFO " { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
