# SPDX-License-Identifier: MIT
"""Authorities, revocation lists and certificates towards servers of a running evlb: replaced, watched,
kept when the new ones cannot be used, listed."""
import json
import os
import ssl
import threading

import pytest

from harness import procfs, tls, tls_origin, tools
from harness.pki import Signer

WEB = """
    workers: 2
    frontends:
      web:
        listen: "127.0.0.1:$port"
        tls: {certs: $cert, client-ca: $ca, client-crl: $crl$more}
        backend: app
    backends:
      app: {servers: [$a], health: off}
"""
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])


@pytest.fixture
def site(ca, tmp_path):
    return ca.make(tmp_path / "certs/site.pem", "a.test")


@pytest.fixture
def ctl(run_evlb):
    def run(lb, *args):
        return run_evlb("ctl", *args, "--socket", lb.socket)
    return run


def put(file, content):
    """All at once, as a careful author does it."""
    new = file.with_suffix(".put")
    new.write_text(content.read_text() if hasattr(content, "read_text") else content)
    os.replace(new, file)


class Clients:
    """An authority, a file of it and of its list, a client that stays and one that is taken back."""

    def __init__(self, directory, name="clients"):
        self.root = Signer(directory / "root", name)
        self.good, self.doomed = self.root.client("good"), self.root.client("doomed")
        self.ca, self.crl = directory / "trust/ca.pem", directory / "trust/list.crl"
        self.ca.parent.mkdir()
        put(self.ca, self.root.cert)
        self.root.crl(self.crl)

    def take_back(self):
        self.root.revoke(self.doomed)
        new = self.root.crl(self.root.dir / "new.crl")
        put(self.crl, new)


@pytest.fixture
def clients(tmp_path):
    return Clients(tmp_path)


@pytest.fixture
def web(evlb, sim, site, clients):
    def start(more="", config=WEB):
        return evlb(config, sim("a"), cert=site, ca=clients.ca, crl=clients.crl, more=more)
    return start


def context(ca, cert, version=V13):
    c = tls.context(ca, maximum_version=version, minimum_version=version)
    c.load_cert_chain(cert)
    return c


def ask(lb, ctx, session=None):
    """-> (whether the session was resumed, the session)"""
    with tls.connect(lb.port, "a.test", ctx, session) as s:
        assert tls.get(s)[0].startswith("HTTP/1.1 200")
        return s.session_reused, s.session


def alert(lb, ctx, session=None):
    with pytest.raises(ssl.SSLError) as e:
        ask(lb, ctx, session)
    return e.value.reason


# ---- revocation lists ----

def certs_reload(lb, ctl, file):
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {file}: other revocation lists\n"), r


def full_reload(lb, ctl, file):
    r = ctl(lb, "reload")
    assert r.status == 0 and "client-crl changed" in r.out and "no changes" not in r.out, r


def watched(lb, ctl, file):
    lb.wait_log(f"~ {file}: other revocation lists")
    lb.wait_log("configuration 2 is in force")


@VERSIONS
@pytest.mark.parametrize("how", [certs_reload, full_reload, watched])
def test_a_client_that_was_taken_back(web, ca, clients, ctl, version, how):
    """It is refused from now on, with its session too; others notice nothing."""
    lb = web(", watch: true" if how == watched else "")
    doomed, good = context(ca, clients.doomed, version), context(ca, clients.good, version)
    _, session = ask(lb, doomed)
    assert ask(lb, doomed, session)[0]
    with tls.connect(lb.port, "a.test", good) as s:
        tls.get(s)
        clients.take_back()
        how(lb, ctl, clients.crl)
        assert tls.get(s)[0].startswith("HTTP/1.1 200")
    assert lb.status()["generation"] == 2
    before = len(lb.wait_access(4))
    assert "CERTIFICATE_REVOKED" in alert(lb, doomed, session)
    assert "CERTIFICATE_REVOKED" in alert(lb, doomed)
    ask(lb, good)
    lines = lb.wait_access(before + 3)[before:]
    assert sorted(line["end"] for line in lines) == ["client-certificate"] * 2 + ["ok"]
    assert all(line["detail"].startswith("certificate revoked: CN=doomed,O=Example")
               for line in lines if line["end"] != "ok")


