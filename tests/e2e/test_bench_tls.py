# SPDX-License-Identifier: MIT
"""The TLS modes of scripts/bench: what the clients do and tell, and what is no fair comparison."""
import json
import os
import sys

import pytest

from harness import tools

sys.path.insert(0, str(tools.ROOT / "tests/bench"))

from evbench import modes, net, proc, tls_load  # noqa: E402

GOOD = {"version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "group": "X25519", "key": "EC",
        "handshakes": 9, "offered": 8, "resumed": 8, "connections": 9, "requests": 9,
        "bytes": 1152, "p50_us": 10, "p99_us": 20, "errors": {}}


def scenario(key="ecdsa", version="1.3", resumed=False, **options):
    return modes.Scenario(tls=modes.Tls(key, version, resumed), **options)


@pytest.fixture
def null_tls(tmp_path):
    """Starts null_tls with a certificate of that kind -> (process id, port)."""
    with_end = []
    def start(key="ecdsa", body_bytes=128):
        port = net.Ports().block(1)[0]
        pem = tls_load.make_certificate(tmp_path, key)
        command = [str(tools.bin_dir() / "null_tls"), str(port), str(pem), str(body_bytes)]
        process = proc.start(command, min(os.sched_getaffinity(0)), tmp_path / "null_tls.log")
        with_end.append(process)
        assert proc.wait_until(lambda: net.answers(port, tls=True), 10)
        return process.pid, port
    yield start
    for process in with_end:
        proc.stop(process)


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("key, version", [("ecdsa", "1.3"), ("ecdsa", "1.2"), ("rsa", "1.3"),
                                          ("rsa", "1.2")])
def test_clients_do_what_the_scenario_says(null_tls, key, version, resumed):
    wanted = scenario(key, version, resumed, close=True)
    tls_load.send(null_tls(key)[1], 20, 4, wanted, tools.bin_dir() / "tls_clients")


def test_a_count_of_connections_and_requests(null_tls):
    command = tls_load.command(tools.bin_dir() / "tls_clients", null_tls()[1],
                               scenario(resumed=True), connections=3, requests=5, count=10)
    r = tools.run(command, timeout=30)
    seen = json.loads(r.out)
    assert (seen["connections"], seen["requests"], seen["bytes"]) == (10, 50, 50 * 128)
    assert (seen["handshakes"], seen["offered"], seen["resumed"]) == (10, 7, 7)
    assert seen["errors"] == {} and 0 < seen["p50_us"] <= seen["p99_us"]


def test_a_window(null_tls, tmp_path):
    pid, port = null_tls(body_bytes=2 << 20)
    large = scenario(body_bytes=2 << 20, connections=2)
    seen = tls_load.run(pid, port, large, 0.3, min(os.sched_getaffinity(0)), tmp_path / "log",
                        tools.bin_dir() / "tls_clients")
    assert 0 < seen.requests < seen.all_requests and seen.errors == {}
    assert seen.cpu.user_s + seen.cpu.system_s > 0


def test_a_server_that_refuses_is_no_figure(null_tls, tmp_path):
    pid, port = null_tls("rsa")
    with pytest.raises(proc.BenchError, match="EC|RSA"):
        tls_load.run(pid, port, scenario("ecdsa", connections=2), 0.1,
                     min(os.sched_getaffinity(0)), tmp_path / "log", tools.bin_dir() / "tls_clients")


@pytest.mark.parametrize("change", [{"version": "TLSv1.2"}, {"cipher": "TLS_AES_256_GCM_SHA384"},
                                    {"group": "P-256"}, {"key": "RSA"}, {"resumed": 7}])
def test_what_is_no_fair_comparison(change):
    tls_load.check(GOOD, scenario(resumed=True))
    with pytest.raises(proc.BenchError):
        tls_load.check(GOOD | change, scenario(resumed=True))


def test_clients_that_say_nothing():
    with pytest.raises(proc.BenchError, match="no figures: what they said"):
        tls_load.read("", "what they said")


def test_every_tls_mode_is_one_of_all():
    found = {name: mode for name, mode in modes.all_modes().items() if name.startswith("tls")}
    assert set(found) == {"tls13-full", "tls12-full", "tls13-resumed", "tls12-resumed",
                          "tls-keepalive", "tls-10m", "tls-idle", "tls-instructions"}
    assert all(s.tls for mode in found.values() for s in mode.scenarios)
