"""Makes a file of a terabyte with nothing in it, and one with a promise of space."""

import os
import signal

import attempt

TERABYTE = 1 << 40


def handler(event, context):
    fd = os.open("/tmp/sparse", os.O_CREAT | os.O_RDWR, 0o600)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else the limit is told by a signal
    try:
        return attempt.outcomes(
            {
                "truncate": lambda: os.ftruncate(fd, TERABYTE),
                "write_at_end": lambda: os.pwrite(fd, b"x", TERABYTE - 1),
                "fallocate": lambda: os.posix_fallocate(fd, 0, 64 << 30),
            }
        )
    finally:
        os.close(fd)
        os.unlink("/tmp/sparse")
