# SPDX-License-Identifier: MIT
"""Certificates of a running evlb: listed, replaced, watched, with OCSP answers; ticket keys."""
import base64
import datetime
import json
import os
import pathlib
import pwd
import re
import signal
import ssl
import subprocess
import tempfile
import threading
import time

import pytest

from harness import tls, tools, wire
from harness.pki import serial


def shown(lb, ca, name="a.test"):
    """The serial number of the certificate that a new handshake gets."""
    with tls.connect(lb.port, name, tls.context(ca, check_hostname=False)) as s:
        return s.getpeercert()["serialNumber"]


@pytest.fixture
def ctl(run_evlb):
    def run(lb, *args):
        return run_evlb("ctl", *args, "--socket", lb.socket)
    return run


def pair(file):
    """A file's certificates and its key, as texts."""
    text = file.read_text()
    at = text.index("-----BEGIN PRIVATE")
    return text[:at], text[at:]


def put(file, text):
    """All at once, as a careful author does it."""
    new = file.with_suffix(".put")
    new.write_text(text)
    os.replace(new, file)


# ---- what is in force ----

def test_certs_lists_what_is_in_force(evlb, sim, ca, tmp_path, ctl):
    one = ca.make(tmp_path / "certs/1.pem", "www.example.com", "*.example.com", key="rsa")
    ca.ocsp(one, tmp_path / "certs/1.pem.ocsp")
    ca.make(tmp_path / "certs/2.pem", "b.test", days=20)
    ca.make(tmp_path / "old.pem", "old.test", days=-3)
    lb = evlb("""
        frontends:
          web:
            listen: ["127.0.0.1:$port", {address: "127.0.0.1:$port2", tls: $old}]
            tls: $tls
            backend: app
        backends: {app: [$a]}
    """, sim("a"), tls=tmp_path / "certs", old=tmp_path / "old.pem")
    lines = ctl(lb, "certs").out.splitlines()
    assert len(lines) == 5 and max(map(len, lines)) <= 80
    assert lines[0].split() == "FRONTEND NAMES ISSUER KEY DAYS OCSP FILE".split()
    for line, words in zip(lines[1:], [("www.example", "test ca", "RSA 2048", " 90 ", "good",
                                        "1.pem *"),
                                       ("b.test", "ECDSA P-256", " 20 ", " - ", "2.pem"),
                                       ("old.test", " -3 ", "old.pem")]):
        assert all(word in line for word in words), line
    r = ctl(lb, "certs", "--format=json")
    first, second, third = json.loads(r.out)["certificates"]
    assert (first["frontend"], first["listen"]) == ("web", [f"127.0.0.1:{lb.port}"])
    assert first["names"] == ["www.example.com", "*.example.com"] and first["default"] is True
    assert (first["subject"], first["issuer"]) == ("CN=www.example.com", "CN=test ca")
    assert (first["serial"], first["key"], first["file"]) == (serial(one), "RSA 2048", str(one))
    assert first["ocsp"]["state"] == "good" and first["ocsp"]["file"] == f"{one}.ocsp"
    assert 6 * 86400 < first["ocsp"]["until_ms"] / 1000 - time.time() < 8 * 86400
    assert (second["days_left"], second["default"], second["ocsp"]["state"]) == (20, False, "none")
    assert third["listen"] == [f"127.0.0.1:{lb.ports['port2']}"] and third["days_left"] == -3
    assert "PRIVATE" not in r.out
    assert [line.split()[-1] for line in lines[1:4]] == ["*", "2.pem", "*"]  # of each address


@pytest.mark.parametrize("more, defaults", [("", ["a.crt", "b.pem"]), (", strict-sni: true", [])])
def test_which_of_a_directory_is_the_default(evlb, sim, ca, tmp_path, ctl, more, defaults):
    """The first by name, and one with another kind of key for the same host."""
    for name, host, key in (("c.pem", "c.test", "ecdsa"), ("a.crt", "a.test", "ecdsa"),
                            ("b.pem", "a.test", "rsa")):
        ca.make(tmp_path / "certs" / name, host, key=key)
    lb = evlb(tls.WEB, sim("a"), tls="{certs: %s%s}" % (tmp_path / "certs", more))
    listed = json.loads(ctl(lb, "certs", "--format=json").out)["certificates"]
    assert [pathlib.Path(c["file"]).name for c in listed] == ["a.crt", "b.pem", "c.pem"]
    assert [pathlib.Path(c["file"]).name for c in listed if c["default"]] == defaults
    shown = ctl(lb, "certs").out
    assert shown.count(" *\n") == len(defaults) and ("* the default" in shown) == bool(defaults)


def test_certs_shows_one_in_full(evlb, sim, site, ctl):
    lb = evlb(tls.WEB, sim("a"), tls=site)
    r = ctl(lb, "certs", "w.test")
    assert r.status == 0 and max(map(len, r.out.splitlines())) <= max(80, len(str(site)))
    for word in (str(site), serial(site), "a.test, *.w.test", "ECDSA P-256", "90 days left",
                 f"web (127.0.0.1:{lb.port}), its default", "CN=test ca"):
        assert word in r.out
    r = ctl(lb, "certs", "nobody.test")
    assert r.status == 4 and "nobody.test" in r.err