def test_a_list_that_cannot_be_used_is_not(web, ca, clients, ctl, tmp_path):
    lb = web()
    clients.take_back()
    certs_reload(lb, ctl, clients.crl)
    forged = Signer(tmp_path / "forged", "clients").crl()  # the name, not the key
    doomed, good = context(ca, clients.doomed), context(ca, clients.good)
    _, session = ask(lb, good)
    text = clients.crl.read_text()
    for content, why in [("", "holds no revocation list"), ("hello\n", "holds no revocation list"),
                         (text[:len(text) // 2], "cannot be read"),
                         (text[:100] + "AAAA" + text[104:], "cannot be read"),
                         (forged, "that it has not signed")]:
        put(clients.crl, content)
        r = ctl(lb, "certs", "reload")
        assert r.status == 1 and r.out.startswith(f"! {clients.crl}: stays as it was: "), (why, r)
        assert why in " ".join(r.out.split()), (why, r)
    clients.crl.unlink()
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (1, f"! {clients.crl}: stays as it was: No such file or directory\n")
    assert lb.status()["generation"] == 2
    assert "CERTIFICATE_REVOKED" in alert(lb, doomed)
    assert ask(lb, good, session)[0]  # nothing has changed for it
    lb.allow_log("list.crl")
    lb.reload(fails=True)
    put(clients.crl, text)
    assert ctl(lb, "certs", "reload").out == "no changes\n"


def test_a_list_that_has_ended_is_taken_and_told(web, ca, clients, ctl):
    lb = web()
    put(clients.crl, clients.root.crl(clients.root.dir / "old.crl", ended=True))
    r = ctl(lb, "certs", "reload")
    text = " ".join(r.out.split())
    assert r.status == 0 and "other revocation lists" in text, r
    assert "warning: the revocation list of 'CN=clients'" in text and "has expired" in text
    assert "CERTIFICATE_EXPIRED" in alert(lb, context(ca, clients.good))


def test_lists_and_certificates_go_their_own_ways(web, ca, site, clients, ctl, tmp_path):
    """A bad pair keeps no list back, a bad list no pair."""
    lb = web()
    clients.take_back()
    site.write_text("nothing")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and f"~ {clients.crl}" in r.out and f"! {site}" in r.out
    assert "CERTIFICATE_REVOKED" in alert(lb, context(ca, clients.doomed))
    ca.make(site, "a.test")
    put(clients.crl, "nothing")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and f"! {clients.crl}" in r.out and f"~ {site}" in r.out
    assert "CERTIFICATE_REVOKED" in alert(lb, context(ca, clients.doomed))
    ask(lb, context(ca, clients.good))


def test_lists_under_load(web, ca, clients, ctl):
    """Fifty lists, by command and by the watch: no handshake of who is not on them fails."""
    lb = web(", watch: true")
    stop, failures, done = threading.Event(), [], [0]
    def work():
        ctx, session = context(ca, clients.good), None
        while not stop.is_set():
            try:
                _, session = ask(lb, ctx, session)
                done[0] += 1
            except (OSError, AssertionError) as e:
                failures.append(repr(e))
    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        for i in range(50):
            put(clients.crl, clients.root.crl(clients.root.dir / "new.crl"))
            if i % 10 == 9:
                put(clients.crl, "half")
            assert ctl(lb, "certs", "reload").status == (i % 10 == 9)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert failures == [] and done[0] > 50 and lb.status()["generation"] > 40


# ---- authorities of clients ----

def test_another_authority(web, ca, clients, ctl, tmp_path):
    other = Clients(tmp_path / "other", "others")
    config = WEB.replace(", client-crl: $crl", "")
    lb = web(config=config)
    good, new = context(ca, clients.good), context(ca, other.good)
    assert "UNKNOWN_CA" in alert(lb, new)
    _, session = ask(lb, good)
    put(clients.ca, "nothing")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and "holds no certificate" in " ".join(r.out.split())
    assert ask(lb, good, session)[0]
    put(clients.ca, other.ca)
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {clients.ca}: other authorities\n")
    ask(lb, new)
    assert "UNKNOWN_CA" in alert(lb, good, session)


def test_an_authority_with_another_key_comes_with_its_list(web, ca, clients, ctl, tmp_path):
    """Neither is used without the other, whichever is written first."""
    new = Clients(tmp_path / "again")  # the same name
    lb = web()
    good, other = context(ca, clients.good), context(ca, new.good)
    put(clients.ca, new.ca)
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and r.out.startswith(f"! {clients.ca}: stays as it was: "), r
    assert "has not signed" in " ".join(r.out.split()) and f"! {clients.crl}" not in r.out
    ask(lb, good)
    put(clients.crl, "nothing")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and f"! {clients.ca}" in r.out and f"! {clients.crl}" in r.out
    ask(lb, good)
    put(clients.crl, new.crl)
    assert ctl(lb, "certs", "reload").status == 0
    ask(lb, other)
    alert(lb, good)


# ---- keys are not for control ----

def control(lb):
    return next(pid for pid in lb.children() if "control" in procfs.title(pid))


USED = """
listen: 127.0.0.1:$port
tls: {certs: $cert, client-ca: $ca, client-crl: $crl}
servers: [127.0.0.1:1]
server-defaults: {tls: {ca: $server}}
health: off
"""
UNUSED = """
frontends:
  web:
    listen: [{address: "127.0.0.1:$port", tls: $cert}]
    tls: {certs: $cert, client-ca: $ca, client-crl: $crl}
    backend: app
backends:
  app: {servers: [{address: 127.0.0.1:1, tls: false}], server-defaults: {tls: {ca: $server$more}}, health: off}
"""


@pytest.mark.parametrize("which", ["ca", "crl", "server"])
@pytest.mark.parametrize("text", [USED, UNUSED], ids=["used", "unused"])
def test_a_key_among_authorities_or_lists(run_evlb, ca, site, clients, tmp_path, text, which):
    files = {"ca": clients.ca, "crl": clients.crl, "server": ca.cert}
    bad = tmp_path / "bad.pem"
    put(bad, files[which].read_text() + site.read_text()[site.read_text().index("-----BEGIN PRIVATE"):])
    files[which] = bad
    for name, value in {**files, "cert": site, "port": "1", "more": ""}.items():
        text = text.replace(f"${name}", str(value))
    (tmp_path / "evlb.yaml").write_text(text)
    r = run_evlb("check", "-c", tmp_path / "evlb.yaml")
    line = 1 + [str(bad) in x for x in text.split("\n")].index(True)
    assert r.status == 1 and r.out.count("error:") == 1, r
    assert f"evlb.yaml:{line}:" in r.out and f"'{bad}' holds a key" in " ".join(r.out.split())
    assert "name a file without one" in r.out and "BEGIN" not in r.out


@pytest.mark.parametrize("which", ["ca", "crl", "server"])
def test_a_key_that_comes_later_is_not_read(evlb, sim, ca, site, clients, ctl, tmp_path, which):
    trust = tmp_path / "servers.pem"
    put(trust, ca.cert)
    lb = evlb(USED, cert=site, ca=clients.ca, crl=clients.crl, server=trust)
    file = {"ca": clients.ca, "crl": clients.crl, "server": trust}[which]
    good = file.read_text()
    put(file, good + ca.make(tmp_path / "key.pem", "k.test").read_text())
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and r.out.startswith(f"! {file}: stays as it was: it holds a key"), r
    ca.make(site, "a.test")
    assert f"~ {site}: replaced" in ctl(lb, "certs", "reload").out  # control gets what is in force
    lb.allow_log("holds a key")
    lb.reload(fails=True)
    lb.allow_log("was killed by signal 9")
    old = control(lb)
    for _ in range(2):
        assert not procfs.holds(control(lb), tls.secret_of(tmp_path / "key.pem"))
        assert not procfs.holds(control(lb), tls.secret_of(site))
        if control(lb) == old:
            os.kill(old, 9)
            tools.wait_for("another control", lambda: "control" in str(
                [procfs.title(p) for p in lb.children() if p != old]))
    put(file, good)
    assert ctl(lb, "certs", "reload").out == "no changes\n"


def test_a_key_that_nobody_uses_is_not_with_control(evlb, ca, site, clients, tmp_path):
    mine = ca.make(tmp_path / "mine.pem", "m.test")
    other = ca.make(tmp_path / "other.pem", "o.test")
    text = UNUSED.replace("certs: $cert, client-ca", f"certs: {other}, client-ca")
    lb = evlb(text, cert=site, ca=clients.ca, crl=clients.crl, server=ca.cert,
              more=f", client-cert: {mine}")
    for _ in range(2):
        for file in (mine, site, other):
            assert not procfs.holds(control(lb), tls.secret_of(file)), file
        lb.reload()


# ---- servers ----

TO_SERVERS = """
    workers: 1
    listen: 127.0.0.1:$port
    servers: ["$server"]
    server-defaults: {tls: {ca: $ca, server-name: a.test$more}}
    health: $health
    reuse: never
"""


@pytest.fixture
def origin():
    running = []

    def start(cert, **options):
        running.append(tls_origin.TlsOrigin(cert, **options))
        return running[-1]
    yield start
    for o in running:
        o.close()


def server(lb):
    return lb.status()["backends"][0]["servers"][0]


def test_another_authority_of_servers(evlb, origin, ca, tmp_path, ctl):
    """Requests and checks believe it from now on."""
    other, trust = tls.Authority(tmp_path / "other"), tmp_path / "trust.pem"
    put(trust, ca.cert)
    a = origin(ca.make(tmp_path / "old.pem", "a.test"))
    lb = evlb(TO_SERVERS, server=a, ca=trust, more="",
              health="{type: tls, every: 50ms, rise: 1, fall: 2}")
    tools.wait_for("checks", lambda: a.handshakes > 2)
    assert lb.get("/").status == 200
    put(trust, "nothing")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and f"! {trust}: stays as it was" in r.out
    put(trust, ca.make(tmp_path / "key.pem", "k.test"))
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and "holds a key" in " ".join(r.out.split())
    assert lb.get("/").status == 200
    a.context(other.make(tmp_path / "new.pem", "a.test"))
    lb.allow_log("unknown authority")
    tools.wait_for("down", lambda: server(lb)["state"] == "down")
    put(trust, other.cert)
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {trust}: other authorities\n")
    tools.wait_for("up", lambda: server(lb)["state"] == "up")
    assert lb.get("/").status == 200


@pytest.fixture
def strange_server(evlb, origin, ca, tmp_path):
    """-> (an evlb that trusts the system's authorities, their file, the other who signed its server)"""
    other, trust = tls.Authority(tmp_path / "other"), tmp_path / "system.pem"
    put(trust, ca.cert)
    a = origin(other.make(tmp_path / "site.pem", "a.test"))
    lb = evlb(TO_SERVERS.replace("ca: $ca, ", ""), server=a, more="", health="off",
              env={"SSL_CERT_FILE": str(trust)})
    lb.allow_log("unknown authority")
    assert lb.get("/").status == 503
    return lb, trust, other


def test_the_systems_authorities_are_read_again(strange_server, ctl):
    lb, trust, other = strange_server
    put(trust, other.cert)
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {trust}: other authorities\n")
    assert lb.get("/").status == 200


def test_other_certificates_for_servers(evlb, origin, ca, tmp_path, ctl):
    """The one of requests, and the one of checks."""
    mine, check = tmp_path / "mine.pem", tmp_path / "check.pem"
    ca.make(mine, "one.test")
    ca.make(check, "check-one.test")
    a = origin(ca.make(tmp_path / "site.pem", "a.test"), client_ca=ca.cert, maximum_version=V12)
    lb = evlb(TO_SERVERS, server=a, ca=ca.cert, more=f", client-cert: {mine}",
              health=f"{{type: tls, every: 50ms, client-cert: {check}}}")
    assert lb.get("/").status == 200
    tools.wait_for("a check", lambda: "check-one.test" in a.subjects)
    old = check.read_text()
    put(check, "nothing")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and f"! {check}: stays as it was" in r.out
    put(check, old)
    ca.make(mine, "two.test")
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {mine}: replaced\n")
    assert lb.get("/").status == 200 and "two.test" in a.subjects
    ca.make(check, "check-two.test")
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {check}: replaced\n")
    tools.wait_for("another check", lambda: "check-two.test" in a.subjects)
    assert server(lb)["state"] == "up"


def test_all_of_them_are_watched(evlb, sim, origin, ca, site, tmp_path):
    other, trust = tls.Authority(tmp_path / "other"), tmp_path / "trust.pem"
    put(trust, ca.cert)
    a = origin(other.make(tmp_path / "new.pem", "a.test"))
    lb = evlb(TO_SERVERS + "    tls: {certs: $cert, watch: true}\n", server=a, ca=trust, more="",
              health="off", cert=site)
    lb.allow_log("unknown authority")
    def status():
        with tls.connect(lb.port, "a.test", tls.context(ca)) as s:
            return tls.get(s)[0].split()[1]
    assert status() == "503"
    put(trust, other.cert)
    lb.wait_log("other authorities")
    tools.wait_for("it is believed", lambda: status() == "200")


# ---- pairs that OpenSSL refuses ----

def test_a_weak_one_among_good_ones(evlb, sim, ca, site, tmp_path, ctl, run_evlb):
    two = ca.make(tmp_path / "certs/two.pem", "two.test")
    lb = evlb("listen: 127.0.0.1:$port\ntls: $cert\nservers: [$a]\nhealth: off\n", sim("a"),
              cert=site.parent)
    ca.make(site, "a.test")
    weak = [ca.make(two, "two.test", key="weak"),
            ca.make(tmp_path / "certs/more.pem", "more.test", key="weak")]
    r = ctl(lb, "certs", "reload")
    text = " ".join(r.out.split())
    assert r.status == 1 and f"~ {site}: replaced" in text, r
    why = "OpenSSL refuses the certificate in '%s': ee key too small"
    assert f"! {weak[0]}: stays as it was: {why % weak[0]}" in text
    assert f"! {weak[1]}: not used: {why % weak[1]}" in text
    for name in ("a.test", "two.test"):
        with tls.connect(lb.port, name, tls.context(ca)) as s:
            assert tls.names(s) == {name}
    r = run_evlb("check", "-c", lb.config_file)
    assert r.status == 1
    for file in weak:
        assert "".join((why % file).split()) in "".join((r.out + r.err).split()), r
    lb.allow_log("too small")
    lb.reload(fails=True)


def test_a_weak_one_for_servers(run_evlb, ca, tmp_path):
    weak = ca.make(tmp_path / "weak.pem", "a.test", key="weak")
    (tmp_path / "evlb.yaml").write_text(f"""
listen: 80
servers: [127.0.0.1:443]
server-defaults: {{tls: {{ca: {ca.cert}, client-cert: {weak}}}}}
health: {{type: tls, client-cert: {weak}}}
""")
    r = run_evlb("check", "-c", tmp_path / "evlb.yaml")
    text = " ".join((r.out + r.err).split())
    assert r.status == 1 and text.count(f"certificate in '{weak}': ee key too small") == 2, r


def test_who_asks_less_of_keys_gets_it(evlb, sim, ca, tmp_path, ctl):
    weak = ca.make(tmp_path / "weak.pem", "a.test", key="weak")
    lb = evlb("""
        listen: 127.0.0.1:$port
        tls: {certs: $cert, ciphers: "ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"}
        servers: [$a]
        health: off
    """, sim("a"), cert=weak)
    out = tls.openssl("s_client", "-connect", lb.address, "-servername", "a.test", "-cipher",
                      "DEFAULT@SECLEVEL=0", stdin=b"", check=False)
    assert "Server public key is 1024 bit" in out
    ca.make(weak, "a.test", key="weak")
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {weak}: replaced\n")


# ---- what is in force ----

LISTED = """
    frontends:
      web: {listen: "127.0.0.1:$port", tls: {certs: $cert, client-ca: $ca, client-crl: $crl}, backend: app}
      api: {listen: "127.0.0.1:$port2", tls: {certs: $cert, client-ca: $both}, backend: app}
    backends:
      app:
        servers: ["127.0.0.1:1", "127.0.0.1:2"]
        tls: {ca: $server, client-cert: $mine}
        health: {type: tls, every: 1h, client-cert: $check}
"""


@pytest.fixture
def listed(evlb, ca, site, clients, tmp_path):
    """Files with ends of their own -> start(list)"""
    both = tmp_path / "both.pem"
    other = Signer(tmp_path / "short", "short-lived", days=(-10, 20))
    both.write_text(clients.root.cert.read_text() + other.cert.read_text())
    def start(crl=clients.crl):
        return evlb(LISTED, cert=site, ca=clients.ca, crl=crl, both=both, server=ca.cert,
                    mine=ca.make(tmp_path / "mine.pem", "mine.test", days=40),
                    check=ca.make(tmp_path / "check.pem", "check.test", days=50))
    return start


def test_certs_lists_what_both_sides_are_verified_by(listed, ctl, clients):
    lb = listed()
    r = ctl(lb, "certs")
    lines = r.out.splitlines()
    assert max(map(len, lines)) <= 80, r.out
    at = lines.index("")
    assert lines[at + 1].split() == "OF SETTING NAMES DAYS FILE".split()
    wanted = [("frontend web client-ca clients", 3650, "ca.pem"),
              ("frontend web client-crl clients", 30, "list.crl"),
              ("frontend api client-ca clients, short-lived", 20, "both.pem"),
              ("backend app ca test ca", 3650, "ca.crt"),
              ("backend app client-cert mine.test", 40, "mine.pem"),
              ("backend app health.client-cert check.test", 50, "check.pem")]
    assert len(lines) == at + 2 + len(wanted), r.out
    for line, (words, days, file) in zip(lines[at + 2:], wanted):
        *first, left, last = line.split()
        assert (" ".join(first), last) == (words, file) and int(left) in (days - 1, days), line
    peers = json.loads(ctl(lb, "certs", "--format=json").out)["peers"]
    assert [p["setting"] for p in peers] == ["client-ca", "client-crl", "client-ca", "ca",
                                             "client-cert", "health.client-cert"]
    assert peers[1]["frontend"] == "web" and peers[1]["file"] == str(clients.crl)
    assert peers[1]["names"] == ["CN=clients"] and peers[1]["warnings"] == []
    assert peers[1]["days_left"] in (29, 30)
    r = ctl(lb, "certs", "short-lived")
    assert r.status == 0 and "client-ca of frontend api" in r.out and "days left" in r.out
    assert "PRIVATE" not in r.out and ctl(lb, "certs", "nobody.test").status == 4


def test_certs_warns_of_what_has_expired(listed, ctl, clients, run_evlb):
    old = clients.root.crl(clients.root.dir / "old.crl", ended=True)
    lb = listed(old)
    r = run_evlb("check", "-c", lb.config_file)
    assert r.status == 0 and "has expired: its clients do not get in" in " ".join(r.out.split())
    r = ctl(lb, "certs")
    row = next(line for line in r.out.splitlines() if "client-crl" in line)
    assert row.split() == "frontend web client-crl clients expired old.crl".split()
    words = " ".join(r.out.split())
    assert "warning the revocation list of 'CN=clients'" in words and "has expired: its" in words
    assert "it has expired" in ctl(lb, "certs", "old.crl").out


# ---- a whole reload ----

@pytest.mark.parametrize("what", ["certificate", "OCSP answer", "client-ca", "ca", "client-cert"])
def test_a_reload_sees_that_a_file_has_changed(evlb, ca, site, clients, tmp_path, ctl, what):
    """The configuration is the same to the letter."""
    trust, mine = tmp_path / "trust.pem", tmp_path / "mine.pem"
    put(trust, ca.cert)
    ca.make(mine, "mine.test")
    lb = evlb(TO_SERVERS + "    tls: {certs: $cert, client-ca: $clients}\n", server="127.0.0.1:1",
              ca=trust, more=f", client-cert: {mine}", health="off", cert=site, clients=clients.ca)
    assert "no changes" in ctl(lb, "reload").out and lb.status()["generation"] == 1
    other = tls.Authority(tmp_path / "other")
    {"certificate": lambda: ca.make(site, "a.test"),
     "OCSP answer": lambda: ca.ocsp(site, site.with_suffix(".ocsp")),
     "client-ca": lambda: put(clients.ca, other.cert),
     "ca": lambda: put(trust, other.cert),
     "client-cert": lambda: ca.make(mine, "mine.test")}[what]()
    r = ctl(lb, "reload")
    assert r.status == 0 and "no changes" not in r.out and "changed" in r.out, r
    assert lb.status()["generation"] == 2


def test_a_reload_for_the_systems_authorities(strange_server, ctl):
    """Nothing of the configuration has changed, and it is told what has."""
    lb, trust, other = strange_server
    put(trust, other.cert)
    r = ctl(lb, "reload")
    assert (r.status, r.out.strip()) == (0, "~ settings: the system's authorities changed")
    assert lb.get("/").status == 200 and lb.status()["generation"] == 2
    r = ctl(lb, "reload")
    assert "no changes" in r.out and lb.status()["generation"] == 2
