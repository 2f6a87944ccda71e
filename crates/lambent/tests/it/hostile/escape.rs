//! Wanting out: more rights, other namespaces, other processes, devices, other system calls.

use serde_json::{Value, json};

use super::arena::Arena;
use super::{Act, Ends, act, must, only, run};

#[test]
fn nothing_that_a_function_tries_makes_it_more_than_a_function() {
    run(
        "nothing_that_a_function_tries_makes_it_more_than_a_function",
        &[
            act("H25", "rewrite_own_code", json!({}), Ends::Answers(refused)),
            act("H27", "mount_tricks", json!({}), Ends::Answers(not_permitted)),
            act("H28", "new_namespace", json!({}), Ends::Answers(not_permitted)),
            act("H29", "setns_host", json!({}), Ends::Answers(refused)),
            act("H30", "ptrace_others", json!({}), Ends::Answers(traced)),
            act("H31", "kill_all", json!({}), Ends::Answers(nobody)),
            act("H31", "kill_all", json!({"signal": 9}), Ends::Answers(nobody)),
            act("H33", "write_proc_sys", json!({}), Ends::Answers(unwritable)),
            act("H37", "keyring", json!({}), Ends::Answers(not_permitted)),
            act("H40", "make_devices", json!({}), Ends::Answers(devices)),
            Act {
                event: json!({}),
                ..act("H42", "setuid_gain", json!({}), Ends::Answers(no_gain))
            },
        ],
    );
}

fn refused(answer: &Value) -> Result<(), String> {
    only(answer, &["EROFS", "EACCES", "EPERM", "ENOENT", "ETXTBSY", "EXDEV"])
}

fn not_permitted(answer: &Value) -> Result<(), String> {
    only(answer, &["EPERM", "ENOSYS"])
}

fn traced(answer: &Value) -> Result<(), String> {
    for (who, acts) in answer.as_object().unwrap() {
        for (how, outcome) in acts.as_object().unwrap() {
            // A child is a function's own: /proc/PID/mem of it is no more than its own memory.
            let own = who == "child" && how.starts_with("mem_");
            let refused = outcome == "EPERM" || outcome == "ENOENT" || outcome == "EACCES";
            must(refused || own, || format!("{how} of the {who}"))?;
        }
    }
    Ok(())
}

fn nobody(answer: &Value) -> Result<(), String> {
    must(answer["others"] == json!([]), || "it sees others".to_owned())?;
    for (how, outcome) in answer.as_object().unwrap() {
        let refused = outcome == "EPERM" || outcome == "ESRCH";
        must(how == "others" || refused, || format!("{how} reaches somebody"))?;
    }
    Ok(())
}

fn unwritable(answer: &Value) -> Result<(), String> {
    for (path, outcome) in answer.as_object().unwrap() {
        // What hides this file is /dev/null, which takes everything and does nothing.
        let hidden = path == "/proc/sysrq-trigger" && outcome == "ok";
        let refused = ["EROFS", "EACCES", "EPERM", "ENOENT"].iter().any(|word| outcome == word);
        must(hidden || refused, || format!("{path}: {outcome}"))?;
    }
    Ok(())
}

fn devices(answer: &Value) -> Result<(), String> {
    let there =
        ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"];
    must(answer["dev"] == json!(there), || "other devices".to_owned())?;
    for (path, outcome) in answer.as_object().unwrap() {
        let refused = ["ENOENT", "EPERM", "ENXIO"].iter().any(|word| outcome == word);
        must(path == "dev" || refused, || format!("{path}: {outcome}"))?;
    }
    Ok(())
}

fn no_gain(answer: &Value) -> Result<(), String> {
    for (how, outcome) in answer.as_object().unwrap() {
        let fine = match how.as_str() {
            // A file of its own; the bit means nothing where it can be set.
            "copy_id" | "chmod_setuid" => true,
            "tmp_setuid_bit" => true,
            "package_setuid_bit" => outcome == false,
            "tmp_id" | "package_id" => outcome == "1000",
            "Uid" | "Gid" => *outcome == json!(["1000", "1000", "1000", "1000"]),
            "Groups" => *outcome == json!([]),
            "CapEff" | "CapPrm" | "CapBnd" => *outcome == json!(["0000000000000000"]),
            "NoNewPrivs" => *outcome == json!(["1"]),
            "Seccomp" => *outcome == json!(["2"]),
            _ => outcome == "EPERM" || outcome == "EINVAL",
        };
        must(fine, || format!("{how}: {outcome}"))?;
    }
    Ok(())
}

