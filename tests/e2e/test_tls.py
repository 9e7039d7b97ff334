# SPDX-License-Identifier: MIT
"""TLS with clients: certificates, versions, resumption, reload, the end of connections."""
import os
import re
import socket
import ssl
import threading
import time

import pytest

from harness import procfs, tls, tools

TCP = """
    workers: 1
    frontends:
      raw: {listen: "127.0.0.1:$port", mode: tcp, tls: $tls, backend: app}
    backends:
      app: {servers: [$a]}
"""


@pytest.fixture
def web(evlb, sim, site):
    return evlb(tls.WEB, sim("a"), tls=site)


# ---- the connection ----

def test_https(web, curl, ca):
    r = curl("--cacert", ca.cert, "--resolve", f"a.test:{web.port}:127.0.0.1", "-v",
             f"https://a.test:{web.port}/echo")
    assert r.status == 0, r.err
    assert "ALPN: server accepted http/1.1" in r.err and "TLSv1.3" in r.err
    line = web.wait_access()[0]
    assert (line["tls"], line["sni"], line["alpn"]) == ("TLSv1.3", "a.test", "http/1.1")
    assert line["tls_cipher"].startswith("TLS_") and line["tls_resumed"] is False
    assert line["status"] == 200


def test_the_server_is_told_of_https(web, ca):
    with tls.connect(web.port, "a.test", tls.context(ca)) as s:
        _, body = tls.get(s, "/echo", headers="X-Forwarded-Proto: http\r\n")
    assert b"x-forwarded-proto: https" in body.lower()


def test_keep_alive_and_pipelining(web, ca):
    with tls.connect(web.port, "a.test", tls.context(ca)) as s:
        for _ in range(5):
            assert tls.get(s)[0].startswith("HTTP/1.1 200")
        n = 200  # more than one buffer: some of them wait where no event tells of them
        s.sendall(b"".join(b"GET /?size=1 HTTP/1.1\r\nHost: x\r\nX-Fill: %s\r\n\r\n" % (b"f" * 300)
                           for _ in range(n)))
        data = b""
        while data.count(b"HTTP/1.1 200") < n:
            data += s.recv(65536)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_large_bodies_both_ways(web, ca, version):
    v = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
    with tls.connect(web.port, "a.test", tls.context(ca, maximum_version=v)) as s:
        assert s.version() == f"TLSv{version}"
        _, body = tls.get(s, "/?size=20m")
        assert len(body) == 20 << 20
        s.sendall(b"POST /?size=3 HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n")
        s.sendall(b"u" * 8388608)
        assert s.recv(100).startswith(b"HTTP/1.1 200")
    assert web.wait_access(2)[1]["bytes_in"] > 8388608


def relay(client, server, step):
    """Forwards what the client says in pieces of that size, each a segment of its own."""
    try:
        while data := client.recv(65536):
            for i in range(0, len(data), step):
                server.sendall(data[i:i + step])
                time.sleep(0.0003)
    except OSError:  # the other direction has ended
        pass


def test_a_handshake_byte_by_byte(web, ca):
    listener = socket.create_server(("127.0.0.1", 0))
    def serve():
        inner, _ = listener.accept()
        with inner, socket.create_connection(("127.0.0.1", web.port)) as outer:
            outer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=relay, args=(outer, inner, 65536), daemon=True).start()
            relay(inner, outer, 1)
            outer.shutdown(socket.SHUT_RDWR)
    threading.Thread(target=serve, daemon=True).start()
    with listener, tls.connect(listener.getsockname()[1], "a.test", tls.context(ca)) as s:
        assert tls.get(s)[0].startswith("HTTP/1.1 200")


