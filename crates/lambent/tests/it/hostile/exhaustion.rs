//! Taking what there is: processes, memory, processor time, files, descriptors, time itself.

use serde_json::{Value, json};

use super::arena::Arena;
use super::{Act, Ends, act, answers_or_runs_out, long_act, must, run};

const OUT_OF_MEMORY: Ends = Ends::Fails(&["Runtime.OutOfMemory"]);
const TIMEOUT: Ends = Ends::Fails(&["Sandbox.Timeout"]);

#[test]
fn processes_memory_and_time_are_bounded() {
    run(
        "processes_memory_and_time_are_bounded",
        &[
            act("H1", "fork_bomb", json!({}), Ends::Answers(forks)),
            long_act("H1", "fork_bomb", json!({"hang": true}), TIMEOUT),
            act("H2", "thread_bomb", json!({}), Ends::Answers(threads)),
            act("H3", "memory_hog", json!({}), OUT_OF_MEMORY),
            act("H4", "memory_tmpfs", json!({"how": "memfd"}), OUT_OF_MEMORY),
            act("H4", "memory_tmpfs", json!({"how": "shm"}), answers_or_runs_out(filled)),
            act("H4", "memory_tmpfs", json!({"how": "tmp"}), answers_or_runs_out(filled)),
            act("H4", "memory_tmpfs", json!({"how": "pipes"}), answers_or_runs_out(filled)),
            act("H4", "memory_tmpfs", json!({"how": "sockets"}), answers_or_runs_out(filled)),
            act("H5", "child_oom", json!({}), OUT_OF_MEMORY),
            Act {
                twice: false,
                ..act("H6", "cpu_burn", json!({"seconds": 2}), Ends::Answers(one_core))
            },
            long_act("H8", "ignore_sigterm", json!({}), TIMEOUT),
            long_act("H9", "sleep_past_timeout", json!({}), TIMEOUT),
            long_act("H10", "stop_itself", json!({}), TIMEOUT),
        ],
    );
}

#[test]
fn files_descriptors_and_kernel_objects_are_bounded() {
    run(
        "files_descriptors_and_kernel_objects_are_bounded",
        &[
            Act { twice: false, ..act("H12", "zombie_farm", json!({}), Ends::Answers(reaped)) },
            act("H13", "tmp_filler", json!({}), Ends::Answers(no_space)),
            Act {
                twice: false,
                ..act("H13", "tmp_filler", json!({"keep": true}), Ends::Answers(no_space))
            },
            Act {
                twice: false,
                ..act("H14", "inode_filler", json!({}), answers_or_runs_out(no_inodes))
            },
            act("H15", "sparse_file", json!({}), Ends::Answers(too_big)),
            act("H16", "fd_leak", json!({}), Ends::Answers(descriptors)),
            act("H17", "ipc_exhaust", json!({}), answers_or_runs_out(objects)),
            act("H21", "huge_answer", json!({}), Ends::Fails(&["Function.ResponseSizeTooLarge"])),
            act(
                "H21",
                "huge_answer",
                json!({"bytes": 64 << 20}),
                Ends::Fails(&["Function.ResponseSizeTooLarge", "Runtime.OutOfMemory"]),
            ),
            act("H23", "core_dump", json!({}), Ends::Fails(&["Runtime.ExitError"])),
        ],
    );
}

fn forks(answer: &Value) -> Result<(), String> {
    must(answer["fork"] == "EAGAIN", || "no EAGAIN".to_owned())?;
    must(answer["children"].as_u64() < Some(256), || "too many children".to_owned())
}

fn threads(answer: &Value) -> Result<(), String> {
    must(answer["start"] == "RuntimeError", || "no end of threads".to_owned())?;
    must(answer["threads"].as_u64() < Some(256), || "too many threads".to_owned())
}

/// Memory is 128 MiB here, whatever it is taken for.
fn filled(answer: &Value) -> Result<(), String> {
    must(answer["result"] != "ok", || "no end of memory".to_owned())?;
    must(answer["mib"].as_u64() <= Some(128), || "more than its memory".to_owned())
}

fn one_core(answer: &Value) -> Result<(), String> {
    // One core is its share; five hundredths are the kernel's periods, and the clock's ticks.
    must(answer["cores"].as_f64() < Some(1.15), || "more than its share".to_owned())
}

fn reaped(answer: &Value) -> Result<(), String> {
    must(answer["orphans"] == 2_000, || "orphans stay".to_owned())?;
    must(answer["unreaped_orphans"] == 0, || "dead orphans stay".to_owned())?;
    must(answer["zombies_end"] == "EAGAIN", || "no end of zombies".to_owned())
}

