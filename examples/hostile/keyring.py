"""Tries the kernel's keys, which know nothing of most namespaces."""

import attempt
from attempt import syscall

SESSION, USER, PROCESS = -3, -4, -2


def handler(event, context):
    return attempt.outcomes(
        {
            "add_key": lambda: syscall("add_key", b"user", b"lambent", b"secret", 6, PROCESS),
            "add_key_session": lambda: syscall("add_key", b"user", b"lambent", b"secret", 6, SESSION),
            "request_key": lambda: syscall("request_key", b"user", b"lambent", 0, 0),
            "keyctl_get_keyring": lambda: syscall("keyctl", 0, SESSION, 1),
            "keyctl_join_session": lambda: syscall("keyctl", 1, b"lambent"),
            "keyctl_read_user": lambda: syscall("keyctl", 11, USER, 0, 0),
        }
    )
