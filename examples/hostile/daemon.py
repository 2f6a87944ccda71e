"""Leaves a process behind that wants to outlive its call: double fork, own session.

The daemon counts in /tmp/daemon, ten times a second, for two minutes at most. Each call answers
the count, so that two calls tell whether it ran in between.
"""

import os
import time

COUNT = "/tmp/daemon"


def handler(event, context):
    if not os.path.exists(COUNT):
        write(0)
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork() == 0:
                for count in range(1, 1_200):
                    write(count)
                    time.sleep(0.1)
            os._exit(0)
        os.waitpid(child, 0)
    with open(COUNT) as file:
        return {"count": int(file.read() or 0)}


def write(count):
    with open(COUNT + ".new", "w") as file:
        file.write(str(count))
    os.replace(COUNT + ".new", COUNT)