def test_certs_without_tls(evlb, sim, ctl):
    lb = evlb("listen: $port\nservers: [$a]\n", sim("a"))
    assert "no frontend has a certificate" in ctl(lb, "certs").out
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, "no changes\n")


# ---- certs reload ----

def test_certs_reload_reads_nothing_but_certificates(evlb, sim, ca, site, ctl):
    lb = evlb(tls.WEB, sim("a"), tls=site)
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, "no changes\n")
    assert lb.status()["generation"] == 1
    old = serial(site)
    lb.write_config(tls.WEB.replace("mode", "no such key") + "nonsense: 1\n")
    ca.make(site, "a.test")
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {site}: replaced\n"), r
    assert shown(lb, ca) == serial(site) != old
    assert lb.status()["generation"] == 2
    assert json.loads(ctl(lb, "certs", "--format=json").out)["certificates"][0]["serial"] == serial(site)
    lb.allow_log("nonsense")
    lb.reload(fails=True)  # the file is still what it is
    lb.write_config(tls.WEB)


def test_certificates_come_and_go_with_a_directory(evlb, sim, ca, tmp_path, ctl):
    ca.make(tmp_path / "certs/1.pem", "a.test")
    ca.make(tmp_path / "certs/2.pem", "b.test")
    lb = evlb(tls.WEB, sim("a"), tls=tmp_path / "certs")
    ca.make(tmp_path / "certs/3.pem", "c.test")
    (tmp_path / "certs/2.pem").unlink()
    r = ctl(lb, "certs", "reload", "--format=json")
    answer = json.loads(r.out)
    assert (r.status, answer["changed"], answer["kept"]) == (0, 2, 0)
    assert answer["text"] == f"+ {tmp_path}/certs/3.pem\n- {tmp_path}/certs/2.pem\n"
    assert shown(lb, ca, "c.test") == serial(tmp_path / "certs/3.pem")


def test_a_bad_one_stays_as_it_was_and_the_others_are_replaced(evlb, sim, ca, tmp_path, ctl):
    files = {n: ca.make(tmp_path / f"certs/{n}.pem", f"{n}.test")
             for n in ("good", "mismatch", "garbage", "emptied", "justkey")}
    ca.make(tmp_path / "certs/apart.crt", "apart.test", apart=tmp_path / "certs/apart.key")
    ca.make(tmp_path / "certs/nokey.crt", "nokey.test", apart=tmp_path / "certs/nokey.key")
    lb = evlb(tls.WEB, sim("a"), tls=tmp_path / "certs")
    names = ("mismatch", "garbage", "emptied", "justkey", "apart", "nokey")
    old = {name: shown(lb, ca, f"{name}.test") for name in names}
    ca.make(files["good"], "good.test")
    stranger = pair(ca.make(tmp_path / "x.pem", "x.test"))
    put(files["mismatch"], pair(files["mismatch"])[0] + stranger[1])
    put(files["garbage"], "-----BEGIN CERTIFICATE-----\nhello\n-----END CERTIFICATE-----\n")
    put(files["emptied"], "")
    put(files["justkey"], stranger[1])
    put(tmp_path / "certs/apart.crt", stranger[0])
    (tmp_path / "certs/nokey.key").unlink()
    (tmp_path / "certs/nokey.key").mkdir()  # unreadable, for root too
    ca.make(tmp_path / "certs/nokey.crt", "nokey.test", apart=tmp_path / "elsewhere.key")
    put(tmp_path / "certs/new.pem", stranger[0])
    r = ctl(lb, "certs", "reload")
    assert r.status == 1, r
    for words in ("good.pem: replaced", "mismatch.pem: stays as it was: the key in",
                  "garbage.pem: stays as it was: '", "emptied.pem: stays as it was: it holds no certificate",
                  "justkey.pem: stays as it was: it holds no certificate",
                  "apart.crt: stays as it was: the key in", "Is a directory",
                  "new.pem: not used: there is no key for"):
        assert words in r.out, (words, r.out)
    assert shown(lb, ca, "good.test") == serial(files["good"])
    assert {name: shown(lb, ca, f"{name}.test") for name in names} == old
    lb.wait_log("warning supervisor: ! .*mismatch.pem")
    again = ctl(lb, "certs", "reload")
    assert (again.status, lb.status()["generation"]) == (1, 2) and "good.pem" not in again.out
    for file in ("mismatch", "garbage", "emptied", "justkey"):
        ca.make(files[file], f"{file}.test")
    (tmp_path / "certs/nokey.key").rmdir()
    for name in ("apart", "nokey"):
        ca.make(tmp_path / f"certs/{name}.crt", f"{name}.test", apart=tmp_path / f"certs/{name}.key")
    put(tmp_path / "certs/new.pem", "".join(stranger))
    r = ctl(lb, "certs", "reload")
    assert r.status == 0 and r.out.count("replaced") == 6 and "+ " in r.out
    assert shown(lb, ca, "x.test") == serial(tmp_path / "x.pem")


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_what_is_gone_stays_as_it_was(evlb, sim, ca, tmp_path, ctl, end):
    """A named file, a key, a whole directory."""
    a = ca.make(tmp_path / "a.pem", "a.test")
    ca.make(tmp_path / "b.crt", "b.test", apart=tmp_path / "b.key")
    ca.make(tmp_path / "live/fullchain.pem", "c.test", apart=tmp_path / "live/privkey.pem")
    ca.make(tmp_path / "dir/d.pem", "d.test")
    lb = evlb(tls.WEB, sim("a"), tls=f"[{a}, {tmp_path}/b.crt, {tmp_path}/live{end}, {tmp_path}/dir{end}]")
    for name in ("a.pem", "b.key", "live", "dir"):
        (tmp_path / name).rename(tmp_path / f"{name}.away")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1
    for name in ("a.pem", "b.key", "live", "dir"):
        assert f"! {tmp_path}/{name}: stays as it was: No such file" in r.out, r.out
    for name in "abcd":
        assert shown(lb, ca, f"{name}.test")
    assert lb.status()["generation"] == 1