fn no_space(answer: &Value) -> Result<(), String> {
    must(answer["write"] == "ENOSPC", || "no ENOSPC".to_owned())?;
    must(answer["bytes"] == 64 << 20, || "not the size of /tmp".to_owned())
}

fn no_inodes(answer: &Value) -> Result<(), String> {
    must(answer["create"] == "ENOSPC", || "no end of files".to_owned())?;
    must(answer["files"].as_u64() < Some(65_536), || "too many files".to_owned())
}

fn too_big(answer: &Value) -> Result<(), String> {
    super::only(answer, &["EFBIG", "ENOSPC"])
}

fn descriptors(answer: &Value) -> Result<(), String> {
    must(answer["open"] == "EMFILE", || "no end of descriptors".to_owned())?;
    must(answer["descriptors"].as_u64() < Some(1_024), || "too many descriptors".to_owned())
}

fn objects(answer: &Value) -> Result<(), String> {
    for (what, made) in answer.as_object().unwrap() {
        // All of these are of the sandbox's own namespace, or of its own user.
        let bounded = made["end"] != "ok" || what == "timer_create" || made["made"] == 10_000;
        must(bounded, || format!("{what}: {made}"))?;
    }
    must(answer["pty"]["made"] == 0, || "terminals can be made".to_owned())
}