/// Numbers are those of x86-64; the sandbox crate has the same list by name.
const CALLS: &str = r#"
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return 'ok' if result != -1 else errno.errorcode[ctypes.get_errno()]
def word(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return 'ok'
"#;

fn source(body: &str) -> String {
    format!("{CALLS}\ndef handler(event, context):\n{body}\n")
}

#[test]
fn system_calls_of_power_answer_a_function_with_no() {
    let Some(arena) = Arena::enter("system_calls_of_power_answer_a_function_with_no") else {
        return;
    };
    let mut wrong = Vec::new();
    let mut expect = |label: &str, body: &str, expected: Value| {
        let attack = || {
            let answer = arena.try_out("calls", &source(body), &[]).expect(200).json();
            must(answer == expected, || format!("{answer} instead of {expected}"))
        };
        wrong.extend(arena.observe(label, attack).err());
    };
    if cfg!(target_arch = "x86_64") {
        expect(
            "bpf, perf, userfaultfd, io_uring, modules, reboot (H38, H39)",
            "    return {n: call(n, 0, 0, 0, 0, 0) for n in (321, 298, 323, 425, 246, 175, 313, 169, 167, 163, 164, 159, 172, 173)}",
            json!({"321": "EPERM", "298": "EPERM", "323": "EPERM", "425": "ENOSYS", "246": "EPERM",
                "175": "EPERM", "313": "EPERM", "169": "EPERM", "167": "EPERM", "163": "EPERM",
                "164": "EPERM", "159": "EPERM", "172": "EPERM", "173": "EPERM"}),
        );
        expect(
            "file handles, kcmp, process_madvise, syslog, real-time (H7, H41)",
            "    return {n: call(n, 0, 0, 0, 0, 0) for n in (304, 303, 312, 440, 103)} | {
        'fifo': word(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
        'nice': word(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)),
    }",
            json!({"304": "EPERM", "303": "EPERM", "312": "EPERM", "440": "EPERM", "103": "EPERM",
                "fifo": "EPERM", "nice": "EACCES"}),
        );
        expect(
            "personality, modify_ldt, another filter (H44)",
            "    return [call(135, 0x40000), call(154, 0, 0, 0), call(317, 1, 0, 0), call(157, 22, 2, 0), call(157, 35, 1, 0)]",
            json!(["EPERM", "EPERM", "EPERM", "EPERM", "EPERM"]),
        );
        expect(
            "x32's numbers (H43)",
            "    return [call(0x40000000 + n, 0, 0, 0) for n in (39, 101, 165, 520, 545)]",
            json!(["EPERM", "EPERM", "EPERM", "EPERM", "EPERM"]),
        );
        expect(
            "files of others, watched (inotify's and dnotify's reading and opening)",
            "    import fcntl
    fd = libc.inotify_init1(0)
    watch = lambda path, mask: 'ok' if libc.inotify_add_watch(fd, path, mask) >= 0 else errno.errorcode[ctypes.get_errno()]
    folder = os.open('/usr/bin', os.O_RDONLY)
    return {
        'open': watch(b'/usr/bin', 0x20), 'access': watch(b'/usr/bin', 0x1), 'close': watch(b'/usr/bin', 0x10),
        'all': watch(b'/usr/bin', 0xfff), 'changes': watch(b'/tmp', 0x3ce),
        'dnotify': word(lambda: fcntl.fcntl(folder, fcntl.F_NOTIFY, fcntl.DN_ACCESS)),
        'lease': 'no' if word(lambda: fcntl.fcntl(os.open('/usr/bin/env', os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)) != 'ok' else 'lent',
    }",
            json!({"open": "EPERM", "access": "EPERM", "close": "EPERM", "all": "EPERM",
                "changes": "ok", "dnotify": "EPERM", "lease": "no"}),
        );
        expect(
            "the limit on core files, by which the host's handler is kept from running",
            "    import resource
    return [
        resource.getrlimit(resource.RLIMIT_CORE),
        'no' if refused(lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))) else 'changed',
        call(160, 4, (ctypes.c_ulong * 2)(0, 0)),
        call(302, 0, 4, (ctypes.c_ulong * 2)(0, 0), 0),
        call(302, os.getpid(), 4, (ctypes.c_ulong * 2)(0, 0), 0),
    ]
def refused(act):
    try: act()
    except (OSError, ValueError): return True",
            json!([[1, 1], "no", "EPERM", "EPERM", "EPERM"]),
        );
    }
    expect(
        "the channel's other end, and protocols that are loaded on demand",
        "    import signal, socket
    channel, tcp = socket.socket(fileno=os.dup(3)), socket.socket()
    def peer():
        # SO_PEERPIDFD: a handle of whoever made the channel, where the kernel gives one.
        try: fd = int.from_bytes(channel.getsockopt(1, 77, 4), 'little')
        except OSError: return 'none'
        outcomes = {word(lambda: signal.pidfd_send_signal(fd, n)) for n in (0, 9)}
        return 'reached' if 'ok' in outcomes else 'none'
    return {
        'peer': peer(), 'peer_pid': int.from_bytes(channel.getsockopt(1, 17, 12)[:4], 'little'),
        'ulp': word(lambda: tcp.setsockopt(6, 31, b'tls')), 'nodelay': word(lambda: tcp.setsockopt(6, 1, 1)),
        'iptables': word(lambda: tcp.setsockopt(0, 64, bytes(84))), 'mark': word(lambda: tcp.setsockopt(1, 36, 1)),
    }",
        json!({"peer": "none", "peer_pid": 0, "ulp": "EPERM", "nodelay": "ok", "iptables": "EPERM", "mark": "EPERM"}),
    );
    expect(
        "sockets of other families (H50)",
        "    import socket
    kinds = {'packet': (17, 3, 0), 'raw': (2, 3, 1), 'alg': (38, 5, 0), 'vsock': (40, 1, 0), 'xdp': (44, 3, 0),
        'sctp': (2, 1, 132), 'uevent': (16, 3, 15), 'audit': (16, 3, 9), 'netfilter': (16, 3, 12), 'rds': (21, 5, 0),
        'tipc': (30, 1, 0), 'bluetooth': (31, 3, 1), 'can': (29, 3, 1), 'key': (15, 3, 2), 'smc': (43, 1, 0),
        'kcm': (41, 5, 0), 'dccp': (2, 6, 33), 'mptcp': (2, 1, 262), 'udplite': (2, 2, 136)}
    return {name: word(lambda: socket.socket(*kind)) for name, kind in kinds.items()}",
        json!({"packet": "EPERM", "raw": "EPERM", "alg": "EPERM", "vsock": "EPERM", "xdp": "EPERM",
            "sctp": "EPERM", "uevent": "EPERM", "audit": "EPERM", "netfilter": "EPERM",
            "rds": "EPERM", "tipc": "EPERM", "bluetooth": "EPERM", "can": "EPERM", "key": "EPERM",
            "smc": "EPERM", "kcm": "EPERM", "dccp": "EPERM", "mptcp": "EPERM", "udplite": "EPERM"}),
    );
    expect(
        "the network's settings, and ways out of it (H51, H52)",
        "    import socket, struct
    def reach(host, port):
        s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
        s.settimeout(2)
        return word(lambda: s.connect((host, port)))
    link = socket.socket(16, 3, 0)
    # RTM_NEWLINK for the loopback, down: a header, its message, and a request for an answer.
    link.sendto(struct.pack('=IHHII BxHiII', 32, 16, 5, 1, 0, 0, 0, 1, 0, 1), (0, 0))
    answer = struct.unpack('=i', link.recv(4096)[16:20])[0]
    return {'metadata': reach('169.254.169.254', 80), 'six': reach('fd00:ec2::254', 80), 'far': reach('1.1.1.1', 53),
        'local': reach('127.0.0.1', 22), 'mapped': reach('::ffff:169.254.169.254', 80),
        'link': errno.errorcode[-answer], 'devices': [name for _, name in socket.if_nameindex()]}",
        json!({"metadata": "ENETUNREACH", "six": "ENETUNREACH", "far": "ENETUNREACH",
            "local": "ECONNREFUSED", "mapped": "ENETUNREACH", "link": "EPERM", "devices": ["lo"]}),
    );
    expect(
        "terminals (H48)",
        "    import fcntl
    return [word(lambda: fcntl.ioctl(0, 0x5412, b'x')), word(lambda: fcntl.ioctl(3, 0x541c, b'x')),
        word(lambda: os.open('/dev/tty', os.O_RDWR)), word(lambda: os.open('/dev/ptmx', os.O_RDWR)), os.getsid(0) == os.getpid()]",
        json!(["EPERM", "EPERM", "ENOENT", "ENOENT", true]),
    );
    expect(
        "its own program, rewritten through /proc (H45)",
        "    ways = {'exe': '/proc/self/exe', 'root': '/proc/self/root/var/runtime/shim.py', 'cwd': '/proc/self/cwd/handler.py'}
    return [name for name, path in ways.items() if word(lambda: os.open(path, os.O_WRONLY)) not in ('EROFS', 'EACCES', 'ETXTBSY')]",
        json!([]),
    );
    arena.leave();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Code of the 32-bit architecture has other numbers for the same calls: it is ended at once.
#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_another_architecture_end_the_function() {
    let Some(arena) = Arena::enter("calls_of_another_architecture_end_the_function") else {
        return;
    };
    let source = "
import ctypes, mmap
def handler(event, context):
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex('b814000000cd80c3'))  # getpid of i386, by int 0x80
    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
";
    let outcome = arena.observe("int 0x80 (H43)", || {
        let answer = arena.try_out("i386", source, &[]).json();
        must(answer["reason"] == "Runtime.ExitError", || answer.to_string())?;
        must(answer["detail"].as_str().unwrap().contains("SIGSYS"), || answer.to_string())
    });
    arena.leave();
    outcome.unwrap();
}