@pytest.mark.parametrize("rest", ["nothing", "a key", "a new one without a key"])
def test_a_directory_of_which_nothing_is_left(evlb, sim, ca, tmp_path, ctl, rest):
    """It stays as it was, and stops nothing else."""
    good = ca.make(tmp_path / "1/a.pem", "a.test")
    old = ca.make(tmp_path / "2/b.pem", "b.test")
    lb = evlb(tls.WEB, sim("a"), tls=f"[{tmp_path}/1, {tmp_path}/2]")
    before = shown(lb, ca, "b.test")
    old.rename(tmp_path / "b.pem")
    if rest != "nothing":
        put(tmp_path / "2/c.pem", pair(tmp_path / "b.pem")[rest == "a key"])
    ca.make(good, "a.test")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and f"~ {good}: replaced" in r.out, r
    assert f"! {tmp_path}/2: stays as it was: it holds no certificate any more" in r.out, r
    assert shown(lb, ca) == serial(good) and shown(lb, ca, "b.test") == before
    lb.allow_log("certificate|c.pem")
    lb.reload(fails=True)  # all or nothing


def test_a_link_to_nowhere_in_a_directory(evlb, sim, ca, tmp_path, ctl):
    """Like a file that goes while the directory is read: it is no certificate, and stops nothing."""
    good = ca.make(tmp_path / "certs/b.pem", "b.test")
    lb = evlb(tls.WEB, sim("a"), tls=tmp_path / "certs")
    for name in ("a.crt", "c.pem"):
        (tmp_path / "certs" / name).symlink_to(tmp_path / "nowhere" / name)
    ca.make(good, "b.test")
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {good}: replaced\n")
    assert shown(lb, ca) == serial(good)
    added = ca.make(tmp_path / "nowhere/c.pem", "c.test")
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"+ {tmp_path}/certs/c.pem\n")
    assert shown(lb, ca, "c.test") == serial(added)
    added.unlink()  # in force, it stays
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and f"! {tmp_path}/certs/c.pem: stays as it was: No such file" in r.out, r
    assert shown(lb, ca, "c.test")


def test_a_certificate_that_is_gone_while_its_key_is_new(evlb, sim, ca, tmp_path, ctl):
    ca.make(tmp_path / "a.crt", "a.test", apart=tmp_path / "a.key")
    good = ca.make(tmp_path / "b.pem", "b.test")
    lb = evlb(tls.WEB, sim("a"), tls=f"[{tmp_path}/a.crt, {good}]")
    before = shown(lb, ca)
    ca.make(tmp_path / "a.crt", "a.test", apart=tmp_path / "a.key")
    (tmp_path / "a.crt").unlink()
    ca.make(good, "b.test")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and r.out.count("stays as it was") == 1, r
    assert shown(lb, ca) == before and shown(lb, ca, "b.test") == serial(good)


def test_ocsp_answers_are_read_again(evlb, sim, ca, site, tmp_path, ctl):
    lb = evlb(tls.WEB, sim("a"), tls=site)
    ca.ocsp(site, tmp_path / "site.ocsp")
    r = ctl(lb, "certs", "reload")
    assert (r.status, r.out) == (0, f"~ {site}: another OCSP answer\n")
    assert "OCSP Response Status: successful" in stapled(lb, ca)
    (tmp_path / "site.ocsp").unlink()
    assert ctl(lb, "certs", "reload").status == 0
    assert "no response sent" in stapled(lb, ca)


