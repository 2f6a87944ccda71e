"""A child takes all the memory; the parent waits. One out of memory is all of them."""

import os

MOST_MIB = 2048


def handler(event, context):
    child = os.fork()
    if child == 0:
        held = [b"\1" * (16 << 20) for _ in range(MOST_MIB // 16)]
        os._exit(len(held) & 1)
    _, status = os.waitpid(child, 0)
    return {"child_status": status}
