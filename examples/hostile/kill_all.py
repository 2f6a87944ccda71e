"""Sends signals to everyone it can name. {"signal": 9} to mean it; by default it only asks (0).

A signal that arrives kills only what is in the sandbox; the test looks at what is outside.
"""

import os

import attempt
from attempt import syscall


def handler(event, context):
    signal = int(event.get("signal", 0))
    if os.getuid() == 0:
        signal = 0  # a sandbox that left us root is broken enough
    seen = attempt.outcomes(
        {
            "kill_first": lambda: os.kill(1, signal),
            "kill_parent": lambda: os.kill(os.getppid(), signal) if os.getppid() > 1 else os.kill(1, signal),
            "tgkill_first": lambda: syscall("tgkill", 1, 1, signal),
            "pidfd_first": lambda: syscall("pidfd_send_signal", syscall("pidfd_open", 1, 0), signal, 0, 0),
        }
    )
    reached = []
    for pid in range(2, 33_000):  # a pid namespace shows no other numbers than its own
        if pid != os.getpid() and attempt.outcome(os.kill, pid, 0) != "ESRCH":
            reached.append(pid)
    seen["others"] = reached
    seen["kill_all"] = attempt.outcome(os.kill, -1, signal)
    return seen
