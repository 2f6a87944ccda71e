"""A shim without a sandbox: the real program, its socket and its pipes, driven by a test.

`Shim` is the worker's side of one sandbox. Waits end by facts (a frame, an end of file, an exit);
the socket's time-out only turns a hang into a failure.
"""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

SHIM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "shim.py")
PYTHON = os.environ.get("LAMBENT_TEST_PYTHON", sys.executable)

INIT, INVOKE = 1, 2
HELLO, READY, INIT_ERROR, RESPONSE, ERROR = 16, 17, 18, 19, 20
HEADER = struct.Struct("<BBHII")
PATIENCE_S = 30


def frame(kind, meta, payload=b"", version=1, reserved=0):
    if not isinstance(meta, bytes):
        meta = json.dumps(meta).encode()
    return HEADER.pack(kind, version, reserved, len(meta), len(payload)) + meta + payload


class Shim:
    """One run of the shim with a package of the given files."""

    def __init__(self, files=None, **init):
        self.task = tempfile.mkdtemp(prefix="task-")
        for name, text in (files or {}).items():
            path = os.path.join(self.task, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
        self.init_meta = {
            "function": "hello",
            "version": "7",
            "project": "acme",
            "handler": "handler.handler",
            "memory_mib": 256,
            "env": {},
            "task_root": self.task,
            "log_group": "/lambent/hello",
            "log_stream": "sandbox-1",
            "function_arn": "arn:aws:lambda:local:acme:function:hello:7",
        }
        self.init_meta.update(init)
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE_S)
        theirs_fd = theirs.fileno()
        self.process = subprocess.Popen(
            [PYTHON, "-I", "-S", "-B", "-X", "utf8", SHIM],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            close_fds=False,  # they are not inheritable, but the one that becomes 3
            preexec_fn=lambda: os.dup2(theirs_fd, 3) if theirs_fd != 3 else os.set_inheritable(3, True),
        )
        theirs.close()
        self.unread = b""
        self.kind, self.hello, _ = self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        self.process.stderr.close()
        shutil.rmtree(self.task, ignore_errors=True)

    def send(self, kind, meta, payload=b""):
        self.socket.sendall(frame(kind, meta, payload))

    def receive(self):
        """The next frame, or None at the end of the stream."""
        while len(self.unread) < HEADER.size or len(self.unread) < self._end():
            more = self.socket.recv(1 << 20)
            if not more:
                return None
            self.unread += more
        kind, version, reserved, meta_len, payload_len = HEADER.unpack_from(self.unread)
        assert (version, reserved) == (1, 0), (version, reserved)
        end = self._end()
        meta = json.loads(self.unread[12 : 12 + meta_len].decode("utf-8"))
        payload = self.unread[12 + meta_len : end]
        self.unread = self.unread[end:]
        self.meta_len = meta_len
        return kind, meta, payload

    def _end(self):
        _, _, _, meta_len, payload_len = HEADER.unpack_from(self.unread)
        return HEADER.size + meta_len + payload_len

    def init(self):
        self.send(INIT, self.init_meta)
        return self.receive()

    def ready(self):
        kind, meta, _ = self.init()
        assert kind == READY, meta
        return self

    def invoke(self, event=None, raw=None, **call):
        """One call; returns the frame that answers it, its payload decoded."""
        meta = {"invocation": "i-1", "attempt": 1, "deadline_ms": int(time.time() * 1000) + 60_000}
        meta.update(call)
        self.send(INVOKE, meta, json.dumps(event).encode() if raw is None else raw)
        answer = self.receive()
        if answer is None:
            return None
        kind, meta, payload = answer
        return kind, meta, json.loads(payload.decode("utf-8")) if payload else None

    def end(self):
        """Closes the socket; returns exit status, stdout and stderr."""
        self.socket.shutdown(socket.SHUT_WR)
        return self.exit()

    def exit(self):
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out.decode("utf-8"), err.decode("utf-8")

    def output(self, size):
        """What is in the pipe of stdout now, without waiting for more."""
        os.set_blocking(self.process.stdout.fileno(), False)
        try:
            return (os.read(self.process.stdout.fileno(), size) or b"").decode("utf-8")
        except BlockingIOError:
            return ""


def handler(body, header=""):
    """The source of handler.py, from the body of its handler."""
    lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    return {"handler.py": "%s\ndef handler(event, context):\n%s\n" % (header, lines)}
