"""Looks for what /proc and /sys tell of the machine and of others."""

import os

import attempt

PATHS = [
    "/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/key-users", "/proc/kmsg", "/proc/sched_debug",
    "/proc/timer_list", "/proc/sysrq-trigger", "/proc/latency_stats", "/proc/iomem", "/proc/ioports",
    "/proc/modules", "/proc/config.gz", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/interrupts",
    "/proc/acpi", "/proc/scsi/scsi", "/proc/bus/pci/devices", "/proc/asound/cards", "/proc/fs/ext4",
    "/proc/self/mountinfo", "/proc/sys/kernel/random/boot_id", "/proc/cmdline", "/etc/machine-id",
    "/etc/shadow", "/etc/hostname", "/sys/kernel/debug", "/sys/kernel/tracing/trace", "/sys/firmware/dmi/tables/DMI",
    "/sys/class/net/eth0/address", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/cgroup.procs",
]  # fmt: skip


def handler(event, context):
    mine = os.getpid()
    others = {}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid != mine:
            others[str(pid)] = {
                name: look("/proc/%d/%s" % (pid, name)) for name in ("environ", "cmdline", "maps", "mem", "fd", "root")
            }
    with open("/proc/self/mountinfo") as file:
        mounts = file.read()
    return {
        "files": {path: look(path) for path in PATHS},
        "processes": others,
        "mountinfo": mounts,
        "descriptors": {name: target("/proc/self/fd/" + name) for name in os.listdir("/proc/self/fd")},
        "hostname": os.uname().nodename,
    }


def look(path):
    """An errno, "empty", or "ok" where there is something to be had."""
    found = []

    def run():
        found.extend(os.listdir(path) if os.path.isdir(path) else attempt.read_some(path))

    result = attempt.outcome(run)
    return "empty" if result == "ok" and not found else result


def target(link):
    try:
        return os.readlink(link)
    except OSError as error:
        return str(error.errno)