@pytest.mark.parametrize("key", ["ecdsa", "rsa"])
@pytest.mark.parametrize("new_name", ["1.pem", "9.pem"])
@pytest.mark.parametrize("old, new, taken", [
    ({"days": 5}, {"age": 1}, "new"),                     # a renewal
    ({"days": 3000}, {"age": 1}, "new"),                  # of a stand-in
    ({"days": 5}, {"age": -1}, "old"),                    # that is not valid yet
    ({"days": 5}, {"days": -1, "age": 50}, "old"),        # any more
    ({"days": -5}, {"days": -1, "age": 50}, "new"),       # neither is
], ids=["renewal", "stand-in", "future", "ended", "both-ended"])
def test_two_for_the_same_name(evlb, sim, ca, tmp_path, ctl, run_evlb, key, new_name, old, new, taken):
    certs = tmp_path / "certs"
    files = {"old": ca.make(certs / "5.pem", "a.test", "b.test", key=key, **old)}
    ca.make(certs / "default.crt", "other.test")
    lb = evlb(tls.WEB, sim("a"), tls=f"[{certs}/default.crt, {certs}]")
    files["new"] = ca.make(certs / new_name, "b.test", "a.test", key=key, **new)
    left = files["old" if taken == "new" else "new"]
    said = (f"'{left}' is shown to nobody: '{files[taken]}' is for its names, with a key of the same kind; "
            "remove it: of those that are valid the one issued last is shown")
    r = ctl(lb, "certs", "reload")
    text = " ".join(r.out.split())
    assert r.status == 0 and f"+ {files['new']}" in text and text.count("nobody") == 1, r
    assert f"warning: {said}" in text
    for name in ("a.test", "b.test"):
        out = tls.openssl("s_client", "-connect", lb.address, "-servername", name, stdin=b"")
        (tmp_path / "got.pem").write_text(out[out.index("-----BEGIN"):])
        assert serial(tmp_path / "got.pem") == serial(files[taken])
    r = run_evlb("check", "-c", lb.config_file)
    assert r.status == 0 and said.split(";")[0].replace(" ", "") in "".join(r.out.split()), r
    lb.reload()
    assert "is shown to nobody" in lb.log()


def test_names_in_common_are_no_fault(evlb, sim, ca, tmp_path, run_evlb):
    """As long as each is shown for some name, to some client, or as it is."""
    certs = tmp_path / "certs"
    a = ca.make(certs / "1.pem", "a.test", "both.test")
    b = ca.make(certs / "2.pem", "b.test", "both.test", age=50)
    ca.make(certs / "3.pem", "a.test", "both.test", key="rsa", age=20)
    lb = evlb(tls.WEB, sim("a"), tls=f"[{b}, {certs}]")
    assert shown(lb, ca, "b.test") == shown(lb, ca, "both.test") == serial(b)
    tls12 = tls.context(ca, maximum_version=ssl.TLSVersion.TLSv1_2)
    tls12.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with tls.connect(lb.port, "a.test", tls12) as s:
        assert s.getpeercert()["serialNumber"] == serial(a)
    assert "nobody" not in run_evlb("check", "-c", lb.config_file).out


def test_what_several_addresses_share_is_said_once(evlb, sim, ca, tmp_path, ctl, run_evlb):
    """Though others listen between them; and under the key that it is about."""
    certs = tmp_path / "certs"
    ca.make(certs / "1.pem", "a.test")
    own = ca.make(tmp_path / "own.pem", "own.test")
    lb = evlb("""
        frontends:
          web:
            listen: ["127.0.0.1:$port", {address: "127.0.0.1:$port2", tls: $own}, "127.0.0.1:$port3"]
            tls: {certs: $certs, ciphers: ECDHE-ECDSA-AES128-GCM-SHA256}
            backend: app
        backends: {app: [$a]}
    """, sim("a"), certs=certs, own=own)
    ca.make(certs / "2.pem", "a.test", age=1)
    assert ctl(lb, "certs", "reload").out.count("is shown to nobody") == 1
    listed = json.loads(ctl(lb, "certs", "--format=json").out)["certificates"]
    assert [len(c["listen"]) for c in listed] == [2, 2, 1]
    assert [c["default"] for c in listed] == [False, True, True]
    r = run_evlb("check", "-c", lb.config_file, "--format=json")
    found = [f for f in json.loads(r.out)["findings"] if "is shown to nobody" in f["message"]]
    assert [f["topic"] for f in found] == ["frontends.*.tls.certs"], r.out


def test_a_load_that_takes_long_replaces_no_process(evlb, sim, site):
    """Thousands of certificates take seconds. What the supervisor needed is not the others' delay."""
    lb = evlb(tls.WEB, sim("a"), tls=f"[{', '.join([str(site)] * 200)}]")
    before, used = lb.children(), wire.cpu_seconds(lb.pid)
    with open(lb.config_file, "a") as file:
        file.write("# once more\n")
    lb.signal(signal.SIGHUP)
    tools.wait_for("the load is under way", lambda: wire.cpu_seconds(lb.pid) > used + 0.03)
    lb.signal(signal.SIGSTOP)
    time.sleep(5.5)  # longer than they may be silent
    lb.signal(signal.SIGCONT)
    lb.wait_log("configuration 2 is in force")
    assert lb.children() == before


# ---- watch ----

def wait_shown(lb, ca, file, name="a.test"):
    tools.wait_for(f"{file} is shown", lambda: shown(lb, ca, name) == serial(file), 15)


def watching(certs):
    return f"{{certs: {certs}, watch: true}}"


