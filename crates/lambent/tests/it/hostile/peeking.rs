//! Looking around: at the host, at other functions, at what was here before.

use std::path::Path;

use serde_json::{Value, json};

use super::arena::Arena;
use super::{Ends, act, must, run};

#[test]
fn proc_shows_a_function_itself_and_nobody_else() {
    let look = act("H32", "proc_peek", json!({}), Ends::Answers(nothing_of_others));
    run("proc_shows_a_function_itself_and_nobody_else", &[look]);
}

fn nothing_of_others(answer: &Value) -> Result<(), String> {
    must(answer["processes"] == json!({}), || "it sees other processes".to_owned())?;
    must(answer["hostname"] == "sandbox", || "it sees the host's name".to_owned())?;
    for (path, outcome) in answer["files"].as_object().unwrap() {
        let own = [
            "/proc/self/mountinfo",
            // A file of the sandbox's own.
            "/etc/hostname",
        ];
        let hidden = ["empty", "ENOENT", "EACCES", "EPERM"].iter().any(|word| outcome == word);
        must(hidden || own.contains(&path.as_str()), || format!("{path}: {outcome}"))?;
    }
    let descriptors = answer["descriptors"].as_object().unwrap();
    // The fifth is the folder that it was reading.
    let shim = descriptors.iter().filter(|(number, _)| number.parse::<u32>().unwrap() > 3);
    for (number, target) in shim {
        let own = target.as_str().unwrap().starts_with("/proc/") || target == "2";
        must(own, || format!("descriptor {number} is {target}"))?;
    }
    Ok(())
}

#[test]
fn neither_the_host_nor_other_projects_can_be_seen() {
    let name = "neither_the_host_nor_other_projects_can_be_seen";
    let Some(arena) = Arena::enter(name) else { return };
    let mut wrong = Vec::new();
    let mut observe = |label: &str, attack: &dyn Fn() -> Result<(), String>| {
        wrong.extend(arena.observe(label, attack).err());
    };
    observe("the whole file system", &|| files(&arena));
    observe("programs that give privileges", &|| privileged(&arena));
    observe("the environment and the arguments", &|| environment(&arena));
    observe("descriptors, of it and of its children (H46)", &|| descriptors(&arena));
    observe("memory of the first process", &|| init(&arena));
    observe("who else is here (H56)", &|| others(&arena));
    observe("leftovers of others (H57)", &|| leftovers(&arena));
    observe("the same chance twice (H58)", &|| chance(&arena));
    observe("the machine's side doors (H59)", &|| side_doors(&arena));
    observe("another project's functions and records", &|| api(&arena));
    arena.leave();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Everything that can be read outside of /usr and /proc, or be written anywhere.
fn files(arena: &Arena) -> Result<(), String> {
    let source = r#"
import os
def handler(event, context):
    top, writable, odd = sorted(os.listdir('/')), [], []
    for root, folders, files in os.walk('/'):
        if root == '/':
            folders[:] = [f for f in folders if f not in ('proc',)]
        for name in folders + files:
            path = os.path.join(root, name)
            if os.path.islink(path):
                continue
            try:
                kind = os.lstat(path).st_mode & 0o170000
            except OSError:
                continue
            if kind in (0o140000, 0o010000, 0o060000):
                odd.append(path)
            if os.access(path, os.W_OK) and not path.startswith(('/tmp', '/dev/')):
                writable.append(path)
    etc = sorted(os.path.join(r, f)[5:] for r, _, fs in os.walk('/etc') for f in fs if not r.startswith(('/etc/ssl/certs', '/etc/alternatives', '/etc/pki')))
    return {'top': top, 'writable': writable, 'odd': odd, 'etc': etc, 'home': os.listdir('/home'), 'var': sorted(os.listdir('/var'))}
"#;
    let answer = arena.try_out("walk", source, &[("timeout_s", "60")]).expect(200).json();
    println!("    {} / {}", answer["top"], answer["etc"]);
    must(answer["writable"] == json!([]), || format!("can be written: {}", answer["writable"]))?;
    must(answer["odd"] == json!([]), || format!("sockets, pipes, disks: {}", answer["odd"]))?;
    must(answer["home"] == json!([]), || format!("/home: {}", answer["home"]))?;
    let private = ["shadow", "machine-id", "ssh", "fstab", "crontab", "sudoers", "environment"];
    for file in answer["etc"].as_array().unwrap() {
        let file = file.as_str().unwrap();
        must(!private.iter().any(|name| file.starts_with(name)), || format!("/etc/{file}"))?;
    }
    Ok(())
}

/// Of the setuid programs of the host's /usr, every one is only a program.
fn privileged(arena: &Arena) -> Result<(), String> {
    let source = r#"
import os, stat, subprocess
def handler(event, context):
    found, gained = [], []
    for root, _, files in os.walk('/usr'):
        for name in files:
            path = os.path.join(root, name)
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode) and mode & 0o6000:
                found.append(path)
    # What such a program would be, seen from a child that it becomes.
    for path in found:
        try:
            child = subprocess.Popen([path, '--help'], stdin=-3, stdout=-3, stderr=-3)
        except OSError:
            continue
        try:
            ids = [line.split()[1:] for line in open('/proc/%d/status' % child.pid) if line.startswith(('Uid', 'Gid'))]
            if any(id != '1000' for line in ids for id in line):
                gained.append([path, ids])
        except OSError:
            pass
        child.kill()
        child.wait()
    return {'found': found, 'gained': gained}
"#;
    let answer = arena.try_out("setuid", source, &[("timeout_s", "60")]).expect(200).json();
    println!("    {}", answer["found"]);
    must(answer["gained"] == json!([]), || answer.to_string())
}

