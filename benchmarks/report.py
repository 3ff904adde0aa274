# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of one run as tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Plain = dict[str, Any]
SIDE_BY_SIDE = "rules, placement and plan, measured in turns"
PARTS = ("read", "judge_alone", "judge", "place", "plan", "together")


def machine() -> Plain:
    """What kind of machine this is, and how busy others keep it."""
    model = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "not known")
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load": [round(one, 2) for one in os.getloadavg()],
    }


def goals(told: Plain) -> list[tuple[str, str, str, bool]]:
    """(what, wanted, measured, reached) for every goal whose figures this run has."""
    found: list[tuple[str, str, str, bool]] = []

    def goal(what: str, limit: float, value: float, unit: str) -> None:
        found.append((what, f"≤ {limit:g} {unit}".strip(), f"{value:.4g} {unit}".strip(), value <= limit))

    rows = {row["instances"]: row["milliseconds"]["together"] for row in told.get("scale", [])}
    if 1000 in rows:
        goal("1,000 instances: all rules, placement and plan", 30, rows[1000]["cpu"], "ms")
    grown = told.get("growth", {}).get(SIDE_BY_SIDE, {})
    if (grown.get("from"), grown.get("to")) == (1000, 10000):
        goal("10,000 instances against 1,000", 12, grown["ratio"], "times")
    if "startup" in told:
        goal("`mkl --version`", 80, told["startup"]["version"]["cpu"], "ms")
        goal("`mkl validate` of a small file", 250, told["startup"]["validate"]["cpu"], "ms")
    if "fleet" in told:
        goal(f"{told['fleet']['machines']:,} bundles against one layout", 10, told["fleet"]["several_processes"]["median"] / 1000, "s")
    return found


def text(told: Plain) -> str:
    """All figures of a run, as Markdown that reads well in a terminal, too."""
    kind = told["machine"]
    load = ", ".join(map(str, kind["load"]))
    lines = [
        f"{kind['cpus']} CPUs ({kind['cpu']}), load {load} when it was written, Linux {kind['kernel']}, Python {kind['python']}.",
        "Times are medians. *cpu* is the processor time of the process alone: what the wall shows on a machine without other load.",
        "The goals are held against it, but for the fleet, which several processes share.",
        "",
        *_table(("goal", "wanted", "measured", "reached"), [(*one[:3], "yes" if one[3] else "no") for one in goals(told)]),
    ]
    if told.get("scale"):
        lines += ["", f"Milliseconds of processor time by the number of instances ({told['scale'][0]['rules']} rules):", ""]
        head = (
            "instances",
            "read",
            "judge alone",
            "judge for a machine",
            "place",
            "plan",
            "judge, place and plan",
            "the same, wall",
            "peak MiB",
        )
        lines += _table(head, [_scale(row) for row in told["scale"]])
        for name, one in told["growth"].items():
            lines += [
                "",
                f"From {one['from']:,} to {one['to']:,} instances, {name}: {one['ratio']} times, growth exponent {one['exponent']}."
                + (f" The turns: {', '.join(map(str, one['ratios']))}." if "ratios" in one else ""),
            ]
    if "peer" in told:
        lines += ["", *_peer(told)]
    if "startup" in told:
        lines += ["", "From the start of a process to its end, milliseconds:", ""]
        names = {
            "python": "an empty Python",
            "version": "`mkl --version`",
            "validate": "`mkl validate` of a small file",
            "validate_facts": "the same for a machine",
        }
        rows = [
            (names[name], f"{one['cpu']:.0f}", f"{one['median']:.0f}", f"{one['best']:.0f}", one["runs"])
            for name, one in told["startup"].items()
        ]
        lines += _table(("command", "cpu", "wall", "best wall", "runs"), rows)
    if "fleet" in told:
        lines += ["", *_fleet(told["fleet"])]
    if "facts" in told:
        one = told["facts"]
        lines += [
            "",
            f"Collecting the facts of this machine ({one['cpus']} CPUs): {one['milliseconds']['cpu']:.1f} ms, {one['bytes']:,} bytes.",
        ]
    return "\n".join(lines) + "\n"


def _scale(row: Plain) -> tuple[str, ...]:
    times = row["milliseconds"]
    return (
        f"{row['instances']:,}",
        *(_short(times[part]["cpu"]) for part in PARTS),
        _short(times["together"]["median"]),
        str(row["peak_mib"]),
    )


def _peer(told: Plain) -> list[str]:
    peer = told["peer"]
    if "skipped" in peer:
        return [f"The peer is left out: {peer['skipped']}."]
    ours = {str(row["instances"]): row for row in told.get("scale", [])}
    rows = []
    for count, one in peer["milliseconds"].items():
        mine = ours.get(count)
        row = [f"{int(count):,}", _short(one["cpu"])]
        for part in ("judge_alone", "together"):
            value = mine["milliseconds"][part]["cpu"] if mine else None
            row += [_short(value), _short(one["cpu"] / value)] if value else ["", ""]
        rows.append(tuple(row))
    return [
        f"Beside {peer['package']}, whose validator (about 22 rules) was run on the same number of instances in the same run, ms:",
        "",
        *_table(("instances", "its validation", "our rules alone", "ratio", "our rules, placement and plan", "ratio"), rows),
    ]


def _fleet(one: Plain) -> list[str]:
    said = ", ".join(f"{count} {verdict}" for verdict, count in one["verdicts"].items())
    return [
        f"{one['machines']:,} bundles of 4 to 512 CPUs ({one['mib']} MiB) against one layout: {said}; {one['groups']} groups.",
        "",
        *_table(
            ("processes", "median s", "best s"),
            [
                (str(count), f"{times['median'] / 1000:.2f}", f"{times['best'] / 1000:.2f}")
                for count, times in ((1, one["one_process"]), (one["processes"], one["several_processes"]))
            ],
        ),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[str(one) for one in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
