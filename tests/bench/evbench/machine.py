# SPDX-License-Identifier: MIT
"""The machine and the programs: what a figure means nothing without."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from evbench.balancers import Balancer, fd_limit, first_line
from evbench.origin import Origin


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit(root: Path) -> str:
    """The short id of the checkout, with a + when it has changes; empty without git."""
    def git(*words: str) -> str:
        try:
            done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True,
                                  timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    return git("rev-parse", "--short", "HEAD") + changed


def stolen_share(before: list[int], after: list[int]) -> float:
    """The share of CPU time that the host took from this virtual machine in between."""
    spent = [b - a for a, b in zip(before, after)]
    return spent[7] / sum(spent) if sum(spent) else 0.0


def cpu_counters() -> list[int]:
    """user nice system idle iowait irq softirq steal, of all cores."""
    return [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]


def facts(root: Path, balancers: list[Balancer], origin: Origin) -> dict:
    versions = {b.name: b.version() for b in balancers if not b.lacks("http")}
    versions["wrk"] = first_line(["wrk", "--version"]).split()[1]
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": f"{platform.system()} {platform.release()}",
        "fd_limit": fd_limit(),
        "load_average": os.getloadavg()[0],
        "commit": commit(root),
        "origin": origin.name,
        "versions": versions,
    }
