# SPDX-License-Identifier: MIT
"""Certificates from an authority (ACME, HTTP-01): challenges answered from a webroot, and the whole
way from an empty directory to a renewed certificate with Debian's pebble and dehydrated."""
import json
import os
import signal
import socket
import subprocess

import pytest

from harness import http, ports, tls, tools
from harness.nameserver import NameServer

PATH = "/.well-known/acme-challenge/"
WEB = """
    workers: 2
    acme: $root
    frontends:
      web:
        listen: ["127.0.0.1:$port", {address: "127.0.0.1:$port2", tls: $tls}]
        redirect: https
        hsts: 1d
        backend: app
    backends:
      app: {servers: [$a], health: off}
"""


@pytest.fixture
def answers(tmp_path):
    """The directory that an ACME client writes to."""
    path = tmp_path / "webroot" / PATH.strip("/")
    path.mkdir(parents=True)
    return path


@pytest.fixture
def web(evlb, sim, ca, tmp_path, answers):
    return evlb(WEB, sim("a"), tls=ca.make(tmp_path / "site.pem", "a.test"),
                root=tmp_path / "webroot")


# ---- what is answered ----

def test_a_challenge_is_answered_before_the_redirect(web, answers):
    (answers / "tok-en_1").write_text("tok-en_1.thumb")
    r = web.get(PATH + "tok-en_1")
    assert (r.status, r.body) == (200, b"tok-en_1.thumb")
    assert r.headers["Content-Type"] == "application/octet-stream"
    assert r.headers["Cache-Control"] == "no-store"
    assert r.headers.get("Strict-Transport-Security") is None
    assert web.get("/").status == 308
    assert [(line["end"], line["status"], line["server"]) for line in web.wait_access(2)
            if line["end"] != "redirected"] == [("acme-answered", 200, None)]


def test_it_is_read_at_each_request(web, answers):
    for text in (b"one", b"another", b"\0binary\r\n\r\n"):
        (answers / "t").write_bytes(text)
        assert web.get(PATH + "t").body == text


def test_head_and_keep_alive(web, answers):
    (answers / "t").write_text("t.thumb")
    with http.Client(("127.0.0.1", web.port)) as c:
        for _ in range(3):
            assert c.get(PATH + "t").body == b"t.thumb"
        c.send(b"HEAD %st HTTP/1.1\r\nHost: x\r\n\r\n" % PATH.encode())
        r = c.response("HEAD")
        assert (r.status, r.headers["Content-Length"], r.body) == (200, "7", b"")


def test_over_tls(web, answers):
    (answers / "t").write_text("t.thumb")
    with tls.connect(web.ports["port2"], "a.test") as s:
        head, body = tls.get(s, PATH + "t", "a.test")
    assert body == b"t.thumb" and "Strict-Transport-Security: max-age=86400" in head


def test_what_is_not_there_goes_to_the_routes(web, answers):
    assert web.get(PATH + "t").status == 308
    with tls.connect(web.ports["port2"], "a.test") as s:
        assert tls.get(s, PATH + "t", "a.test")[0].startswith("HTTP/1.1 200 ")  # the server's
    assert web.request("POST", PATH + "t").status == 308


