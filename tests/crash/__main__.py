# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut applies, removals and updates at every point, over random layouts and histories; see cuts.py for what is a point, and what must hold.

    python -m tests.crash [--cuts 3000] [--seed 1] [--kind mkstock] [--processes 2]

Stories go on, seed after seed, until so many cuts were made. A failure names kind and seed: `--kind KIND --seed SEED --cuts 1` tells that
story again. The last line is a count of stories that held and of those that did not.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

from ansible_collections.multikernel.core.tests.crash import cuts

MOST = 400  # cuts of one story by each of the two ways; a longer one is cut at as many random points


def one(job: tuple[str, int]) -> tuple[str, int, Counter[str], str | None]:
    """Tell a story; the sentence is what went wrong."""
    try:
        return (*job, cuts.tell(*job, MOST), None)
    except cuts.Wrong as error:
        return (*job, Counter(), str(error))


def main() -> int:
    """Tell stories until enough was cut."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--cuts", type=int, default=3000, metavar="N", help="how many cuts at least (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the first seed (default: %(default)s)")
    parser.add_argument("--kind", choices=list(cuts.KINDS), help="only this kind of host (default: all in turns)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="stories at a time (default: %(default)s)")
    options = parser.parse_args()
    kinds = [options.kind] if options.kind else list(cuts.KINDS)
    jobs = ((kind, seed) for seed in itertools.count(options.seed) for kind in kinds)
    total: Counter[str] = Counter()
    of_kind: Counter[str] = Counter()
    wrong = []
    began = shown = time.monotonic()
    with ProcessPoolExecutor(options.processes) as pool:
        while total["cuts"] < options.cuts and len(wrong) < 10:
            for kind, _seed, told, sentence in pool.map(one, islice(jobs, 4 * options.processes)):
                total += told
                of_kind[kind] += told["cuts"]
                if sentence:
                    wrong.append(sentence)
                    print(f"FAILED {sentence}", flush=True)
            if time.monotonic() - shown > 30:
                shown = time.monotonic()
                print(f"{total['cuts']:,} cuts in {shown - began:.0f} s", flush=True)
    spent = time.monotonic() - began
    print(
        f"{total['cuts']:,} cuts ({total['kill']:,} kills, {total['power']:,} power cuts) of {total['stories']:,} changes, "
        f"{total['refused']} refused, {spent:.0f} s; by kind of host: {', '.join(f'{kind} {count:,}' for kind, count in of_kind.items())}"
    )
    print(f"{total['stories']} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