def test_watch_takes_a_file_that_was_replaced(evlb, sim, ca, site, ctl):
    lb = evlb(tls.WEB, sim("a"), tls=watching(site))
    lb.write_config("nonsense: 1\n")  # certificates alone are read
    for _ in range(2):
        ca.make(site, "a.test")
        wait_shown(lb, ca, site)
    assert lb.status()["generation"] == 3
    os.utime(site)
    time.sleep(3)
    assert lb.status()["generation"] == 3 and "failed" not in lb.log()


def test_watch_follows_the_links_of_certbot(evlb, sim, ca, tmp_path):
    live, archive = tmp_path / "live/a.test", tmp_path / "archive/a.test"
    def issue(n):
        ca.make(archive / f"fullchain{n}.pem", "a.test", apart=archive / f"privkey{n}.pem")
        for name in ("fullchain", "privkey"):
            (live / "new").symlink_to(f"../../archive/a.test/{name}{n}.pem")
            os.replace(live / "new", live / f"{name}.pem")
        return archive / f"fullchain{n}.pem"
    live.mkdir(parents=True)
    archive.mkdir(parents=True)
    issue(1)
    lb = evlb(tls.WEB, sim("a"), tls=watching(live))
    wait_shown(lb, ca, issue(2))
    wait_shown(lb, ca, issue(3))
    assert "stays as it was" not in lb.log()


def test_watch_waits_for_the_other_half(evlb, sim, ca, tmp_path):
    """The certificate now, its key seconds later, each in several pieces."""
    cert, key = tmp_path / "site.crt", tmp_path / "site.key"
    ca.make(cert, "a.test", apart=key)
    lb = evlb(tls.WEB, sim("a"), tls=watching(cert))
    old = serial(cert)
    new = ca.make(tmp_path / "new.crt", "a.test", apart=tmp_path / "new.key")
    for target, source in ((cert, new), (key, tmp_path / "new.key")):
        text = source.read_text()
        with open(target, "w", encoding="ascii") as f:
            for i in range(0, len(text), 200):
                f.write(text[i:i + 200])
                f.flush()
                time.sleep(0.05)
        if target == cert:
            lb.wait_log("site.crt: stays as it was: the key in")
            assert shown(lb, ca) == old
            time.sleep(2.5)
    wait_shown(lb, ca, new)
    assert lb.log().count("stays as it was") == 1  # once per change


def test_watch_survives_a_directory_that_goes_and_comes(evlb, sim, ca, tmp_path):
    ca.make(tmp_path / "certs/a.pem", "a.test")
    lb = evlb(tls.WEB, sim("a"), tls=watching(tmp_path / "certs"))
    (tmp_path / "certs").rename(tmp_path / "away")
    lb.wait_log("certs: stays as it was: No such file")
    assert shown(lb, ca) == serial(tmp_path / "away/a.pem")
    ca.make(tmp_path / "certs/a.pem", "a.test")
    wait_shown(lb, ca, tmp_path / "certs/a.pem")
    ca.make(tmp_path / "certs/b.pem", "b.test")
    wait_shown(lb, ca, tmp_path / "certs/b.pem", "b.test")


def test_watch_takes_a_new_file_that_becomes_good(evlb, sim, ca, tmp_path):
    ca.make(tmp_path / "certs/a.pem", "a.test")
    lb = evlb(tls.WEB, sim("a"), tls=watching(tmp_path / "certs"))
    good = ca.make(tmp_path / "b.pem", "b.test")
    (tmp_path / "certs/b.pem").write_text(pair(good)[0])
    lb.wait_log("b.pem: not used: there is no key")
    (tmp_path / "certs/b.pem").write_text(good.read_text())  # in its place
    wait_shown(lb, ca, good, "b.test")


def test_nothing_is_watched_unless_it_is_asked_for(evlb, sim, ca, site):
    lb = evlb(tls.WEB, sim("a"), tls=site)
    old = serial(site)
    ca.make(site, "a.test")
    time.sleep(3)
    assert shown(lb, ca) == old


# ---- under load ----

def test_fifty_certificates_under_load(evlb, sim, ca, site, ctl):
    """By the command, by a reload, by the watch: no handshake and no request fails, and who comes
    after the command gets the new one."""
    lb = evlb(tls.WEB, sim("a"), tls=watching(site))
    stop, failures, seen = threading.Event(), [], set()
    def work():
        context = tls.context(ca)
        while not stop.is_set():
            try:
                with tls.connect(lb.port, "a.test", context) as s:
                    for _ in range(3):
                        assert tls.get(s)[0].startswith("HTTP/1.1 200")
                    seen.add(s.getpeercert()["serialNumber"])
            except (OSError, AssertionError) as e:
                failures.append(repr(e))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for i in range(50):
            ca.make(site, "a.test")
            if i % 10 == 9:
                wait_shown(lb, ca, site)
            elif i % 2:
                lb.reload()
            else:
                r = ctl(lb, "certs", "reload")
                assert r.status == 0, r  # perhaps the watch was first
            assert shown(lb, ca) == serial(site)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert failures == [] and len(seen) > 25
    assert {line["end"] for line in lb.access_log() if line["tls"]} == {"ok"}


