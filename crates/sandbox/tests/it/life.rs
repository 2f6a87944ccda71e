//! A sandbox's life: made, given code, frozen, ended, and nothing left of it.

use crate::harness::{Lab, Runner, eventually, failure, groups, is_alive};
use sandbox::{ExitStatus, Limits, Message, Operation};
use serde_json::json;
use std::io::Read;
use std::time::Duration;

pub(crate) fn tests(runner: &mut Runner) {
    runner.root("a_python_answers_through_the_channel", || {
        let lab = Lab::start();
        let mut guest = lab.sandbox();
        assert_eq!(guest.ask("say('hello')"), json!("hello"));
        guest.send(
            "print('to stdout', flush=True); print('to stderr', file=sys.stderr); sys.exit(7)",
        );
        assert_eq!(guest.exit().status, ExitStatus::Code(7));
        let (mut stdout, mut stderr) = (String::new(), String::new());
        guest.stdout.read_to_string(&mut stdout).unwrap();
        guest.stderr.read_to_string(&mut stderr).unwrap();
        assert_eq!((stdout.as_str(), stderr.as_str()), ("to stdout\n", "to stderr\n"));
    });

    runner.root("a_function_that_dies_by_a_signal_is_told_as_such", || {
        let lab = Lab::start();
        let mut guest = lab.sandbox();
        guest.send("import ctypes; ctypes.string_at(0)");
        assert_eq!(guest.exit().status, ExitStatus::Signal(11));
    });

    runner.root("code_is_assigned_read_only", || {
        let lab = Lab::start();
        lab.code("f1", "main.py", "answer = 42");
        let mut guest = lab.sandbox();
        assert_eq!(guest.ask("say(os.listdir('/var/task'))"), json!([]));
        assert!(matches!(guest.assign("f1", Limits::default()), Message::Assigned { .. }));
        assert_eq!(guest.ask("say(open('/var/task/main.py').read())"), json!("answer = 42"));
        let refused = "say([attempt(lambda: open('/var/task/new', 'w')),
            attempt(lambda: os.unlink('/var/task/main.py')),
            attempt(lambda: os.rename('/var/task/main.py', '/var/task/x'))])";
        assert_eq!(guest.ask(refused), json!(["EROFS", "EROFS", "EROFS"]));
        guest.destroy();
        assert_eq!(
            std::fs::read_to_string(lab.code_root.path().join("f1/main.py")).unwrap(),
            "answer = 42"
        );
    });

    runner.root("assigning_sets_the_limits", || {
        let lab = Lab::start();
        lab.code("f1", "main.py", "");
        let mut guest = lab.sandbox();
        let limits = Limits {
            memory_bytes: 64 << 20,
            tmp_bytes: 1 << 20,
            tmp_inodes: 10,
            open_files: 32,
            ..Limits::default()
        };
        assert!(matches!(guest.assign("f1", limits), Message::Assigned { .. }));
        let seen = guest.ask(
            "import resource
s = os.statvfs('/tmp')
say([s.f_blocks * s.f_frsize, s.f_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]])",
        );
        assert_eq!(seen, json!([1 << 20, 10, 32]));
        guest.send("x = bytearray(100 << 20)");
        assert!(guest.exit().oom_killed);
    });

    runner.root("only_folders_beneath_the_code_root_can_be_assigned", || {
        let lab = Lab::start();
        lab.code("f1", "main.py", "");
        std::os::unix::fs::symlink("/etc", lab.code_root.path().join("link")).unwrap();
        for (code, errno) in [
            ("../..", libc_errno::EXDEV),
            ("/etc", libc_errno::EXDEV),
            ("link", libc_errno::ELOOP),
            ("f1/main.py", libc_errno::ENOTDIR),
            ("absent", libc_errno::ENOENT),
        ] {
            let guest = lab.sandbox();
            let (operation, step, detail, told) = failure(guest.assign(code, Limits::default()));
            assert_eq!((operation, step.as_str(), told), (Operation::Assign, "Code", errno));
            assert!(detail.contains(code), "{detail}");
            guest.destroy();
        }
    });

    runner.root("code_is_assigned_once", || {
        let lab = Lab::start();
        lab.code("f1", "main.py", "");
        let guest = lab.sandbox();
        assert!(matches!(guest.assign("f1", Limits::default()), Message::Assigned { .. }));
        let (_, _, detail, _) = failure(guest.assign("f1", Limits::default()));
        assert!(detail.contains("second time"), "{detail}");
    });

    runner.root("a_frozen_sandbox_stands_still_and_goes_on", || {
        let lab = Lab::start();
        let mut guest = lab.sandbox();
        assert_eq!(guest.ask("say(1)"), json!(1));
        lab.sender.freeze(guest.id).unwrap();
        assert!(matches!(guest.message(), Message::Frozen { .. }));
        guest.send("say(2)");
        guest.channel.get_ref().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut byte = [0; 1];
        assert!(guest.channel.read(&mut byte).is_err(), "a frozen sandbox has answered");
        guest.channel.get_ref().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        lab.sender.thaw(guest.id).unwrap();
        assert!(matches!(guest.message(), Message::Thawed { .. }));
        assert_eq!(guest.hear(), json!(2));
    });

    runner.root("a_frozen_sandbox_can_be_destroyed", || {
        let lab = Lab::start();
        let guest = lab.sandbox();
        lab.sender.freeze(guest.id).unwrap();
        assert!(matches!(guest.message(), Message::Frozen { .. }));
        assert_eq!(guest.destroy().status, ExitStatus::Signal(9));
    });

    runner.root("usage_is_counted", || {
        let lab = Lab::start();
        let mut guest = lab.sandbox();
        guest.ask("x = bytearray(40 << 20); [i * i for i in range(10 ** 6)]; say(0)");
        lab.sender.usage(guest.id).unwrap();
        let Message::Usage { usage, .. } = guest.message() else { panic!("no usage") };
        assert!(usage.memory_peak_bytes > 40 << 20, "{usage:?}");
        assert!(usage.cpu > Duration::from_millis(20), "{usage:?}");
        assert_eq!(usage.oom_kills, 0);
        assert!(guest.destroy().usage.cpu >= usage.cpu);
    });

    runner.root("a_failed_step_names_step_value_and_errno", || {
        let lab = Lab::start();
        let id = lab.next_id();
        lab.sender.create(id, "broken", Limits::default()).unwrap();
        let (operation, step, detail, errno) = failure(lab.message(id));
        assert_eq!((operation, step.as_str(), errno), (Operation::Create, "RuntimeBinds", 2));
        assert!(detail.contains("/nonexistent/shim"), "{detail}");
        assert!(detail.contains("/opt/shim"), "{detail}");
        let id = lab.next_id();
        lab.sender.create(id, "absent", Limits::default()).unwrap();
        let (_, step, detail, errno) = failure(lab.message(id));
        assert_eq!((step.as_str(), errno), ("Execute", 2));
        assert!(detail.contains("no-such-program"), "{detail}");
        let id = lab.next_id();
        lab.sender.create(id, "cobol", Limits::default()).unwrap();
        let (_, step, detail, errno) = failure(lab.message(id));
        assert_eq!((step.as_str(), errno), ("Request", 2));
        assert!(detail.contains("cobol"), "{detail}");
        // Nothing is left but the launcher's own folders, one in each hierarchy.
        assert_eq!(groups(&format!("{}/", lab.instance)), [""; 0]);
    });

    runner.root("more_sandboxes_than_slots_are_refused_and_slots_come_back", || {
        let lab = Lab::start();
        let guests: Vec<_> = (0..16).map(|_| lab.sandbox()).collect();
        let id = lab.next_id();
        lab.sender.create(id, "python", Limits::default()).unwrap();
        let (_, _, detail, _) = failure(lab.message(id));
        assert!(detail.contains("16 sandboxes"), "{detail}");
        guests[3].destroy();
        lab.sandbox();
    });

    runner.root("destroy_ends_what_ignores_signals_and_what_has_left_its_parent", || {
        let lab = Lab::start();
        let mut guest = lab.sandbox();
        let pids = guest.ask(
            "import signal
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: signal.pause()
    os._exit(0)
os.wait()
say(len([p for p in os.listdir('/proc') if p.isdigit()]))",
        );
        // Itself and the daemon; init is hidden.
        assert_eq!(pids, json!(2));
        let members = std::fs::read_to_string(
            groups(&lab.instance)
                .into_iter()
                .find(|path| path.contains("/pids/") && path.ends_with(&format!("/{}", guest.id)))
                .unwrap()
                + "/cgroup.procs",
        )
        .unwrap();
        let members: Vec<u32> = members.lines().map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(members.len(), 3, "{members:?}");
        assert_eq!(guest.destroy().status, ExitStatus::Signal(9));
        for pid in members {
            assert!(!is_alive(pid), "process {pid} has outlived its sandbox");
        }
        assert_eq!(groups(&format!("{}/", lab.instance)), [""; 0]);
    });

    runner.root("a_sandbox_can_be_destroyed_while_it_is_made", || {
        let lab = Lab::start();
        for _ in 0..20 {
            let id = lab.next_id();
            lab.sender.create(id, "python", Limits::default()).unwrap();
            lab.sender.destroy(id).unwrap();
            let message = match lab.message(id) {
                Message::Created { .. } => lab.message(id),
                message => message,
            };
            assert!(matches!(message, Message::Exited { .. }), "{message:?}");
        }
        lab.sandbox();
    });

    runner.root("a_hundred_sandboxes_leave_nothing_behind", || {
        let lab = Lab::start();
        lab.sandbox().destroy();
        let descriptors =
            || std::fs::read_dir(format!("/proc/{}/fd", lab.launcher)).unwrap().count();
        let mounts = || {
            std::fs::read_to_string(format!("/proc/{}/mountinfo", lab.launcher))
                .unwrap()
                .lines()
                .count()
        };
        let before = (descriptors(), mounts());
        lab.code("f1", "main.py", "");
        for round in 0..100 {
            let mut guest = lab.sandbox();
            if round % 10 == 0 {
                guest.assign("f1", Limits::default());
                guest.ask("say(1)");
            }
            guest.destroy();
        }
        assert_eq!((descriptors(), mounts()), before);
        assert_eq!(groups(&format!("{}/", lab.instance)), [""; 0]);
        let launcher = lab.launcher;
        let children = format!("/proc/{launcher}/task/{launcher}/children");
        assert_eq!(std::fs::read_to_string(children).unwrap(), "");
    });

    runner.root("when_the_launcher_is_killed_its_sandboxes_die_and_the_next_one_sweeps", || {
        let lab = Lab::start();
        let mut guest = lab.sandbox();
        guest.ask("say(1)");
        let init = u32::try_from(guest.pid).unwrap();
        kill(lab.launcher);
        eventually("the sandbox is dead", || match is_alive(init) {
            true => Err("alive"),
            false => Ok(()),
        });
        assert!(matches!(lab.receive(), Err(sandbox::Error::LauncherGone { .. })));
        assert!(!groups(&lab.instance).is_empty(), "nothing was left to be swept");
        let neighbour = Lab::start();
        let stays = neighbour.sandbox();
        assert_eq!(groups(&lab.instance), [""; 0]);
        // A third launcher leaves the living neighbour's alone.
        let _third = Lab::start();
        assert!(!groups(&neighbour.instance).is_empty());
        stays.destroy();
    });

    runner.root("dropping_the_handles_ends_launcher_and_sandboxes", || {
        let lab = Lab::start();
        let mut guest = lab.sandbox();
        guest.ask("say(1)");
        let (init, launcher) = (u32::try_from(guest.pid).unwrap(), lab.launcher);
        let instance = lab.instance.clone();
        drop(guest);
        drop(lab);
        assert!(!is_alive(init) && !is_alive(launcher));
        assert_eq!(groups(&instance), [""; 0]);
    });

    runner.root("one_instance_has_one_launcher", || {
        let lab = Lab::start();
        let again = crate::harness::options(lab.code_root.path(), &lab.instance);
        let error = sandbox::Launcher::execute(&again).unwrap_err();
        assert!(error.to_string().contains("another living launcher"), "{error}");
        lab.sandbox().destroy();
    });
}

mod libc_errno {
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const EXDEV: i32 = 18;
    pub(crate) const ENOTDIR: i32 = 20;
    pub(crate) const ELOOP: i32 = 40;
}

pub(crate) fn kill(pid: u32) {
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("kill -9 {pid}")])
        .status()
        .unwrap();
    assert!(status.success());
}
