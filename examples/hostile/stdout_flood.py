"""Writes {"bytes": 16777216} of lines to stdout, with a number in each."""

import os

MOST = 10 << 30


def handler(event, context):
    left = size = min(event.get("bytes", 16 << 20), MOST)
    number = 0
    while left > 0:
        block = b"".join(b"%015d\n" % (number + n) for n in range(4096))[:left]
        left -= len(block)
        number += 4096
        while block:
            block = block[os.write(1, block) :]
    return {"bytes": size}
