//! The service under test: the real binary in a process of its own, spoken to over real HTTP.
//!
//! A test starts one on a free port with a data folder of its own, and may stop it, kill it and
//! start it again on the same data. Nothing waits by sleeping for long: [`wait_until`] asks until a
//! fact holds, and says what it last saw when it never does.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything takes on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Service {
    child: Child,
    address: String,
    data: PathBuf,
    /// What it wrote to its standard error so far.
    log: Arc<Mutex<String>>,
    _folder: Option<TempDir>,
}

/// A service that ended before it listened.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub log: String,
}

/// A request's answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The code of a problem.
    #[track_caller]
    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }

    /// The answer, if the status is what was expected.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

impl Service {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::launch(data, Some(folder), &[], &[])
    }

    /// On data that exists, with more arguments and variables.
    pub fn start_on(data: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::launch(data.to_owned(), None, arguments, variables)
    }

    fn launch(
        data: PathBuf,
        folder: Option<TempDir>,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let started = Self::spawn(command(&data, arguments, variables), data, folder);
        started.unwrap_or_else(|ended| panic!("the service did not start: {ended:?}"))
    }

    /// Runs a command that may end before it listens.
    pub fn try_start(command: Command, data: &Path) -> Result<Self, Ended> {
        Self::spawn(command, data.to_owned(), None)
    }

    fn spawn(mut command: Command, data: PathBuf, folder: Option<TempDir>) -> Result<Self, Ended> {
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (tell, told) = std::sync::mpsc::channel();
        let writes = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("lambent listens on http://") {
                    drop(tell.send(address.to_owned()));
                }
                let mut log = writes.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        // Without an address its standard error has ended, or it hangs.
        let address = told.recv_timeout(PATIENCE);
        let mut service = Self { child, address: String::new(), data, log, _folder: folder };
        match address {
            Ok(address) => {
                service.address = address;
                Ok(service)
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = service.wait();
                Err(Ended { status, log: service.log() })
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("the service hangs at its start:\n{}", service.log())
            }
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    // ---- requests ----

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request("POST", path, &[("content-type", "application/json")], body.as_ref())
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let answer = try_request(&self.address, method, path, headers, body);
        answer.unwrap_or_else(|error| {
            panic!("{method} {path} got no answer ({error}); the service said:\n{}", self.log())
        })
    }

    /// The same, where the service may be gone.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        try_request(&self.address, method, path, headers, body)
    }

    // ---- the usual things ----

    /// Deploys one source file, with settings.
    pub fn deploy(&self, name: &str, source: &str, settings: &[(&str, &str)]) -> Answer {
        self.upload(name, "handler.py", source.as_bytes(), settings, &[])
    }

    pub fn upload(
        &self,
        name: &str,
        file_name: &str,
        code: &[u8],
        settings: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let (kind, body) = multipart(file_name, code, settings);
        let mut all = vec![("content-type", kind.as_str())];
        all.extend_from_slice(headers);
        self.request("PUT", &format!("/v1/functions/{name}"), &all, &body)
    }

    pub fn invoke(&self, name: &str, body: &Value) -> Answer {
        self.post(&format!("/v1/functions/{name}/invoke"), body.to_string())
    }

    /// Sends every event of this type to the function.
    pub fn trigger(&self, function: &str, kind: &str) {
        let body = json!({"pattern": {"type": [kind]}}).to_string();
        let path = format!("/v1/functions/{function}/triggers/on-{}", kind.replace('.', "-"));
        self.request("PUT", &path, &[], body.as_bytes()).expect(201);
    }

    /// Sends an event and answers the invocations that it made.
    pub fn send(&self, kind: &str, data: &Value) -> Vec<String> {
        let event = json!({"type": kind, "source": "test", "data": data});
        let accepted = self.post("/v1/events", event.to_string()).expect(202).json();
        let triggers = accepted["triggers"].as_array().unwrap();
        triggers.iter().map(|it| it["invocation_id"].as_str().unwrap().to_owned()).collect()
    }

    pub fn invocation(&self, id: &str) -> Value {
        self.get(&format!("/v1/invocations/{id}")).expect(200).json()
    }

    /// Waits for the invocation's end and answers it.
    #[track_caller]
    pub fn ended(&self, id: &str) -> Value {
        wait_until("the invocation ended", || {
            let invocation = self.invocation(id);
            let status = invocation["status"].as_str().unwrap().to_owned();
            match ["succeeded", "failed", "dead"].contains(&status.as_str()) {
                true => Ok(invocation),
                false => Err(invocation),
            }
        })
    }

    /// The lines of an invocation's log.
    pub fn lines(&self, id: &str) -> Vec<String> {
        let log = self.get(&format!("/v1/invocations/{id}/log")).expect(200).json();
        let items = log["items"].as_array().unwrap();
        items.iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
    }

    // ---- ends ----

    /// Asks it to stop and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Ends it without asking, and waits until nothing that it had started is left: its launcher sees
    /// to that.
    pub fn kill(&mut self) {
        let family = family(self.pid());
        self.signal("KILL");
        self.wait();
        wait_until("everything that the service had started is gone", || {
            let left: Vec<_> = family.iter().filter(|pid| is_alive(**pid)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    pub fn wait(&mut self) -> ExitStatus {
        wait_until("the service ended", || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(self.log()),
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// The form of a deploy, and its content type.
pub fn multipart(file_name: &str, code: &[u8], settings: &[(&str, &str)]) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "a-boundary-that-no-source-has";
    let mut body = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"code\"; filename=\"{file_name}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(code);
    for (name, value) in settings {
        let part = format!(
            "\r\n--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}"
        );
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    (kind, body)
}

/// `lambent dev` on a free port.
pub fn command(data: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = lambent();
    command.args(["dev", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(arguments);
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The binary, without what the tester's environment says.
pub fn lambent() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lambent"));
    for name in ["LAMBENT_URL", "LAMBENT_API_KEY", "LAMBENT_PROJECT", "LAMBENT_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Asks again and again until the fact holds, and says what was seen last if it never does.
#[track_caller]
pub fn wait_until<T, E: Debug>(fact: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(value) => return value,
            Err(last) if Instant::now() > until => panic!("never saw that {fact}; last: {last:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.is_ok(), "cannot run kill");
}

pub fn is_alive(pid: u32) -> bool {
    // A zombie is nobody: it waits for its parent to look.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or("").starts_with('Z'))
}

/// The process and everything that descends from it.
pub fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        let children = format!("/proc/{parent}/task/{parent}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    all
}

/// One request on a connection of its own.
pub fn try_request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.extend([*name, ": ", *value, "\r\n"]);
    }
    head += "\r\n";
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    // A service that refuses a body early answers and closes before it has read it all.
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        sent?;
        read?;
    }
    parse(&answer).ok_or_else(|| std::io::Error::other("the answer was cut off"))
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = answer[end + 4..].to_vec();
    if let Some(length) = headers.get("content-length") {
        let length = length.parse().ok()?;
        if body.len() < length {
            return None;
        }
        body.truncate(length);
    } else if headers.get("transfer-encoding").is_some_and(|it| it == "chunked") {
        body = dechunk(&body)?;
    }
    Some(Answer { status, headers, body })
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