fn environment(arena: &Arena) -> Result<(), String> {
    let source = "
import os, sys
def handler(event, context):
    return [sorted(os.environ), open('/proc/self/environ').read().split(chr(0)), open('/proc/self/cmdline').read().split(chr(0)), os.getcwd()]
";
    let answer = arena.try_out("environment", source, &[]).expect(200).json();
    let text = answer.to_string();
    for secret in ["CARGO", "LAMBENT_LOG", "SSH_", "/root/.cargo", "PWD="] {
        must(!text.contains(secret), || format!("{secret} in {text}"))?;
    }
    must(answer[3] == "/var/task", || text.clone())
}

fn descriptors(arena: &Arena) -> Result<(), String> {
    let source = "
import os, subprocess
def handler(event, context):
    held = {fd: os.readlink('/proc/self/fd/%d' % fd).split(':')[0] for fd in range(4096) if os.path.exists('/proc/self/fd/%d' % fd) or os.path.islink('/proc/self/fd/%d' % fd)}
    child = subprocess.run(['/bin/sh', '-c', 'echo /proc/self/fd/*'], capture_output=True, text=True, close_fds=False).stdout.split()
    return [held, len(child), os.getcwd()]
";
    let answer = arena.try_out("descriptors", source, &[]).expect(200).json();
    let expected = json!({"0": "/dev/null", "1": "pipe", "2": "pipe", "3": "socket"});
    must(answer[0] == expected, || answer.to_string())
}

/// The first process is a copy of the launcher, which knows of every sandbox.
fn init(arena: &Arena) -> Result<(), String> {
    let source = "
import errno, os
def word(act):
    try: act()
    except OSError as error: return errno.errorcode[error.errno]
    return 'ok'
def handler(event, context):
    names = ['mem', 'maps', 'environ', 'fd', 'fdinfo', 'root', 'cwd', 'exe', 'ns/mnt', 'task', 'stat', 'cmdline', 'stack', 'syscall', 'pagemap', 'cgroup', 'mountinfo']
    seen = {name: word(lambda: os.stat('/proc/1/' + name)) for name in names}
    seen['kill'] = word(lambda: os.kill(1, 9))
    seen['group'] = word(lambda: os.killpg(1, 9))
    seen['getpgid'] = word(lambda: os.getpgid(1))
    return seen
";
    let answer = arena.try_out("init", source, &[]).expect(200).json();
    for (what, outcome) in answer.as_object().unwrap() {
        let hidden = ["ENOENT", "EPERM", "ESRCH", "EACCES"].iter().any(|word| outcome == word);
        must(hidden || what == "getpgid", || format!("{what} of the first process: {outcome}"))?;
    }
    Ok(())
}

