"""What went wrong, as data: a stable type, a message, and the function's part of the stack.

Everything here may meet hostile objects (an exception whose `__str__` raises, a message of a
gigabyte, a million frames) and must still make metadata that fits in a frame. The sum of the
limits below is under 256 KiB, the most that a frame's metadata may have.
"""

import os
import sys

MAX_MESSAGE_CHARS = 32 * 1024
MAX_MESSAGE_BYTES = 96 * 1024  # of JSON: a message of control characters grows sixfold there
MAX_FRAMES = 64  # half of them the outermost, half the innermost
MAX_FRAME_CHARS = 512
MAX_FRAME_BYTES = 2 * 1024
MAX_TYPE_CHARS = 128
MAX_SOURCE_BYTES = 1024 * 1024  # a longer file is shown without its lines

SHIM = __file__.rpartition("/")[0] + "/"
ASYNCIO = os.__file__.rpartition("/")[0] + "/asyncio/"


class Fault(Exception):
    """A call, or an init, that failed by the function's doing."""

    def __init__(self, kind, message, trace=()):
        self.kind = kind
        self.message = message
        self.trace = trace

    def meta(self, invocation=None):
        meta = {} if invocation is None else {"invocation": invocation}
        meta["error_type"] = self.kind
        meta["error_message"] = fit(self.message, MAX_MESSAGE_CHARS, MAX_MESSAGE_BYTES)
        meta["stack_trace"] = list(self.trace)
        return meta


def raised(exc_info):
    """The exception that a handler raised, named by its class as AWS does."""
    kind, error, traceback = exc_info
    # A class may have any string as name. One that looks like a code of the platform is cut to its
    # last part, so that it can be mistaken for none.
    name = type.__dict__["__name__"].__get__(kind).rpartition(".")[2]
    return Fault(fit(name, MAX_TYPE_CHARS, MAX_TYPE_CHARS * 4) or "Exception", text(error), stack_trace(traceback))


def text(error):
    """`str(error)`, also of an exception that does not want to be told."""
    try:
        return "".join(("", str(error)))  # a subclass of str becomes a plain one
    except BaseException as second:
        return "(the text of this exception could not be had: its __str__ raised %s)" % type(second).__name__


def stack_trace(traceback):
    """The frames of a traceback as AWS writes them, without ours and the import system's."""
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        file = code.co_filename
        # asyncio.run's own frames lead to a coroutine; further in they are the function's to show.
        ours = file.startswith(SHIM) or file.startswith("<frozen importlib") or (
            not frames and file.startswith(ASYNCIO)
        )
        if not ours:
            frames.append((file, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    left_out = len(frames) - MAX_FRAMES
    files = {}
    if left_out <= 0:
        return [frame_line(files, *frame) for frame in frames]
    half = MAX_FRAMES // 2
    return (
        [frame_line(files, *frame) for frame in frames[:half]]
        + ["  … %d frames left out …\n" % left_out]
        + [frame_line(files, *frame) for frame in frames[-half:]]
    )


def frame_line(files, file, line, name):
    where = '  File "%s", line %d, in %s\n' % (file, line or 0, name)
    source = source_line(files, file, line or 0)
    return fit(where + ("    %s\n" % source if source else ""), MAX_FRAME_CHARS, MAX_FRAME_BYTES)


def syntax_line(error):
    """Where a syntax error is, in the form of a frame."""
    source = error.text.strip() if isinstance(error.text, str) else ""
    line = error.lineno if isinstance(error.lineno, int) else 0
    where = '  File "%s", line %d\n' % (error.filename, line)
    return fit(where + ("    %s\n" % source if source else ""), MAX_FRAME_CHARS, MAX_FRAME_BYTES)


def source_line(files, file, line):
    """One line of a source file, stripped; empty where there is none to be had."""
    lines = files.get(file)
    if lines is None:
        lines = files[file] = read_lines(file)
    return lines[line - 1].decode("utf-8", "replace").strip() if 0 < line <= len(lines) else ""


def read_lines(path):
    try:
        # Not to wait for a pipe: a function may name any path as the file of its code.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return []
    try:
        status = os.fstat(fd)
        if status.st_mode & 0o170000 != 0o100000 or status.st_size > MAX_SOURCE_BYTES:
            return []
        return os.read(fd, MAX_SOURCE_BYTES).split(b"\n")
    except OSError:
        return []
    finally:
        os.close(fd)


def fit(string, chars, json_bytes):
    """Cuts a string so that it has at most so many characters, and bytes as JSON."""
    if len(string) > chars:
        string = string[: chars - 1] + "…"
    # Escapes take six bytes for one character. Two passes bring any string below its limit.
    while cost(string) > json_bytes:
        string = string[: len(string) // 2 - 1] + "…"
    return string


def cost(string):
    # Every character that JSON escapes counts as six bytes, the rest as UTF-8 has them.
    escaped = sum(string.count(mark) for mark in ESCAPED)
    return len(string.encode("utf-8", "replace")) + 5 * escaped


ESCAPED = tuple(map(chr, range(32))) + ('"', "\\")
