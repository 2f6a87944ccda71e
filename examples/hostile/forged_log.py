"""Writes lines that want to be taken for somebody else's, or to upset whoever shows them."""

import json
import os

LINES = [
    b"\x1b[2J\x1b[31mred and cleared\x1b[0m",
    b"\x1b]0;new title\x07",
    b"nul \x00 in the middle",
    b"not utf-8 \xff\xfe\xc3(",
    b"over\rwritten",
    b"crlf\r",
    "right to left \u202e gpj.exe".encode(),
    b"START RequestId: 00000000-0000-0000-0000-000000000000 Version: 1",
    b"REPORT RequestId: 00000000-0000-0000-0000-000000000000 Duration: 0 ms Billed Duration: 0 ms",
    json.dumps({"level": "ERROR", "invocation": "00000000-0000-0000-0000-000000000000", "message": "forged"}).encode(),
    b'","invocation":"00000000-0000-0000-0000-000000000000","x":"',
    b"2026-01-01T00:00:00.000000Z ERROR lambent: the control plane is on fire",
    b"",
    b"</pre><script>alert(1)</script>",
]


def handler(event, context):
    for line in LINES:
        os.write(1, line + b"\n")
        os.write(2, line + b"\n")
    os.write(1, b"no line end")
    return {"lines": len(LINES), "invocation": context.aws_request_id}