def test_close_notify_comes_before_the_end(web, ca):
    with tls.connect(web.port, "a.test", tls.context(ca)) as s:
        s.suppress_ragged_eofs = False  # an end without close_notify would raise
        s.sendall(b"GET /?size=100000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        total = 0
        while data := s.recv(65536):
            total += len(data)
    assert total > 100000


def test_close_notify_waits_behind_a_bulk_of_data(web, ca):
    """A client that reads slowly: the end has no room in the socket when the data is gone."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    raw.connect(("127.0.0.1", web.port))
    with tls.context(ca).wrap_socket(raw, server_hostname="a.test") as s:
        s.suppress_ragged_eofs = False
        s.settimeout(10)
        s.sendall(b"GET /?size=6000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        total = 0
        while data := s.recv(16384):
            total += len(data)
            time.sleep(0.001)
    assert total > 6000000


def test_a_truncated_upload_is_not_passed_on_as_whole(web, ca):
    s = tls.connect(web.port, "a.test", tls.context(ca))
    s.sendall(b"POST /?size=3 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b"u" * 500)
    time.sleep(0.1)
    s.detach_socket = socket.socket(fileno=s.detach())
    s.detach_socket.close()  # FIN, no close_notify
    assert web.wait_access()[0]["end"] == "client-closed-data"


def test_a_client_that_just_closes_after_its_answer_is_no_fault(web, ca):
    s = tls.connect(web.port, "a.test", tls.context(ca))
    tls.get(s)
    socket.socket(fileno=s.detach()).close()
    web.wait_idle()
    assert [line["end"] for line in web.wait_access()] == ["ok"]


# ---- mode tcp ----

def test_tcp_both_ways(evlb, sim, site, ca):
    lb = evlb(TCP, sim("a", mode="tcp-echo"), tls=site)
    data = os.urandom(3 << 20)
    with tls.connect(lb.port, "a.test", tls.context(ca)) as s:
        threading.Thread(target=s.sendall, args=(data,), daemon=True).start()
        back = b""
        while len(back) < len(data):
            back += s.recv(65536)
    assert back == data
    line = lb.wait_access()[0]
    assert (line["proto"], line["tls"], line["alpn"]) == ("tcp", "TLSv1.3", None)


def test_tcp_a_server_that_speaks_first(evlb, sim, site, ca):
    lb = evlb(TCP, sim("a", mode="tcp-greet"), tls=site)
    with tls.connect(lb.port, "a.test", tls.context(ca)) as s:
        assert s.recv(100)


def test_tcp_an_end_without_close_notify_is_an_error(evlb, sim, site, ca):
    lb = evlb(TCP, sim("a", mode="tcp-echo"), tls=site)
    s = tls.connect(lb.port, "a.test", tls.context(ca))
    s.sendall(b"half")
    assert s.recv(100) == b"half"
    socket.socket(fileno=s.detach()).close()
    assert lb.wait_access()[0]["end"] == "client-closed-data"


# ---- which certificate ----

def shown(lb, ca, name, **options):
    with tls.connect(lb.port, name, tls.context(ca, check_hostname=False, **options)) as s:
        return tls.names(s)


def test_names_choose_the_certificate(evlb, sim, ca, tmp_path):
    ca.make(tmp_path / "certs/1.pem", "a.test")
    ca.make(tmp_path / "certs/2.pem", "b.test", "*.w.test")
    ca.make(tmp_path / "certs/3.pem", "x.w.test")
    lb = evlb(tls.WEB, sim("a"), tls=tmp_path / "certs")
    assert shown(lb, ca, "a.test") == {"a.test"}
    assert shown(lb, ca, "B.TEST") == {"b.test", "*.w.test"}
    assert shown(lb, ca, "any.w.test") == {"b.test", "*.w.test"}
    assert shown(lb, ca, "x.w.test") == {"x.w.test"}
    assert shown(lb, ca, "two.labels.w.test") == {"a.test"}  # the default
    assert shown(lb, ca, "unknown.test") == {"a.test"}
    assert shown(lb, ca, None) == {"a.test"}


def test_strict_sni(evlb, sim, ca, site):
    lb = evlb(tls.WEB, sim("a"), tls=f"{{certs: {site}, strict-sni: true}}")
    assert shown(lb, ca, "a.test")
    for name in ("unknown.test", None):
        with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
            shown(lb, ca, name)
    lines = lb.wait_access(2)
    assert {line["end"] for line in lines} == {"tls-failed"}
    assert {line["detail"] for line in lines} == {"no certificate for the name that the client asks for"}
    assert {line["tls_cipher"] for line in lines} == {None}
    assert lb.counters()["tls_failures"] == 2


def test_rsa_and_ecdsa_for_one_name(evlb, sim, ca, tmp_path):
    ca.make(tmp_path / "certs/ec.pem", "a.test")
    ca.make(tmp_path / "certs/rsa.pem", "a.test", key="rsa")
    lb = evlb(tls.WEB, sim("a"), tls=tmp_path / "certs")
    for kind, auth in (("rsa", "ECDHE-RSA"), ("ecdsa", "ECDHE-ECDSA")):
        c = tls.context(ca, maximum_version=ssl.TLSVersion.TLSv1_2)
        c.set_ciphers(f"{auth}-AES128-GCM-SHA256")
        with tls.connect(lb.port, "a.test", c) as s:
            assert s.cipher()[0].startswith(auth), kind
    out = tls.openssl("s_client", "-connect", lb.address, "-servername", "a.test", "-sigalgs",
                      "RSA-PSS+SHA256", "-CAfile", ca.cert, stdin=b"")
    assert "Peer signature type: RSA-PSS" in out


def test_a_key_of_its_own_beside_the_certificate(evlb, sim, ca, tmp_path):
    ca.make(tmp_path / "x.crt", "a.test", apart=tmp_path / "x.key")
    ca.make(tmp_path / "live/fullchain.pem", "b.test", apart=tmp_path / "live/privkey.pem")
    lb = evlb(tls.WEB, sim("a"), tls=f"[{tmp_path}/x.crt, {tmp_path}/live]")
    assert shown(lb, ca, "a.test") == {"a.test"} and shown(lb, ca, "b.test") == {"b.test"}


def test_tls_on_one_listen_alone(evlb, sim, ca, site):
    lb = evlb("""
        frontends:
          web:
            listen: ["127.0.0.1:$port", {address: "127.0.0.1:$port2", tls: $tls}]
            backend: app
        backends: {app: [$a]}
    """, sim("a"), tls=site)
    assert lb.get().status == 200
    with tls.connect(lb.ports["port2"], "a.test", tls.context(ca)) as s:
        assert tls.get(s)[0].startswith("HTTP/1.1 200")


# ---- versions and ciphers ----

@pytest.mark.parametrize("setting, works, fails", [
    ("", ["-tls1_2", "-tls1_3"], ["-tls1_1"]),
    (", min: 1.3", ["-tls1_3"], ["-tls1_2"]),
    (", profile: modern", ["-tls1_3"], ["-tls1_2"])])
def test_versions(evlb, sim, site, setting, works, fails):
    lb = evlb(tls.WEB, sim("a"), tls=f"{{certs: {site}{setting}}}")
    def talk(version):
        return tls.openssl("s_client", "-connect", lb.address, version, "-cipher",
                           "ALL:@SECLEVEL=0", stdin=b"", check=False)
    for version in works:
        assert "Cipher is (NONE)" not in talk(version), version
    for version in fails:
        assert "Cipher is (NONE)" in talk(version), version


def test_ciphers_and_groups(evlb, sim, site):
    lb = evlb(tls.WEB, sim("a"), tls=f"{{certs: {site}, groups: P-384, ciphers: "
                                 "\"TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384\"}")
    out = tls.openssl("s_client", "-connect", lb.address, stdin=b"", check=False)
    assert "TLS_CHACHA20_POLY1305_SHA256" in out and "secp384r1" in out
    out = tls.openssl("s_client", "-tls1_2", "-connect", lb.address, stdin=b"", check=False)
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in out


def test_no_protocol_in_common(web):
    c = tls.context()
    c.set_alpn_protocols(["smtp"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        tls.connect(web.port, "a.test", c)


def test_http_1_0_is_agreed_on(web, curl, ca):
    r = curl("--http1.0", "--cacert", ca.cert, "--resolve", f"a.test:{web.port}:127.0.0.1", "-v",
             f"https://a.test:{web.port}/")
    assert r.status == 0 and "ALPN: server accepted http/1.0" in r.err, r.err
    c = tls.context(ca)
    c.set_alpn_protocols(["http/1.0", "http/1.1"])
    with tls.connect(web.port, "a.test", c) as s:
        assert s.selected_alpn_protocol() == "http/1.1"


def test_no_renegotiation(web):
    out = tls.openssl("s_client", "-tls1_2", "-connect", web.address, stdin=b"R\n", check=False)
    assert "Secure Renegotiation IS supported" in out
    assert re.search("(?i)no renegotiation|handshake failure|:error:", out), out


# ---- resumption ----

def resumptions(lb, ca, session, n=12, name="a.test", **options):
    ctx, old = session
    reused = 0
    for _ in range(n):
        with tls.connect(lb.port, name, ctx, old) as s:
            tls.get(s)
            reused += s.session_reused
    return reused


def first_session(lb, ca, version):
    ctx = tls.context(ca, maximum_version=version)
    with tls.connect(lb.port, "a.test", ctx) as s:
        tls.get(s)
        assert not s.session_reused
        return ctx, s.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_by_every_worker_and_after_a_reload(web, ca, version):
    session = first_session(web, ca, version)
    assert resumptions(web, ca, session) == 12
    web.reload()
    assert resumptions(web, ca, session) == 12
    assert web.wait_access(25)[-1]["tls_resumed"] is True
    assert web.counters()["tls_resumed"] == 24 and web.counters()["tls_handshakes"] == 25


def test_a_resumed_session_brings_the_ticket_for_the_next(web, ca):
    """Clients use a ticket of TLS 1.3 once: without a new one every other handshake would be full."""
    ctx, old = first_session(web, ca, ssl.TLSVersion.TLSv1_3)
    for _ in range(3):
        with tls.connect(web.port, "a.test", ctx, old) as s:
            tls.get(s)
            assert s.session_reused and s.session.id != old.id
            old = s.session


def test_a_session_of_another_frontend_is_not_resumed(evlb, sim, ca, site):
    lb = evlb("""
        frontends:
          web: {listen: "127.0.0.1:$port", tls: $tls, backend: app}
          other: {listen: "127.0.0.1:$port2", tls: $tls, backend: app}
        backends: {app: [$a]}
    """, sim("a"), tls=site)
    ctx, session = first_session(lb, ca, ssl.TLSVersion.TLSv1_3)
    with tls.connect(lb.ports["port2"], "a.test", ctx, session) as s:
        tls.get(s)
        assert not s.session_reused


# ---- reload ----

def test_a_certificate_replaced_under_load_fails_no_handshake(web, ca, site, curl):
    stop, failures, seen = threading.Event(), [], set()
    def work():
        while not stop.is_set():
            try:
                with tls.connect(web.port, "a.test", tls.context(ca)) as s:
                    assert tls.get(s)[0].startswith("HTTP/1.1 200")
                    seen.add(s.getpeercert()["serialNumber"])
            except (OSError, AssertionError) as e:
                failures.append(repr(e))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for _ in range(6):
        ca.make(site, "a.test", "*.w.test")
        web.reload()
    time.sleep(0.2)
    stop.set()
    for t in threads:
        t.join()
    assert failures == [] and len(seen) >= 6


def test_a_bad_pair_keeps_the_old_one_and_says_why(web, ca, site):
    other = ca.make(site.parent / "other.pem", "a.test")
    good = site.read_text()
    key = re.search("-----BEGIN PRIVATE.*", other.read_text(), re.S).group(0)
    site.write_text(good[:good.index("-----BEGIN PRIVATE")] + key)
    lines = web.reload(fails=True)
    assert "is not the key of the certificate" in lines and str(site) in lines
    assert shown(web, ca, "a.test") == {"a.test", "*.w.test"}
    site.write_text(good)


def test_tls_comes_and_goes_with_a_reload(evlb, sim, ca, site):
    lb = evlb(tls.WEB.replace("tls: $tls, ", ""), sim("a"), tls=site)
    assert lb.get().status == 200
    lb.reload(tls.WEB)
    assert shown(lb, ca, "a.test")
    lb.reload(tls.WEB.replace("tls: $tls, ", ""))
    assert lb.get().status == 200


def test_control_has_no_keys(web, ca, site):
    """What is written in the key's file is in the workers' memory and not in control's."""
    secret = tls.secret_of(site)
    titles = {procfs.title(pid): pid for pid in web.children()}
    control = next(pid for title, pid in titles.items() if "control" in title)
    worker = next(pid for title, pid in titles.items() if "worker" in title)
    assert procfs.holds(worker, secret) and not procfs.holds(control, secret)
    web.reload()
    assert not procfs.holds(control, secret)


# ---- check ----

def check(run_evlb, tmp_path, certs):
    file = tmp_path / "check.yaml"
    file.write_text(f"listen: 443\ntls: {certs}\nservers: [10.0.0.1:80]\n")
    return run_evlb("check", "-c", file)


def test_check_accepts_a_good_one(run_evlb, tmp_path, site):
    r = check(run_evlb, tmp_path, site)
    assert r.status == 0 and "warning" not in r.out


@pytest.mark.parametrize("days, text", [(-3, "has expired 3 days ago"), (10, "expires in 10 days")])
def test_check_warns_of_dates(run_evlb, tmp_path, ca, days, text):
    r = check(run_evlb, tmp_path, ca.make(tmp_path / "old.pem", "a.test", days=days))
    assert r.status == 0 and text in r.out and "old.pem" in r.out and "check.yaml:2:" in r.out


def test_check_names_what_is_wrong(run_evlb, tmp_path, ca, site):
    pem = site.read_text()
    parts = re.findall(r"-----BEGIN.*?-----END[^\n]*\n", pem, re.S)
    leaf, issuer, key = parts
    other = ca.make(tmp_path / "other.pem", "b.test").read_text()
    other_key = re.findall(r"-----BEGIN PRIVATE.*?-----END[^\n]*\n", other, re.S)[0]
    locked = tls.openssl("pkcs8", "-topk8", "-in", site, "-passout", "pass:x")
    for name, text, why, fix in [
            ("nokey.pem", leaf, "there is no key for", "add it to the file"),
            ("mismatch.pem", leaf + other_key, "is not the key of the certificate", "take both"),
            ("order.pem", issuer + leaf + key, "wrong order", "put it in front"),
            ("chain.pem", leaf + leaf + key, "chain in the wrong order", "who signed it"),
            ("garbage.pem", "hello\n" + key, "holds no certificate in PEM format", "-----BEGIN"),
            ("broken.pem", leaf.replace("\nMII", "\nMIB", 1) + key, "cannot be read", "fetch it"),
            ("short.pem", leaf[:300], "cannot be read", "it is cut off"),
            ("empty.pem", "", "holds no certificate in PEM format", "-----BEGIN"),
            ("locked.pem", leaf + locked, "encrypted", "openssl pkey")]:
        (tmp_path / name).write_text(text)
        r = check(run_evlb, tmp_path, tmp_path / name)
        assert r.status == 1 and why in " ".join(r.out.split()) and name in r.out, (name, r.out)
        assert "check.yaml:2:" in r.out and "   2 | tls: " in r.out and fix in r.out, r.out
        assert not [line for line in r.out.splitlines()[1:] if len(line) > 80 and str(tmp_path) not in line]
    (tmp_path / "keydir.crt").write_text(leaf)
    (tmp_path / "keydir.key").mkdir()  # unreadable, for root too
    (tmp_path / "loop.pem").symlink_to("loop.pem")
    for certs, why in [(tmp_path / "none.pem", "No such file"),
                       (tmp_path / "keydir.crt", "keydir.key': Is a directory"),
                       (tmp_path / "loop.pem", "loop.pem': Too many levels"),
                       (f"{{certs: {site}, ciphers: NONSENSE}}", "no cipher 'NONSENSE'"),
                       (f"{{certs: {site}, ciphers: 'HIGH:!RC4:AES128-SHA257'}}",
                        "no cipher 'AES128-SHA257'"),
                       (f"{{certs: {site}, ciphers: TLS_AES_127_GCM_SHA256}}",
                        "no cipher 'TLS_AES_127_GCM_SHA256'"),
                       (f"{{certs: {site}, groups: 'P-256:P-257'}}", "no group 'P-257'"),
                       (f"{{certs: {site}, client-verify: optional}}",
                        "Try: evlb explain frontends.*.tls.client-verify"),
                       ("{min: 1.2}", "needs 'certs'")]:
        r = check(run_evlb, tmp_path, certs)
        assert r.status == 1 and why in " ".join(r.out.split()), r.out
    (tmp_path / "bare").mkdir()
    r = check(run_evlb, tmp_path, tmp_path / "bare")
    assert r.status == 1 and "holds no certificate" in r.out


def test_check_says_how_to_convert(run_evlb, tmp_path, site):
    for name, command in [
            ("site.der", ("x509", "-outform", "der")),
            ("site.p12", ("pkcs12", "-export", "-passout", "pass:x"))]:
        tls.openssl(*command, "-in", site, "-out", tmp_path / name)
        for certs in tmp_path / name, f"{{certs: {site}, client-ca: {tmp_path / name}}}":
            r = check(run_evlb, tmp_path, certs)
            said = "".join(r.out.split())  # as long paths are cut at the end of the line
            how = "pkcs12 -nodes -in" if name.endswith("p12") else "x509 -inform der -in"
            assert r.status == 1 and "inPEMformat" in said, said
            command = f"convert it: openssl {how} {tmp_path / name} -out NEW.pem"
            assert "".join(command.split()) in said, said


def test_check_warns_of_ciphers_for_other_keys(run_evlb, tmp_path, ca, site):
    rsa = ca.make(tmp_path / "rsa.pem", "a.test", key="rsa")
    dead = "nobody gets in with TLS 1.2: all certificates have RSA keys"
    ecdsa = "ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256'"
    for certs, warned in [(f"{{certs: {rsa}, {ecdsa}}}", True),
                          (f"{{certs: [{rsa}, {site}], {ecdsa}}}", False),
                          (f"{{certs: {rsa}, ciphers: TLS_AES_128_GCM_SHA256}}", False),
                          (f"{{certs: {rsa}, ciphers: HIGH}}", False),
                          (f"{{certs: {rsa}}}", False)]:
        r = check(run_evlb, tmp_path, certs)
        said = " ".join(r.out.split())
        assert r.status == 0 and (dead in said) == warned == ("warning" in said), said


def test_check_names_all_of_a_directory(run_evlb, tmp_path, ca, site):
    leaf, _, key = re.findall(r"-----BEGIN.*?-----END[^\n]*\n", site.read_text(), re.S)
    other = ca.make(tmp_path / "other.pem", "b.test", days=5).read_text()
    (tmp_path / "certs").mkdir()
    for name, text in (("a.pem", leaf), ("b.pem", other), ("c.pem", leaf + leaf + key),
                       ("d.pem", other)):
        (tmp_path / "certs" / name).write_text(text)
    r = check(run_evlb, tmp_path, f"{tmp_path}/certs/")
    found = re.findall(r"/certs/(\w\.pem)'", re.sub(r"\n\s*", "", r.out))
    assert r.status == 1 and sorted(found) == ["a.pem", "b.pem", "c.pem", "d.pem"], r.out
    assert "1 error, 1 warning" in r.out


def test_check_accepts_lists_of_ciphers(run_evlb, tmp_path, site):
    lists = "'TLS_AES_128_GCM_SHA256:ECDHE+AESGCM,HIGH:!aNULL:!RC4:-SHA1:+AES256:@STRENGTH'"
    r = check(run_evlb, tmp_path, f"{{certs: {site}, ciphers: {lists}, groups: 'X25519:P-256'}}")
    assert r.status == 0 and "warning" not in r.out, r.out


def test_check_knows_names_that_clients_do_not_look_at(run_evlb, tmp_path):
    pem = tmp_path / "old.pem"
    tls.openssl("req", "-x509", *tls.KEYS["ecdsa"], "-nodes", "-days", 365, "-subj", "/CN=a.test",
                "-keyout", tmp_path / "old.key", "-out", pem)
    r = check(run_evlb, tmp_path, pem)
    assert r.status == 0 and "in the subject alone" in r.out and "(subjectAltName)" in r.out


def test_run_refuses_what_check_refuses(run_evlb, tmp_path, site):
    site.write_text("hello\n")
    (tmp_path / "run.yaml").write_text(f"listen: 1\ntls: {site}\nservers: [10.0.0.1:80]\n")
    r = run_evlb("run", "-c", tmp_path / "run.yaml")
    assert r.status != 0 and "holds no certificate" in r.err


def test_explain_shows_it_and_no_key(run_evlb, tmp_path, site):
    (tmp_path / "x.yaml").write_text(
        f"listen: [80, {{address: 443, tls: {site}}}]\nservers: [10.0.0.1:80]\n")
    r = run_evlb("explain", "-c", tmp_path / "x.yaml")
    assert f"tls: {{certs: [{site}], profile: intermediate, min: 1.2" in " ".join(r.out.split())
    assert "PRIVATE" not in r.out


@pytest.mark.parametrize("asked", [False, True])
def test_what_explain_shows_loads_again(run_evlb, tmp_path, site, ca, asked):
    more = f", client-ca: {ca.cert}, client-verify: optional" if asked else ""
    (tmp_path / "x.yaml").write_text(f"""
        frontends:
          a: {{listen: 80, tls: {{certs: {site}{more}}}, backend: app}}
          b: {{listen: [{{address: 443, tls: {{certs: {site}{more}}}}}], backend: app}}
        backends: {{app: [10.0.0.1:80]}}
    """)
    shown = run_evlb("explain", "-c", tmp_path / "x.yaml").out
    assert shown.count("client-verify: optional") == (2 if asked else 0)
    assert shown.count("client-verify") == (2 if asked else 0)
    r = run_evlb("check", "-c", "-", stdin=shown)
    assert r.status == 0, r.err


# ---- the example ----

def test_the_example_serves(evlb, sim, ca, tmp_path):
    for name in ("www.example.com", "api.example.com"):
        ca.make(tmp_path / f"certs/{name}.pem", name)
    text = (tools.ROOT / "configs/https/evlb.yaml").read_text()
    for old, new in [("listen: [80, {address: 443,", 'listen: ["127.0.0.1:$port", {address: "127.0.0.1:$port2",'),
                     ("[10.0.0.11:8080, 10.0.0.12:8080]", "[$web]"), ("[10.0.0.21:8080]", "[$api]")]:
        assert old in text
        text = text.replace(old, new)
    lb = evlb(text, sim("web", "api"))
    r = lb.get("/x", headers={"Host": "api.example.com"})
    assert (r.status, r.headers["Location"]) == (308, "https://api.example.com/x")
    for name, server in (("www.example.com", "web"), ("api.example.com", "api")):
        with tls.connect(lb.ports["port2"], name, tls.context(ca)) as s:
            head, _ = tls.get(s, host=name)
            assert f"X-Server: {server}" in head and tls.names(s) == {name}
