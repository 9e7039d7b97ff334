# SPDX-License-Identifier: MIT
"""The command line of scripts/bench: options, what is missing, the build, and the report."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from evbench import instructions, machine, table
from evbench.balancers import NGINX_STREAM, Balancer, all_balancers
from evbench.modes import Mode, all_modes
from evbench.origin import Origin
from evbench.proc import BenchError
from evbench.runner import Plan, Runner, say

ROOT = Path(__file__).resolve().parents[3]
QUICK_MODES = ["keepalive", "close", "idle"]
NOISY_LOAD = 0.5
NOISY_STEAL = 0.01


def names(known: list[str]):
    """An argparse type: names separated by commas."""
    def read(text: str) -> list[str]:
        chosen = [word.strip() for word in text.split(",") if word.strip()]
        if wrong := [word for word in chosen if word not in known]:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r}; known: {', '.join(known)}")
        return chosen
    return read


def read_options(argv: list[str], modes: list[str], balancers: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Runs evlb, nginx, HAProxy and a null relay side by side on this machine.",
        epilog=f"modes: {', '.join(modes)}. All of them take about half an hour.")
    add = parser.add_argument
    add("--modes", type=names(modes), metavar="A,B", help="default: all")
    add("--balancers", type=names(balancers), default=balancers, metavar="A,B",
        help=f"default: {','.join(balancers)}")
    add("--rounds", type=int, metavar="N", help="turns of each balancer (default 3)")
    add("--seconds", type=float, metavar="S", help="length of a timed run (default 2)")
    add("--quick", action="store_true",
        help=f"a minute: {', '.join(QUICK_MODES)}; 1 round of 1 s")
    add("--cores", metavar="B,L", help="core of the balancer, core of load and origin")
    add("--json", type=Path, metavar="FILE", help="all figures, of every round")
    add("--bin", type=Path, metavar="DIR", default=ROOT / "build/release/bin",
        help="where evlb, backend-sim and the bench's programs are (default: the release preset)")
    add("--no-build", action="store_true", help="do not bring the release preset up to date")
    add("--install", action="store_true", help="install missing Debian packages (as root)")
    options = parser.parse_args(argv)
    options.modes = options.modes or (QUICK_MODES if options.quick else modes)
    options.rounds = max(1, options.rounds or (1 if options.quick else 3))
    options.seconds = max(0.3, options.seconds or (1.0 if options.quick else 2.0))
    return options


def pick_cores(text: str | None) -> tuple[int, int]:
    """Balancer's and load's; the first two that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    if text:
        try:
            balancer, load_core = map(int, text.split(","))
        except ValueError:
            raise BenchError(f"--cores takes two numbers, not {text!r}") from None
        if not {balancer, load_core} <= set(usable):
            raise BenchError(f"--cores {text}: this process may use {usable}")
        return balancer, load_core
    if len(usable) < 2:
        say("!! one core only: load and balancer share it; believe the CPU time, not req/s")
    return usable[0], usable[min(1, len(usable) - 1)]


def missing_packages(options: argparse.Namespace, balancers: list[Balancer],
                     origin: Origin) -> list[str]:
    """Debian packages whose absence costs figures."""
    tools = {"wrk": "wrk", "strace": "strace"}
    counts = any("instructions" in mode for mode in options.modes)
    if counts and not instructions.perf_counts():
        tools["valgrind"] = "valgrind"
    if any(mode.startswith("tls") for mode in options.modes):
        tools["openssl"] = "openssl"
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    missing += [b.package for b in balancers if b.package and b.program is None]
    wants_stream = any(b.name == "nginx" for b in balancers) and \
        any(mode.startswith("l4") for mode in options.modes)
    if wants_stream and not NGINX_STREAM.exists():
        missing.append("libnginx-mod-stream")
    if origin.name is None and "nginx-light" not in missing:
        missing.append("nginx-light")
    return missing