/// Names that would be the whole machine's, were they not the sandbox's own: both functions use
/// them at the same time, and neither finds the other.
fn others(arena: &Arena) -> Result<(), String> {
    let source = "
import ctypes, errno, os, socket, time
libc = ctypes.CDLL(None, use_errno=True)
def handler(event, context):
    found = []
    server = socket.socket(socket.AF_UNIX)
    try: server.bind('\\0lambent-canary'); server.listen()
    except OSError as error: found.append('abstract: %s' % error)
    tcp = socket.socket()
    try: tcp.bind(('127.0.0.1', 4321)); tcp.listen()
    except OSError as error: found.append('port: %s' % error)
    if libc.shmget(4321, 4096, 0o3600) < 0: found.append('shm %d' % ctypes.get_errno())
    if libc.msgget(4321, 0o3600) < 0: found.append('msg %d' % ctypes.get_errno())
    if libc.semget(4321, 1, 0o3600) < 0: found.append('sem %d' % ctypes.get_errno())
    for path in ('/tmp/canary', '/dev/shm/canary'):
        try: open(path, 'x').write(context.aws_request_id)
        except OSError as error: found.append('%s: %s' % (path, error))
    for table in ('/proc/net/unix', '/proc/net/tcp'):
        if len(open(table).readlines()) > 2: found.append(open(table).read())
    time.sleep(1)
    return {'found': found, 'pids': [p for p in os.listdir('/proc') if p.isdigit()]}
";
    arena.deploy("first", "handler.py", source.as_bytes(), &[]);
    arena.deploy("second", "handler.py", source.as_bytes(), &[]);
    let answers = std::thread::scope(|scope| {
        let calls =
            ["first", "second"].map(|name| scope.spawn(move || arena.call(name, &json!({}))));
        calls.map(|call| call.join().unwrap())
    });
    for answer in answers {
        let answer = answer.expect(200).json();
        must(answer["found"] == json!([]), || answer.to_string())?;
        must(answer["pids"].as_array().map(Vec::len) == Some(1), || answer.to_string())?;
    }
    Ok(())
}

/// A canary in everything that one function can write must not be found by the next.
fn leftovers(arena: &Arena) -> Result<(), String> {
    let source = "
import os
CANARY = b'canary-' + b'd41d8cd9'
def handler(event, context):
    if event.get('leave'):
        for path in ('/tmp/left', '/dev/shm/left'):
            open(path, 'wb').write(CANARY * 1000)
        os.environ['LEFT'] = CANARY.decode()
        held = [CANARY * 100_000 for _ in range(20)]
        return 'left'
    found = [p for f in ('/tmp', '/dev/shm', '/var/tmp') for p in os.listdir(f)]
    found += [name for name in os.environ if name == 'LEFT']
    # Fresh memory of the kernel's is zero.
    import mmap
    fresh = mmap.mmap(-1, 32 << 20)
    if fresh.find(CANARY) >= 0: found.append('memory')
    return found
";
    for round in 0..5 {
        let (leaves, looks) = (format!("leaves-{round}"), format!("looks-{round}"));
        arena.deploy(&leaves, "handler.py", source.as_bytes(), &[]);
        arena.deploy(&looks, "handler.py", source.as_bytes(), &[]);
        arena.call(&leaves, &json!({"leave": true})).expect(200);
        let found = arena.call(&looks, &json!({})).expect(200).json();
        must(found == json!([]), || format!("round {round}: {found}"))?;
    }
    Ok(())
}

/// No two sandboxes begin with the same numbers.
fn chance(arena: &Arena) -> Result<(), String> {
    let source = "
import os, random, uuid, secrets, tempfile, hashlib
def handler(event, context):
    return [random.random(), str(uuid.uuid4()), os.urandom(8).hex(), secrets.token_hex(8), next(tempfile._get_candidate_names()), hash('x')]
";
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..8 {
        let answer = arena.try_out(&format!("chance-{round}"), source, &[]).expect(200).json();
        for value in answer.as_array().unwrap() {
            must(seen.insert(value.to_string()), || format!("{value} came twice"))?;
        }
    }
    Ok(())
}

