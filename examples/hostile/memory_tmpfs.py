"""Takes memory that is not its own heap. {"how": "memfd" | "shm" | "tmp" | "pipes" | "sockets"}"""

import fcntl
import os
import socket

import attempt

MOST = 2 << 30
CHUNK = b"\1" * (1 << 20)
FILE = 64 << 20


def handler(event, context):
    held = []
    fill = {"memfd": memfd, "shm": shm, "tmp": tmp, "pipes": pipes, "sockets": sockets}[event.get("how", "memfd")]
    written = [0]

    def run():
        for size in fill(held):
            written[0] += size
            if written[0] >= MOST:
                return

    result = attempt.outcome(run)
    return {"mib": written[0] >> 20, "result": result}


def files(open_next):
    """Several files, so that a limit on the size of one is not what ends it."""
    for number in range(MOST // FILE):
        fd = open_next(number)
        for _ in range(FILE // len(CHUNK)):
            yield os.write(fd, CHUNK)


def memfd(held):
    yield from files(lambda number: os.memfd_create("hog"))


def shm(held):
    yield from files(lambda number: os.open("/dev/shm/hog%d" % number, os.O_CREAT | os.O_WRONLY, 0o600))


def tmp(held):
    yield from files(lambda number: os.open("/tmp/hog%d" % number, os.O_CREAT | os.O_WRONLY, 0o600))


def pipes(held):
    while True:
        ends = os.pipe()
        held.append(ends)
        try:
            fcntl.fcntl(ends[1], 1031, 1 << 20)  # F_SETPIPE_SZ
        except OSError:
            pass
        os.set_blocking(ends[1], False)
        yield os.write(ends[1], CHUNK)


def sockets(held):
    while True:
        ends = socket.socketpair()
        held.append(ends)
        ends[0].setblocking(False)
        try:
            while True:
                yield ends[0].send(CHUNK[: 64 << 10])
        except BlockingIOError:
            pass
