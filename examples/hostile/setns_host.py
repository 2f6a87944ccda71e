"""Tries to enter the namespaces of the first process, and of its own parent."""

import os

import attempt

KINDS = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time")


def handler(event, context):
    seen = {}
    for pid in (1, os.getppid()):
        for kind in KINDS:
            seen["%s/%s" % ("first" if pid == 1 else "parent", kind)] = attempt.outcome(enter, pid, kind)
    if hasattr(os, "pidfd_open"):
        seen["pidfd"] = attempt.outcome(lambda: attempt.syscall("setns", os.pidfd_open(1), 0x00020000))
    return seen


def enter(pid, kind):
    fd = os.open("/proc/%d/ns/%s" % (pid, kind), os.O_RDONLY)
    try:
        # In a child: where it works, only the child is elsewhere.
        child = os.fork()
        if child == 0:
            try:
                attempt.syscall("setns", fd, 0)
            except OSError as error:
                os._exit(error.errno)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            raise OSError(code, os.strerror(code) if code > 0 else "killed")
    finally:
        os.close(fd)
