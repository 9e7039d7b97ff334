# SPDX-License-Identifier: MIT
"""Memory per idle client: the growth of the balancer between two numbers of idle connections."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from evbench.proc import BenchError, pss_bytes, running, tail

SETTLE_S = 1.0


def bytes_per_client(pid: int, port: int, steps: tuple[int, int], clients: list[str], core: int,
                     folder: Path) -> float:
    """`clients` is the command of idle_clients; `pid` the balancer."""
    log = folder / "idle.log"
    command = [*clients, str(port), *map(str, steps)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with running(command, core, log, **pipes) as clients:
        weights = []
        for step in steps:
            if clients.stdout.readline() != f"open {step}\n":
                raise BenchError(f"idle clients: {tail(log, 1)}")
            time.sleep(SETTLE_S)
            weights.append(pss_bytes(pid))
            clients.stdin.write("go on\n")
            clients.stdin.flush()
    return (weights[1] - weights[0]) / (steps[1] - steps[0])