/// What the kernel tells everybody. The list is what was looked at and found to be harmless.
fn side_doors(arena: &Arena) -> Result<(), String> {
    let source = "
import os
def look(path):
    try:
        with open(path, 'rb') as file:
            return len(file.read(4096))
    except OSError:
        return 0
def handler(event, context):
    top = sorted(n for n in os.listdir('/proc') if not n.isdigit() and os.path.isfile('/proc/' + n))
    return {
        'readable': [n for n in top if look('/proc/' + n)],
        'boot': look('/proc/sys/kernel/random/boot_id'),
        'command_line': look('/proc/cmdline'), 'boot_config': look('/proc/bootconfig'),
        'cgroup': open('/proc/self/cgroup').read().split(),
        'mounts': open('/proc/self/mountinfo').read(),
        'sys': os.path.exists('/sys/kernel'),
        'uname': list(os.uname()),
    }
";
    let answer = arena.try_out("doors", source, &[]).expect(200).json();
    println!("    readable in /proc: {}", answer["readable"]);
    for hidden in ["boot", "command_line", "boot_config"] {
        must(answer[hidden] == 0, || format!("{hidden} can be read"))?;
    }
    let reviewed = [
        "consoles",
        "cpuinfo",
        "crypto",
        "devices",
        "diskstats",
        "dma",
        "execdomains",
        "fb",
        "filesystems",
        "loadavg",
        "locks",
        "meminfo",
        "misc",
        "mounts",
        "mtrr",
        "pagetypeinfo",
        "partitions",
        "schedstat",
        "softirqs",
        "stat",
        "swaps",
        "uptime",
        "version",
        "vmstat",
        "zoneinfo",
        "cgroups",
        "mdstat",
        "stat",
        "allocinfo",
    ];
    for name in answer["readable"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        must(reviewed.contains(&name), || format!("/proc/{name} can be read; is it harmless?"))?;
    }
    for line in answer["cgroup"].as_array().unwrap() {
        let line = line.as_str().unwrap();
        must(line.ends_with(":/"), || format!("its control group has a name: {line}"))?;
    }
    must(answer["sys"] == false, || "there is a /sys".to_owned())?;
    must(answer["uname"][1] == "sandbox", || "the host's name".to_owned())
}

/// Another's thing and no thing look the same.
fn api(arena: &Arena) -> Result<(), String> {
    for path in ["/v1/functions/sum", "/v1/functions/sum/versions", "/v1/functions/sum/triggers"] {
        let theirs = arena.evil("GET", path, b"");
        let none = arena.evil("GET", &path.replace("sum", "nothing"), b"");
        must(theirs.status == 404 && none.status == 404, || format!("{path}: {}", theirs.status))?;
        let text = |answer: &crate::service::Answer| {
            String::from_utf8_lossy(&answer.body).replace("nothing", "sum")
        };
        must(text(&theirs) == text(&none), || format!("{} and {}", text(&theirs), text(&none)))?;
    }
    let call = arena.evil("POST", "/v1/functions/sum/invoke", b"{}");
    must(call.status == 404, || format!("called another's function: {}", call.status))?;
    let list = arena.evil("GET", "/v1/invocations?limit=1000", b"").expect(200).json();
    let theirs =
        list["items"].as_array().unwrap().iter().filter(|it| it["function"] == "sum").count();
    must(theirs == 0, || format!("{theirs} of another project's invocations"))
}

/// A core file would be the host's disk and the host's program (`core_pattern`).
#[test]
fn a_crash_leaves_no_core_file() {
    let name = "a_crash_leaves_no_core_file";
    let Some(arena) = Arena::enter(name) else { return };
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let outcome = arena.observe("core dump (H23)", || {
        let source = include_str!("../../../../../examples/hostile/core_dump.py");
        let answer = arena.try_out("dump", source, &[]);
        must(answer.json()["reason"] == "Runtime.ExitError", || format!("{answer:?}"))?;
        for folder in
            [arena.service.data(), Path::new("/"), Path::new("/var/crash"), Path::new(".")]
        {
            let files = folder.read_dir().into_iter().flatten().flatten();
            let cores: Vec<_> = files
                .map(|it| it.file_name())
                .filter(|it| it.to_string_lossy().starts_with("core"))
                .collect();
            must(cores.is_empty(), || format!("{cores:?} in {}", folder.display()))?;
        }
        Ok(())
    });
    println!("    core_pattern is {}", pattern.trim());
    arena.leave();
    outcome.unwrap();
}