# ---- OCSP ----

def stapled(lb, ca, name="a.test", version="-tls1_3"):
    return tls.openssl("s_client", "-connect", lb.address, "-servername", name, "-status", version,
                       "-CAfile", ca.cert, stdin=b"", check=False)


@pytest.mark.parametrize("name", ["site.pem.ocsp", "site.ocsp"])
def test_an_ocsp_answer_is_given_to_clients_that_ask(evlb, sim, ca, site, tmp_path, name):
    ca.ocsp(site, tmp_path / name)
    lb = evlb(tls.WEB, sim("a"), tls=site)
    for version in ("-tls1_2", "-tls1_3"):
        out = stapled(lb, ca, version=version)
        assert "OCSP Response Status: successful" in out and "Cert Status: good" in out
    assert shown(lb, ca) == serial(site)  # one that does not ask


def test_each_certificate_has_its_own_ocsp_answer(evlb, sim, ca, tmp_path):
    for kind in ("ec", "rsa"):
        file = ca.make(tmp_path / f"certs/{kind}.pem", "a.test",
                       key="ecdsa" if kind == "ec" else "rsa")
        ca.ocsp(file, tmp_path / f"certs/{kind}.ocsp")
    ca.make(tmp_path / "certs/other.pem", "b.test")
    lb = evlb(tls.WEB, sim("a"), tls=tmp_path / "certs")
    for kind, algorithm in (("ec", "ECDSA+SHA256"), ("rsa", "RSA-PSS+SHA256")):
        out = tls.openssl("s_client", "-connect", lb.address, "-servername", "a.test", "-status",
                          "-sigalgs", algorithm, stdin=b"", check=False)
        assert f"Serial Number: {serial(tmp_path / f'certs/{kind}.pem')}" in out
    assert "no response sent" in stapled(lb, ca, "b.test")


def test_ocsp_answers_that_are_not_given(evlb, sim, run_evlb, ca, tmp_path):
    stranger = tls.Authority(tmp_path / "stranger")
    other = ca.make(tmp_path / "other.pem", "b.test")
    faults = {}
    def make(name, why, **options):
        faults[name] = why
        file = ca.make(tmp_path / f"certs/{name}.pem", f"{name}.test", **options)
        return file, file.with_suffix(".ocsp")
    ca.ocsp(*make("revoked", "it says that the certificate is revoked"), status="revoked")
    ends_in(ca.ocsp(*make("expired", "it has expired", ca=False)), -60)
    ca.ocsp(*make("unknown", "does not know the certificate"), status="unknown")
    ca.ocsp(*make("forged", "not signed by the issuer"), signer=stranger)
    ca.ocsp(other, make("swapped", "it is about another certificate")[1])
    make("garbage", "it is no OCSP answer")[1].write_bytes(b"hello")
    make("empty", "it is no OCSP answer")[1].write_bytes(b"")
    make("refusal", "the responder has refused")[1].write_bytes(b"\x30\x03\x0a\x01\x06")
    for name, why in faults.items():
        (tmp_path / "check.yaml").write_text(
            f"listen: 1\ntls: {tmp_path}/certs/{name}.pem\nservers: [10.0.0.1:80]\n")
        r = run_evlb("check", "-c", tmp_path / "check.yaml")
        assert r.status == 0 and "warning" in r.out and why in r.out and f"{name}.ocsp" in r.out
    lb = evlb(tls.WEB, sim("a"), tls=tmp_path / "certs")
    for name in faults:
        out = stapled(lb, ca, f"{name}.test")
        assert "no response sent" in out and f"CN = {name}.test" in out, out


def ends_in(file, seconds):
    """Gives an OCSP answer another end (nextUpdate), which breaks its signature: for certificates
    without their chain, where it is not looked at."""
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    answer = file.read_bytes()
    at = answer.index(b"\xa0\x11\x18\x0f") + 4  # [0] GeneralizedTime
    file.write_bytes(answer[:at] + end.strftime("%Y%m%d%H%M%SZ").encode() + answer[at + 15:])
    return end


def test_an_ocsp_answer_that_expires_is_not_given_any_more(evlb, sim, ca, tmp_path):
    site = ca.make(tmp_path / "site.pem", "a.test", ca=False)
    end = ends_in(ca.ocsp(site, tmp_path / "site.ocsp"), 4)
    lb = evlb(tls.WEB, sim("a"), tls=site)
    assert "OCSP Response Status: successful" in stapled(lb, ca)
    time.sleep(max(0.0, end.timestamp() - time.time()) + 0.1)
    assert "no response sent" in stapled(lb, ca)


# ---- resumption ----

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Client:
    """Resumes its session again and again, as browsers do: always with the latest ticket."""

    def __init__(self, ca, version):
        self.context = tls.context(ca, maximum_version=version)
        self.session = None
        self.made = self.resumed = 0

    def go(self, lb, n=1, keep=False):
        """n connections; how many of them were resumed. `keep`: with the ticket that it has."""
        before = self.resumed
        for _ in range(n):
            with tls.connect(lb.port, "a.test", self.context, self.session) as s:
                tls.get(s)
                self.resumed += s.session_reused
                self.made += 1
                if not keep:
                    self.session = s.session
        return self.resumed - before


