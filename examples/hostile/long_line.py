"""Writes {"bytes": 4194304} to stdout without one line end, then an ordinary line."""

import os

MOST = 1 << 30


def handler(event, context):
    left = size = min(event.get("bytes", 4 << 20), MOST)
    block = b"x" * (1 << 20)
    while left > 0:
        left -= os.write(1, block[:left])
    os.write(1, b"\nafter\n")
    return {"bytes": size}
