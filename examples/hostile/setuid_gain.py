"""Tries to become somebody else: by call, by setuid bit, by file capability.

A package may carry `setuid_id`, a copy of /usr/bin/id with the setuid bit in the archive.
"""

import errno
import os
import shutil
import stat
import struct
import subprocess

import attempt
from attempt import syscall


def handler(event, context):
    seen = attempt.outcomes(
        {
            "setresuid_0": lambda: syscall("setresuid", 0, 0, 0),
            "setresgid_0": lambda: syscall("setresgid", 0, 0, 0),
            "setgroups_0": lambda: syscall("setgroups", 1, struct.pack("I", 0)),
            # version 3 of the call; every capability, in both words
            "capset_all": lambda: syscall("capset", struct.pack("II", 0x20080522, 0), b"\xff" * 24),
            "copy_id": lambda: shutil.copy("/usr/bin/id", "/tmp/id"),
            "chmod_setuid": lambda: os.chmod("/tmp/id", 0o6755),
            "file_capability": lambda: os.setxattr(
                "/tmp/id", "security.capability", struct.pack("<5I", 0x02000001, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0)
            ),
            "chown_root": lambda: os.chown("/tmp/id", 0, 0),
        }
    )
    packaged = os.path.join(os.path.dirname(__file__), "setuid_id")
    for name, path in (("tmp", "/tmp/id"), ("package", packaged)):
        if os.path.exists(path):
            seen[name + "_setuid_bit"] = bool(os.stat(path).st_mode & stat.S_ISUID)
            seen[name + "_id"] = effective_id(path)
    with open("/proc/self/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp"):
                seen[name] = value.split()
    return seen


def effective_id(path):
    try:
        return subprocess.run([path, "-u"], capture_output=True, text=True, timeout=10).stdout.strip()
    except OSError as error:
        return errno.errorcode.get(error.errno, "errno %d" % error.errno)
