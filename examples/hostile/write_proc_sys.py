"""Tries to write where the whole machine would feel it. Where it may, it writes what is there."""

import os

import attempt

SAME = [
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname",
    "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/drop_caches", "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/fs/binfmt_misc/register", "/proc/sys/kernel/ns_last_pid", "/proc/sys/user/max_user_namespaces",
    "/sys/kernel/uevent_helper", "/sys/power/state",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/release_agent",
    "/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cgroup.procs",
]  # fmt: skip


def handler(event, context):
    seen = {path: attempt.outcome(open_for_writing, path) for path in SAME}
    seen["/proc/sysrq-trigger"] = attempt.outcome(write, "/proc/sysrq-trigger", b"h")  # prints its help
    seen["oom_score_adj -1000"] = attempt.outcome(write, "/proc/self/oom_score_adj", b"-1000")
    seen["oom_score_adj of 1"] = attempt.outcome(open_for_writing, "/proc/1/oom_score_adj")
    seen["uid_map"] = attempt.outcome(write, "/proc/self/uid_map", b"0 0 1")
    return seen


def open_for_writing(path):
    os.close(os.open(path, os.O_WRONLY))


def write(path, data):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
