"""Makes objects of the kernel that are counted for a whole machine, or for a namespace."""

import ctypes
import os
import select

import attempt

MOST = 10_000
IPC_PRIVATE, IPC_CREAT = 0, 0o1000


def handler(event, context):
    timer = ctypes.create_string_buffer(8)
    name = ctypes.create_string_buffer(16)
    makers = {
        "shmget": lambda n: attempt.syscall("shmget", IPC_PRIVATE, 4096, IPC_CREAT | 0o600),
        "msgget": lambda n: attempt.syscall("msgget", IPC_PRIVATE, IPC_CREAT | 0o600),
        "semget": lambda n: attempt.syscall("semget", IPC_PRIVATE, 1, IPC_CREAT | 0o600),
        "mq_open": lambda n: attempt.syscall("mq_open", queue(name, n), os.O_CREAT | os.O_RDWR, 0o600, 0),
        "inotify_init1": lambda n: attempt.syscall("inotify_init1", 0),
        "timerfd_create": lambda n: attempt.syscall("timerfd_create", 1, 0),
        "timer_create": lambda n: attempt.syscall("timer_create", 1, 0, timer),
        "epoll": lambda n: make_epoll(),
        "pty": lambda n: os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY),
    }
    return {what: exhaust(make, what in DESCRIPTORS) for what, make in makers.items()}


DESCRIPTORS = {"mq_open", "inotify_init1", "timerfd_create", "epoll", "pty"}


def exhaust(make, is_descriptor):
    held = []

    def run():
        while len(held) < MOST:
            held.append(make(len(held)))

    result = attempt.outcome(run)
    if is_descriptor:
        for fd in held:
            os.close(fd)
    return {"made": len(held), "end": result}


def queue(name, number):
    name.value = b"q%d" % number
    return name


def make_epoll():
    epoll = select.epoll()
    fd = os.dup(epoll.fileno())
    epoll.close()
    return fd
