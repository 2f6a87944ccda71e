"""The first and last Python program of a sandbox: it loads one function and runs its calls.

The story of one sandbox: the worker's launcher starts this file as

    python3 -I -S -B -X utf8 /var/runtime/shim.py

with one end of a Unix stream socket as descriptor 3, /dev/null as 0, and two pipes as 1 and 2. The
shim says HELLO and waits: that is an idle sandbox of the pool. INIT names the function; the shim
takes its environment, imports the handler and says READY. From then on each INVOKE is answered by
one RESPONSE or one ERROR, in order, until the worker closes the socket or destroys the sandbox.

What it does not do: it keeps no time limit, no memory limit and no log. Whoever holds the other
end of the socket and of the pipes does, since nothing inside a sandbox can be trusted to.

The files, in reading order: `channel.py` frames on the socket, `loader.py` from INIT to a handler,
`context.py` what a handler learns about its call, `faults.py` exceptions as data. They run beside
the function's code in one interpreter, so this is tidiness and not a wall: names are kept out of
the function's way, and a function that goes looking for them only harms itself.
"""

import sys

# Isolated mode keeps this folder off sys.path. It is there for these imports only, and the modules
# are then forgotten by name: a function's own `context.py` or `loader.py` must be the one it gets.
sys.path.insert(0, __file__.rpartition("/")[0])

import gc
import os
import time
from os import _exit  # these are bound early: a function may patch the modules they come from

import channel
import context
import faults
import loader
from channel import ERROR, HELLO, INIT, INIT_ERROR, INVOKE, READY, RESPONSE
from faults import Fault

del sys.path[0]
for name in ("channel", "context", "faults", "loader"):
    del sys.modules[name]

# The answer of one call, as the API promises it.
MAX_ANSWER_BYTES = 6 * 1024 * 1024

# Exit statuses, for people who read a worker's log.
EXIT_INIT_FAILED = 1
EXIT_PROTOCOL = 76  # EX_PROTOCOL of sysexits.h


async def _coroutine():
    """Only there to have its type taken."""


unused = _coroutine()
Coroutine = type(unused)
unused.close()


def main():
    # The process ends by os._exit only: a thread of the function that never ends must not hold it.
    # The function's `__main__` is an empty module. This one stays alive in the frames below.
    sys.modules["__main__"] = type(sys)("__main__")
    sys.modules["__main__"].__builtins__ = __builtins__
    flush = line_buffered_streams()
    wire = channel.Channel(3)
    try:
        wire.send(HELLO, {"runtime": "python%d.%d" % sys.version_info[:2], "pid": os.getpid()})
        kind, meta, payload = wire.receive()
        if kind != INIT or payload:
            raise channel.ProtocolError("the first frame must be INIT, without payload, not kind %d" % kind)
        handler = initialise(wire, meta, flush)
        # What importing made lives as long as the sandbox: collections need not look at it again.
        gc.freeze()
        serve(wire, handler, flush)
    except channel.Closed:
        _exit(0)
    except channel.ProtocolError as error:
        os.write(2, ("lambent: %s\n" % error).encode("utf-8", "backslashreplace"))
        _exit(EXIT_PROTOCOL)


def initialise(wire, meta, flush):
    """Imports the handler and says READY, or says why not and ends the process."""
    began = time.perf_counter_ns()
    try:
        context.describe(meta)
    except KeyError as error:
        raise channel.ProtocolError("INIT has no %s" % error) from None
    try:
        handler = loader.load(meta)
    except Fault as fault:
        flush()
        wire.send(INIT_ERROR, fault.meta())
        _exit(EXIT_INIT_FAILED)
    flush()
    wire.send(READY, {"init_us": (time.perf_counter_ns() - began) // 1000})
    return handler


def serve(wire, handler, flush):
    """Answers calls, one at a time, until the channel closes."""
    while True:
        kind, call, payload = wire.receive()
        if kind != INVOKE:
            raise channel.ProtocolError("only INVOKE may follow INIT, not kind %d" % kind)
        try:
            invocation = call["invocation"]
            about = context.Context(call)
        except (KeyError, TypeError) as error:
            raise channel.ProtocolError("an INVOKE has no usable %s" % error) from None
        failed = None
        try:
            answer = run(handler, payload, about, flush)
            effects = about._effects
        except Fault as fault:
            failed = fault.meta(invocation)
        # What the call held is let go before its answer, so that what destructors print is still
        # its own, and an idle sandbox holds no event.
        call = payload = about = None
        flush()
        if failed is None:
            wire.send_answer(RESPONSE, invocation, answer, effects)
        else:
            wire.send(ERROR, failed)
        answer = effects = None


def run(handler, payload, about, flush):
    """One call: the event's bytes in, the answer's bytes out, or a `Fault`."""
    try:
        event = channel.decode(payload) if payload else {}
    except RecursionError:
        raise Fault("Runtime.UnmarshalError", "the event is nested too deeply") from None
    except Exception as error:
        raise Fault("Runtime.UnmarshalError", "the event is not usable JSON: %s" % error) from None

    try:
        answer = handler(event, about)
        if type(answer) is Coroutine:
            import asyncio  # costs 50 ms once, so only for those who use it

            answer = asyncio.run(answer)
    except SystemExit as stop:
        status = exit_status(stop)
        flush()
        _exit(status)
    except context.TooManyEffects as error:
        raise Fault("Function.TooManyEffects", faults.text(error)) from None
    except BaseException:
        raise faults.raised(sys.exc_info()) from None

    try:
        body = channel.encode(answer)
    except RecursionError:
        raise Fault("Runtime.MarshalError", "the answer is nested too deeply, or contains itself") from None
    except BaseException as error:  # a subclass of dict runs code of the function here
        raise Fault("Runtime.MarshalError", "the answer is not JSON: %s" % faults.text(error)) from None
    if len(body) > MAX_ANSWER_BYTES:
        raise Fault(
            "Function.ResponseSizeTooLarge",
            "the answer has %d bytes as JSON; the most is %d" % (len(body), MAX_ANSWER_BYTES),
        )
    return body


def line_buffered_streams():
    """Makes each line reach its pipe when it is written; returns what pushes out the rest.

    A function may replace, close or delete these streams, or put objects in their place whose
    `flush` raises. That costs it its output, never the protocol.
    """
    out, err = sys.stdout, sys.stderr
    for stream in (out, err):
        if stream is not None:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)

    def flush():
        try:
            out.flush()
        except BaseException:
            pass
        try:
            err.flush()
        except BaseException:
            pass
        try:
            if sys.stdout is not out:
                sys.stdout.flush()
        except BaseException:
            pass
        try:
            if sys.stderr is not err:
                sys.stderr.flush()
        except BaseException:
            pass

    return flush


def exit_status(stop):
    """What `sys.exit(…)` means as the status of a process, as the interpreter has it."""
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code & 0xFF
    try:
        print(stop.code, file=sys.stderr)
    except BaseException:
        pass
    return 1


if __name__ == "__main__":
    main()
