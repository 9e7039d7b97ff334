# SPDX-License-Identifier: MIT
"""The report as text: one table per scenario, at most 100 columns wide."""

from __future__ import annotations

from evbench.modes import Mode, Scenario
from evbench.runner import Row

RIVALS = ("nginx", "haproxy", "null")
LOAD_HEAD = ("", "req/s", "CPU us", "user", "sys", "+-%", *(f"/{r}" for r in RIVALS), "calls",
             "p50 us", "p99 us", "MiB", "errors")
LOAD_WIDTHS = (8, 9, 8, 7, 7, 5, 7, 9, 6, 7, 8, 8, 6, 7)
VALUE_HEAD = ("", "value", *(f"/{r}" for r in RIVALS))
VALUE_WIDTHS = (8, 12, 8, 9, 8)

LEGEND = (
    "CPU us: time of the balancer's processes per request = user + sys; +-%: half the range of it\n"
    "over the rounds. /nginx /haproxy /null: this CPU time divided by theirs, below 1 is cheaper\n"
    "than they are. calls: system calls per request. MiB: memory (PSS) after the run."
)


def number(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.{digits}f}"


def line(cells: tuple[str, ...], widths: tuple[int, ...]) -> str:
    first = cells[0].ljust(widths[0])
    return (first + "".join(c.rjust(w) for c, w in zip(cells[1:], widths[1:]))).rstrip()


def ratios(own: float | None, others: dict[str, float | None]) -> list[str]:
    return [f"{own / others[r]:.2f}" if own and others.get(r) else "-" for r in RIVALS]


def load_cells(row: Row, costs: dict[str, float | None]) -> tuple[str, ...]:
    spread = row.spread
    errors = sum(row.errors.values())
    return (
        row.balancer,
        number(row.figure("requests_per_s"), 0),
        number(row.figure("cpu_us"), 2),
        number(row.figure("user_us"), 2),
        number(row.figure("system_us"), 2),
        "-" if spread is None else f"{50 * spread:.0f}",
        *ratios(row.figure("cpu_us"), costs),
        number(sum(row.calls.values()), 2) if row.calls else "-",
        f"{row.figure('p50_us'):.0f}",
        f"{row.figure('p99_us'):.0f}",
        number(row.figure("pss_mib")),
        f"{errors} !!" if errors else "0",
    )


def remarks(rows: list[Row]) -> list[str]:
    """What the reader must not overlook, then the calls by name."""
    lines = []
    for row in rows:
        if row.errors:
            kinds = ", ".join(f"{count} {kind}" for kind, count in row.errors.items())
            lines.append(f"  !! {row.balancer}: FAILED REQUESTS, do not trust its figures: {kinds}")
        if row.note:
            lines.append(f"  !! {row.balancer}: {row.note}")
    for row in rows:
        if row.calls:
            top = [f"{name} {count:.2f}" for name, count in row.calls.items() if count >= 0.01]
            lines.append(f"  calls of {row.balancer}: {', '.join(top[:7])}")
    return lines


def load_table(rows: list[Row]) -> list[str]:
    costs = {row.balancer: row.figure("cpu_us") for row in rows}
    body = [line(load_cells(row, costs), LOAD_WIDTHS) for row in rows if row.rounds]
    return [line(LOAD_HEAD, LOAD_WIDTHS), *body, *remarks(rows)]


def value_table(rows: list[Row], unit: str) -> list[str]:
    values = {row.balancer: row.value for row in rows}
    body = [
        line((row.balancer, number(row.value, 0), *ratios(row.value, values)), VALUE_WIDTHS)
        for row in rows if row.value is not None
    ]
    return [line(("", unit, *VALUE_HEAD[2:]), VALUE_WIDTHS), *body, *remarks(rows)]


def mode_text(mode: Mode, results: list[tuple[Scenario, list[Row]]]) -> str:
    lines = ["", f"== {mode.name}: {mode.title}"]
    units = {"idle": "bytes", "instructions": "instr."}
    for scenario, rows in results:
        if scenario.label:
            lines.append(f"-- {scenario.label}")
        lines += load_table(rows) if mode.kind == "load" else value_table(rows, units[mode.kind])
    return "\n".join(lines)


def head_text(facts: dict, rounds: int, seconds: float) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['kernel']}, "
        f"{facts['fd_limit']} descriptors\n"
        f"{versions}\norigin {facts['origin']}; checkout {facts['commit'] or 'without git'}; "
        f"{rounds} rounds of {seconds:g} s\n{LEGEND}"
    )
