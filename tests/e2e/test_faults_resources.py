# SPDX-License-Identifier: MIT
"""Descriptors, memory, places and logs that run out, and servers that die: evlb refuses what it
must, says so, and goes on."""
import os
import pathlib
import resource
import select
import signal
import socket
import threading
import time

import pytest

from harness import http, tools
from harness.wire import (ONE, THREE, Growth, cpu_seconds, eventually, full_backlog, is_pattern,
                          request, sanitized, server_counters)

LOAD = ONE.replace("log: {access: true}", "")


@pytest.fixture
def origin(sim):
    return sim("a")["a"]


@pytest.fixture
def lb(evlb, origin):
    return evlb(LOAD, a=origin)


def spoken(lb):
    """How many lines the log has that are none of requests."""
    return sum(not line.startswith("{") for line in lb.log().splitlines())


def worker_counters(lb):
    return lb.status()["workers"][0]["counters"]


# ---- descriptors

def test_out_of_descriptors_does_not_spin_and_passes(evlb, origin):
    """Fault 11, trap 27."""
    lb = evlb(LOAD, a=origin)
    worker = lb.workers()[0]
    assert lb.get("/").status == 200
    limit = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE,
                     (max(int(n) for n in os.listdir(f"/proc/{worker}/fd")) + 9, limit[1]))
    clients = [lb.client() for _ in range(40)]
    for c in clients:
        c.request("GET", "/")
    time.sleep(0.3)
    before, log_before = cpu_seconds(worker), spoken(lb)
    time.sleep(1.0)
    assert cpu_seconds(worker) - before < 0.3
    assert spoken(lb) - log_before <= 3
    counters = worker_counters(lb)
    assert counters["accept_errors"] > 0
    for c in clients:
        c.close()
    resource.prlimit(worker, resource.RLIMIT_NOFILE, limit)
    assert eventually(lambda: lb.get("/").status == 200, 2)
    assert lb.workers() == [worker]


def test_no_descriptor_for_a_server_connection_is_a_503(evlb, origin):
    lb = evlb(ONE, a=origin)
    worker = lb.workers()[0]
    limit = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    c = lb.client()
    c.get("/", {"Connection": "keep-alive"})
    origin.control("default?close=1")
    c.get("/")  # the pooled connection is gone now
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (4, limit[1]))
    c.request("GET", "/")
    assert c.response().status == 503
    resource.prlimit(worker, resource.RLIMIT_NOFILE, limit)
    lines = lb.wait_access(3)
    assert (lines[-1]["term"], lines[-1]["end"]) == ("RC", "out-of-sockets")
    assert lb.get("/").status == 200
    assert server_counters(lb, "a")["connect_failures"] == 0  # it is not the server's fault


def test_beyond_the_limit_clients_wait_and_the_admin_socket_answers(evlb, origin):
    """Fault 12."""
    lb = evlb(LOAD.replace("backend: app}", "backend: app, max-connections: 3}"), a=origin)
    inside = [lb.client() for _ in range(3)]
    for c in inside:
        assert c.get("/").status == 200
    outside = lb.client()
    outside.request("GET", "/")
    outside.expect_silence(0.3)
    assert lb.status()["connections_current"] == 3
    inside[0].close()
    assert outside.response().status == 200


def test_the_limit_of_the_process_holds_over_workers(evlb, origin):
    lb = evlb(LOAD.replace("workers: 1", "workers: 2") + "max-connections: 4\n", a=origin)
    clients = [lb.client() for _ in range(12)]
    for c in clients:
        c.request("GET", "/")
    time.sleep(0.4)
    assert lb.status()["connections_current"] == 4
    waiting = {c.sock: c for c in clients}
    while waiting:  # each one that leaves lets another in
        ready = select.select(list(waiting), [], [], 5)[0]
        assert ready, f"{len(waiting)} are not served"
        for s in ready:
            assert waiting.pop(s).response().status == 200
            s.close()


