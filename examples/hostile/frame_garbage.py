"""Writes on the channel that belongs to the shim. {"how": one of HOW}"""

import json
import os
import struct

RESPONSE, READY, INVOKE = 19, 17, 2
CHANNEL = 3


def frame(kind, meta, payload=b"", version=1, reserved=0):
    meta = json.dumps(meta).encode()
    return struct.pack("<BBHII", kind, version, reserved, len(meta), len(payload)) + meta + payload


def handler(event, context):
    how = event.get("how", "garbage")
    mine = {"invocation": context.aws_request_id}
    if how == "after_fork":
        if os.fork() == 0:
            write(frame(RESPONSE, mine, b'"from a child"'))
            os._exit(0)
        os.wait()
        return "from the parent"
    write(HOW[how](mine))
    if how == "truncated":
        os._exit(0)
    return "second answer"


HOW = {
    "garbage": lambda mine: os.urandom(16 * 1024),
    "zeros": lambda mine: bytes(4096),
    "text": lambda mine: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    "huge_meta": lambda mine: struct.pack("<BBHII", RESPONSE, 1, 0, 0xFFFFFFFF, 0),
    "huge_payload": lambda mine: struct.pack("<BBHII", RESPONSE, 1, 0, 2, 0xFFFFFFFF) + b"{}",
    "truncated": lambda mine: frame(RESPONSE, mine, b"[1]" * 100)[:-1],
    "version": lambda mine: frame(RESPONSE, mine, b"1", version=9),
    "reserved": lambda mine: frame(RESPONSE, mine, b"1", reserved=7),
    "kind": lambda mine: frame(99, mine),
    "workers_kind": lambda mine: frame(INVOKE, mine, b"1"),
    "meta_not_json": lambda mine: struct.pack("<BBHII", RESPONSE, 1, 0, 4, 1) + b"\xff\xff{{1",
    "other_id": lambda mine: frame(RESPONSE, {"invocation": "00000000-0000-7000-8000-000000000000"}, b"1"),
    "ready_again": lambda mine: frame(READY, {"init_us": 1}),
    "double": lambda mine: frame(RESPONSE, mine, b'"first answer"'),
    "flood": lambda mine: frame(RESPONSE, mine, b"1") * 50_000,
    "after_fork": None,
}


def write(data):
    while data:
        data = data[os.write(CHANNEL, data) :]
