# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking times on a machine that others use, too: medians of many runs, and the best one beside them."""

from __future__ import annotations

import gc
import math
import resource
import statistics
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Times(NamedTuple):
    """Milliseconds. median and best are of the wall clock; cpu is the median of the processor time of this process alone."""

    median: float
    best: float
    cpu: float
    runs: int

    def to_dict(self) -> dict[str, float]:
        """Plain data, rounded to microseconds."""
        return {key: round(value, 3) for key, value in self._asdict().items()}


def measure(
    work: Callable[[], Any], seconds: float = 2.0, least: int = 3, most: int = 200, before: Callable[[], Any] | None = None
) -> Times:
    """Call `work` over and over for about `seconds`, `least` times at least and `most` at most; one call before does not count.

    `before` is called before each, and is not measured. Work that takes longer than ten times `seconds` is done once.
    """
    walls: list[float] = []
    cpus: list[float] = []
    gc.collect()
    began, used = time.perf_counter(), time.process_time()
    work()
    if time.perf_counter() - began > 10 * seconds:
        least, seconds, walls, cpus = 1, -1.0, [time.perf_counter() - began], [time.process_time() - used]
    end = time.perf_counter() + seconds
    while len(walls) < least or (time.perf_counter() < end and len(walls) < most):
        if before is not None:
            before()
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return _times(walls, cpus)


def once(work: Callable[[], Any], before: Callable[[], Any]) -> float:
    """Milliseconds of processor time of one call; `before` is called before it, and is not measured."""
    before()
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def measure_command(words: Sequence[str], runs: int, environment: dict[str, str], status: int = 0) -> Times:
    """Start a program `runs` times. Raises RuntimeError when it does not end with `status`: then there is nothing to measure."""
    walls, cpus = [], []
    for number in range(runs + 1):
        before, began = _of_children(), time.perf_counter()
        done = subprocess.run(list(words), env=environment, capture_output=True, check=False)
        if number:
            walls.append(time.perf_counter() - began)
            cpus.append(_of_children() - before)
        if done.returncode != status:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}")
    return _times(walls, cpus)


def _of_children() -> float:
    """Seconds of processor time of all programs that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Elsewhere:
    """Fills the processor's caches with something else: what is called next finds them as a program does that calls it once."""

    SIZE = 128 << 20  # bytes, beyond the last cache of the processors that this has been run on

    def __init__(self) -> None:
        self.other = bytes(self.SIZE - 1) + b"x"

    def __call__(self) -> None:
        """Read all of it."""
        self.other.find(b"x")


def peak_memory(work: Callable[[], Any]) -> float:
    """MiB that `work` had allocated at its highest, beyond what was there before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / (1 << 20)
    finally:
        tracemalloc.stop()


def exponent(first: tuple[int, float], last: tuple[int, float]) -> float:
    """k of time = n^k between two (n, time): 1 is linear, 2 is quadratic."""
    return math.log(last[1] / first[1]) / math.log(last[0] / first[0])


def _times(walls: list[float], cpus: list[float]) -> Times:
    return Times(statistics.median(walls) * 1000, min(walls) * 1000, statistics.median(cpus) * 1000, len(walls))