/// What is counted for the whole machine must not be there for a sandbox to take.
#[test]
fn what_the_whole_machine_shares_is_not_used_up() {
    let Some(arena) = Arena::enter("what_the_whole_machine_shares_is_not_used_up") else { return };
    let mut wrong = Vec::new();
    wrong.extend(arena.observe("asynchronous I/O contexts", || asynchronous_io(&arena)).err());
    wrong.extend(arena.observe("TCP buffers", || tcp_buffers(&arena)).err());
    wrong.extend(arena.observe("UDP buffers", || udp_buffers(&arena)).err());
    wrong.extend(arena.observe("huge pages", || huge_pages(&arena)).err());
    wrong.extend(arena.observe("the page cache", || page_cache(&arena)).err());
    wrong.extend(arena.observe("processes of all sandboxes together", || processes(&arena)).err());
    wrong.extend(arena.observe("a daemon between calls (H11)", || daemon(&arena)).err());
    wrong.extend(arena.observe("loading code without end (H64)", || endless_init(&arena)).err());
    wrong.extend(arena.observe("crash after crash", || crashes(&arena)).err());
    arena.leave();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The kernel has one number of contexts for all users (`fs.aio-max-nr`): databases of the host
/// need theirs.
fn asynchronous_io(arena: &Arena) -> Result<(), String> {
    let source = "
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def handler(event, context):
    made = 0
    room = ctypes.c_long(0)
    while made < 100:
        room.value = 0
        if libc.syscall(206, 4096, ctypes.byref(room)) != 0:
            break
        made += 1
    return {'made': made, 'in_all': int(open('/proc/sys/fs/aio-nr').read())}
";
    let answer = arena.try_out("aio", source, &[]).expect(200).json();
    must(answer["made"] == 0, || format!("takes what is the whole machine's: {answer}"))
}

/// Buffers of TCP are counted for the whole machine (`net.ipv4.tcp_mem`), and must be counted for
/// the sandbox, too.
fn tcp_buffers(arena: &Arena) -> Result<(), String> {
    let source = "
import socket, os
def handler(event, context):
    server = socket.create_server(('127.0.0.1', 0), backlog=500)
    held, queued = [], 0
    try:
        while len(held) < 900:
            client = socket.create_connection(server.getsockname())
            held += [client, server.accept()[0]]
            client.setblocking(False)
            chunk = bytes(1 << 20)
            try:
                while True:
                    queued += client.send(chunk)
            except BlockingIOError:
                pass
    except OSError as error:
        pass
    memory = [line for line in open('/proc/net/sockstat') if line.startswith('TCP')][0].split()
    return {'queued_mib': queued >> 20, 'machine_mib': int(memory[-1]) * 4096 >> 20}
";
    let answer = arena.try_out("tcp", source, &[("timeout_s", "20")]);
    if answer.status != 200 {
        let code = answer.json()["reason"].clone();
        return must(code == "Runtime.OutOfMemory" || code == "Sandbox.Timeout", || {
            format!("{code}")
        });
    }
    let answer = answer.json();
    println!("    {answer}");
    // As much as its memory, and what one last packet may exceed it by.
    must(answer["queued_mib"].as_u64() <= Some(160), || format!("not counted: {answer}"))
}

/// The same of UDP (`net.ipv4.udp_mem`), whose packets wait at the receiver.
fn udp_buffers(arena: &Arena) -> Result<(), String> {
    let source = "
import os, socket, time
def handler(event, context):
    for _ in range(6):
        if os.fork() == 0:
            held = []
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for _ in range(900):
                receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                receiver.bind(('127.0.0.1', 0))
                for _ in range(8):
                    try: sender.sendto(bytes(50_000), receiver.getsockname())
                    except OSError: pass
                held.append(receiver)
            time.sleep(60)
    time.sleep(4)
    memory = [line for line in open('/proc/net/sockstat') if line.startswith('UDP:')][0].split()
    return {'machine_mib': int(memory[-1]) * 4096 >> 20}
";
    let answer = arena.try_out("udp", source, &[("timeout_s", "20")]);
    if answer.status != 200 {
        let code = answer.json()["reason"].clone();
        return must(code == "Runtime.OutOfMemory" || code == "Sandbox.Timeout", || {
            format!("{code}")
        });
    }
    let answer = answer.json();
    println!("    {answer}");
    must(answer["machine_mib"].as_u64() <= Some(160), || format!("not counted: {answer}"))
}

/// Huge pages are set aside by the administrator for somebody, and are not counted as memory.
fn huge_pages(arena: &Arena) -> Result<(), String> {
    let source = "
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
def word(result):
    return 'ok' if result not in (-1, 2**64 - 1) else errno.errorcode[ctypes.get_errno()]
def handler(event, context):
    size = ctypes.c_size_t(2 << 20)
    return {
        'mmap': word(libc.mmap(None, size, 3, 0x40022, -1, ctypes.c_long(0))),
        'memfd': word(libc.syscall(319, b'x', 4)),
        'shm': word(libc.shmget(0, size, 0o5600)),
        'ordinary': word(libc.mmap(None, size, 3, 0x22, -1, ctypes.c_long(0))),
    }
";
    let answer = arena.try_out("huge", source, &[]).expect(200).json();
    let expected = json!({"mmap": "EPERM", "memfd": "EPERM", "shm": "EPERM", "ordinary": "ok"});
    must(answer == expected, || answer.to_string())
}

/// Files of the host's /usr are in everybody's page cache. Nobody may throw them out of it.
fn page_cache(arena: &Arena) -> Result<(), String> {
    let source = "
import os
def handler(event, context):
    fd = os.open('/usr/lib/os-release', os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as error:
        return error.errno
    return 0
";
    let answer = arena.try_out("cache", source, &[]).expect(200).json();
    must(answer == 1, || format!("fadvise(DONTNEED) on a file of the host: errno {answer}"))
}

/// However many sandboxes there are, the machine keeps process numbers for others.
fn processes(arena: &Arena) -> Result<(), String> {
    let limits = arena.groups().iter().map(|folder| folder.join("pids.max"));
    let limit = limits.flat_map(std::fs::read_to_string).next().expect("a limit of all sandboxes");
    let most = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let (limit, most): (u64, u64) =
        (limit.trim().parse().unwrap_or(u64::MAX), most.trim().parse().unwrap());
    must(limit <= most / 4 * 3, || format!("{limit} of {most}"))
}

/// A process that is left behind stands still between two calls.
fn daemon(arena: &Arena) -> Result<(), String> {
    let source = include_str!("../../../../../examples/hostile/daemon.py");
    arena.deploy("daemon", "handler.py", source.as_bytes(), &[]);
    arena.call("daemon", &json!({})).expect(200);
    // The gap is the act: undisturbed it would count six in it, or eight.
    std::thread::sleep(std::time::Duration::from_millis(600));
    let count = arena.call("daemon", &json!({})).expect(200).json()["count"].clone();
    must(count.as_u64() <= Some(3), || format!("it counted to {count} between two calls"))
}

fn endless_init(arena: &Arena) -> Result<(), String> {
    let source = "while True: pass\ndef handler(event, context): pass\n";
    let answer = arena.try_out("endless", source, &[]);
    must(answer.json()["reason"] == "Runtime.InitTimeout", || format!("{answer:?}"))
}

/// Each crash costs a sandbox; the launcher and the pool go on.
fn crashes(arena: &Arena) -> Result<(), String> {
    let source = "import os\nos.kill(os.getpid(), 11)\ndef handler(event, context): pass\n";
    arena.deploy("crash", "handler.py", source.as_bytes(), &[]);
    for _ in 0..20 {
        let answer = arena.call("crash", &json!({}));
        let code = answer.json()["reason"].clone();
        must(code == "Runtime.ExitError", || format!("{answer:?}"))?;
    }
    Ok(())
}
