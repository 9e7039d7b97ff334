# SPDX-License-Identifier: MIT
"""Free ports below the ephemeral range, each given to one test process at a time.

A port that was free when we looked may be taken by anybody before evlb binds it; so a lock file
per port keeps other test processes away, and ports come from below the kernel's ephemeral range,
where no outgoing connection lands by chance.
"""
import fcntl
import os
import pathlib
import random
import socket
import tempfile

FIRST, LAST = 20000, 31999
_held = {}  # port -> the open lock file; kept until this process ends


def _directory():
    path = pathlib.Path(tempfile.gettempdir()) / f"evlb-test-ports-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _lock(port):
    handle = open(_directory() / str(port), "w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def _is_free(port):
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as s:
                if family == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((host, port))
        except OSError as e:
            if family == socket.AF_INET6 and e.errno in (97, 99):  # no IPv6 here
                continue
            return False
    return True


def take():
    """A port that nobody listens on and that no other test will be given."""
    for _ in range(2000):
        port = random.randint(FIRST, LAST)
        if port in _held:
            continue
        handle = _lock(port)
        if handle is None:
            continue
        if _is_free(port):
            _held[port] = handle
            return port
        handle.close()
    raise RuntimeError(f"no free port between {FIRST} and {LAST}")
