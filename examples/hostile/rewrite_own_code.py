"""Tries to change what it, and those after it, are made of: its code, the shim, the interpreter."""

import os
import sys

import attempt

TARGETS = {
    "code": __file__,
    "shim": "/var/runtime/shim.py",
    "interpreter": os.path.realpath(sys.executable),
    "running_interpreter": "/proc/self/exe",
    "library": os.__file__,
}


def handler(event, context):
    return {name: attack(name, path) for name, path in TARGETS.items()}


def attack(name, path):
    """Each act that succeeds is undone, so that a broken sandbox is told and nothing else breaks."""
    beside = os.path.dirname(path) + "/new"

    def create_beside():
        os.close(os.open(beside, os.O_CREAT | os.O_WRONLY))
        os.unlink(beside)

    def rename_away():
        os.rename(path, path + ".old")
        os.rename(path + ".old", path)

    acts = {
        "open_for_writing": lambda: os.close(os.open(path, os.O_WRONLY)),
        "open_for_appending": lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)),
        "chmod": lambda: os.chmod(path, os.stat(path).st_mode & 0o7777),
        "link": lambda: os.link(path, path + ".link") or os.unlink(path + ".link"),
        "create_beside": create_beside,
        "rename_away": rename_away,
    }
    if name == "code":
        acts["unlink"] = lambda: os.unlink(path)
    return attempt.outcomes(acts)
