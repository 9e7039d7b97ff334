# SPDX-License-Identifier: MIT
"""System calls per request: two short loads under strace -c, whose difference cancels the start.

Never part of a timed run: strace makes every call some ten times slower. It runs on the balancer's
core, so that the load is as far ahead of the balancer as without it: how many connections are ready
at each epoll_wait depends on that, and the share of epoll_wait stays the least exact of the counts.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from evbench.load import Load
from evbench.proc import BenchError, start, stop, tail, tree, wait_until

SHORT_S, LONG_S = 0.1, 0.9
ATTACH_WITHIN_S = 10.0


def per_request(pid: int, drive: Callable[[float], Load], core: int,
                folder: Path) -> dict[str, float]:
    """Calls per request by name, of the tree under `pid`, which `drive` loads for some seconds."""
    requests, calls = [], []
    for seconds in (SHORT_S, LONG_S):
        seen, counted = _count(pid, drive, seconds, core, folder)
        requests.append(seen)
        calls.append(counted)
    more = requests[1] - requests[0]
    if more <= 0:
        raise BenchError("too few requests under strace")
    difference = {name: (calls[1][name] - calls[0][name]) / more for name in calls[1]}
    return dict(sorted(difference.items(), key=lambda item: -item[1]))


def _count(pid: int, drive: Callable[[float], Load], seconds: float, core: int,
           folder: Path) -> tuple[float, Counter[str]]:
    table, log = folder / "strace.out", folder / "strace.log"
    log.write_text("")
    strace = _attach(tree(pid), core, table, log)
    try:
        seen = drive(seconds)
        strace.send_signal(signal.SIGINT)  # detaches and writes the table
        strace.wait(ATTACH_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise BenchError("strace did not detach") from None
    finally:
        stop(strace)
    if seen.errors:
        raise BenchError(f"errors under strace: {seen.errors}")
    return seen.all_requests, parse(table.read_text())


def _attach(pids: list[int], core: int, table: Path, log: Path) -> subprocess.Popen:
    targets = [word for pid in pids for word in ("-p", str(pid))]
    strace = start(["strace", "-c", "-f", "-o", str(table), *targets], core, log)
    if not wait_until(lambda: log.read_text().count(" attached") >= len(pids), ATTACH_WITHIN_S):
        stop(strace)
        raise BenchError(f"strace cannot attach: {tail(log, 1)}")
    return strace


def parse(table: str) -> Counter[str]:
    """The columns are: % time, seconds, usecs/call, calls, (errors), name."""
    calls: Counter[str] = Counter()
    for line in table.splitlines():
        words = line.split()
        if len(words) >= 5 and re.fullmatch(r"[\d.]+", words[0]) and words[-1] != "total":
            calls[words[-1]] += int(words[3])
    return calls