def offer_packages(missing: list[str], install: bool) -> None:
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if install and os.geteuid() == 0:
        subprocess.run(command, check=True, stdout=sys.stderr)
        return
    say(f"!! missing: {' '.join(missing)}; their figures will be absent. To have them:")
    say(" ".join((["sudo"] if os.geteuid() else []) + command))


def build(chosen: list[str]) -> None:
    """Brings the programs that take part up to date; a stale binary would give stale figures."""
    targets = ["backend-sim", "null_relay", "null_tls", "idle_clients", "tls_clients"]
    targets += ["evlb"] if "evlb" in chosen else []
    commands = [["cmake", "--build", "--preset", "release", "--target", *targets]]
    if not (ROOT / "build/release/build.ninja").exists():
        commands.insert(0, ["cmake", "--preset", "release"])
    for command in commands:
        say(" ".join(command))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise BenchError(f"the build failed (--no-build takes what is there):\n{tail}")


def make_plan(options: argparse.Namespace, balancers: list[Balancer], origin: Origin) -> Plan:
    balancer_core, load_core = pick_cores(options.cores)
    os.sched_setaffinity(0, {load_core})
    return Plan(
        balancers=balancers, origin=origin, bin_dir=options.bin,
        rounds=options.rounds, seconds=options.seconds,
        balancer_core=balancer_core, load_core=load_core,
        strace=shutil.which("strace") is not None,
        valgrind=shutil.which("valgrind") is not None,
        perf=any("instructions" in mode for mode in options.modes) and instructions.perf_counts(),
    )


def run_modes(plan: Plan, modes: list[Mode]) -> tuple[list[dict], bool]:
    """Prints each mode when it is done; the modes for JSON, and whether all went well."""
    told, fine = [], True
    with TemporaryDirectory(prefix="evlb-bench.") as name:
        runner = Runner(plan, Path(name))
        for mode in modes:
            results = runner.run(mode)
            print(table.mode_text(mode, results), flush=True)
            fine = fine and not any(row.failed for _, rows in results for row in rows)
            scenarios = [asdict(s) | {"rows": [r.as_json() for r in rows]} for s, rows in results]
            told.append({"name": mode.name, "title": mode.title, "scenarios": scenarios})
    return told, fine


def end_on_signals() -> None:
    """TERM and HUP unwind like Ctrl-C, so that every started process is ended."""
    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


def bench(argv: list[str]) -> int:
    modes = all_modes()
    options = read_options(argv, list(modes), list(all_balancers(Path())))
    if not options.no_build:
        build(options.balancers)
    balancers = [all_balancers(options.bin)[name] for name in options.balancers]
    origin = Origin(options.bin / "backend-sim", all_balancers(options.bin)["nginx"].program)
    offer_packages(missing_packages(options, balancers, origin), options.install)
    if not shutil.which("wrk") or origin.name is None:
        raise BenchError("nothing can be measured without wrk and an origin")
    facts = machine.facts(ROOT, balancers, origin)
    if facts["load_average"] > NOISY_LOAD:
        say(f"!! load average {facts['load_average']:.1f}: other programs are running")
    plan = make_plan(options, balancers, origin)
    print(table.head_text(facts, options.rounds, options.seconds), flush=True)
    before = machine.cpu_counters()
    told, fine = run_modes(plan, [modes[name] for name in options.modes])
    facts["stolen_share"] = machine.stolen_share(before, machine.cpu_counters())
    if facts["stolen_share"] > NOISY_STEAL:
        print(f"\n!! the host took {facts['stolen_share']:.0%} of the CPU time: repeat the run")
    if options.json:
        report = {"machine": facts, "rounds": options.rounds, "seconds": options.seconds}
        options.json.write_text(json.dumps(report | {"modes": told}, indent=1) + "\n")
    if not fine:
        print("\n!! there were failures, see above")
    return 0 if fine else 1


def main() -> int:
    end_on_signals()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        return bench(sys.argv[1:])
    except (BenchError, OSError, subprocess.CalledProcessError) as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("scripts/bench: stopped", file=sys.stderr)
        return 130
