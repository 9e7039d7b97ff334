# SPDX-License-Identifier: MIT
"""The load generator: wrk with one thread, and the figures of a window within its run.

The window begins when all connections are open, so that opening them costs no figure. wrk tells its
requests at its end only; those within the window come from the bytes that it has read by then
(/proc/PID/io), divided by the bytes of one response.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from evbench.modes import MiB, Scenario
from evbench.net import HOST
from evbench.proc import BenchError, CpuTime, cpu_time, running, tree

REPORT = Path(__file__).with_name("report.lua")
STOP_WITHIN_S = 30.0
WARM_UP_S = 0.4
CLIENTS_OPENED_PER_S = 4000  # slow, as a full backlog makes some clients wait a second


@dataclass(frozen=True)
class Load:
    """What one run of wrk showed."""

    requests: float  # in the window; a large response counts by the share of it that came
    seconds: float  # of the window
    cpu: CpuTime  # of the balancer in the window
    all_requests: float  # of the whole run; so are the times and errors
    p50_us: int
    p99_us: int
    errors: dict[str, int]  # only the kinds that occurred
    resumed_share: float = 0.0  # of the TLS connections that offered a ticket


@dataclass(frozen=True)
class Mark:
    """One side of the window."""

    at_s: float
    bytes_read: int
    cpu: CpuTime
    family: list[int]


def command(port: int, scenario: Scenario, bound_s: float) -> list[str]:
    close = ["-H", "Connection: close"] if scenario.close else []
    url = f"http://{HOST}:{port}/"
    return ["wrk", "-t1", f"-c{scenario.connections}", f"-d{int(bound_s) + 1}s", "--timeout", "10s",
            "-s", str(REPORT), *close, url]


def run(balancer_pid: int, port: int, scenario: Scenario, seconds: float, core: int,
        log: Path) -> Load:
    """Loads the balancer at `port`; `seconds` is the length of the window."""
    warm_up_s = WARM_UP_S + scenario.connections / CLIENTS_OPENED_PER_S
    wrk = command(port, scenario, warm_up_s + seconds + STOP_WITHIN_S)
    with running(wrk, core, log, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(warm_up_s)
        first = mark(process.pid, balancer_pid)
        time.sleep(seconds)
        last = mark(process.pid, balancer_pid)
        process.send_signal(signal.SIGINT)  # wrk ends its run and reports
        try:
            output, _ = process.communicate(timeout=STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise BenchError("wrk did not end") from None
    if first.family != last.family:
        raise BenchError("a process of the balancer ended or began during the run")
    return read(output, scenario, first, last)


def mark(wrk_pid: int, balancer_pid: int) -> Mark:
    try:
        lines = Path(f"/proc/{wrk_pid}/io").read_text().splitlines()
    except OSError as error:
        raise BenchError(f"cannot read what wrk has received: {error}") from None
    counts = dict(line.split(": ") for line in lines)
    return Mark(time.monotonic(), int(counts["rchar"]), cpu_time(balancer_pid), tree(balancer_pid))


def read(output: str, scenario: Scenario, first: Mark, last: Mark) -> Load:
    """From the line that report.lua printed."""
    line = next((x for x in output.splitlines() if x.startswith("BENCH ")), None)
    if line is None:
        raise BenchError(f"wrk gave no figures: {output.strip()[-200:]}")
    seen = json.loads(line.removeprefix("BENCH "))
    kinds = ("connect", "read", "write", "timeout", "status")
    errors = {kind: seen[kind] for kind in kinds if seen[kind]}
    if not seen["requests"]:
        raise BenchError(f"no request was answered; errors: {errors or 'none'}")
    is_large = scenario.body_bytes >= MiB  # few responses, of which many were cut by the end
    response_bytes = scenario.body_bytes if is_large else seen["bytes"] / seen["requests"]
    return Load(
        requests=(last.bytes_read - first.bytes_read) / response_bytes,
        seconds=last.at_s - first.at_s,
        cpu=last.cpu.since(first.cpu),
        all_requests=seen["bytes"] / response_bytes,
        p50_us=seen["p50_us"],
        p99_us=seen["p99_us"],
        errors=errors,
    )
