"""Tries to change what is where: the old and the new interface of mounting, and the root."""

import os

import attempt
from attempt import syscall

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 1 << 18
AT_FDCWD = -100


def handler(event, context):
    os.makedirs("/tmp/mount/old", exist_ok=True)
    here = b"/tmp/mount"
    return attempt.outcomes(
        {
            "mount_tmpfs": lambda: syscall("mount", b"none", here, b"tmpfs", 0, 0),
            "mount_proc": lambda: syscall("mount", b"none", here, b"proc", 0, 0),
            "mount_sysfs": lambda: syscall("mount", b"none", here, b"sysfs", 0, 0),
            "mount_cgroup": lambda: syscall("mount", b"none", here, b"cgroup2", 0, 0),
            "mount_overlay": lambda: syscall("mount", b"none", here, b"overlay", 0, b"lowerdir=/:/tmp"),
            "bind_root": lambda: syscall("mount", b"/", here, 0, MS_BIND | MS_REC, 0),
            "remount_root_writable": lambda: syscall("mount", 0, b"/", 0, MS_REMOUNT | MS_BIND, 0),
            "remount_code_writable": lambda: syscall("mount", 0, b"/var/task", 0, MS_REMOUNT | MS_BIND, 0),
            "make_private": lambda: syscall("mount", 0, b"/", 0, MS_REC | MS_PRIVATE, 0),
            "move_tmp": lambda: syscall("mount", b"/tmp", here, 0, MS_MOVE, 0),
            "umount_code": lambda: syscall("umount2", b"/var/task", 2),
            "umount_proc": lambda: syscall("umount2", b"/proc", 2),
            "umount_root": lambda: syscall("umount2", b"/", 2),
            "pivot_root": lambda: syscall("pivot_root", here, here + b"/old"),
            "chroot": lambda: syscall("chroot", here),
            "fsopen": lambda: syscall("fsopen", b"tmpfs", 0),
            "fsmount": lambda: syscall("fsmount", 3, 0, 0),
            "open_tree": lambda: syscall("open_tree", AT_FDCWD, b"/", 1),
            "move_mount": lambda: syscall("move_mount", AT_FDCWD, b"/tmp", AT_FDCWD, here, 0),
            "mount_setattr": lambda: syscall("mount_setattr", AT_FDCWD, b"/", 0, bytes(32), 32),
        }
    )
