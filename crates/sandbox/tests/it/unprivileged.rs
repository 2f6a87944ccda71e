//! Without root: the same sandboxes, as far as user namespaces alone can give them.

use crate::harness::{Lab, Runner, eventually, is_alive, options};
use crate::life::kill;
use sandbox::{Cgroup, ExitStatus, Limits, Message};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};

const USER: u32 = 220_000;

pub(crate) fn tests(runner: &mut Runner) {
    let name = "an_unprivileged_user_gets_sandboxes_too";
    if !crate::harness::is_root() {
        return runner.test(name, || server(tempfile::tempdir().unwrap().path()));
    }
    runner.test(name, || {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(folder.path(), Some(USER), Some(USER)).unwrap();
        let answer = Command::new("/proc/self/exe")
            .args(["server-without-root".as_ref(), folder.path().as_os_str()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    });
}

/// Becomes an ordinary user, if it is root, and does what an ordinary user's server does.
pub(crate) fn server(folder: &Path) {
    if crate::harness::is_root() {
        let (uid, gid) = (rustix::thread::Uid::from_raw(USER), rustix::thread::Gid::from_raw(USER));
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
    }
    let instance = format!("it-user-{}", std::process::id());
    let code = tempfile::tempdir_in(folder).unwrap();
    let lab = Lab::with(options(code.path(), &instance), code);
    assert!(!lab.isolation.root);
    assert!(lab.isolation.user_namespace, "{:?}", lab.isolation);
    assert!(lab.isolation.missing.iter().any(|missing| missing.contains("user of their own")));

    // Give-up has nothing to give up.
    assert_eq!(sandbox::give_up_root(folder, 1).unwrap(), folder);

    lab.code("f1", "main.py", "answer = 42");
    let limits = Limits { pids: 20, open_files: 64, ..Limits::default() };
    let mut guest = lab.sandbox_with("python", limits);
    let seen = guest.ask(
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))
keys = ['Uid', 'CapPrm', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp']
say([[status[key].split()[0] for key in keys], sorted(p for p in os.listdir('/proc') if p.isdigit()),
    os.path.exists('/etc/shadow'), os.path.exists('/work'), attempt(lambda: open('/x', 'w')),
    attempt(lambda: os.kill(1, 9)), attempt(lambda: open('/proc/1/environ')), os.uname().nodename])",
    );
    let none = "0000000000000000";
    assert_eq!(seen[0], json!(["1000", none, none, none, "1", "2"]));
    assert_eq!(seen[1], json!(["2"]));
    assert_eq!(seen[2], json!(false));
    assert_eq!(seen[3], json!(false));
    assert_eq!(seen[4], json!("EROFS"));
    assert_eq!(seen[6], json!("ENOENT"));
    assert_eq!(seen[7], json!("sandbox"));

    let assigned = guest.assign("f1", Limits { tmp_bytes: 1 << 20, ..limits });
    assert!(matches!(assigned, Message::Assigned { .. }), "{assigned:?}");
    let seen = guest.ask(
        "s = os.statvfs('/tmp')
say([open('/var/task/main.py').read(), attempt(lambda: os.chmod('/var/task/main.py', 0)),
    attempt(lambda: os.unlink('/var/task/main.py')), s.f_blocks * s.f_frsize])",
    );
    assert_eq!(seen, json!(["answer = 42", "EROFS", "EROFS", 1 << 20]));

    if lab.isolation.cgroup == Cgroup::None {
        // What takes the place of cgroups.
        let seen = guest.ask(
            "import time
born = 0
def bomb():
    global born
    while born < 100:
        if os.fork() == 0: time.sleep(600)
        born += 1
def hog():
    try: x = bytearray(1 << 30)
    except MemoryError: return 'MemoryError'
say([attempt(bomb), born, hog()])",
        );
        assert_eq!(seen, json!(["EAGAIN", 19, "MemoryError"]));
    }
    let init = u32::try_from(guest.pid).unwrap();
    assert_eq!(guest.destroy().status, ExitStatus::Signal(9));
    assert!(!is_alive(init));

    let mut guest = lab.sandbox();
    guest.ask("say(1)");
    let init = u32::try_from(guest.pid).unwrap();
    kill(lab.launcher);
    eventually("the sandbox is dead", || match is_alive(init) {
        true => Err("alive"),
        false => Ok(()),
    });
}
