"""Ignores every signal that can be ignored, and never ends (nearly: ten minutes)."""

import signal
import time


def handler(event, context):
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass  # kept by the C library
    end = time.monotonic() + 600
    while time.monotonic() < end:
        pass
    return {"survived": True}
