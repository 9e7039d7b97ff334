# SPDX-License-Identifier: MIT
"""What /proc tells about a process and about sockets."""
import os
import pathlib


def children(pid):
    """The direct children of a process, oldest first."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(p) for p in task.read_text().split()]
        except OSError:
            pass
    return sorted(found)


KEPT_PIPES = 16  # splice(2) keeps so many for the next transfer, of two descriptors each


def descriptors(pid):
    """How many descriptors it holds (pipes only beyond those that it may keep), or None when it is
    gone."""
    kinds = descriptor_targets(pid)
    if not kinds:
        return None
    pipes = kinds.pop("pipe", 0)
    return sum(kinds.values()) + max(0, pipes - 2 * KEPT_PIPES - 1)


def descriptor_targets(pid):
    """What they are, for messages: {'socket': 5, '/dev/null': 1}"""
    kinds = {}
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return kinds
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}").split(":")[0]
        except OSError:
            continue  # closed since the listing: the others still count
        kinds[target] = kinds.get(target, 0) + 1
    return kinds


def exists(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def title(pid):
    """The command line, as ps shows it."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def listening(port):
    """True when some socket of this machine listens on that TCP port (no connection is made)."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = pathlib.Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and fields[1].endswith(wanted):
                return True
    return False


def holds(pid, secret):
    """Whether these bytes are somewhere in its writable memory."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            begin, end = (int(x, 16) for x in line.split()[0].split("-"))
            if " rw" in line and end - begin < 64 << 20:
                mem.seek(begin)
                if secret in mem.read(end - begin):
                    return True
    return False
