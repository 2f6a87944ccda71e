"""Leaves a call without an answer. {"how": "close" | "shutdown" | "exec" | "exit" | "exit_status" | "kill" | "raise"}"""

import os
import signal
import socket
import sys
import time

CHANNEL = 3


def handler(event, context):
    how = event.get("how", "close")
    print("leaving by", how)
    sys.stdout.flush()
    if how == "close":
        os.close(CHANNEL)
        time.sleep(60)
    elif how == "shutdown":
        socket.socket(fileno=os.dup(CHANNEL)).shutdown(socket.SHUT_RDWR)
        time.sleep(60)
    elif how == "exec":
        os.execv("/bin/true", ["true"])
    elif how == "exit":
        os._exit(0)
    elif how == "exit_status":
        os._exit(42)
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "raise":
        sys.exit(3)
    return {"how": how}
