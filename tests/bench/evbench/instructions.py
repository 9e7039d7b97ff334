# SPDX-License-Identifier: MIT
"""User-space instructions per request: the figure that neither a neighbour nor the clock moves.

By `perf stat` where the machine counts instructions, else by callgrind: the balancer runs under
valgrind twice, for a fixed number of requests each; what the second does more, divided by the
requests that it does more, is free of start and end. Valgrind follows forks; the totals of all
processes are added.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from evbench.load import Load
from evbench.modes import Scenario
from evbench.net import do_requests
from evbench.proc import BenchError, start, stop, tree, wait_until

FEW, MANY = 500, 2500
FEW_HANDSHAKES, MANY_HANDSHAKES = 40, 240  # each costs what hundreds of requests do
CLIENTS = 8
PERF_S = 1.0
ATTACH_S = 0.3


def perf_counts() -> bool:
    """Whether perf has an instruction counter here; in many virtual machines it has none."""
    try:
        done = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"],
                              capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return perf_total(done.stderr) is not None


def perf_total(text: str) -> int | None:
    for line in text.splitlines():
        words = line.split(",")
        if len(words) > 2 and words[2].startswith("instructions") and words[0].isdigit():
            return int(words[0])
    return None


def counts(scenario: Scenario) -> tuple[int, int]:
    """The numbers of requests that are compared."""
    by_handshake = scenario.tls is not None and scenario.close
    return (FEW_HANDSHAKES, MANY_HANDSHAKES) if by_handshake else (FEW, MANY)


def by_perf(pid: int, drive: Callable[[float], Load], core: int, folder: Path) -> float:
    """Instructions per request of the running tree under `pid`, which `drive` loads."""
    log = folder / "perf.log"
    log.write_text("")
    pids = ",".join(map(str, tree(pid)))
    perf = start(["perf", "stat", "-x,", "-e", "instructions:u", "-p", pids], core, log)
    try:
        if wait_until(lambda: perf.poll() is not None, ATTACH_S):
            raise BenchError("perf cannot attach")
        seen = drive(PERF_S)
        perf.send_signal(signal.SIGINT)
        perf.wait(10)
    except subprocess.TimeoutExpired:
        raise BenchError("perf did not end") from None
    finally:
        stop(perf)
    total = perf_total(log.read_text())
    if total is None or not seen.all_requests:
        raise BenchError("perf counted nothing")
    return total / seen.all_requests


def valgrind(command: list[str], folder: Path) -> list[str]:
    # evlb's workers may not open files, and callgrind writes one when they end
    return ["env", "EVLB_SANDBOX=off", "valgrind", "--tool=callgrind", "--trace-children=yes", "--quiet",
            f"--callgrind-out-file={folder}/callgrind.%p", *command]


def send(port: int, count: int, close: bool) -> None:
    try:
        do_requests(port, count, CLIENTS, close)
    except (OSError, ValueError) as error:
        raise BenchError(f"under valgrind: {error}") from None


def callgrind_total(folder: Path) -> int:
    """Of all processes that ended; their files are removed."""
    total = 0
    for out in folder.glob("callgrind.*"):
        found = re.findall(r"^(?:totals|summary): (\d+)", out.read_text(errors="replace"), re.M)
        total += int(found[-1]) if found else 0
        out.unlink()
    if not total:
        raise BenchError("callgrind left no totals")
    return total
