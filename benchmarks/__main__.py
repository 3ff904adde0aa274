# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure, print a table, write a JSON file."""

from __future__ import annotations

import argparse
import sys

from . import scale


def main() -> int:
    """Run what was asked for."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--rules", type=int, metavar="N", help="only list the slowest rules on a layout of N instances")
    options.add_argument("--sizes", default="10,100,1000,10000", metavar="N,N", help="numbers of instances (default: %(default)s)")
    chosen = options.parse_args()
    if chosen.rules:
        for name, milliseconds in scale.slowest_rules(chosen.rules):
            print(f"{milliseconds:10.2f} ms  {name}")
        return 0
    for count in map(int, chosen.sizes.split(",")):
        row = scale.row(count, 2.0)
        print(row["instances"], {name: one["median"] for name, one in row["milliseconds"].items()}, row["peak_mib"], "MiB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
