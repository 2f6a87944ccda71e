"""Forks until it cannot, and leaves the children asleep. {"hang": true}: then waits for its end."""

import os
import time

import attempt

MOST = 2_000  # a sandbox without a limit on processes must not cost the machine


def handler(event, context):
    children = 0

    def fork():
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)

    result = "ok"
    while children < MOST and result == "ok":
        result = attempt.outcome(fork)
        children += result == "ok"
    if event.get("hang"):
        time.sleep(60)
    return {"children": children, "fork": result}
