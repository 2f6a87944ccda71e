"""Tries to make device files, and to open those of the machine."""

import os
import stat

import attempt

OPEN = [
    "/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/net/tun",
    "/dev/loop0", "/dev/loop-control", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/mapper/control",
    "/dev/tty", "/dev/tty0", "/dev/console", "/dev/userfaultfd", "/dev/vhost-net", "/dev/vsock",
]  # fmt: skip


def handler(event, context):
    seen = {path: attempt.outcome(lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))) for path in OPEN}
    for name, kind, numbers in (
        ("block", stat.S_IFBLK, (8, 0)),
        ("null", stat.S_IFCHR, (1, 3)),
        ("mem", stat.S_IFCHR, (1, 1)),
        ("kvm", stat.S_IFCHR, (10, 232)),
        ("whiteout", stat.S_IFCHR, (0, 0)),
    ):
        path = "/tmp/device-" + name
        seen["mknod_" + name] = attempt.outcome(os.mknod, path, kind | 0o600, os.makedev(*numbers))
        if seen["mknod_" + name] == "ok":
            seen["open_" + name] = attempt.outcome(lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
    seen["dev"] = sorted(os.listdir("/dev"))
    return seen
