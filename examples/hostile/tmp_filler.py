"""Fills /tmp. {"keep": true} leaves it full."""

import os

import attempt

MOST = 4 << 30


def handler(event, context):
    chunk = b"\1" * (1 << 20)
    written = 0
    fd = os.open("/tmp/filler", os.O_CREAT | os.O_WRONLY, 0o600)

    def fill():
        nonlocal written
        while written < MOST:
            written += os.write(fd, chunk)

    result = attempt.outcome(fill)
    os.close(fd)
    if not event.get("keep"):
        os.unlink("/tmp/filler")
    return {"bytes": written, "write": result}
