"""How the hostile functions try things: raw system calls, and outcomes as words.

An outcome is "ok", the name of an errno such as "EPERM", or the name of another exception: what a
test can assert. Whoever imports this does things that must not be done to a real machine, so the
import itself refuses to go on outside a process namespace of its own.
"""

import ctypes
import errno
import os
import platform

# In a sandbox the first processes are ours; a machine's own are long past this number.
if os.getpid() > 256:
    raise RuntimeError("this is not a sandbox (process %d): hostile functions stay away" % os.getpid())

libc = ctypes.CDLL(None, use_errno=True)

# name: (x86_64, aarch64); since Linux 5.0 both have the same numbers.
NUMBERS = {
    "add_key": (248, 217),
    "capset": (126, 91),
    "chroot": (161, 51),
    "clone3": (435, 435),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "inotify_init1": (294, 26),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "memfd_create": (319, 279),
    "mknodat": (259, 33),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "open_tree": (428, 428),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setgroups": (116, 159),
    "setns": (308, 268),
    "setresgid": (119, 149),
    "setresuid": (117, 147),
    "shmget": (29, 194),
    "tgkill": (234, 131),
    "timer_create": (222, 107),
    "timerfd_create": (283, 85),
    "umount2": (166, 39),
    "unshare": (272, 97),
}
COLUMN = {"x86_64": 0, "aarch64": 1}[platform.machine()]


def syscall(name, *arguments):
    """A raw system call; raises OSError. Integers, bytes and ctypes buffers are passed on."""
    result = libc.syscall(ctypes.c_long(NUMBERS[name][COLUMN]), *map(as_argument, arguments))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def as_argument(value):
    return ctypes.c_long(value) if isinstance(value, int) else value


def outcome(act, *arguments):
    """What came of it, as a word."""
    try:
        act(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, "errno %s" % error.errno)
    except Exception as error:
        return type(error).__name__
    return "ok"


def try_call(name, *arguments):
    return outcome(syscall, name, *arguments)


def outcomes(acts):
    """Runs a dictionary of acts, each a function without arguments."""
    return {name: outcome(act) for name, act in acts.items()}


def read_some(path, size=64):
    """Reads the beginning of a file, without waiting for one that has nothing to say."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)
