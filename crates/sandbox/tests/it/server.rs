//! The process around a launcher: what happens when it dies, and when it gives up root.
//!
//! Both need a process of their own, so this executable runs itself once more with a hidden
//! argument and reads what it prints.

use crate::harness::{Lab, Runner, eventually, groups, is_alive, options};
use crate::life::kill;
use sandbox::{Launcher, Limits, Message};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const USER: u32 = 210_000;

pub(crate) fn tests(runner: &mut Runner) {
    runner.root("when_the_server_is_killed_launcher_and_sandboxes_go", || {
        let folder = tempfile::tempdir().unwrap();
        let mut server = helper("server-that-waits", folder.path());
        let facts = facts(&mut server);
        let (launcher, init) = (facts[0].parse().unwrap(), facts[1].parse().unwrap());
        assert!(is_alive(launcher) && is_alive(init));
        kill(server.id());
        server.wait().unwrap();
        for (name, pid) in [("the launcher", launcher), ("the sandbox", init)] {
            eventually(&format!("{name} is gone"), || match is_alive(pid) {
                true => Err("alive"),
                false => Ok(()),
            });
        }
        assert_eq!(groups(&facts[2]), [""; 0]);
    });

    runner.root("signals_to_the_launcher_do_not_end_it", || {
        let lab = Lab::start();
        for signal in ["INT", "TERM", "HUP", "QUIT"] {
            let line = format!("kill -{signal} {}", lab.launcher);
            assert!(Command::new("/bin/sh").args(["-c", &line]).status().unwrap().success());
        }
        lab.sandbox().destroy();
    });

    runner.root("a_server_that_gave_up_root_still_works", || {
        let folder = tempfile::tempdir().unwrap();
        // Where only root can go, as below /root, with files of root's in it.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("code/f1")).unwrap();
        std::fs::write(data.join("code/f1/main.py"), "answer = 42").unwrap();
        std::fs::write(data.join("ledger"), "old").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", data.join("link")).unwrap();
        let mut server = helper("server-that-gives-up-root", &data);
        let mut said = String::new();
        server.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let mut complaint = String::new();
        server.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert!(server.wait().unwrap().success(), "{said}{complaint}");
        assert_eq!(std::fs::read_to_string(data.join("ledger")).unwrap(), "new");
        assert_eq!(std::fs::metadata(data.join("ledger")).unwrap().uid(), USER);
        assert_eq!(std::fs::metadata("/etc/hostname").unwrap().uid(), 0);
    });
}

fn helper(role: &str, folder: &Path) -> Child {
    Command::new("/proc/self/exe")
        .args([role.as_ref(), folder.as_os_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The words of the helper's first line.
fn facts(server: &mut Child) -> Vec<String> {
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

/// Plays the role that the arguments name, if they name one.
pub(crate) fn run_if_helper() -> Option<u8> {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = Path::new(arguments.get(2)?);
    match arguments.get(1)?.as_str() {
        "server-that-waits" => wait(folder),
        "server-that-gives-up-root" => give_up_root(folder),
        "server-without-root" => crate::unprivileged::server(folder),
        _ => return None,
    }
    Some(0)
}

fn wait(folder: &Path) {
    let instance = format!("it-server-{}", std::process::id());
    let lab = Lab::with(options(folder, &instance), tempfile::tempdir().unwrap());
    let guest = lab.sandbox();
    println!("{} {} {instance}", lab.launcher, guest.pid);
    loop {
        std::thread::park();
    }
}

fn give_up_root(data: &Path) {
    let instance = format!("it-server-{}", std::process::id());
    let launcher = Launcher::execute(&options(&data.join("code"), &instance)).unwrap();
    let data = sandbox::give_up_root(data, USER).unwrap();

    // No way back, and no power.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for line in [
        "Uid:\t210000\t210000\t210000\t210000",
        "Gid:\t210000\t210000\t210000\t210000",
        "Groups:\t ",
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        assert!(status.lines().any(|found| found == line), "no {line:?} in {status}");
    }
    assert!(std::fs::read("/etc/shadow").is_err());
    assert!(std::fs::read_dir("/root").is_err());

    // The data folder, by the path that SQLite would resolve, and what a server needs of the host.
    assert_eq!(std::fs::canonicalize(&data).unwrap(), data);
    assert_eq!(std::env::current_dir().unwrap(), data);
    assert_eq!(std::fs::read_to_string(data.join("ledger")).unwrap(), "old");
    std::fs::write(data.join("ledger"), "new").unwrap();
    std::fs::write(data.join("another"), "").unwrap();
    assert!(std::fs::read_dir("/proc/self/fd").unwrap().count() > 3);
    drop(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    drop(std::fs::File::open("/sys/fs/cgroup/memory/memory.usage_in_bytes").unwrap());
    std::thread::spawn(|| ()).join().unwrap();

    // The launcher is still root and finds the code by the folder's old place.
    let (sender, mut receiver) = launcher.split();
    sender.create(1, "python", Limits::default()).unwrap();
    let created = receiver.receive().unwrap();
    let Message::Created { channel, .. } = created else { panic!("{created:?}") };
    std::fs::create_dir(data.join("code/f2")).unwrap();
    std::fs::write(data.join("code/f2/main.py"), "later").unwrap();
    sender.assign(1, "f2", Limits::default()).unwrap();
    let assigned = receiver.receive().unwrap();
    assert!(matches!(assigned, Message::Assigned { .. }), "{assigned:?}");
    let mut channel = std::os::unix::net::UnixStream::from(channel);
    let script = "say(open('/var/task/main.py').read())";
    std::io::Write::write_all(&mut channel, format!("{:08}{script}", script.len()).as_bytes())
        .unwrap();
    let mut line = String::new();
    BufReader::new(channel).read_line(&mut line).unwrap();
    assert_eq!(line, "\"later\"\n");
}
