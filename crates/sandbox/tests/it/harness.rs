//! The runner, and the laboratory in which the tests make sandboxes.
//!
//! A laboratory is a launcher with one runtime, a Python that executes whatever source it is sent
//! through the channel. Scripts answer with `say(value)`, one line of JSON.

use sandbox::{
    Bind, ExitStatus, Launcher, Limits, Message, Operation, Options, Receiver, Runtime, SandboxId,
    Sender, Usage,
};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// No single wait of a test takes longer; on a busy machine most take a thousandth of it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Runner {
    filters: Vec<String>,
    passed: u32,
    failed: Vec<String>,
    skipped: u32,
    filtered: u32,
}

impl Runner {
    pub(crate) fn from_arguments() -> Runner {
        let filters = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
        Runner { filters, passed: 0, failed: Vec::new(), skipped: 0, filtered: 0 }
    }

    pub(crate) fn test(&mut self, name: &str, body: impl FnOnce()) {
        if !self.filters.is_empty() && !self.filters.iter().any(|filter| name.contains(filter)) {
            self.filtered += 1;
            return;
        }
        if catch_unwind(AssertUnwindSafe(body)).is_ok() {
            println!("test {name} ... ok");
            self.passed += 1;
        } else {
            println!("test {name} ... FAILED");
            self.failed.push(name.to_owned());
        }
    }

    /// A test that needs root.
    pub(crate) fn root(&mut self, name: &str, body: impl FnOnce()) {
        if is_root() {
            self.test(name, body);
        } else {
            println!("test {name} ... ignored, since this process is not root");
            self.skipped += 1;
        }
    }

    pub(crate) fn finish(self) -> ExitCode {
        for name in &self.failed {
            println!("failed: {name}");
        }
        let verdict = if self.failed.is_empty() { "ok" } else { "FAILED" };
        println!(
            "\ntest result: {verdict}. {} passed; {} failed; {} ignored; 0 measured; {} filtered out",
            self.passed,
            self.failed.len(),
            self.skipped,
            self.filtered
        );
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

const BOOTSTRAP: &str = r#"
import json, os, sys
def _exactly(count):
    data = b""
    while len(data) < count:
        part = os.read(3, count - len(data))
        if not part:
            sys.exit(0)
        data += part
    return data
def say(value):
    os.write(3, json.dumps(value).encode() + b"\n")
def attempt(act):
    "The name of the error that act() gives, or its result."
    import errno
    try:
        return act()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
def syscall(number, *arguments):
    "The name of the error that a raw call gives, or its result."
    import ctypes, errno
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    arguments = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    answer = call(ctypes.c_long(number), *arguments)
    return errno.errorcode[ctypes.get_errno()] if answer == -1 else answer
while True:
    exec(compile(_exactly(int(_exactly(8))), "script", "exec"), globals())
"#;

pub(crate) struct Lab {
    pub(crate) sender: Sender,
    receiver: RefCell<Receiver>,
    aside: RefCell<VecDeque<Message>>,
    pub(crate) launcher: u32,
    pub(crate) isolation: sandbox::Isolation,
    pub(crate) code_root: tempfile::TempDir,
    pub(crate) instance: String,
    next: Cell<SandboxId>,
}

pub(crate) fn options(code_root: &Path, instance: &str) -> Options {
    let python = Runtime {
        binds: Vec::new(),
        argv: ["/usr/bin/python3", "-I", "-S", "-c", BOOTSTRAP].map(str::to_owned).to_vec(),
        env: vec![
            ("HOME".to_owned(), "/tmp".to_owned()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ],
    };
    let missing = Bind { source: "/nonexistent/shim".into(), target: "/opt/shim".into() };
    let broken = Runtime { binds: vec![missing], ..python.clone() };
    let absent =
        Runtime { argv: vec!["/usr/bin/no-such-program".to_owned()], ..Runtime::default() };
    let full = Runtime {
        argv: ["/usr/bin/python3", "-c", BOOTSTRAP].map(str::to_owned).to_vec(),
        ..python.clone()
    };
    let shell = Runtime {
        argv: ["/bin/sh", "-c", "read code <&3; exit $code"].map(str::to_owned).to_vec(),
        ..Runtime::default()
    };
    let node = Runtime {
        argv: ["/usr/bin/node", "-e", "require('fs').writeSync(3, JSON.stringify(process.version) + '\\n'); require('fs').readSync(3, Buffer.alloc(1))"]
            .map(str::to_owned)
            .to_vec(),
        ..python.clone()
    };
    let runtimes = [
        ("python", python),
        ("broken", broken),
        ("absent", absent),
        ("full", full),
        ("shell", shell),
        ("node", node),
    ];
    Options {
        instance: instance.to_owned(),
        code_root: code_root.to_owned(),
        runtimes: runtimes.map(|(name, runtime)| (name.to_owned(), runtime)).into(),
        uid_base: 200_000,
        max_sandboxes: 16,
    }
}

fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Lab {
    pub(crate) fn start() -> Lab {
        let code_root = tempfile::tempdir().unwrap();
        let instance = unique();
        Lab::with(options(code_root.path(), &instance), code_root)
    }

    pub(crate) fn with(options: Options, code_root: tempfile::TempDir) -> Lab {
        let launcher = Launcher::execute(&options).unwrap();
        let (pid, isolation) = (launcher.pid(), launcher.isolation().clone());
        let (sender, receiver) = launcher.split();
        Lab {
            sender,
            receiver: RefCell::new(receiver),
            aside: RefCell::default(),
            launcher: pid,
            isolation,
            code_root,
            instance: options.instance,
            next: Cell::new(1),
        }
    }

    pub(crate) fn next_id(&self) -> SandboxId {
        self.next.replace(self.next.get() + 1)
    }

    /// The next message about `id`; others wait for their turn.
    pub(crate) fn message(&self, id: SandboxId) -> Message {
        let mut aside = self.aside.borrow_mut();
        if let Some(index) = aside.iter().position(|message| subject(message) == id) {
            return aside.remove(index).unwrap();
        }
        loop {
            let message = self.receiver.borrow_mut().receive().unwrap();
            if subject(&message) == id {
                return message;
            }
            aside.push_back(message);
        }
    }

    pub(crate) fn receive(&self) -> Result<Message, sandbox::Error> {
        self.receiver.borrow_mut().receive()
    }

    pub(crate) fn sandbox(&self) -> Guest<'_> {
        self.sandbox_with("python", Limits::default())
    }

    pub(crate) fn sandbox_with(&self, runtime: &str, limits: Limits) -> Guest<'_> {
        let id = self.next_id();
        self.sender.create(id, runtime, limits).unwrap();
        match self.message(id) {
            Message::Created { pid, channel, stdout, stderr, .. } => {
                Guest::new(self, id, pid, channel, stdout, stderr)
            }
            other => panic!("not created: {other:?}"),
        }
    }

    /// Runs a script in a sandbox of its own and returns the one thing that it says.
    #[track_caller]
    pub(crate) fn ask(&self, script: &str) -> Value {
        let mut guest = self.sandbox();
        let answer = guest.ask(script);
        guest.destroy();
        answer
    }

    pub(crate) fn code(&self, name: &str, file: &str, content: &str) {
        let folder = self.code_root.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), content).unwrap();
    }
}

