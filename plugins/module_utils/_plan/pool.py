# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Addresses of the pool: where the layout names none, what is ours already, what the module offers, else whole memory blocks.

The host's kernel lies where the boot put it, with physical KASLR anywhere. A block that holds a part of it, or anything
else that is not plain System RAM, can never be taken offline, so only the others are chosen: above the kernel and below
4 GiB first, since the kernel's earliest allocations lie low and at the very top.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from .._boot.memory_map import FOUR_GIB
from . import ranges
from .memory import Region, amount
from .ranges import Range

RAM = "System RAM"
Complain = Callable[[int, str, str], None]


class Pool:
    """Gives every chunk of the pool a base. complain(index, sentence, hint) is called for each that has no place."""

    def __init__(self, facts: Dict[str, Any], state: Dict[str, Any], complain: Complain) -> None:
        self.memory = facts.get("memory") or {}
        made = state.get("made") or {}
        self.made = ranges.sized(made.get("pool"))
        self.offered = ranges.sized((facts.get("dialect") or {}).get("pool"))
        self.ours: Set[int] = set(made.get("blocks") or [])
        self.complain = complain
        self.block: int = self.memory.get("block_size") or 0
        self.states = {one["number"]: one for one in self.memory.get("blocks") or []}
        if not self.made and self.block:  # a kernel that has no pool of its own: the blocks are the pool
            self.made = ranges.merge((number * self.block, (number + 1) * self.block) for number in self.ours)
        self._usable: Optional[List[int]] = None

    def place(self, chunks: List[Dict[str, Any]]) -> Tuple[List[Dict[str, Any]], List[Region]]:
        """The chunks with base and size as they are to be, and (node, range) of what they hold, in the order of the layout.

        A chunk of blocks is rounded up to whole ones. Chunks of known place come first, then those that are there already.
        """
        placed = [dict(chunk) for chunk in chunks]
        taken: List[Range] = [(one["base"], one["base"] + one["size"]) for one in placed if one["base"] is not None]
        open_ = [number for number, one in enumerate(placed) if one["base"] is None]
        for find in (self._as_it_is, self._ours, self._offered, self._of_blocks):
            for number in list(open_):
                chunk = placed[number]
                found = find(chunk, taken)
                if found is not None:
                    chunk["base"], chunk["size"] = found[0], found[1] - found[0]
                    taken.append(found)
                    open_.remove(number)
        for number in open_:
            self._no_place(number, placed[number])
        return placed, self._regions(placed)

    def _regions(self, placed: List[Dict[str, Any]]) -> List[Region]:
        regions: List[Region] = []
        before: List[Range] = []
        for one in placed:
            if one["base"] is None:
                continue
            mine = (one["base"], one["base"] + one["size"])
            node = one["node"] if one["node"] is not None else self._node_of(mine[0])
            regions += [(node, part) for part in (ranges.subtract([mine], before) if len(placed) > 1 else [mine])]
            before.append(mine)
        return regions

    def _node_of(self, address: int) -> Optional[int]:
        node = (self.states.get(address // self.block) or {}).get("node") if self.block else None
        return None if node is None else int(node)

    # what is there already

    def _as_it_is(self, chunk: Dict[str, Any], taken: List[Range]) -> Optional[Range]:
        size = self._rounded(chunk["size"]) if self.ours else chunk["size"]
        for one in self.made:
            if one[1] - one[0] in (chunk["size"], size) and self._fits(chunk, one, taken):
                return one
        return None

    def _ours(self, chunk: Dict[str, Any], taken: List[Range]) -> Optional[Range]:
        """A part of what we took, or all of it and the blocks next to it."""
        size = self._rounded(chunk["size"]) if self.ours else chunk["size"]
        for one in self._of_node(chunk, ranges.subtract(self.made, taken)):
            base = ranges.up(one[0], ranges.BIG_PAGE)
            if base + size <= one[1]:
                return base, base + size
        for one in self._of_node(chunk, ranges.subtract(self.made, taken)) if self.block else []:
            for start in (one[0], one[1] - size):
                if one[1] - one[0] < size and self._are_usable((start, start + size), taken):
                    return start, start + size
        return None

    def _offered(self, chunk: Dict[str, Any], taken: List[Range]) -> Optional[Range]:
        free = self._of_node(chunk, ranges.subtract(self.offered, taken + self.made))
        base = ranges.first_fit(free, chunk["size"], ranges.BIG_PAGE)
        return None if base is None else (base, base + chunk["size"])

    def _of_node(self, chunk: Dict[str, Any], free: List[Range]) -> List[Range]:
        return [one for one in free if chunk["node"] is None or self._node_of(one[0]) in (None, chunk["node"])]

    def _fits(self, chunk: Dict[str, Any], one: Range, taken: List[Range]) -> bool:
        return bool(self._of_node(chunk, [one])) and not any(ranges.overlap(one, other) for other in taken)

    # blocks of the host

    def _rounded(self, size: int) -> int:
        return -(-size // self.block) * self.block if self.block else size

    def _of_blocks(self, chunk: Dict[str, Any], taken: List[Range]) -> Optional[Range]:
        """The best run of whole blocks of one node: above the host's kernel and below 4 GiB, else below it, else anywhere."""
        if not self.block or not self.usable:
            return None
        count = -(-chunk["size"] // self.block)
        kernel = max([one["end"] for one in self.memory.get("iomem") or [] if one["name"].startswith("Kernel ")] + [0])
        usable = set(self.usable)
        best: Optional[Tuple[int, int]] = None
        run = 0
        for number in self.usable:
            node = self.states[number].get("node")
            mine = (number * self.block, (number + 1) * self.block)
            fits = (chunk["node"] is None or node == chunk["node"]) and not any(ranges.overlap(mine, other) for other in taken)
            follows = number - 1 in usable and self.states[number - 1].get("node") == node
            run = (run + 1 if follows else 1) if fits else 0
            if run >= count:
                first = number - count + 1
                rank = 2 if mine[1] > FOUR_GIB else 0 if first * self.block > kernel else 1
                if best is None or (rank, first) < best:
                    best = (rank, first)
        return None if best is None else (best[1] * self.block, (best[1] + count) * self.block)

    def _are_usable(self, wanted: Range, taken: List[Range]) -> bool:
        if any(ranges.overlap(wanted, other) for other in taken) or wanted[0] % self.block or wanted[1] % self.block:
            return False
        usable = set(self.usable)
        return all(number in usable for number in range(wanted[0] // self.block, wanted[1] // self.block))

    @property
    def usable(self) -> List[int]:
        """Numbers of the blocks that the host can give up: all of it plain System RAM, without kernel or reservations in it.

        The lowest block is never one of them: what the host needs below 16 MiB lies there. A block that somebody else took
        offline is left alone, since memory is also taken offline because it is broken.
        """
        if self._usable is None:
            rows = self.memory.get("iomem") or []
            ram = ranges.merge((one["start"], one["end"] + 1) for one in rows if one["depth"] == 0 and one["name"] == RAM)
            pinned = ranges.merge((one["start"], one["end"] + 1) for one in rows if one["name"] != RAM)
            plain = ranges.subtract(ram, pinned)
            self._usable = [
                number
                for number, one in sorted(self.states.items())
                if number > 0
                and (one["state"] == "online" or number in self.ours)
                and ranges.contains(plain, (number * self.block, (number + 1) * self.block))
            ]
        return self._usable

    def _no_place(self, number: int, chunk: Dict[str, Any]) -> None:
        what = "pool memory number %d (%s) has no base, and " % (number + 1, amount(chunk["size"]))
        if not self.block or not self.states or not self.memory.get("iomem"):
            self.complain(
                number,
                what + "this kernel offers no pool to choose it from",
                "give its base: the address after the $ of memmap= on the host's command line",
            )
            return
        longest = run = last = 0
        for block in self.usable:
            if chunk["node"] is None or self.states[block].get("node") == chunk["node"]:
                run = run + 1 if block == last + 1 else 1
                longest, last = max(longest, run), block
        self.complain(
            number,
            what + "of the memory blocks that the host can give up at most %s lie side by side" % amount(longest * self.block),
            "ask for at most that much, or reserve memory on the host's command line: memmap=SIZE$ADDRESS",
        )