@pytest.fixture(params=VERSIONS, ids=["1.2", "1.3"])
def client(ca, request):
    return Client(ca, request.param)


def test_resumption_over_workers_and_reloads(evlb, sim, ca, site, ctl, client):
    lb = evlb(tls.WEB, sim("a"), tls=site)
    assert client.go(lb) == 0
    for _ in range(13):
        client.go(lb, 40)
        ca.make(site, "a.test", "*.w.test")
        lb.reload() if client.made % 80 else ctl(lb, "certs", "reload")
    assert client.resumed > 0.99 * (client.made - 1) and client.resumed > 500
    served = [w["counters"] for w in lb.ask("/v1/workers")["workers"]]
    assert len(served) == 2
    counters = lb.counters()
    assert counters["tls_resumed"] == client.resumed


def test_resumption_after_an_upgrade(evlb, sim, site, ctl, client):
    lb = evlb(tls.WEB, sim("a"), tls=site)
    old = lb.pid
    lb.skip_check("descriptors")  # of the old process, which is gone
    assert client.go(lb) == 0
    assert ctl(lb, "upgrade").status == 0
    lb.process.wait(20)
    new = lb.status()["pid"]
    try:
        assert new != old
        assert client.go(lb, 20) == 20
    finally:
        os.kill(new, signal.SIGTERM)
        tools.wait_for("the new process ends", lambda: not pathlib.Path(f"/proc/{new}").exists(), 20)


def test_a_new_start_resumes_nothing(evlb, sim, site, client):
    lb = evlb(tls.WEB, sim("a"), tls=site)
    assert client.go(lb, 2) == 1
    lb.stop()
    lb.start()
    assert client.go(lb, 2) == 1


def test_ticket_keys_are_renewed(evlb, sim, site, client):
    """A ticket is taken while its key is the one in use or one of the two before it."""
    lb = evlb("tickets: {rotate: 3s}\n" + tls.WEB.replace("\n    ", "\n"), sim("a"), tls=site)
    client.go(lb)
    begin = time.monotonic()
    time.sleep(3.2)
    assert client.go(lb, keep=True) == 1  # one or two rotations old
    time.sleep(max(0.0, begin + 9.5 - time.monotonic()))
    assert client.go(lb, keep=True) == 0  # three at least
    assert client.go(lb, 2) == 1


# ---- keys in a file ----

def key_line():
    return base64.b64encode(os.urandom(80)).decode() + "\n"


SHARED = "tickets: {keys: $keys}\n" + tls.WEB.replace("\n    ", "\n")


def test_balancers_share_ticket_keys(evlb, sim, site, tmp_path, client):
    keys = tmp_path / "tickets.keys"
    put(keys, key_line() + key_line() + key_line())
    s = sim("a")
    one, two = (evlb(SHARED, s, tls=site, keys=keys) for _ in range(2))
    assert client.go(one) == 0
    for lb in (two, one, two):
        assert client.go(lb, 5) == 5
    two.stop()
    two.start()
    assert client.go(two) == 1


def test_a_key_that_is_added_is_taken_before_it_is_used(evlb, sim, ca, site, tmp_path, ctl):
    keys = tmp_path / "tickets.keys"
    lines = [key_line() for _ in range(6)]
    put(keys, "".join(lines[:3]))
    s = sim("a")
    one, two = (evlb(SHARED, s, tls=site, keys=keys) for _ in range(2))
    clients = [Client(ca, version) for version in VERSIONS for _ in range(2)]
    for n in range(3, 6):  # one goes first, its tickets are good at the other one
        put(keys, "".join(lines[:n + 1]))
        r = ctl(one, "certs", "reload")
        assert (r.status, r.out) == (0, f"~ {keys}: other ticket keys\n")
        assert "is in force: ticket keys changed" in one.log()
        for c in clients[:2]:
            c.go(one)
            assert c.go(two) == 1
        assert ctl(two, "certs", "reload").status == 0
    old = clients[3]
    old.go(one)  # by lines[4]
    put(keys, "".join(lines) + key_line())
    assert ctl(one, "certs", "reload").status == 0
    assert old.go(one, keep=True) == 1
    put(keys, keys.read_text() + key_line())
    assert ctl(one, "certs", "reload").status == 0
    assert old.go(one, keep=True) == 0


