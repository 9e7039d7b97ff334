# SPDX-License-Identifier: MIT
"""What a newcomer does first: the README's configuration, the quickstart file, the demo."""
import pathlib
import re
import socket

import pytest

from harness import tools

QUICKSTART = tools.ROOT / "configs" / "quickstart.yaml"


def readme_blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (tools.ROOT / "README.md").read_text(), re.S)


def test_every_yaml_of_the_readme_is_valid(run_evlb):
    blocks = readme_blocks("yaml")
    assert len(blocks) >= 2
    for block in blocks:
        r = run_evlb("check", "--strict", "-c", "-", stdin=block)
        assert r.status == 0, (block, r.out)


def test_the_mistake_in_the_readme_is_reported_so(run_evlb, tmp_path):
    shown, = readme_blocks("console")
    (tmp_path / "evlb.yaml").write_text("listen: 80\nservers:\n  - 10.0.0.11:80\nbalance: least-con\n")
    command, output = shown.split("\n", 1)
    r = run_evlb(*command.removeprefix("$ evlb ").split())
    assert r.status == 1 and r.out == output


def test_the_four_lines_serve(evlb, sim):
    text = readme_blocks("yaml")[0]
    assert len(text.strip().splitlines()) == 4
    text = text.replace("80\n", "127.0.0.1:$port\n", 1)
    text = text.replace("10.0.0.11:8080", "$a").replace("10.0.0.12:8080", "$b")
    lb = evlb(text, sim("a", "b"))
    assert [lb.get().headers["X-Server"] for _ in range(4)] == ["a", "b", "a", "b"]


def test_every_command_of_the_readme_exists(run_evlb):
    text = (tools.ROOT / "README.md").read_text()
    commands = set(re.findall(r"^\| `evlb (\w+)", text, re.M))
    assert {"run", "check", "explain", "ctl", "init"} <= commands
    overview = run_evlb("--help").out
    for command in commands:
        assert re.search(rf"^  {command} ", overview.replace("ctl status", "ctl "), re.M), command


@pytest.mark.parametrize("text", [
    "frontends: {w: {listen: 80, http2: {}, backend: a}}\nbackends: {a: [10.0.0.1:80]}\n",
    *(f"listen: 80\nservers: [10.0.0.1:80]\n{key}: x\n" for key in ("metrics", "http2", "stick"))])
def test_what_is_not_there_yet_is_refused_by_name(run_evlb, text):
    r = run_evlb("check", "-c", "-", stdin=text)
    assert r.status == 1 and "is not in this version" in r.out


def test_every_link_of_the_documents_leads_somewhere():
    documents = [tools.ROOT / "README.md", *(tools.ROOT / "docs").rglob("*.md"),
                 tools.ROOT / "tests" / "README.md"]
    missing = []
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if "://" not in target and not (document.parent / target).exists():
                missing.append(f"{document.name}: {target}")
    assert not missing


def test_quickstart_serves(evlb, sim):
    text = QUICKSTART.read_text()
    for name, port in (("a", 9001), ("b", 9002), ("c", 9003)):
        assert f"127.0.0.1:{port}" in text
        text = text.replace(f"127.0.0.1:{port}", f"${name}")
    assert re.search(r"\b8080\b", text)
    lb = evlb(re.sub(r"\b8080\b", "$port", text), sim("a", "b", "c"))
    seen = [lb.get().headers["X-Server"] for _ in range(6)]
    assert seen == ["a", "b", "c", "a", "b", "c"]


def test_demo_refuses_a_busy_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", 9003))
        except OSError:
            pytest.skip("port 9003 is in use by another program")
        s.listen()
        r = tools.run([tools.ROOT / "scripts" / "demo", "--check"], timeout=110)
    assert r.status != 0 and "Port" in r.err and "in use" in r.err


def test_demo_has_help():
    r = tools.run([tools.ROOT / "scripts" / "demo", "--help"])
    assert r.status == 0 and "--check" in r.out
    assert pathlib.Path(tools.ROOT / "scripts" / "demo").stat().st_mode & 0o111
