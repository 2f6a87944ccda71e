"""Frames between the worker and the shim, on one stream socket; and JSON as both of them want it.

A frame is a 12-byte header (kind, version, two reserved bytes, length of the metadata, length of
the payload; little-endian), the metadata as a JSON object, and the payload as raw bytes. One read
takes in a small frame and one write puts it out: a call costs two system calls of its own, which
is what this file is shaped by.

The process that made the `Channel` is the only one that ever sends. A function may fork and return
from the handler in both processes; the child ends here, unheard.
"""

import json
import os
from os import _exit, getpid, read, write, writev  # bound early: a function may patch the module
from struct import Struct

INIT, INVOKE = 1, 2
HELLO, READY, INIT_ERROR, RESPONSE, ERROR = 16, 17, 18, 19, 20

VERSION = 1
MAX_META_BYTES = 256 * 1024  # an environment at its largest (4 KiB of names and values) is far below
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024 + 4096  # one call's event or answer, and change

# One read's worth. Nearly every event fits, and the kernel fills only what it has.
READ_BYTES = 64 * 1024
# Up to here copying a frame together costs less than handing the kernel two buffers.
JOIN_BYTES = 32 * 1024

header = Struct("<BBHII")


class Closed(Exception):
    """The worker closed the socket between two frames: the sandbox is no longer needed."""


class ProtocolError(Exception):
    """The worker's bytes are not a frame. Nothing that follows can be understood."""


class Channel:
    __slots__ = ("fd", "pid", "rest")

    def __init__(self, fd):
        os.set_inheritable(fd, False)  # a program that the function executes has no use for it
        self.fd = fd
        self.pid = getpid()
        self.rest = b""  # read, but beyond the frame that was asked for

    def receive(self):
        """Waits for one whole frame; returns its kind, metadata and payload."""
        data = self.rest or read(self.fd, READ_BYTES)
        if len(data) < 12:
            data = self._read_to(data, 12)
        kind, version, reserved, meta_len, payload_len = header.unpack_from(data)
        if version != VERSION or reserved or meta_len > MAX_META_BYTES or payload_len > MAX_PAYLOAD_BYTES:
            raise ProtocolError("a frame's header is not valid: %r" % data[:12].hex())
        payload_at = 12 + meta_len
        end = payload_at + payload_len
        if len(data) < end:
            data = self._read_to(data, end)
        self.rest = data[end:]
        try:
            meta = decode(data[12:payload_at])
        except (ValueError, RecursionError) as error:
            raise ProtocolError("a frame's metadata is not JSON: %s" % error) from None
        if type(meta) is not dict:
            raise ProtocolError("a frame's metadata is not an object")
        return kind, meta, data[payload_at:end]

    def _read_to(self, data, size):
        """Reads on until there are at least `size` bytes, a number that was checked."""
        if not data:
            raise Closed
        chunks = [data]
        have = len(data)
        while have < size:
            chunk = read(self.fd, max(READ_BYTES, size - have))
            if not chunk:
                raise ProtocolError("the channel closed within a frame, %d bytes of %d" % (have, size))
            chunks.append(chunk)
            have += len(chunk)
        return b"".join(chunks)

    def send(self, kind, meta):
        """Sends a frame that is metadata alone. A lone surrogate becomes "?": the worker reads these."""
        self._write(kind, encode_text(meta).encode("utf-8", "replace"), b"")

    def send_answer(self, kind, invocation, payload, effects=None):
        """Sends the answer of one call, and the events that it sends, which are JSON already."""
        sent = b',"effects":[' + b",".join(effects) + b"]" if effects else b""
        self._write(kind, b'{"invocation":' + encode(invocation) + sent + b"}", payload)

    def _write(self, kind, meta, payload):
        if getpid() != self.pid:
            _exit(0)
        head = header.pack(kind, VERSION, 0, len(meta), len(payload)) + meta
        if len(payload) <= JOIN_BYTES:
            self._write_all(head + payload)
        else:
            sent = writev(self.fd, (head, payload))
            if sent < len(head):
                self._write_all(head[sent:])
                sent = len(head)
            self._write_all(memoryview(payload)[sent - len(head) :])

    def _write_all(self, data):
        sent = write(self.fd, data)
        while sent < len(data):  # a signal handler ran in between
            data = memoryview(data)[sent:]
            sent = write(self.fd, data)


# JSON: `json.loads` and `json.dumps` less what they do anew for every call. Both are bound once, so
# a function that patches the json module does not change how its answers are read and written.


def _not_json(value):
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def _not_a_number(name):
    raise ValueError("%s is not JSON" % name)  # Python would take NaN and Infinity


def _encoder():
    make = json.encoder.c_make_encoder
    if make is None:  # an interpreter without the C accelerator
        return json.JSONEncoder(
            ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"), default=_not_json
        ).encode
    # Arguments: markers (none: a value that contains itself ends as RecursionError), default, string
    # encoder, indent, the two separators, sort_keys, skipkeys, allow_nan.
    chunks = make(None, _not_json, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    join = "".join
    return lambda value: join(chunks(value, 0))


def _decoder():
    decoder = json.JSONDecoder(parse_constant=_not_a_number)
    scan = decoder.scan_once
    whole = decoder.decode

    def decode(data):
        text = str(data, "utf-8")
        try:
            value, end = scan(text, 0)
        except StopIteration:
            end = -1
        # Spaces around the value, or an error to be told with its position: the slower road.
        return value if end == len(text) else whole(text)

    return decode


encode_text = _encoder()
decode = _decoder()


def encode(value):
    """The value as JSON in UTF-8. A lone surrogate, which UTF-8 has no form for, keeps its escape."""
    return encode_text(value).encode("utf-8", "backslashreplace")