fn subject(message: &Message) -> SandboxId {
    match message {
        Message::Created { id, .. }
        | Message::Assigned { id }
        | Message::Frozen { id }
        | Message::Thawed { id }
        | Message::Usage { id, .. }
        | Message::Failed { id, .. }
        | Message::Exited { id, .. } => *id,
    }
}

/// A sandbox that runs, from outside.
pub(crate) struct Guest<'lab> {
    lab: &'lab Lab,
    pub(crate) id: SandboxId,
    pub(crate) pid: i32,
    pub(crate) channel: BufReader<UnixStream>,
    pub(crate) stdout: File,
    pub(crate) stderr: File,
}

#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    pub(crate) oom_killed: bool,
    pub(crate) usage: Usage,
}

impl<'lab> Guest<'lab> {
    fn new(
        lab: &'lab Lab,
        id: SandboxId,
        pid: i32,
        channel: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> Guest<'lab> {
        let channel = UnixStream::from(channel);
        channel.set_read_timeout(Some(PATIENCE)).unwrap();
        let channel = BufReader::new(channel);
        Guest { lab, id, pid, channel, stdout: stdout.into(), stderr: stderr.into() }
    }

    pub(crate) fn send(&mut self, script: &str) {
        let text = format!("{:08}{script}", script.len());
        self.channel.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next thing that a script says.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        let count = self.channel.read_line(&mut line).unwrap();
        if count == 0 {
            let mut stderr = String::new();
            self.stderr.read_to_string(&mut stderr).unwrap();
            panic!("the sandbox said nothing and ended: {stderr}");
        }
        serde_json::from_str(&line).unwrap()
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, script: &str) -> Value {
        self.send(script);
        self.hear()
    }

    pub(crate) fn assign(&self, code: &str, limits: Limits) -> Message {
        self.lab.sender.assign(self.id, code, limits).unwrap();
        self.lab.message(self.id)
    }

    pub(crate) fn exit(&self) -> Exit {
        match self.lab.message(self.id) {
            Message::Exited { status, oom_killed, usage, .. } => Exit { status, oom_killed, usage },
            other => panic!("not exited: {other:?}"),
        }
    }

    pub(crate) fn destroy(&self) -> Exit {
        self.lab.sender.destroy(self.id).unwrap();
        self.exit()
    }

    pub(crate) fn message(&self) -> Message {
        self.lab.message(self.id)
    }
}

/// What a failed operation tells.
#[track_caller]
pub(crate) fn failure(message: Message) -> (Operation, String, String, i32) {
    match message {
        Message::Failed { operation, step, detail, errno, .. } => (operation, step, detail, errno),
        other => panic!("not failed: {other:?}"),
    }
}

/// Waits for a fact, and says what it last saw if it does not come.
#[track_caller]
pub(crate) fn eventually<T: std::fmt::Debug>(what: &str, look: impl Fn() -> Result<(), T>) {
    let began = Instant::now();
    loop {
        match look() {
            Ok(()) => return,
            Err(seen) if began.elapsed() > PATIENCE => panic!("{what}: not yet, but {seen:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

pub(crate) fn is_alive(pid: u32) -> bool {
    // A zombie that its parent has not reaped yet is not alive.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

/// Every cgroup folder on this machine whose path contains `instance`.
pub(crate) fn groups(instance: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.filter_map(Result::ok) {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let path = entry.path();
                if path.to_string_lossy().contains(instance) {
                    found.push(path.display().to_string());
                }
                open.push(path);
            }
        }
    }
    found
}
