# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a channel between host and instance is, beside a pipe and a UNIX socket between two processes of the host.

One machine, one run: the three take turns, each between two processes that are pinned to a CPU each and sleep until something comes.
Both ends of the channel are programs of user space. The figures are medians of the rounds; the machine is QEMU, which emulates its CPUs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/kernel"))

import harness  # a program beside the suites, no package

from .lab import static

WAYS = ("channel", "pipe", "socket")
FIGURES = ("p50", "p99", "max", "messages_per_s")
GOAL = 3.0
LINE = re.compile(r"# bench (\w+) p50=(\d+) p99=(\d+) max=(\d+) messages_per_s=(\d+)")


def run(options: argparse.Namespace, logs: Path) -> dict[str, Any]:
    """{way: {figure: median of the rounds}, "rounds": [...]}; nanoseconds. Raises harness.Failure when the machine gave no figures."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=logs) as work:
        program = static(HERE / "pingpong.c", Path(work) / "pingpong")
        release = options.release
        parts = harness.Parts(release, release, Path(work), [program], [HERE / "channelbench.sh"])
        append = f"mkbench.rounds={options.rounds} mkbench.count={options.count} mkbench.size={options.size}"
        machine = harness.command_line().parse_args([f"--append={append}"])
        guest = harness.Guest(parts, "channelbench", logs, machine)
        try:
            _up, _good, bad = harness.run_suite(guest, 120, options.limit)
        finally:
            guest.stop()
    found = LINE.findall((logs / "channelbench.log").read_text(encoding="utf-8"))
    if bad or len(found) != len(WAYS) * options.rounds:
        wanted = len(WAYS) * options.rounds
        raise harness.Failure(f"the machine gave {len(found)} of {wanted} figures; its console is in {logs}/channelbench.log")
    return summary(found)


def summary(found: list[tuple[str, ...]]) -> dict[str, Any]:
    """The medians of lines (way, figure, ...) of all rounds."""
    told: dict[str, Any] = {"rounds": [dict(zip(("way", *FIGURES), (line[0], *map(int, line[1:])), strict=True)) for line in found]}
    for way in WAYS:
        mine = [one for one in told["rounds"] if one["way"] == way]
        told[way] = {figure: statistics.median(one[figure] for one in mine) for figure in FIGURES}
        told[way]["best"] = min(one["p50"] for one in mine)
    # Where others keep the machine busy, a virtual CPU that slept may wait long for a real one: the quietest round has least of that.
    told["ratio"] = told["channel"]["best"] / told["pipe"]["best"]
    return told


def text(told: dict[str, Any], options: argparse.Namespace) -> str:
    """The figures as a table in Markdown."""
    rows = [
        f"| {way} | {told[way]['best'] / 1000:.0f} | {told[way]['p50'] / 1000:.0f} | {told[way]['p99'] / 1000:.0f} "
        f"| {told[way]['messages_per_s']:,.0f} |"
        for way in WAYS
    ]
    verdict = "reached" if told["ratio"] <= GOAL else "not reached"
    return "\n".join(
        [
            f"Medians of {options.rounds} rounds of {options.count:,} round trips of {options.size} bytes, in QEMU (TCG),",
            f"Linux {options.release}. Times are µs.",
            "",
            "| | p50 of the quietest round | p50 | p99 | messages/s one way |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Channel against pipe, p50 of the quietest rounds: {told['ratio']:.2f} times (goal: at most {GOAL:g}; {verdict}).",
        ]
    )


def main() -> int:
    """Print the table; the exit status is 0 whatever the figures are, 1 when there are none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.channel", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each (default: %(default)s)")
    parser.add_argument("--count", type=int, default=3000, help="round trips in a turn (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64, help="bytes in a message, 8 to 256 (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=300, metavar="S", help="deadline (default: %(default)s s)")
    parser.add_argument("--release", default=harness.DEFAULT_RELEASE, help="kernel of host and instance (default: %(default)s)")
    work = Path(os.environ.get("MULTIKERNEL_WORK", "."))
    parser.add_argument("--json", type=Path, default=work / "channel.json", metavar="FILE", help="default: %(default)s")
    options = parser.parse_args()
    if not 8 <= options.size <= 256:
        parser.error("a message has 8 to 256 bytes")
    logs = work / "channel-bench"
    logs.mkdir(parents=True, exist_ok=True)
    try:
        told = run(options, logs)
    except harness.Failure as failure:
        print(f"benchmarks.channel: {failure}", file=sys.stderr)
        return 1
    print(text(told, options))
    options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"all figures: {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
