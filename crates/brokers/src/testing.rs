//! A real RabbitMQ for tests: a node of its own, in a folder of its own, on free ports, which can be
//! stopped, killed and started again.
//!
//! It goes away with the test's process, however that ends: each program is watched by a shell whose
//! input is a pipe from us, and which kills it when the pipe closes. Where RabbitMQ is not
//! installed, [`Rabbit::start`] says so and gives nothing, and the test ends; with
//! `LAMBENT_REQUIRE_BROKERS=1` in the environment it fails instead.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Debian's place, without the wrapper that changes to the user `rabbitmq`.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
/// Three seconds on an idle machine.
const START: Duration = Duration::from_secs(120);

pub const USER: &str = "lambent";
pub const PASSWORD: &str = "a secret/of:the@test";

/// Runs `$@` until a line or the end comes on the input. `stop` asks; everything else insists.
const WATCH: &str = r#"
setsid "$@" </dev/null >>"$LOG" 2>&1 & it=$!
read -r word
[ "$word" = stop ] && kill -TERM "$it" && wait "$it"
# The second if it has not become the leader of a group yet.
kill -9 "-$it" 2>/dev/null || kill -9 "$it" 2>/dev/null
wait
# The folder goes last; the other program may still be writing to it.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -n "$REMOVE" ] && ! rm -rf -- "$REMOVE" 2>/dev/null && sleep 0.2 || break
done
"#;

/// A node. It is killed when this is dropped, and its messages are gone.
#[derive(Debug)]
pub struct Rabbit {
    folder: PathBuf,
    name: String,
    pub port: u16,
    /// Set if the node was started with certificates.
    pub tls_port: Option<u16>,
    environment: Vec<(&'static str, String)>,
    node: Option<Watched>,
    _epmd: Watched,
}

impl Rabbit {
    /// None if RabbitMQ is not installed.
    #[must_use]
    pub fn start() -> Option<Rabbit> {
        Rabbit::start_with(|_| String::new())
    }

    /// With more lines for rabbitmq.conf, made once the node's folder exists.
    pub fn start_with(more: impl FnOnce(&Path) -> String) -> Option<Rabbit> {
        Rabbit::prepare(None, more).map(|mut rabbit| {
            rabbit.start_again();
            rabbit
        })
    }

    /// With TLS. `more` returns the lines that name the certificates.
    pub fn start_with_tls(more: impl FnOnce(&Path) -> String) -> Option<Rabbit> {
        Rabbit::prepare(Some(free_port()), more).map(|mut rabbit| {
            rabbit.start_again();
            rabbit
        })
    }

