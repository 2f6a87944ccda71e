//! What a function sees: itself, and nothing of the host or of others.

use crate::harness::{Lab, Runner};
use serde_json::{Value, json};

pub(crate) fn tests(runner: &mut Runner) {
    runner.root("a_function_has_no_privilege", || {
        let lab = Lab::start();
        let mut guest = lab.sandbox();
        let seen = guest.ask(
            "status = dict(line.split(':', 1) for line in open('/proc/self/status'))
keys = ['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp']
say({key: status[key].split() for key in keys})",
        );
        let (id, none) = (vec!["1000"; 4], ["0000000000000000"]);
        assert_eq!(
            seen,
            json!({"Uid": id, "Gid": id, "Groups": [], "CapInh": none, "CapPrm": none,
                "CapEff": none, "CapBnd": none, "CapAmb": none, "NoNewPrivs": ["1"], "Seccomp": ["2"]})
        );
        assert!(lab.isolation.root && lab.isolation.user_namespace, "{:?}", lab.isolation);
    });

    runner.root("every_sandbox_has_a_user_of_its_own_outside", || {
        let lab = Lab::start();
        let users = [lab.sandbox(), lab.sandbox()].map(|guest| {
            let children = format!("/proc/{0}/task/{0}/children", guest.pid);
            let function = std::fs::read_to_string(children).unwrap();
            [function.trim().to_owned(), guest.pid.to_string()].map(|pid| {
                let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
                let user = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap();
                user.split('\t').next().unwrap().parse::<u32>().unwrap()
            })
        });
        // The function's user, and that of its init, which all inits share.
        assert_eq!(users, [[200_000, 200_016], [200_001, 200_016]]);
    });

    runner.root("a_function_sees_no_process_but_its_own", || {
        let lab = Lab::start();
        let seen = lab.ask(
            "say([[int(p) for p in os.listdir('/proc') if p.isdigit()], os.getpid(),
    attempt(lambda: open('/proc/1/status')), attempt(lambda: open('/proc/1/environ'))])",
        );
        assert_eq!(seen, json!([[2], 2, "ENOENT", "ENOENT"]));
    });

    runner.root("the_root_holds_what_was_put_there_and_is_read_only", || {
        let lab = Lab::start();
        let seen = lab.ask(
            "say([sorted(os.listdir(p)) for p in ['/', '/var', '/home', '/root', '/run', '/tmp']]
    + [attempt(lambda: open(p, 'w')) for p in ['/x', '/etc/passwd', '/usr/x', '/var/task/x', '/dev/x', '/proc/x']])",
        );
        let links = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];
        let mut root: Vec<&str> =
            vec!["dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var"];
        root.retain(|name| *name != "sys");
        root.extend(
            links.iter().filter(|name| std::path::Path::new("/").join(name).exists()),
        );
        root.sort_unstable();
        let (erofs, none): (Value, [&str; 0]) = (json!("EROFS"), []);
        assert_eq!(
            seen,
            json!([root, ["empty", "task", "tmp"], none, none, none, none,
                erofs, erofs, erofs, erofs, erofs, "ENOENT"])
        );
    });

    runner.root("host_files_are_not_there", || {
        let lab = Lab::start();
        let seen = lab.ask(
            "say([p for p in ['/etc/shadow', '/etc/machine-id', '/etc/ssl/private', '/sys/kernel',
    '/boot', '/opt', '/run/lambent', '/var/lib', '/var/log', '/old_root', '/dev/vda', '/dev/kvm',
    '/dev/fuse', '/dev/mem', '/dev/tty', '/dev/ptmx'] if os.path.exists(p)])",
        );
        assert_eq!(seen, json!([]));
        assert_eq!(lab.ask("import pwd; say(pwd.getpwuid(os.getuid()).pw_name)"), json!("sandbox"));
    });

    runner.root("devices_are_few_and_work", || {
        let lab = Lab::start();
        let seen = lab.ask(
            "say([sorted(os.listdir('/dev')), open('/dev/zero', 'rb').read(2).hex(),
    len(open('/dev/urandom', 'rb').read(8)), open('/dev/null', 'w').write('x'),
    attempt(lambda: os.write(os.open('/dev/full', os.O_WRONLY), b'x')),
    attempt(lambda: os.chmod('/dev/null', 0o777))])",
        );
        let devices =
            ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"];
        assert_eq!(seen, json!([devices, "0000", 8, 1, "ENOSPC", "EROFS"]));
    });

    runner.root("only_four_descriptors_are_inherited", || {
        let lab = Lab::start();
        let seen = lab.ask(
            "fds = {}
for fd in range(1024):
    try: fds[fd] = os.readlink(f'/proc/self/fd/{fd}').split(':')[0]
    except OSError: pass
say(fds)",
        );
        let expected = json!({"0": "/dev/null", "1": "pipe", "2": "pipe", "3": "socket"});
        assert_eq!(seen, expected);
    });

    runner.root("names_and_places_are_neutral", || {
        let lab = Lab::start();
        let seen = lab.ask(
            "import socket
say([os.getcwd(), os.uname().nodename, open('/proc/sys/kernel/domainname').read().strip(),
    socket.if_nameindex(), dict(os.environ),
    sorted({line.strip().split(':', 2)[2] for line in open('/proc/self/cgroup')}),
    open('/proc/sys/kernel/random/boot_id').read()])",
        );
        assert_eq!(
            seen,
            json!(["/var/task", "sandbox", "", [[1, "lo"]],
                {"HOME": "/tmp", "LANG": "C.UTF-8"}, ["/"], ""])
        );
    });

    runner.root("proc_tells_nothing_of_the_host_and_takes_nothing", || {
        let lab = Lab::start();
        let seen = lab.ask(
            "def peek(name):
    try: return len(open('/proc/' + name, 'rb').read(64))
    except OSError: return 0
names = ['kcore', 'keys', 'key-users', 'kallsyms', 'timer_list', 'sched_debug', 'kmsg', 'modules',
    'iomem', 'ioports', 'slabinfo', 'vmallocinfo', 'kpagecount', 'config.gz', 'buddyinfo']
say([[n for n in names if peek(n)],
    [n for n in ['acpi', 'bus', 'fs', 'irq', 'scsi', 'driver'] if attempt(lambda: os.listdir('/proc/' + n)) not in ([], 'ENOENT')],
    [attempt(lambda: open('/proc/' + n, 'w')) for n in ['sysrq-trigger', 'sys/kernel/core_pattern',
        'sys/kernel/modprobe', 'self/oom_score_adj', 'sys/vm/drop_caches', 'self/uid_map']]])",
        );
        // Covered by /dev/null, sysrq-trigger opens, but nothing listens. Some kernels lack some.
        let refused = seen[2].as_array().unwrap().iter().skip(1);
        assert_eq!(seen[0], json!([]));
        assert_eq!(seen[1], json!([]));
        for answer in refused {
            assert!(["EROFS", "EACCES", "ENOENT"].map(|no| json!(no)).contains(answer), "{seen}");
        }
    });
}
