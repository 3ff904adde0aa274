# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the speed of the collection: print tables, and write all figures to a JSON file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import fleet, peer, report, scale, startup

BEGIN, END = "<!-- made by make bench from here -->", "<!-- made by make bench up to here -->"
# The fleet before the scale: processes that are forked from a large one pay for its memory.
PARTS = ("startup", "facts", "fleet", "scale", "peer")


def main() -> int:
    """Run what was asked for; the exit status is 0 whatever the figures are: they are no test."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these parts: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--sizes", default="10,100,1000,10000", metavar="N,N", help="numbers of instances (default: %(default)s)")
    parser.add_argument("--machines", type=int, default=1000, metavar="N", help="number of bundles of the fleet (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each figure (default: %(default)s)")
    work = os.environ.get("MULTIKERNEL_WORK", ".")
    parser.add_argument("--json", type=Path, default=Path(work) / "benchmarks.json", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--document", type=Path, metavar="FILE", help="put the tables into this document, between its two marker lines")
    parser.add_argument("--rules", type=int, metavar="N", help="only list the slowest rules on a layout of N instances")
    options = parser.parse_args()
    if options.rules:
        for name, milliseconds in scale.slowest_rules(options.rules):
            print(f"{milliseconds:10.2f} ms  {name}")
        return 0
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    told = measure(options.parts or PARTS, [int(one) for one in options.sizes.split(",")], options.machines, options.seconds)
    text = report.text(told)
    print(text)
    options.json.write_text(json.dumps(told, indent=2) + "\n")
    print(f"all figures: {options.json}")
    if options.document:
        head, _begin, rest = options.document.read_text().partition(BEGIN)
        _old, end, tail = rest.partition(END)
        if not end:
            parser.error(f"{options.document} lacks the marker lines {BEGIN!r} and {END!r}")
        options.document.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}")
    return 0


def measure(parts: Any, sizes: list[int], machines: int, seconds: float) -> dict[str, Any]:
    """All figures as plain data."""
    told: dict[str, Any] = {"machine": report.machine()}
    for part in parts:
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        if part == "scale":
            told["scale"] = scale.run(sizes, seconds)
            if len(sizes) > 1:
                told["growth"] = {
                    report.SIDE_BY_SIDE: scale.side_by_side(sizes, max(1, int(seconds * 10))),
                    "the same over and over, out of the processor's caches": scale.growth(told["scale"], "repeated"),
                    "reading the layout": scale.growth(told["scale"], "read"),
                }
            else:
                told["growth"] = {}
        elif part == "startup":
            told["startup"] = startup.run(max(5, int(seconds * 10)))
        elif part == "peer":
            told["peer"] = peer.run()
        elif part == "facts":
            told["facts"] = fleet.collection(seconds)
        elif part == "fleet":
            told["fleet"] = fleet.run(machines, 5 * seconds)
    return told


if __name__ == "__main__":
    sys.exit(main())
