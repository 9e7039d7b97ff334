# SPDX-License-Identifier: MIT
"""The load of the TLS modes: tls_clients, which does exactly what a scenario asks for.

All balancers get the same certificate, and the clients offer one version, one cipher suite and
X25519 as their group, so that all do the same cryptography. What was agreed is checked before the
window of every run begins: a balancer that did something else has no figures.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from evbench.load import STOP_WITHIN_S, WARM_UP_S, Load
from evbench.modes import MiB, Scenario
from evbench.proc import BenchError, cpu_time, running, tail, tree

HOST_NAME = "bench.example.com"
NEW_KEY = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}
KEY_TYPE = {"ecdsa": "EC", "rsa": "RSA"}
CIPHER = {"1.3": "TLS_AES_128_GCM_SHA256",
          "1.2": "ECDHE-{key}-AES128-GCM-SHA256"}
HANDSHAKES_PER_S = 800  # slow, to be sure that all connections are open when the window begins
RESUMED_AT_LEAST = 0.99
COUNT_WITHIN_S = 600.0


def make_certificate(folder: Path, key: str) -> Path:
    """A file with a self-signed certificate and its key; made once per folder."""
    pem, key_file = folder / f"{key}.pem", folder / f"{key}.key"
    if not pem.exists():
        command = ["openssl", "req", "-x509", "-newkey", *NEW_KEY[key], "-nodes", "-days", "365",
                   "-subj", f"/CN={HOST_NAME}", "-addext", f"subjectAltName=DNS:{HOST_NAME}",
                   "-keyout", str(key_file), "-out", str(pem)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise BenchError(f"openssl req: {done.stderr.strip()[-200:]}")
        with pem.open("a") as out:
            out.write(key_file.read_text())
    return pem


def command(program: Path, port: int, scenario: Scenario, connections: int, requests: int,
            count: int) -> list[str]:
    resume = ["--resume"] if scenario.tls.resumed else []
    return [str(program), "--version", scenario.tls.version, *resume,
            "--connections", str(connections), "--requests", str(requests),
            "--count", str(count), str(port)]


def check(seen: dict, scenario: Scenario) -> None:
    """Whether the cryptography was what the scenario wants."""
    tls = scenario.tls
    wanted = {
        "version": f"TLSv{tls.version}",
        "cipher": CIPHER[tls.version].format(key="ECDSA" if tls.key == "ecdsa" else "RSA"),
        "group": "none" if tls.resumed and tls.version == "1.2" else "X25519",
        "key": KEY_TYPE[tls.key],
    }
    agreed = {name: seen[name] for name in wanted}
    if agreed != wanted:
        raise BenchError(f"agreed on {' '.join(agreed.values())}, "
                         f"the others on {' '.join(wanted.values())}; errors: {seen['errors']}")
    if tls.resumed and seen["resumed"] < RESUMED_AT_LEAST * max(1, seen["offered"]):
        raise BenchError(f"{seen['resumed']} of {seen['offered']} connections were resumed")


def run(balancer_pid: int, port: int, scenario: Scenario, seconds: float, core: int, log: Path,
        program: Path) -> Load:
    """Loads the balancer at `port`; `seconds` is the length of the window."""
    clients = command(program, port, scenario, scenario.connections, int(scenario.close), 0)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with running(clients, core, log, **pipes) as process:
        time.sleep(WARM_UP_S + scenario.connections / HANDSHAKES_PER_S)
        first = _ask(process, log)
        check(first, scenario)
        begin, cpu, family = time.monotonic(), cpu_time(balancer_pid), tree(balancer_pid)
        time.sleep(seconds)
        last = _ask(process, log)
        took, cpu = time.monotonic() - begin, cpu_time(balancer_pid).since(cpu)
        if tree(balancer_pid) != family:
            raise BenchError("a process of the balancer ended or began during the run")
        final = _end(process, log)
    check(final, scenario)
    return Load(
        requests=requests_of(last, scenario) - requests_of(first, scenario),
        seconds=took, cpu=cpu, all_requests=requests_of(final, scenario),
        p50_us=final["p50_us"], p99_us=final["p99_us"], errors=final["errors"],
        resumed_share=final["resumed"] / max(1, final["offered"]),
    )


def requests_of(seen: dict, scenario: Scenario) -> float:
    """A large response counts by the share of it that came."""
    is_large = scenario.body_bytes >= MiB
    return seen["bytes"] / scenario.body_bytes if is_large else seen["requests"]


def send(port: int, count: int, connections: int, scenario: Scenario, program: Path) -> None:
    """Exactly `count` requests, one per connection or divided among the connections."""
    each = 1 if scenario.close else count // connections
    total = count if scenario.close else connections
    clients = command(program, port, scenario, connections, each, total)
    try:
        done = subprocess.run(clients, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=COUNT_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError("the clients did not end") from None
    seen = read(done.stdout, done.stderr)
    check(seen, scenario)
    if seen["errors"]:
        raise BenchError(f"errors: {seen['errors']}")


def read(line: str, why: str) -> dict:
    """What tls_clients has printed."""
    try:
        return json.loads(line.splitlines()[-1])
    except (IndexError, ValueError):
        raise BenchError(f"tls_clients gave no figures: {why.strip()[-200:]}") from None


def _ask(process: subprocess.Popen, log: Path) -> dict:
    try:
        process.stdin.write("now\n")
        process.stdin.flush()
    except OSError:
        pass  # it has ended and has said why
    return read(process.stdout.readline(), tail(log, 3))


def _end(process: subprocess.Popen, log: Path) -> dict:
    try:
        output, _ = process.communicate(timeout=STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise BenchError("tls_clients did not end") from None
    return read(output, tail(log, 3))