    fn prepare(tls_port: Option<u16>, more: impl FnOnce(&Path) -> String) -> Option<Rabbit> {
        static NODES: AtomicU32 = AtomicU32::new(0);
        if !is_installed() {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("lambent-rabbit-").tempdir();
        let folder = folder.expect("a temporary folder can be made").keep();
        let [port, epmd, distribution] = [free_port(), free_port(), free_port()];
        let count = NODES.fetch_add(1, Ordering::Relaxed);
        let name = format!("lambent-{}-{count}@localhost", std::process::id());
        let tls = tls_port.map(|it| format!("listeners.ssl.local = 127.0.0.1:{it}\n"));
        let config = format!(
            "listeners.tcp.local = 127.0.0.1:{port}\n{}loopback_users = none\n\
             default_user = {USER}\ndefault_pass = {PASSWORD}\ndisk_free_limit.absolute = 1MB\n\
             num_acceptors.tcp = 2\nlog.file.level = info\n{}",
            tls.unwrap_or_default(),
            more(&folder),
        );
        let path = |name: &str| folder.join(name).display().to_string();
        fs::write(folder.join("rabbitmq.conf"), config).expect("the folder can be written");
        // Files that are empty or missing stand for the machine's own, which must not matter.
        fs::write(folder.join("empty"), "").expect("the folder can be written");
        let environment = vec![
            ("HOME", folder.display().to_string()),
            ("RABBITMQ_NODENAME", name.clone()),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_CONF_ENV_FILE", path("empty")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", path("none.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
            ("RABBITMQ_MNESIA_BASE", path("data")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_DIST_PORT", distribution.to_string()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none".to_owned()),
            ("ERL_EPMD_PORT", epmd.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            // The script then becomes the node instead of waiting for it.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        ];
        let epmd = Watched::start("epmd", &[], &folder, &environment, true);
        Some(Rabbit { folder, name, port, tls_port, environment, node: None, _epmd: epmd })
    }

    /// `amqp://…`, for the virtual host `/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://{USER}:{}@127.0.0.1:{}", encoded(PASSWORD), self.port)
    }

    /// Starts the node with the messages that it had, and waits until it answers.
    pub fn start_again(&mut self) {
        assert!(self.node.is_none(), "the node runs");
        let program = format!("{PROGRAMS}/rabbitmq-server");
        let node = Watched::start(&program, &[], &self.folder, &self.environment, false);
        self.node = Some(node);
        let deadline = Instant::now() + START;
        while let Err(error) = greets(self.port) {
            assert!(
                Instant::now() < deadline,
                "{} does not answer on port {} after {START:?}: {error}\n{}",
                self.name,
                self.port,
                self.output(),
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// As a power failure does it.
    pub fn kill(&mut self) {
        self.node.take().expect("the node runs").end("kill");
    }

    /// As an operator does it.
    pub fn stop(&mut self) {
        self.node.take().expect("the node runs").end("stop");
    }

    /// `rabbitmqctl` with these words; what it prints.
    pub fn ctl(&self, words: &[&str]) -> String {
        let output = Command::new(format!("{PROGRAMS}/rabbitmqctl"))
            .args(["--quiet", "-n", &self.name])
            .args(words)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output();
        let Output { status, stdout, stderr } = output.expect("rabbitmqctl can be started");
        let [stdout, stderr] = [stdout, stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
        assert!(status.success(), "rabbitmqctl {words:?}: {status}\n{stdout}{stderr}");
        stdout
    }

    /// What its programs have printed.
    fn output(&self) -> String {
        fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }
}

/// A program, and the shell that watches it.
#[derive(Debug)]
pub struct Watched {
    shell: Child,
}

impl Watched {
    /// What it prints goes to the file `output` in the folder, which is removed after it if that is
    /// wanted.
    pub fn start(
        program: &str,
        words: &[&str],
        folder: &Path,
        environment: &[(&'static str, String)],
        remove: bool,
    ) -> Watched {
        let shell = Command::new("sh")
            .args(["-c", WATCH, "watch", program])
            .args(words)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("LOG", folder.join("output"))
            .env("REMOVE", if remove { folder.as_os_str() } else { "".as_ref() })
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Watched { shell: shell.expect("a shell can be started") }
    }

    /// Waits until it is over. `stop` asks it to end, `kill` does not ask.
    pub fn end(mut self, word: &str) {
        self.tell(word);
    }

    fn tell(&mut self, word: &str) {
        if let Some(mut input) = self.shell.stdin.take() {
            // A shell that is no longer there has nothing to watch.
            drop(writeln!(input, "{word}"));
        }
        drop(self.shell.wait());
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tell("kill");
    }
}

#[expect(clippy::print_stderr, reason = "a test that did nothing has to say so")]
fn is_installed() -> bool {
    if Path::new(PROGRAMS).join("rabbitmq-server").exists() {
        return true;
    }
    let required = std::env::var_os("LAMBENT_REQUIRE_BROKERS").is_some_and(|it| it == "1");
    assert!(!required, "LAMBENT_REQUIRE_BROKERS=1, and rabbitmq-server is not in {PROGRAMS}");
    eprintln!("skipped: rabbitmq-server is not installed");
    false
}

/// Whether somebody who speaks AMQP answers there.
fn greets(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    stream.read_exact(&mut [0; 1])
}

/// Free a moment ago, which is as much as one can know.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine can be bound");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// For a URL.
#[must_use]
pub fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut url, byte| {
        if byte.is_ascii_alphanumeric() {
            url.push(byte.into());
        } else {
            write!(url, "%{byte:02X}").expect("a String takes everything");
        }
        url
    })
}