def test_no_other_file_is_read(web, answers, tmp_path):
    (answers / "fine").write_text("fine")
    (answers.parent / "beside").write_text("secret")
    (tmp_path / "outside").write_text("secret")
    (answers / "link").symlink_to(tmp_path / "outside")
    (answers / "directory").mkdir()
    os.mkfifo(answers / "fifo")
    (answers / "large").write_bytes(b"x" * 4097)
    (answers / "largest").write_bytes(b"x" * 4096)
    (answers / "empty").write_text("")
    (answers / ".hidden").write_text("secret")
    for name in ("../beside", "%2e%2e/beside", "..%2fbeside", ".hidden", "link", "directory", "fifo",
                 "large", "empty", "fine/", "fine/x", "./fine", "", "fi%6ee", "x" * 129):
        with http.Client(("127.0.0.1", web.port)) as c:  # as it stands, without a client's tidying
            c.send(f"GET {PATH}{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            r = c.response()
        assert r.status == 308 and b"secret" not in r.body, name
    assert web.get(PATH + "largest").body == b"x" * 4096
    assert web.get(PATH + "fine?x=1").body == b"fine"
    assert web.get("/").status == 308  # the supervisor lives: nothing waits for the other end of a pipe
    assert web.status()["frontends"]
    web.wait_log("cannot be read")
    assert web.log().count("cannot be read") == 1  # and not once per guess


def test_a_directory_inside_the_webroot_may_be_no_link(web, answers, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "t").write_text("secret")
    answers.rmdir()
    answers.symlink_to(elsewhere)
    assert web.get(PATH + "t").status == 308


def test_without_acme_nobody_looks(evlb, sim, answers):
    lb = evlb("listen: $port\nservers: [$a]\n", sim("a"))
    (answers / "t").write_text("t.thumb")
    assert lb.get(PATH + "t").body != b"t.thumb"


def test_a_reload_moves_the_webroot(web, answers, tmp_path):
    (answers / "t").write_text("old")
    assert web.get(PATH + "t").body == b"old"
    other = tmp_path / "other" / PATH.strip("/")
    other.mkdir(parents=True)
    (other / "t").write_text("new")
    assert "acme.webroot" in web.reload(WEB, root=tmp_path / "other")
    assert web.get(PATH + "t").body == b"new"


def test_a_supervisor_that_stands_still_holds_up_nobody_else(web, answers):
    (answers / "t").write_text("t.thumb")
    os.kill(web.pid, signal.SIGSTOP)
    try:
        waiting = [http.Client(("127.0.0.1", web.port)) for _ in range(3)]
        for c in waiting:
            c.send(b"GET %st HTTP/1.1\r\nHost: x\r\n\r\n" % PATH.encode())
        waiting[2].reset()
        for _ in range(20):
            assert web.get("/").status == 308
        waiting[0].expect_silence(0.2)
    finally:
        os.kill(web.pid, signal.SIGCONT)
    for c in waiting[:2]:
        assert c.response().body == b"t.thumb"
        c.close()


def test_check_misses_the_directory(run_evlb, tmp_path):
    config = tmp_path / "x.yaml"
    config.write_text(f"listen: 80\nacme: {tmp_path}/nowhere\nservers: [10.0.0.1:80]\n")
    r = run_evlb("check", "-c", config)
    assert r.status == 0 and r.out.count("lint.directory") == 1, r.out
    r = run_evlb("explain", "route", "http://x" + PATH + "abc", "-c", config)
    assert f"{tmp_path}/nowhere{PATH}abc, if it is there; else:" in r.out


# ---- the whole way ----

CLIENT = """
CA="https://localhost:{port}/dir"
CURL_OPTS="--noproxy * --cacert {ca}"
BASEDIR="{base}"
WELLKNOWN="{answers}"
DOMAINS_TXT="{base}/domains.txt"
KEY_ALGO=prime256v1
ACCOUNT_KEYSIZE=2048
LOCKFILE="{base}/lock"
"""


@pytest.fixture
def authority(tmp_path, ca):
    """pebble, which asks the names that our name server knows at the port `ask`."""
    directory = tmp_path / "pebble"
    ca.make(directory / "own.crt", "localhost", apart=directory / "own.key")
    names = NameServer()
    names.set("a.test", "127.0.0.1")
    listen, manage, ask = ports.take(), ports.take(), ports.take()
    config = directory / "pebble.json"
    config.write_text(json.dumps({"pebble": {
        "listenAddress": f"127.0.0.1:{listen}", "managementListenAddress": f"127.0.0.1:{manage}",
        "certificate": str(directory / "own.crt"), "privateKey": str(directory / "own.key"),
        "httpPort": ask, "tlsPort": ask}}))
    env = {**tools.environment(tmp_path), "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0",
           "PEBBLE_AUTHZREUSE": "0"}
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(["pebble", "-config", config, "-dnsserver", names.address],
                                   stdout=log, stderr=log, env=env)
    try:
        tools.wait_for("pebble listens", lambda: not socket.socket().connect_ex(
            ("127.0.0.1", listen)), 20)
        process.ports = {"listen": listen, "manage": manage, "ask": ask}
        yield process
    finally:
        process.kill()
        process.wait()
        names.close()


def issued_by(authority, curl, ca, tmp_path):
    """The root that pebble has made for itself, as a file."""
    r = curl("--cacert", ca.cert, f"https://localhost:{authority.ports['manage']}/roots/0")
    assert r.status == 0, r.err
    root = tmp_path / "root.pem"
    root.write_text(r.out)
    return root


def test_from_nothing_to_a_renewed_certificate(evlb, sim, authority, ca, curl, run_evlb, answers,
                                               tmp_path):
    base = tmp_path / "dehydrated"
    base.mkdir()
    (base / "domains.txt").write_text("a.test\n")
    (base / "config").write_text(CLIENT.format(port=authority.ports["listen"], ca=ca.cert, base=base,
                                               answers=answers))

    def client(*args):
        r = tools.run(["dehydrated", "--config", base / "config", *args], timeout=60,
                      env=tools.environment(tmp_path))
        assert r.status == 0, (r.out, r.err, (tmp_path / "pebble/log").read_text()[-3000:])

    text = """
        acme: $root
        frontends:
          web: {listen: LISTEN, redirect: https, backend: app}
        backends: {app: [$a]}
    """
    plain = f'"127.0.0.1:{authority.ports["ask"]}"'
    lb = evlb(text.replace("LISTEN", plain), sim("a"), root=tmp_path / "webroot")
    client("--register", "--accept-terms")
    client("--cron")

    lb.reload(text.replace("LISTEN", "[%s, {address: \"127.0.0.1:$port_tls\", tls: %s}]" % (
        plain, base / "certs/a.test")))
    trusting = tls.context(ca)
    trusting.load_verify_locations(issued_by(authority, curl, ca, tmp_path))

    def serial():
        with tls.connect(lb.ports["port_tls"], "a.test", trusting) as s:
            assert tls.get(s, host="a.test")[0].startswith("HTTP/1.1 200 ")
            return s.getpeercert()["serialNumber"]

    first = serial()
    client("--cron", "--force")
    assert serial() == first
    r = run_evlb("ctl", "certs", "reload", "--socket", lb.socket)
    assert r.status == 0, r.err
    assert serial() != first
    tools.wait_for("the lines of both orders", lambda: [line["end"] for line in lb.access_log()].count(
        "acme-answered") >= 2)
    assert not list(answers.iterdir())