# ---- memory

@pytest.fixture
def release(monkeypatch):
    """The build without sanitizers, when there is one: sizes of memory are its own."""
    path = os.environ.get("EVLB_RELEASE_BIN_DIR")
    if path is not None:
        monkeypatch.setenv("EVLB_BIN_DIR", str(tools.ROOT / path))
    return path


def test_out_of_memory_ends_sessions_not_the_worker(release, evlb, origin):
    """Fault 15."""
    lb = evlb(LOAD, a=origin)
    worker = lb.workers()[0]
    if sanitized(worker):
        pytest.skip("AddressSanitizer ends a process that is out of memory; "
                    "EVLB_RELEASE_BIN_DIR names no build without it")
    assert lb.get("/").status == 200
    status = pathlib.Path(f"/proc/{worker}/status").read_text()
    used = int(status.split("VmData:")[1].split()[0]) * 1024
    limit = resource.prlimit(worker, resource.RLIMIT_DATA)
    resource.prlimit(worker, resource.RLIMIT_DATA, (used + 256 * 1024, limit[1]))
    clients = [lb.client() for _ in range(400)]
    refused = 0
    for c in clients:
        try:
            c.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 9000)
        except OSError:
            pass
    time.sleep(0.2)
    for c in clients:
        c.sock.settimeout(0)
        try:
            refused += c.sock.recv(1) in (b"", b"H")
        except BlockingIOError:
            pass
        except OSError:
            refused += 1
    assert 0 < refused < 400
    for c in clients:
        c.close()
    resource.prlimit(worker, resource.RLIMIT_DATA, limit)
    assert eventually(lambda: lb.get("/").status == 200, 2)
    assert lb.workers() == [worker]


@pytest.mark.parametrize("size, how", [(256, "framing=length"), (256, "framing=chunked&chunk=64k"),
                                       (16, "framing=chunked&chunk=100")],
                         ids=["length", "chunked", "small-chunks"])
def test_a_large_download_with_a_stalling_reader_costs_no_memory(release, lb, size, how):
    growth = Growth(lb.workers()[0])
    c = lb.client()
    c.request("GET", f"/?size={size}m&{how}", {"Connection": "close"})
    c.read_until(b"\r\n\r\n")
    got = len(c.pending)
    time.sleep(0.3)  # stalls
    while piece := c.sock.recv(1 << 20):
        got += len(piece)
        if got % (32 << 20) < len(piece):
            growth.look()
            time.sleep(0.1)
    assert got >= size << 20
    assert growth.stayed_under(64 << 10)


def test_a_large_upload_costs_no_memory(release, evlb, sim):
    lb = evlb(LOAD, a=sim("a")["a"])
    growth = Growth(lb.workers()[0])
    c = lb.client()
    c.send(request("POST / HTTP/1.1", "Host: x", f"Content-Length: {256 << 20}"))
    block = b"u" * (1 << 20)
    for n in range(256):
        c.send(block)
        if n % 32 == 0:
            growth.look()
    assert c.response().headers["X-Body-Bytes"] == str(256 << 20)
    assert growth.stayed_under(64 << 10)


def test_a_large_layer_4_transfer_costs_no_memory(release, evlb, sim):
    """256 MiB down with a reader that stalls, then 128 MiB through an echo both ways."""
    sims = sim("a", mode="tcp-source", options=["--size", "256m"])
    echo = sim("e", mode="tcp-echo")
    lb = evlb("""
        workers: 1
        frontends:
          down: {listen: $port, mode: tcp, backend: down}
          both: {listen: $port_echo, mode: tcp, backend: both}
        backends:
          down: {mode: tcp, servers: {a: $a}}
          both: {mode: tcp, servers: {e: $e}}
    """, sims, echo)
    growth = Growth(lb.workers()[0])
    c = lb.client()
    time.sleep(0.3)
    got = 0
    while piece := c.sock.recv(1 << 20):
        if got % (32 << 20) < len(piece):
            assert is_pattern(piece, got)
            growth.look()
            time.sleep(0.05)
        got += len(piece)
    assert got == 256 << 20
    c = lb.client(lb.ports["port_echo"])
    sender = threading.Thread(target=lambda: [c.send(b"e" * (1 << 20)) for _ in range(128)])
    sender.start()
    got = 0
    while got < 128 << 20:
        got += len(c.sock.recv(1 << 20))
        if got % (32 << 20) < 65536:
            growth.look()
    sender.join()
    assert growth.stayed_under(64 << 10)