def test_a_bad_key_file(evlb, sim, ca, site, tmp_path, ctl, run_evlb):
    keys = tmp_path / "tickets.keys"
    put(keys, key_line())
    lb = evlb(SHARED, sim("a"), tls=site, keys=keys)
    c = Client(ca, ssl.TLSVersion.TLSv1_3)
    assert c.go(lb, 2) == 1
    put(keys, key_line() + "AAAA\n")
    ca.make(site, "a.test", "*.w.test")
    r = ctl(lb, "certs", "reload")
    assert r.status == 1 and "site.pem: replaced" in r.out
    assert f"! {keys}: stays as it was: line 2 is a key of 3 bytes; 80 are needed" in r.out
    assert c.go(lb, 2) == 2
    r = run_evlb("check", "-c", lb.config_file)
    assert r.status == 1 and "line 2 is a key of 3 bytes" in r.out and "yaml:1:" in r.out, r.out
    advice = re.search(r"a line for each key: (.*)", r.out)[1]
    subprocess.run(f"({advice}) > {keys}", shell=True, check=True)
    appended = re.search(r"^    (.*>> tickets.keys)$", (tools.ROOT / "docs/tls.md").read_text(), re.M)[1]
    subprocess.run(appended, shell=True, check=True, cwd=tmp_path)
    assert len(keys.read_text().splitlines()) == 2
    assert run_evlb("check", "-c", lb.config_file).status == 0
    keys.unlink()
    r = run_evlb("check", "-c", lb.config_file)
    assert r.status == 1 and "No such file" in r.out
    assert ctl(lb, "certs", "reload").status == 1
    lb.reload(tls.WEB)  # keys of its own from now on; those of the file are taken for a while
    assert c.go(lb, 2) == 2
    r = run_evlb("explain", "-c", lb.config_file)
    assert re.search("^tickets:\n  rotate: 12h  ", r.out, re.M)


# ---- what certbot keeps for root

def certbot_tree(ca, directory, name):
    """live/NAME with links into archive/, as certbot leaves it -> live/NAME."""
    archive, live = directory / "archive" / name, directory / "live" / name
    live.mkdir(parents=True, exist_ok=True)
    key = archive / "privkey1.pem"
    archive.mkdir(parents=True, exist_ok=True)
    ca.make(archive / "fullchain1.pem", name, apart=key)
    key.chmod(0o600)
    for part in ("fullchain", "privkey"):
        (live / f"{part}.pem").unlink(missing_ok=True)
        (live / f"{part}.pem").symlink_to(f"../../archive/{name}/{part}1.pem")
    return live


def test_the_hook_for_certbot(evlb, sim, ca, site, tmp_path, ctl):
    certs, group = tmp_path / "certs", os.getgid()
    live = certbot_tree(ca, tmp_path / "letsencrypt", "a.test")
    hook = tools.ROOT / "packaging/certbot/certbot-deploy-hook"
    env = {**os.environ, "RENEWED_LINEAGE": str(live), "EVLB_CERTS": str(certs),
           "EVLB_GROUP": str(group), "PATH": f"{tools.bin_dir()}:{os.environ['PATH']}"}
    config = tmp_path / "elsewhere.yaml"
    config.write_text("listen: 80\nservers: 10.0.0.1:80\nadmin: {socket: /nowhere/ctl.sock}\n")
    assert tools.run([hook], env={**env, "EVLB_CONFIG": str(config)}).status == 5  # it is not running
    file = certs / "a.test.pem"
    assert [p.name for p in certs.iterdir()] == [file.name]
    assert (file.stat().st_mode & 0o777, file.stat().st_gid) == (0o640, group)
    assert certs.stat().st_mode & 0o777 == 0o750
    lb = evlb(tls.WEB, sim("a"), tls=f"{certs}/")
    before = shown(lb, ca)
    assert before == serial(file)
    certbot_tree(ca, tmp_path / "letsencrypt", "a.test")
    r = tools.run([hook], env={**env, "EVLB_CONFIG": lb.config_file, "EVLB_SOCKET": lb.socket})
    assert (r.status, r.out) == (0, f"~ {file}: replaced\n"), r.err
    assert shown(lb, ca) == serial(file) != before


def test_who_may_not_read_what_is_said(ca):
    """Not below tmp_path, which other users may not enter."""
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        live = certbot_tree(ca, top, "a.test")
        config = top / "evlb.yaml"
        config.write_text(f"listen: 443\ntls: {live}\nservers: 10.0.0.1:80\n")
        who = pwd.getpwnam("nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
        as_nobody = {"user": who.pw_uid, "group": who.pw_gid} if os.geteuid() == 0 else {}

        def say(**closed):
            for path in (top, live.parent, top / "archive"):
                path.chmod(0o755)
            (top / "archive/a.test/privkey1.pem").chmod(closed.pop("key", 0o644))
            for path, mode in closed.items():
                (top / path).chmod(mode)
            r = subprocess.run([tools.bin_dir() / "evlb", "check", "-c", config], timeout=20,
                               capture_output=True, text=True, check=False, **as_nobody)
            return r.returncode, r.stdout + r.stderr

        assert say()[0] == 0
        for file, closed, what in (
                (live, {"live": 0}, f"enter '{live.parent}'"),
                (live / "fullchain.pem", {"archive": 0}, f"enter '{top}/archive'"),
                (live / "privkey.pem", {"key": 0}, f"read '{top}/archive/a.test/privkey1.pem'")):
            status, out = say(**closed)
            assert status == 1, out
            out = " ".join(out.split())
            assert f"'{file}': Permission denied: user '{who.pw_name}' may not {what} [" in out
            assert "give evlb the right to read it, or a copy of its own" in out
        say()
