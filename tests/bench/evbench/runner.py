# SPDX-License-Identifier: MIT
"""Runs a mode: starts origin and balancer, loads it, and turns what was seen into figures.

Every run starts its balancer afresh. The balancers take turns within a round, so a neighbour's
noise falls on all of them; the figure that counts is the median over the rounds.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from evbench import idle, instructions, load, syscalls, tls_load
from evbench.balancers import Balancer, Task
from evbench.modes import Mode, Scenario, idle_steps
from evbench.net import Ports, answers
from evbench.origin import Origin
from evbench.proc import BenchError, pss_bytes, running, stop, tail, wait_until

READY_WITHIN_S = 10.0
VALGRIND_READY_WITHIN_S = 60.0


@dataclass(frozen=True)
class Plan:
    """What the command line asks for."""

    balancers: list[Balancer]
    origin: Origin
    bin_dir: Path
    rounds: int
    seconds: float
    balancer_core: int
    load_core: int
    strace: bool
    valgrind: bool
    perf: bool


@dataclass(frozen=True)
class Sample:
    """The figures of one timed run."""

    requests: float
    seconds: float
    requests_per_s: float
    cpu_us: float  # of the balancer, per request
    user_us: float
    system_us: float
    p50_us: float
    p99_us: float
    pss_mib: float
    errors: dict[str, int]
    resumed_share: float  # of the TLS connections that offered a ticket


@dataclass
class Row:
    """One balancer in one scenario."""

    balancer: str
    rounds: list[Sample] = field(default_factory=list)
    calls: dict[str, float] = field(default_factory=dict)  # system calls per request by name
    value: float | None = None  # the figure of the idle and instructions modes
    note: str = ""  # why figures are missing
    broke: bool = False  # it took part and could not go on

    def figure(self, name: str) -> float | None:
        """The median over the rounds."""
        return median(getattr(s, name) for s in self.rounds) if self.rounds else None

    @property
    def errors(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for sample in self.rounds:
            for kind, count in sample.errors.items():
                total[kind] = total.get(kind, 0) + count
        return total

    @property
    def failed(self) -> bool:
        """A rival that is not installed is no failure; evlb missing is one."""
        return bool(self.broke or self.errors or (self.note and self.balancer == "evlb"))

    @property
    def spread(self) -> float | None:
        """(highest - lowest) / median of the CPU time per request over the rounds."""
        costs = [s.cpu_us for s in self.rounds]
        return (max(costs) - min(costs)) / median(costs) if len(costs) > 1 else None

    def as_json(self) -> dict:
        names = [n for n in Sample.__dataclass_fields__ if n != "errors"]
        medians = {name: self.figure(name) for name in names} if self.rounds else {}
        return asdict(self) | {"median": medians, "errors": self.errors}


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _title(mode: Mode, scenario: Scenario) -> str:
    return f"{mode.name}, {scenario.label}" if scenario.label else mode.name


class Runner:
    """Carries out modes; everything that it starts ends with the function that started it."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        os.chmod(folder, 0o711)
        self.ports = Ports()

    def run(self, mode: Mode) -> list[tuple[Scenario, list[Row]]]:
        kinds: dict[str, Callable[[Mode, Scenario], list[Row]]] = {
            "load": self._load, "idle": self._idle, "instructions": self._instructions,
        }
        return [(scenario, kinds[mode.kind](mode, scenario)) for scenario in mode.scenarios]

    # --- the kinds of modes ---

    def _load(self, mode: Mode, scenario: Scenario) -> list[Row]:
        rows = self._rows(scenario)
        with self._origin(scenario) as servers:
            for number in range(min(self.plan.rounds, mode.rounds_at_most)):
                for balancer, row in rows:
                    self._try(row, f"{_title(mode, scenario)}, round {number + 1}", self._sample,
                              balancer, row, scenario, servers, mode.share)
            if mode.counts_calls and self.plan.strace:
                for balancer, row in rows:
                    self._try(row, f"{_title(mode, scenario)}, system calls", self._calls,
                              balancer, row, scenario, servers)
        return [row for _, row in rows]

    def _idle(self, mode: Mode, scenario: Scenario) -> list[Row]:
        rows = self._rows(scenario)
        with self._origin(scenario) as servers:
            for balancer, row in rows:
                self._try(row, mode.name, self._weigh, balancer, row, scenario, servers)
        return [row for _, row in rows]

    def _instructions(self, mode: Mode, scenario: Scenario) -> list[Row]:
        rows = self._rows(scenario)
        if not (self.plan.perf or self.plan.valgrind):
            for _, row in rows:
                row.note = "neither perf's counter nor valgrind is there"
            return [row for _, row in rows]
        count = self._perf if self.plan.perf else self._callgrind
        with self._origin(scenario) as servers:
            for balancer, row in rows:
                self._try(row, _title(mode, scenario), count, balancer, row, scenario, servers)
        return [row for _, row in rows]

    def _rows(self, scenario: Scenario) -> list[tuple[Balancer, Row]]:
        return [(b, Row(b.name, note=b.lacks(scenario.layer) or "")) for b in self.plan.balancers]

    @staticmethod
    def _try(row: Row, what: str, action: Callable, balancer: Balancer, *args: object) -> None:
        """A balancer that fails once gets a note, and no more runs in this scenario."""
        if row.note:
            return
        say(f"{what}: {balancer.name}")
        try:
            action(balancer, *args)
        except (BenchError, OSError) as error:
            row.note, row.broke = str(error), True
            say(f"!! {balancer.name}: {error}")

    # --- one figure each ---

    def _sample(self, balancer: Balancer, row: Row, scenario: Scenario, servers: list[int],
                share: float) -> None:
        with self._balancer(balancer, scenario, servers) as (pid, port):
            seen = self._drive(pid, port, scenario)(self.plan.seconds * share)
            if seen.requests <= 0:
                raise BenchError(f"no request in the window; errors: {seen.errors or 'none'}")
            user_us = seen.cpu.user_s * 1e6 / seen.requests
            system_us = seen.cpu.system_s * 1e6 / seen.requests
            row.rounds.append(Sample(
                requests=seen.requests, seconds=seen.seconds,
                requests_per_s=seen.requests / seen.seconds,
                cpu_us=user_us + system_us, user_us=user_us, system_us=system_us,
                p50_us=seen.p50_us, p99_us=seen.p99_us,
                pss_mib=pss_bytes(pid) / 2**20, errors=seen.errors,
                resumed_share=seen.resumed_share,
            ))

    def _drive(self, pid: int, port: int, scenario: Scenario) -> Callable[[float], load.Load]:
        """What loads the balancer for a window of some seconds."""
        core, log = self.plan.load_core, self.folder / "load.log"
        if scenario.tls:
            return lambda seconds: tls_load.run(pid, port, scenario, seconds, core, log,
                                                self._tls_clients)
        return lambda seconds: load.run(pid, port, scenario, seconds, core, log)

    @property
    def _tls_clients(self) -> Path:
        return self.plan.bin_dir / "tls_clients"

    def _calls(self, balancer: Balancer, row: Row, scenario: Scenario, servers: list[int]) -> None:
        with self._balancer(balancer, scenario, servers) as (pid, port):
            row.calls = syscalls.per_request(pid, self._drive(pid, port, scenario),
                                             self.plan.balancer_core, self.folder)

    def _weigh(self, balancer: Balancer, row: Row, scenario: Scenario, servers: list[int]) -> None:
        clients = [str(self.plan.bin_dir / "idle_clients"), *(["--tls"] if scenario.tls else [])]
        with self._balancer(balancer, scenario, servers) as (pid, port):
            row.value = idle.bytes_per_client(
                pid, port, idle_steps(), clients, self.plan.load_core, self.folder)

    def _perf(self, balancer: Balancer, row: Row, scenario: Scenario, servers: list[int]) -> None:
        with self._balancer(balancer, scenario, servers) as (pid, port):
            row.value = instructions.by_perf(pid, self._drive(pid, port, scenario),
                                             self.plan.load_core, self.folder)

    def _callgrind(self, balancer: Balancer, row: Row, scenario: Scenario,
                   servers: list[int]) -> None:
        totals = []
        few, many = instructions.counts(scenario)
        for count in (few, many):
            with self._scratch("callgrind") as out:
                with self._balancer(balancer, scenario, servers, out) as (_, port):
                    self._send(port, count, scenario)
                totals.append(instructions.callgrind_total(out))
        row.value = (totals[1] - totals[0]) / (many - few)

    def _send(self, port: int, count: int, scenario: Scenario) -> None:
        if scenario.tls:
            tls_load.send(port, count, instructions.CLIENTS, scenario, self._tls_clients)
        else:
            instructions.send(port, count, scenario.close)

    # --- what runs meanwhile ---

    @contextlib.contextmanager
    def _scratch(self, name: str) -> Iterator[Path]:
        """A folder in which a program that has given up root can still write."""
        with TemporaryDirectory(dir=self.folder, prefix=f"{name}.") as path:
            os.chmod(path, 0o777)
            yield Path(path)

    @contextlib.contextmanager
    def _origin(self, scenario: Scenario) -> Iterator[list[int]]:
        """The servers' ports."""
        ports = self.ports.block(scenario.servers)
        with self._scratch("origin") as folder:
            log = folder / "log"
            command = self.plan.origin.command(ports, scenario.body_bytes, folder)
            with running(command, self.plan.load_core, log) as process:
                if not wait_until(lambda: answers(ports[-1]) or process.poll() is not None,
                                  READY_WITHIN_S) or process.poll() is not None:
                    raise BenchError(f"the origin does not answer: {tail(log)}")
                yield ports

    @contextlib.contextmanager
    def _balancer(self, balancer: Balancer, scenario: Scenario, servers: list[int],
                  valgrind: Path | None = None) -> Iterator[tuple[int, int]]:
        """Its process id and port; under callgrind, which writes into `valgrind`, if given."""
        pem = tls_load.make_certificate(self.folder, scenario.tls.key) if scenario.tls else None
        task = Task(self.ports.block(1)[0], servers, scenario.layer, scenario.close,
                    scenario.connections, single_process=valgrind is not None, pem=pem,
                    body_bytes=scenario.body_bytes)
        with self._scratch(balancer.name) as folder:
            log = folder / "log"
            command = balancer.command(task, folder)
            if valgrind:
                command = instructions.valgrind(command, valgrind)
            patience = VALGRIND_READY_WITHIN_S if valgrind else READY_WITHIN_S
            with running(command, self.plan.balancer_core, log) as process:
                def ready() -> bool:
                    return answers(task.port, tls=pem is not None)

                wait_until(lambda: ready() or process.poll() is not None, patience)
                if process.poll() is not None or not ready():
                    raise BenchError(f"{balancer.name} does not answer: {tail(log)}")
                yield process.pid, task.port
                if process.poll() is not None:
                    raise BenchError(f"{balancer.name} ended by itself: {tail(log)}")
                if valgrind:
                    stop(process, patience_s=20.0)  # slowly: it has to write its totals
