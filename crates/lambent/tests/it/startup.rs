//! Starts that cannot be, each with a sentence that says why and what to do, and an exit code; and
//! who is let in by which key.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::disk::Tmpfs;
use crate::service::{Answer, Ended, Service, command, lambent};

/// The exit code and the last line of a start that must fail.
#[track_caller]
fn refused(command: Command, data: &Path) -> (i32, String) {
    match Service::try_start(command, data) {
        Ok(service) => panic!("it started:\n{}", service.log()),
        Err(Ended { status, log }) => {
            let last = log.lines().last().unwrap_or_default().to_owned();
            assert!(last.starts_with("lambent: "), "no sentence at the end of:\n{log}");
            assert!(!log.contains("panicked"), "{log}");
            (status.code().unwrap_or(-1), last)
        }
    }
}

#[track_caller]
fn says(sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "{part:?} is not in: {sentence}");
    }
}

fn listening(address: &str, data: &Path) -> Command {
    let mut command = lambent();
    command.args(["serve", "--listen", address, "--data"]).arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, sentence) = refused(listening(&address, folder.path()), folder.path());
    assert_eq!(code, 1);
    says(&sentence, &[&format!("cannot listen on {address}"), "in use", "--listen"]);
}

#[test]
fn a_data_folder_in_use_names_the_process_that_has_it_which_goes_on() {
    let service = Service::start();
    service.deploy("f", "def handler(e, c): return 1\n", &[]).expect(201);
    let (code, sentence) = refused(command(service.data(), &[], &[]), service.data());
    assert_eq!(code, 1);
    says(
        &sentence,
        &[
            "in use by another lambent process",
            service.data().to_str().unwrap(),
            &format!("pid {}", service.pid()),
        ],
    );
    service.invoke("f", &json!({})).expect(200);
    // Also code that was not unpacked before.
    service.deploy("g", "def handler(e, c): return 2\n", &[]).expect(201);
    service.invoke("g", &json!({})).expect(200);
}

#[test]
fn a_data_folder_that_is_a_file_or_cannot_be_made_or_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for data in [file.clone(), file.join("below"), "/proc/nothing/here".into()] {
        let (code, sentence) = refused(command(&data, &[], &[]), &data);
        assert_eq!(code, 1, "{sentence}");
        says(&sentence, &["data folder", data.to_str().unwrap()]);
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"", "the file is as it was");
    let Some(disk) = Tmpfs::mount("ro,size=1m") else { return };
    for data in [disk.path().to_owned(), disk.path().join("below")] {
        let (code, sentence) = refused(command(&data, &[], &[]), &data);
        assert_eq!(code, 1, "{sentence}");
        says(&sentence, &["Read-only file system", disk.path().to_str().unwrap()]);
    }
}

#[test]
fn data_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    assert!(service.stop().success());
    let conn = || rusqlite::Connection::open(data.join("lambent.db")).unwrap();
    conn().pragma_update(None, "user_version", 99).unwrap();
    let (code, sentence) = refused(command(&data, &[], &[]), &data);
    assert_eq!(code, 1);
    says(&sentence, &["newer", "99", "run that version", data.to_str().unwrap()]);
    let version: i64 = conn().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
    let output =
        lambent().args(["key", "create", "--name", "k", "--data"]).arg(&data).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn a_data_folder_may_be_named_from_where_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(Path::new("data"), &[], &[]);
    command.current_dir(folder.path());
    let service = Service::try_start(command, &folder.path().join("data")).unwrap();
    service.deploy("f", "def handler(e, c): return 'here'\n", &[]).expect(201);
    let answer = service.request("POST", "/v1/functions/f/invoke", &[], b"{}").expect(200);
    assert_eq!(answer.body, b"\"here\"");
}

#[test]
fn a_damaged_database_is_refused_with_a_code_of_its_own_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start_on(&data, &[], &[]);
    assert!(service.stop().success());
    let lock = data.join("lock");
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), "", "a clean end leaves no mark");
    let path = data.join("lambent.db");
    // Else its pages would be read from the log.
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(conn);
    let mut database = std::fs::read(&path).unwrap();
    // The first page that is not the schema's.
    database[4_096..4_104].fill(0xee);
    std::fs::write(&path, database).unwrap();
    std::fs::write(&lock, "1\n").unwrap();
    for _ in 0..2 {
        let (code, sentence) = refused(command(&data, &[], &[]), &data);
        assert_eq!(code, 7, "{sentence}");
        says(&sentence, &["is damaged", "restore", "integrity_check", data.to_str().unwrap()]);
    }
}

