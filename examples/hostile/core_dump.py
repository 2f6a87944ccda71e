"""Crashes with memory worth dumping. {"mib": 64}"""

import os


def handler(event, context):
    image = b"\1" * (min(event.get("mib", 64), 1024) << 20)
    print("crashing with", len(image), "bytes")
    os.abort()
