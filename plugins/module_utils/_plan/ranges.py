# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Address ranges as half open pairs (start, end) in bytes: the arithmetic that placement stands on."""

from __future__ import annotations

from bisect import bisect_right
from typing import Iterable, List, Optional, Tuple

Range = Tuple[int, int]

PAGE = 0x1000
BIG_PAGE = 0x200000


def up(value: int, align: int) -> int:
    """The smallest multiple of align (a power of two) that is not below value."""
    return (value + align - 1) & ~(align - 1)


def down(value: int, align: int) -> int:
    """The largest multiple of align (a power of two) that is not above value."""
    return value & ~(align - 1)


def overlap(first: Range, second: Range) -> bool:
    """Whether two ranges share at least one byte; an empty range shares none."""
    return max(first[0], second[0]) < min(first[1], second[1])


def merge(ranges: Iterable[Range]) -> List[Range]:
    """The same bytes as sorted ranges that neither overlap nor touch."""
    merged: List[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def subtract(ranges: Iterable[Range], taken: Iterable[Range]) -> List[Range]:
    """What remains of ranges when the bytes of taken are removed, sorted."""
    free: List[Range] = []
    gone = merge(taken)
    at = 0
    for start, end in merge(ranges):
        while at < len(gone) and gone[at][1] <= start:
            at += 1
        here = at
        while here < len(gone) and gone[here][0] < end:
            low, high = gone[here]
            if start < low:
                free.append((start, low))
            start = max(start, high)
            here += 1
        if start < end:
            free.append((start, end))
    return free


def touching(ranges: Iterable[Range], others: List[Range]) -> List[Range]:
    """Those of ranges that share a byte with others, which are sorted and disjoint."""
    ends = [end for _start, end in others]
    found = []
    for one in ranges:
        at = bisect_right(ends, one[0])
        if at < len(others) and overlap(one, others[at]):
            found.append(one)
    return found


def contains(ranges: Iterable[Range], wanted: Range) -> bool:
    """Whether every byte of wanted lies in ranges."""
    return not subtract([wanted], ranges)


def first_fit(free: Iterable[Range], size: int, align: int) -> Optional[int]:
    """The lowest aligned address where size bytes fit, or None."""
    for start, end in free:
        address = up(start, align)
        if address + size <= end:
            return address
    return None


def last_fit(free: Iterable[Range], size: int, align: int) -> Optional[int]:
    """The highest aligned address where size bytes fit, or None."""
    for start, end in reversed(list(free)):
        address = down(end - size, align)
        if address >= start:
            return address
    return None


def sized(pairs: Optional[Iterable[Iterable[int]]]) -> List[Range]:
    """Ranges from [base, size] pairs, the spelling of facts and layouts."""
    ranges: List[Range] = []
    for pair in pairs or []:
        base, size = pair
        ranges.append((base, base + size))
    return ranges
