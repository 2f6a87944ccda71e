//! A `lambent dev` of our own: started on a free port with an empty data folder, ended with us.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::Outcome;
use crate::load::{Connection, request};

/// A start takes less than a second, unless something is wrong.
const START: Duration = Duration::from_secs(30);
/// What the server said last, for the message that says what went wrong.
const LINES_KEPT: usize = 20;

pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<VecDeque<String>>>,
    _data: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Outcome<Self> {
        // Beside the build, since /tmp is often memory, where an fsync costs nothing.
        let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .map_err(|why| format!("cannot make a data folder: {why}"))?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_lambent"))
            .args(["dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|why| format!("cannot start {}: {why}", env!("CARGO_BIN_EXE_lambent")))?;
        let stderr = child.stderr.take().expect("it was asked for");
        let (found, address) = mpsc::sync_channel(1);
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let lines = said.clone();
        std::thread::spawn(move || {
            // To the end, or the server would one day wait for somebody to read.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line) {
                    // Only the first is waited for.
                    let _sent = found.try_send(address);
                }
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == LINES_KEPT {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, address: unknown, said, _data: data };
        server.address = address.recv_timeout(START).map_err(|why| {
            format!("the server did not say where it listens ({why}): {}", server.said())
        })?;
        server
            .wait("GET /readyz is 200", START, async || {
                let (status, body) = server.call("GET", "/readyz", "text/plain", b"").await?;
                let body = String::from_utf8_lossy(&body).into_owned();
                if status == 200 { Ok(Ok(())) } else { Ok(Err(format!("{status} {body}"))) }
            })
            .await?;
        Ok(server)
    }

    /// One request on a connection of its own.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Outcome<(u16, Vec<u8>)> {
        let request = request(method, path, content_type, body);
        let exchange = async {
            let mut connection = Connection::open(self.address).await?;
            connection.send(&request).await?;
            let answer = connection.receive().await?;
            Ok::<_, std::io::Error>((answer.status, answer.body.to_vec()))
        };
        let late = |_elapsed| format!("{method} {path} was not answered within {START:?}");
        let answered = tokio::time::timeout(START, exchange).await.map_err(late)?;
        answered.map_err(|why| format!("{method} {path}: {why}; the server said: {}", self.said()))
    }

    /// [`Server::call`] that must succeed.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Outcome<Vec<u8>> {
        match self.call(method, path, "application/json", body).await? {
            (200..=299, body) => Ok(body),
            (status, body) => {
                Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&body)))
            }
        }
    }

    /// Uploads one Python file as the code of a function.
    pub(crate) async fn deploy(&self, name: &str, source: &str) -> Outcome {
        self.deploy_with(name, source, &[]).await
    }

    /// The same, with settings.
    pub(crate) async fn deploy_with(
        &self,
        name: &str,
        source: &str,
        settings: &[(&str, &str)],
    ) -> Outcome {
        let part = |(setting, value): &(&str, &str)| {
            format!(
                "--edge\r\nContent-Disposition: form-data; name=\"{setting}\"\r\n\r\n{value}\r\n"
            )
        };
        let settings: String = settings.iter().map(part).collect();
        let body = format!(
            "{settings}--edge\r\nContent-Disposition: form-data; name=\"code\"; filename=\"{name}.py\"\r\n\
             Content-Type: text/x-python\r\n\r\n{source}\r\n--edge--\r\n"
        );
        let path = format!("/v1/functions/{name}");
        match self.call("PUT", &path, "multipart/form-data; boundary=edge", body.as_bytes()).await?
        {
            (200..=299, _) => Ok(()),
            (status, body) => {
                Err(format!("PUT {path}: {status} {}", String::from_utf8_lossy(&body)))
            }
        }
    }

    /// Empty sandboxes that wait for code, of all workers.
    pub(crate) async fn pooled(&self) -> Outcome<u64> {
        let body = self.ask("GET", "/v1/workers", b"").await?;
        let page: Value =
            serde_json::from_slice(&body).map_err(|why| format!("/v1/workers: {why}"))?;
        let workers = page["items"].as_array().ok_or("/v1/workers has no items")?;
        let pooled = workers.iter().map(|worker| worker["sandboxes_pooled"].as_u64());
        pooled.sum::<Option<u64>>().ok_or_else(|| "a worker has no sandboxes_pooled".to_owned())
    }

    /// A counter's value over all its label sets that hold `label`, such as `status="dead"`.
    pub(crate) async fn counter(&self, name: &str, label: &str) -> Outcome<f64> {
        let body = self.ask("GET", "/metrics", b"").await?;
        let text = String::from_utf8_lossy(&body);
        let values = text.lines().filter_map(|line| {
            let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} ")?;
            if labels.split(',').any(|it| it == label) { value.parse::<f64>().ok() } else { None }
        });
        Ok(values.sum())
    }

    /// Polls until `check` has its value; its inner error is what it last saw.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        most: Duration,
        mut check: impl AsyncFnMut() -> Outcome<Outcome<T>>,
    ) -> Outcome<T> {
        let start = Instant::now();
        loop {
            match check().await? {
                Ok(value) => return Ok(value),
                Err(seen) if start.elapsed() > most => {
                    let said = self.said();
                    return Err(format!(
                        "waited {most:?} until {what}, and last saw: {seen}; the server said: {said}"
                    ));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }

    /// The server and everything that it started, as (pid, name, KiB of proportional set size).
    pub(crate) fn memory(&self) -> Outcome<Vec<(u32, String, u64)>> {
        let all: Vec<(u32, u32, String)> = fs::read_dir("/proc")
            .map_err(|why| format!("cannot list /proc: {why}"))?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid: u32| {
                // `pid (name) state parent …`, and the name may hold anything.
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
                let (before, after) = stat.rsplit_once(") ")?;
                let parent = after.split(' ').nth(1)?.parse().ok()?;
                Some((pid, parent, before.split_once('(')?.1.to_owned()))
            })
            .collect();
        let mut tree = vec![self.child.id()];
        let mut at = 0;
        while let Some(parent) = tree.get(at).copied() {
            tree.extend(all.iter().filter(|(_, of, _)| *of == parent).map(|(pid, ..)| *pid));
            at += 1;
        }
        let known = all.into_iter().filter(|(pid, ..)| tree.contains(pid));
        known.map(|(pid, _, name)| Ok((pid, name, pss_kib(pid)?))).collect()
    }

    fn said(&self) -> String {
        let lines = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first, so that it takes its sandboxes down; then made to.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _gone_already = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(10) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once("http://")?;
    let end = after.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    after[..end.unwrap_or(after.len())].parse().ok()
}

fn pss_kib(pid: u32) -> Outcome<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|why| format!("cannot read {path}: {why}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.ok_or_else(|| format!("{path} tells no Pss"))
}