fn create_key(data: &Path, project: &str, name: &str) -> String {
    let mut command = lambent();
    command.args(["key", "create", "--project", project, "--name", name, "--data"]).arg(data);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn with_key(service: &Service, key: &str, path: &str) -> Answer {
    service.request("GET", path, &[("authorization", &format!("Bearer {key}"))], b"")
}

#[test]
fn off_loopback_nothing_starts_without_a_key_and_nobody_gets_in_with_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (code, sentence) = refused(listening("0.0.0.0:0", &data), &data);
    assert_eq!(code, 2);
    says(&sentence, &["0.0.0.0", "lambent key create", data.to_str().unwrap()]);
    let projects = crate::crash::projects();
    let keys: Vec<_> = projects.iter().map(|project| create_key(&data, project, "k")).collect();
    let service = Service::try_start(listening("0.0.0.0:0", &data), &data).unwrap();
    let none = service.get("/v1/functions").expect(401);
    assert_eq!(
        (none.code().as_str(), none.headers["www-authenticate"].as_str()),
        ("unauthorized", "Bearer")
    );
    let mut wrong = keys[0].clone();
    let last = wrong.pop().unwrap();
    wrong.push(if last == 'A' { 'B' } else { 'A' });
    for wrong in [wrong.as_str(), "", "lambent_", &keys[0][..20], &format!("{}x", keys[0])] {
        assert_eq!(with_key(&service, wrong, "/v1/functions").expect(401).code(), "unauthorized");
    }
    // Each key opens its own project, whatever project the header names.
    for (key, project) in keys.iter().zip(projects) {
        let key = format!("Bearer {key}");
        let source = format!("def handler(e, c): return '{project}'\n");
        let headers = [("authorization", key.as_str()), ("lambent-project", projects[0])];
        service.upload("f", "handler.py", source.as_bytes(), &[], &headers).expect(201);
        let answer = service.request("POST", "/v1/functions/f/invoke", &headers, b"").expect(200);
        assert_eq!(answer.body, format!("\"{project}\"").into_bytes());
    }
    for key in &keys {
        let list = with_key(&service, key, "/v1/invocations").expect(200).json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    }
}

#[test]
fn keys_that_are_made_while_it_runs_are_honoured_and_close_the_open_door() {
    let mut service = Service::start();
    service.get("/v1/functions").expect(200);
    let (first, second) = (
        create_key(service.data(), "default", "first"),
        create_key(service.data(), "default", "second"),
    );
    // The command returns when the door is closed.
    service.get("/v1/functions").expect(401);
    with_key(&service, &first, "/v1/functions").expect(200);
    with_key(&service, &second, "/v1/functions").expect(200);
    let removed = lambent()
        .args(["key", "rm", "--name", "first", "--data"])
        .arg(service.data())
        .output()
        .unwrap();
    assert!(removed.status.success(), "{removed:?}");
    with_key(&service, &first, "/v1/functions").expect(401);
    with_key(&service, &second, "/v1/functions").expect(200);
    let raw = std::fs::read(service.data().join("lambent.db")).unwrap();
    let wal = std::fs::read(service.data().join("lambent.db-wal")).unwrap_or_default();
    let secret = second.as_bytes();
    assert!(
        [raw, wal].iter().all(|file| !file.windows(secret.len()).any(|at| at == secret)),
        "keys are stored as hashes"
    );
    // The last key guards the door, and goes only with a word that says so.
    let remove_last = |words: &[&str]| {
        let mut command = lambent();
        command.args(["key", "rm", "--name", "second"]).args(words);
        command.arg("--data").arg(service.data()).output().unwrap()
    };
    let refused = remove_last(&[]);
    assert!(!refused.status.success(), "{refused:?}");
    says(&String::from_utf8(refused.stderr).unwrap(), &["last key", "--open"]);
    with_key(&service, &second, "/v1/functions").expect(200);
    service.get("/v1/functions").expect(401);
    assert!(remove_last(&["--open"]).status.success());
    service.get("/v1/functions").expect(200);
    assert!(service.stop().success());
}

#[test]
fn without_a_python_it_starts_and_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // A machine of its own for the eyes of this process, on which no interpreter can be executed.
    let script = "for python in /usr/bin/python3* /usr/local/bin/python3*; do \
                  [ ! -e \"$python\" ] || mount --bind /dev/null \"$python\" || exit 77; done; exec \"$0\" \"$@\"";
    let dev = command(&data, &[], &[]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(dev.get_program()).args(dev.get_args());
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: hiding /usr/bin/python3 needs root");
        return;
    }
    let service = Service::try_start(command, &data).unwrap();
    says(&service.log(), &["cannot find a python3", "apt install python3"]);
    let refused = service.deploy("f", "def handler(e, c): pass\n", &[]).expect(400).json();
    assert_eq!(refused["code"], "unknown_runtime", "{refused}");
    service.get("/readyz").expect(200);
    let event = service.post("/v1/events", br#"{"type":"x","source":"s"}"#);
    event.expect(202);
}
