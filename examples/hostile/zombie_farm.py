"""Makes dead children that it never waits for, and orphans that the first process must reap."""

import os
import time

import attempt

MOST = 2_000


def handler(event, context):
    def zombie():
        if os.fork() == 0:
            os._exit(0)

    def orphan():
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                os._exit(0)
            os._exit(0)
        os.waitpid(child, 0)

    made = {}
    for name, make in (("orphans", orphan), ("zombies", zombie)):
        count, result = 0, "ok"
        while count < MOST and result == "ok":
            result = attempt.outcome(make)
            count += result == "ok"
        made[name], made[name + "_end"] = count, result
    end = time.monotonic() + 2
    while time.monotonic() < end and unreaped_orphans():
        time.sleep(0.01)
    made["unreaped_orphans"] = unreaped_orphans()
    return made


def unreaped_orphans():
    """Dead processes that are the first process's to reap."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = attempt.read_some("/proc/%s/stat" % name, 512).rpartition(b")")[2].split()
            except OSError:
                continue
            count += fields[0] == b"Z" and fields[1] == b"1" and os.getpid() != 1
    return count
