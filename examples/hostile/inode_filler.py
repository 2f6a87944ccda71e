"""Makes files, and a very deep folder, until it cannot. They are left for the sandbox's end."""

import os

import attempt

MOST_FILES = 1_000_000
MOST_DEPTH = 10_000


def handler(event, context):
    depth = files = 0

    def deep():
        nonlocal depth
        while depth < MOST_DEPTH:
            os.mkdir("d")
            os.chdir("d")
            depth += 1

    def many():
        nonlocal files
        while files < MOST_FILES:
            os.close(os.open("/tmp/many/%d" % files, os.O_CREAT | os.O_WRONLY, 0o600))
            files += 1

    os.makedirs("/tmp/deep", exist_ok=True)
    os.makedirs("/tmp/many", exist_ok=True)
    os.chdir("/tmp/deep")
    mkdir = attempt.outcome(deep)
    os.chdir("/tmp")
    create = attempt.outcome(many)
    return {"depth": depth, "mkdir": mkdir, "files": files, "create": create}
