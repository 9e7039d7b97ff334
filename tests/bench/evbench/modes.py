# SPDX-License-Identifier: MIT
"""What is measured: a mode is a section of the report, a scenario one load within it.

To add a mode, add a row to `all_modes`. A new kind of load (TLS, HTTP/2) is a field of Scenario,
which load.py or tls_load.py and balancers.py read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from evbench.balancers import client_limit

KiB, MiB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Tls:
    """What the clients ask for, one connection like the other."""

    key: str = "ecdsa"  # of the certificate; or "rsa"
    version: str = "1.3"  # or "1.2"
    resumed: bool = False


@dataclass(frozen=True)
class Scenario:
    """One load on one configuration."""

    label: str = ""
    layer: str = "http"  # or "tcp"
    close: bool = False  # a connection per request
    connections: int = 64
    servers: int = 2
    body_bytes: int = 128
    tls: Tls | None = None  # None: plain text


@dataclass(frozen=True)
class Mode:
    """One section of the report."""

    name: str
    title: str
    kind: str = "load"  # load, idle or instructions: which function of runner.py
    scenarios: list[Scenario] = field(default_factory=lambda: [Scenario()])
    counts_calls: bool = False  # a short run under strace as well
    share: float = 1.0  # of the seconds that a measured run lasts
    rounds_at_most: int = 1000


def _connection_steps() -> list[Scenario]:
    """10 to 10,000, the last one cut to what the descriptor limit allows.

    nginx closes idle clients as soon as 15 of 16 of its connections are taken.
    """
    steps = []
    most = client_limit() * 15 // 16 // 100 * 100
    for wanted in (10, 100, 1000, 10000):
        count = min(wanted, most)
        cut = f" (not {wanted:,}: descriptor limit)" if count < wanted else ""
        steps.append(Scenario(f"{count:,} connections{cut}", connections=count))
    return steps


def idle_steps() -> tuple[int, int]:
    """The numbers of idle clients between which memory is compared."""
    high = min(8000, client_limit() - 100)
    return high // 8, high


def _handshakes(version: str) -> list[Scenario]:
    return [Scenario("ECDSA P-256", close=True, tls=Tls("ecdsa", version)),
            Scenario("RSA 2048", close=True, tls=Tls("rsa", version))]


def _tls_modes(idle: str) -> list[Mode]:
    """With one certificate where it takes no part: resumption and keep-alive."""
    def resumed(version: str) -> Scenario:
        return Scenario(close=True, tls=Tls("ecdsa", version, resumed=True))

    instructions = [
        Scenario("TLS 1.3, full handshake and request, ECDSA", close=True, tls=Tls()),
        Scenario("TLS 1.2, full handshake and request, ECDSA", close=True, tls=Tls(version="1.2")),
        Scenario("TLS 1.3, resumed, and request", close=True, tls=Tls(resumed=True)),
        Scenario("keep-alive", tls=Tls()),
    ]
    return [
        Mode("tls13-full", "TLS 1.3: connection with a full handshake, and a request",
             scenarios=_handshakes("1.3"), counts_calls=True),
        Mode("tls12-full", "TLS 1.2: connection with a full handshake, and a request",
             scenarios=_handshakes("1.2"), counts_calls=True),
        Mode("tls13-resumed", "TLS 1.3: connection resumed by ticket, and a request",
             scenarios=[resumed("1.3")], counts_calls=True),
        Mode("tls12-resumed", "TLS 1.2: connection resumed by ticket, and a request",
             scenarios=[resumed("1.2")], counts_calls=True),
        Mode("tls-keepalive", "TLS 1.3, keep-alive: 64 connections, 128-byte responses",
             scenarios=[Scenario(tls=Tls())], counts_calls=True),
        Mode("tls-10m", "TLS 1.3: responses of 10 MiB, 8 connections",
             scenarios=[Scenario(body_bytes=10 * MiB, connections=8, tls=Tls())],
             counts_calls=True),
        Mode("tls-idle", f"memory per idle TLS 1.3 client, {idle}", kind="idle",
             scenarios=[Scenario(tls=Tls())]),
        Mode("tls-instructions", "instructions in user space per connection or request, TLS",
             kind="instructions", scenarios=instructions),
    ]


def all_modes() -> dict[str, Mode]:
    low, high = idle_steps()
    idle = f"between {low} and {high} clients"
    servers = [Scenario(f"{n} servers", servers=n) for n in (2, 10, 100, 1000)]
    both = [Scenario("keep-alive"), Scenario("connection per request", close=True)]
    modes = (
        Mode("keepalive", "keep-alive: 64 connections, 128-byte responses", counts_calls=True),
        Mode("close", "connection per request (Connection: close): 64 at a time, 128 bytes",
             scenarios=[Scenario(close=True)], counts_calls=True),
        Mode("l4", "layer 4: keep-alive requests through mode tcp, 64 connections, 128 bytes",
             scenarios=[Scenario(layer="tcp")], counts_calls=True),
        Mode("l4-conn", "layer 4: connection per request, 64 at a time, 128 bytes",
             scenarios=[Scenario(layer="tcp", close=True)], counts_calls=True),
        Mode("body64k", "responses of 64 KiB: 64 connections",
             scenarios=[Scenario(body_bytes=64 * KiB)], counts_calls=True),
        Mode("body10m", "responses of 10 MiB: 8 connections",
             scenarios=[Scenario(body_bytes=10 * MiB, connections=8)], counts_calls=True),
        Mode("conns", "keep-alive cost by number of connections",
             scenarios=_connection_steps(), share=0.6, rounds_at_most=2),
        Mode("servers", "keep-alive cost by number of servers", scenarios=servers, share=0.6,
             rounds_at_most=2),
        Mode("idle", f"memory per idle keep-alive client, {idle}", kind="idle"),
        Mode("instructions", "instructions in user space per request",
             kind="instructions", scenarios=both),
        *_tls_modes(idle),
    )
    return {mode.name: mode for mode in modes}
