# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The pool of a kernfs host: which chunks are to be added and removed, so that only the difference is touched.

The layout asks for sizes; where a chunk lies is the kernel's choice, and what it chose stays. So a pool that grows gets one more
chunk of what is missing, and one that shrinks gives back whole chunks that no instance lies in.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from . import ranges

Chunk = Dict[str, Any]
Key = Optional[int]


class Change(NamedTuple):
    """Chunks {"base", "size", "node"} that stay, come (base None) and go; stuck: (node, bytes) that cannot go, instances lie there."""

    keep: List[Chunk]
    add: List[Chunk]
    remove: List[Chunk]
    stuck: List[Tuple[Key, int]]


def change(wanted: Sequence[Chunk], ours: Sequence[Chunk], used: Sequence[ranges.Range]) -> Change:
    """From the chunks that are ours to those that the layout asks for. used: memory of instances that stay where they are."""
    left = list(ours)
    keep: List[Chunk] = []
    open_: List[Chunk] = []
    for chunk in wanted:
        mine = next((one for one in left if one["size"] == chunk["size"] and chunk["node"] in (None, one["node"])), None)
        if mine is None:
            open_.append(chunk)
        else:
            left.remove(mine)
            keep.append(mine)
    add: List[Chunk] = []
    for chunk in open_:
        missing = chunk["size"]
        for one in [one for one in left if chunk["node"] in (None, one["node"])]:
            if one["size"] <= missing:
                left.remove(one)
                keep.append(one)
                missing -= one["size"]
        if missing:
            add.append({"base": None, "size": missing, "node": chunk["node"]})
    stuck: List[Tuple[Key, int]] = []
    remove: List[Chunk] = []
    for one in left:
        if not any(ranges.overlap((one["base"], one["base"] + one["size"]), other) for other in used):
            remove.append(one)
            continue
        # It stays, since an instance lies in it; what was to be added beside it need not be.
        keep.append(one)
        over = one["size"]
        for other in list(add):
            if other["node"] in (None, one["node"]) and over >= other["size"]:
                add.remove(other)
                over -= other["size"]
        for other in [other for other in keep if other is not one and not is_used(other, used)]:
            if over >= other["size"] and other["node"] == one["node"]:
                keep.remove(other)
                remove.append(other)
                over -= other["size"]
        if over:
            stuck.append((one["node"], over))
    return Change(keep, add, remove, stuck)


def members(needed: Set[int], there: Set[int], ours: Set[int]) -> Tuple[List[int], List[int]]:
    """(APIC ids to add, to remove): what is ours and no longer needed goes; what somebody else brought stays."""
    return sorted(needed - there), sorted((ours & there) - needed)


def is_used(chunk: Chunk, used: Sequence[ranges.Range]) -> bool:
    """Whether something lies in a chunk."""
    return any(ranges.overlap((chunk["base"], chunk["base"] + chunk["size"]), other) for other in used)
