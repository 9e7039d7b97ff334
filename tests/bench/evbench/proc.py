# SPDX-License-Identifier: MIT
"""Processes that the benchmark starts: pinned to a core, ended by their own id, seen by /proc."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class BenchError(Exception):
    """The benchmark, or one run of it, cannot go on; the text says why."""


@dataclass(frozen=True)
class CpuTime:
    """CPU seconds used so far, added over a process and its descendants."""

    user_s: float
    system_s: float

    def since(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(self.user_s - earlier.user_s, self.system_s - earlier.system_s)


def start(command: list[str], core: int, log: Path, **popen: object) -> subprocess.Popen:
    """Starts a program on one core in its own session; it ends when the benchmark is killed."""

    def prepare() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.sched_setaffinity(0, {core})

    with log.open("ab") as out:
        options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out} | popen
        return subprocess.Popen(command, preexec_fn=prepare, start_new_session=True, **options)


def stop(process: subprocess.Popen, patience_s: float = 2.0) -> None:
    """TERM, TERM again (evlb: now, not gracefully), KILL; then whatever its children left over."""
    family = {pid: start_time(pid) for pid in tree(process.pid)}
    for sign in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        process.send_signal(sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    for pid, born in family.items():
        if pid != process.pid and born is not None and start_time(pid) == born:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def running(command: list[str], core: int, log: Path,
            **popen: object) -> Iterator[subprocess.Popen]:
    process = start(command, core, log, **popen)
    try:
        yield process
    finally:
        stop(process)


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    return [pid] + [p for child in children(pid) for p in tree(child)]


def stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the name, so index 0 is field 3 of proc(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


def start_time(pid: int) -> str | None:
    fields = stat_fields(pid)
    return fields[19] if fields else None


def cpu_time(pid: int) -> CpuTime:
    user = system = 0
    for member in tree(pid):
        if fields := stat_fields(member):
            user += int(fields[11])
            system += int(fields[12])
    return CpuTime(user / TICKS_PER_S, system / TICKS_PER_S)


def pss_bytes(pid: int) -> int:
    """Proportional set size of the tree: a page shared by n processes counts once in all."""
    total = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def tail(log: Path, lines: int = 8) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def wait_until(condition, seconds: float, step_s: float = 0.02) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step_s)
    return False