def test_eight_thousand_idle_clients_stay(evlb, origin):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = 8000
    if hard != resource.RLIM_INFINITY and hard < want + 1000:
        pytest.skip(f"this process may open only {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (want + 900, hard))
    lb = evlb(LOAD.replace("workers: 1", "workers: 2"), a=origin)
    clients = []
    ask = request("GET / HTTP/1.1", "Host: x")
    try:
        for i in range(want):
            s = socket.create_connection(("127.0.0.1", lb.port), source_address=(
                f"127.0.0.{1 + i % 4}", 0))
            s.sendall(ask)
            clients.append(s)
        for s in clients:
            assert s.recv(4096).startswith(b"HTTP/1.1 200")
        assert lb.status()["connections_current"] == want
        for s in clients[::97]:
            s.sendall(ask)
            assert s.recv(4096).startswith(b"HTTP/1.1 200")
    finally:
        for s in clients:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert eventually(lambda: lb.status()["connections_current"] == 0)


# ---- logs

def test_a_full_log_disk_holds_nobody_up(evlb, origin):
    """Fault 16."""
    lb = evlb(ONE.replace("{access: true}", "{access: /dev/full}"), a=origin)
    c = lb.client()
    begin = time.monotonic()
    for _ in range(3000):
        c.send(request("GET / HTTP/1.1", "Host: x", "User-Agent: " + "u" * 400))
        assert c.response().status == 200
    assert time.monotonic() - begin < 20
    assert eventually(lambda: worker_counters(lb)["log_dropped"] > 0)


def test_a_log_reader_that_is_stuck_holds_nobody_up(evlb, origin, tmp_path):
    """Fault 17: and when it reads again, lines come again."""
    fifo = tmp_path / "access.fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    lb = evlb(ONE.replace("{access: true}", f"{{access: {fifo}}}"), a=origin)
    c = lb.client()
    for _ in range(3000):
        c.send(request("GET /stuck HTTP/1.1", "Host: x", "User-Agent: " + "u" * 400))
        assert c.response().status == 200
    assert eventually(lambda: worker_counters(lb)["log_dropped"] > 0)

    def read_all():
        data = b""
        while True:
            try:
                data += os.read(reader, 1 << 20)
            except BlockingIOError:
                return data
    deadline = time.monotonic() + 5
    seen = b""
    while b"/freed" not in seen and time.monotonic() < deadline:
        seen += read_all()
        c.get("/freed")
        time.sleep(0.01)
    os.close(reader)
    assert b"/freed" in seen
    assert all(line.startswith(b'{"ts"') for line in seen.splitlines()[:-1])


# ---- servers

def test_a_server_killed_between_requests_costs_none(evlb, sim):
    """Fault 6."""
    one, other = sim("a"), sim("b", "c")
    lb = evlb(THREE, one, other)
    c = lb.client()
    statuses = []
    for n in range(60):
        if n == 20:
            one.kill()
        statuses.append(c.get("/").status)
    assert set(statuses) == {200}


def test_a_server_killed_under_load_costs_nothing(evlb, sim, wrk):
    one, other = sim("a"), sim("b", "c")
    lb = evlb(THREE.replace("log: {access: true}", ""), one, other)
    killer = threading.Timer(0.7, one.kill)
    killer.start()
    result = wrk(lb.url("/"), duration=2, connections=30)
    killer.join()
    assert result["errors"] == 0, result["out"]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_server_killed_in_its_answer_leaves_a_truncated_one(evlb, sim, framing):
    """Fault 7."""
    one = sim("a")
    lb = evlb(ONE, one)
    c = lb.client()
    c.request("GET", f"/?size=10m&framing={framing}&chunk=64k&chunk-delay=50ms")
    begin = c.read_exact(100_000)
    one.kill()
    try:
        data = begin + c.read_until_close()
    except http.Closed as e:
        data = begin + e.partial
    assert len(data) < 10 << 20 and not data.endswith(b"0\r\n\r\n")
    assert lb.wait_access()[0]["term"] == "SD"


def test_all_servers_down_and_back(evlb, sim):
    """Fault 26."""
    sims = sim("a", "b", "c")
    lb = evlb(THREE, sims)
    assert lb.get("/").status == 200
    sims.kill()
    for _ in range(5):
        begin = time.monotonic()
        assert lb.get("/").status == 503
        assert time.monotonic() - begin < 0.5
    sims.restart()
    assert eventually(lambda: lb.get("/").status == 200, 8)


def test_the_connect_timeout_is_kept(evlb, sim):
    """Fault 27: within a tenth, and the loop's millisecond."""
    slow = sim("slow", options=["--no-accept", "--backlog", "1"])["slow"]
    lb = evlb(ONE.replace("{servers", "{retries: 0, servers") + "timeout: {connect: 800ms}\n",
              a=slow)
    with full_backlog(slow):
        assert lb.get("/").status == 504
    assert 720 <= lb.wait_access()[0]["t_total"] <= 880


def test_the_server_timeout_is_kept(evlb, origin):
    lb = evlb(ONE + "timeout: {server: 800ms}\n", a=origin)
    assert lb.get("/?never=1").status == 504
    assert 720 <= lb.wait_access()[0]["t_total"] <= 880


def test_a_connection_to_oneself_is_no_server(evlb):
    """Trap 28: on loopback, a port of the ephemeral range that nobody listens on may connect to
    itself; then requests would come back as answers."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    lb = evlb(ONE, a=f"127.0.0.1:{port}")
    for _ in range(20):
        assert lb.get("/").status in (502, 503)


# ---- processes

def test_a_killed_worker_costs_its_own_sessions_and_is_replaced(evlb, sim):
    """Fault 4: kill -9 under load."""
    lb = evlb(THREE.replace("workers: 1", "workers: 2").replace("log: {access: true}", ""),
              sim("a", "b", "c"))
    lb.allow_log("was killed by signal 9")
    victim, survivor = lb.workers()
    clients = []
    for _ in range(24):
        c = lb.client()
        c.get("/")
        clients.append(c)
    for c in clients:
        c.request("GET", "/?delay=600ms")
    time.sleep(0.1)
    os.kill(victim, signal.SIGKILL)
    answered = cut = 0
    for c in clients:
        try:
            assert c.response().status == 200
            answered += 1
        except (http.Closed, ConnectionError):
            cut += 1
    assert answered > 0 and cut > 0 and answered + cut == 24
    assert eventually(lambda: len([w for w in lb.status()["workers"]
                                   if w["pid"] not in (None, victim)]) == 2, 2)
    assert survivor in lb.workers()
    assert eventually(lambda: all(lb.get("/").status == 200 for _ in range(10)))
    lb.close_clients()
    lb.wait_idle()  # its share of the in-flight counts was taken back


def test_a_storm_of_signals_ends_in_a_defined_state(evlb, origin):
    """Fault 29."""
    lb = evlb(LOAD, a=origin)
    for _ in range(30):
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGCONT, signal.SIGALRM,
                       signal.SIGWINCH):
            if number != signal.SIGALRM:
                lb.signal(number)
    assert lb.get("/").status == 200
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        if lb.running():
            lb.signal(number)
    assert lb.wait_exit() == 0
