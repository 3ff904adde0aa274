# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Choice of addresses: private memory of instances from the bottom of the pool, areas of channels from its top.

First fit per node, each in one piece; where that fails the largest first, then each into the smallest gap that holds it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from . import ranges
from .conflict import Conflict, Problem, Refusal, Way, largest
from .ranges import Range

Region = Tuple[Optional[int], Range]


class Ask:
    """What one instance (area: one channel) asks for, in bytes. kept is the address that it has."""

    __slots__ = ("name", "size", "base", "node", "kept", "area")

    def __init__(
        self, name: str, size: int, base: Optional[int] = None, node: Optional[int] = None, kept: Optional[int] = None, area: bool = False
    ) -> None:
        self.name, self.size, self.base, self.node, self.kept, self.area = name, size, base, node, kept, area

    @property
    def path(self) -> Tuple[Any, ...]:
        """Where the layout asks for it."""
        return ("channels", self.name) if self.area else ("instances", self.name, "memory")

    def but(self, **changes: Any) -> "Ask":
        """The same with other values."""
        values = {key: getattr(self, key) for key in self.__slots__}
        values.update(changes)
        return Ask(**values)

    def __str__(self) -> str:
        where = "" if self.base is None else " at 0x%x" % self.base
        return "%s%s (%s%s)" % ("channel " if self.area else "", self.name, amount(self.size), where)


class Gaps:
    """Free pieces of the pool in the order of its regions. Only shrinks, so that each search goes on where the last one stopped."""

    def __init__(self, regions: Sequence[Region], taken: Sequence[Range]) -> None:
        self.starts: List[int] = []
        self.ends: List[int] = []
        self.nodes: List[Optional[int]] = []
        begins = [one[0] for one in taken]
        for node, (start, end) in regions:
            at = max(0, bisect_right(begins, start) - 1)
            while start < end:
                while at < len(taken) and taken[at][1] <= start:
                    at += 1
                border = min(end, taken[at][0]) if at < len(taken) else end
                if start < border:
                    self.starts.append(start)
                    self.ends.append(border)
                    self.nodes.append(node)
                start = max(border, taken[at][1]) if at < len(taken) else end
        self._of: Dict[Any, List[int]] = {None: list(range(len(self.starts)))}
        for at, node in enumerate(self.nodes):
            if node is not None:
                self._of.setdefault(node, []).append(at)
        self._seen: Dict[Any, Tuple[List[int], Dict[int, int]]] = {}
        self._by_length: Dict[Optional[int], List[Tuple[int, int, int]]] = {}

    def lowest(self, size: int, node: Optional[int]) -> Optional[int]:
        """Take the first aligned address where size bytes fit."""
        order = self._of.get(node) or []
        sizes, first = self._seen.setdefault(node, ([], {}))
        starts, ends, align = self.starts, self.ends, ranges.BIG_PAGE - 1
        position = self._begin(sizes, first, size)
        while position < len(order):
            at = order[position]
            base = (starts[at] + align) & ~align
            if base + size <= ends[at]:
                break
            position += 1
        first[size] = position
        if position == len(order):
            return None
        starts[at] = base + size
        return base

    def highest(self, size: int) -> Optional[int]:
        """Take the last page where size bytes fit, from the highest region on."""
        if "top" not in self._of:
            self._of["top"] = sorted(range(len(self.starts)), key=lambda at: -self.starts[at])
        order = self._of["top"]
        sizes, first = self._seen.setdefault("top", ([], {}))
        position = self._begin(sizes, first, size)
        while position < len(order) and ranges.down(self.ends[order[position]] - size, ranges.PAGE) < self.starts[order[position]]:
            position += 1
        first[size] = position
        if position == len(order):
            return None
        at = order[position]
        self.ends[at] = ranges.down(self.ends[at] - size, ranges.PAGE)
        return self.ends[at]

    def tightest(self, size: int, node: Optional[int]) -> Optional[int]:
        """Take the smallest piece in which size bytes fit; not to be mixed with lowest."""
        sizes = self._by_length.get(node)
        if sizes is None:
            sizes = self._by_length[node] = sorted(self._length(at) for at in self._of.get(node) or [])
        at = bisect_left(sizes, (size, 0, 0))
        while at < len(sizes):
            length, base, gap = sizes.pop(at)
            current = self._length(gap)
            if current == (length, base, gap):
                self.starts[gap] = base + size
                insort(sizes, self._length(gap))
                return base
            insort(sizes, current)  # another node's view has taken from it
            at = bisect_left(sizes, (size, 0, 0))
        return None

    def longest(self, node: Optional[int]) -> int:
        """The size of the largest piece, in bytes."""
        return max([self._length(at)[0] for at in self._of.get(node) or []] + [0])

    def _length(self, at: int) -> Tuple[int, int, int]:
        base = ranges.up(self.starts[at], ranges.BIG_PAGE)
        return max(0, self.ends[at] - base), base, at

    @staticmethod
    def _begin(sizes: List[int], first: Dict[int, int], size: int) -> int:
        """Where to begin: what was too small for less is too small for this."""
        at = bisect_right(sizes, size)
        position = first[sizes[at - 1]] if at else 0
        if size not in first:
            sizes.insert(at, size)
        return position


class Memory(Problem):
    """Addresses for the private memory of instances and for the areas of channels."""

    def __init__(self, regions: Sequence[Region], foreign: Sequence[Range], asks: Sequence[Ask]) -> None:
        self.regions, self.requests = regions, asks
        self.foreign = ranges.merge(foreign)
        self.pool = ranges.merge(one for _node, one in regions)
        self.bases: Dict[str, int] = {}  # of instances
        self.areas: Dict[str, int] = {}  # of channels

    def solve(self, requests: Sequence[Ask]) -> Optional[Refusal]:
        """Place the requests, instances before channels."""
        return self._with(self.regions, requests)

    def _with(self, regions: Sequence[Region], requests: Sequence[Ask]) -> Optional[Refusal]:
        refusal = self._attempt(regions, requests, False)
        if refusal is None or refusal.request.base is not None:
            return refusal
        larger = sorted(requests, key=lambda one: (one.area, one.node is None, -one.size, one.name))
        if self._attempt(regions, larger, False) is None or self._attempt(regions, larger, True) is None:
            return None
        return refusal

    def _attempt(self, regions: Sequence[Region], requests: Sequence[Ask], tight: bool) -> Optional[Refusal]:
        bases: Dict[str, int] = {}
        areas: Dict[str, int] = {}
        self.bases, self.areas = bases, areas
        taken: List[Tuple[int, int, Optional[Ask]]] = [(start, end, None) for start, end in self.foreign]
        taken += [(ask.base, ask.base + ask.size, ask) for ask in requests if ask.base is not None]
        taken.sort(key=lambda one: one[:2])
        for low, high in zip(taken, taken[1:]):
            if high[0] < low[1]:
                return _collision(low, high)
        for start, _end, ask in taken:
            if ask is not None:
                (areas if ask.area else bases)[ask.name] = start
        occupied = [one[:2] for one in taken]
        for ask in requests:
            if ask.kept is not None and ask.base is None and self._can_keep(ask, occupied):
                insort(occupied, (ask.kept, ask.kept + ask.size))
                (areas if ask.area else bases)[ask.name] = ask.kept
        gaps = Gaps(regions, occupied)
        find = gaps.tightest if tight else gaps.lowest
        for ask in requests:
            if not ask.area and ask.name not in bases:
                base = find(ask.size, ask.node)
                if base is None:
                    return _no_room(ask, gaps)
                bases[ask.name] = base
        for ask in requests:
            if ask.area and ask.name not in areas:
                base = gaps.highest(ask.size)
                if base is None:
                    return _no_area(ask)
                areas[ask.name] = base
        return None

    def _can_keep(self, ask: Ask, occupied: List[Range]) -> bool:
        start = ask.kept or 0
        end = start + ask.size
        at = bisect_left(occupied, (end, end))
        if at and occupied[at - 1][1] > start:
            return False
        return ranges.contains(self.pool, (start, end))

    def kind(self, request: Ask) -> Optional[Tuple[Any, ...]]:
        """Size, node and whether it is an area, where no address is given or kept."""
        free = request.base is None and request.kept is None
        return (request.size, request.node, request.area) if free else None

    def node_at(self, address: int) -> Optional[int]:
        """The node of the pool at an address."""
        for node, (start, end) in self.regions:
            if start <= address < end:
                return node
        return None

    def ways(self, request: Ask, fits: Callable[[Way], bool]) -> Iterable[Way]:
        """Choose instead of naming, another node, less memory, a move, a larger pool, leave it out."""
        for way in self._ways(request, fits):
            if fits(way):
                yield way

    def _ways(self, ask: Ask, fits: Callable[[Way], bool]) -> Iterable[Way]:
        name, path = ask.name, ask.path
        if ask.area:
            yield Way(8, "leave channel %s out" % name, path, ask, None)
            return
        if ask.base is not None:
            yield Way(1, "leave the base of %s out, and a free place is chosen" % name, path, ask, ask.but(base=None, kept=None))
        if ask.node is not None:
            yield Way(2, "let %s have memory of another node" % name, path, ask, ask.but(node=None))
        units = (ask.size - 1) // ranges.BIG_PAGE
        less = largest(1, units, lambda count: fits(Way(4, "", path, ask, ask.but(size=count * ranges.BIG_PAGE))))
        if less is not None:
            size = less * ranges.BIG_PAGE
            said = "give %s %s instead of %s" % (name, amount(size), amount(ask.size))
            yield Way(4 + (ask.size - size) / float(ask.size), said, path, ask, ask.but(size=size))
        if ask.kept is not None and ask.base is None:
            yield Way(6, "let %s, which is at 0x%x, move (it is restarted)" % (name, ask.kept), path, ask, ask.but(kept=None))
        yield Way(9, "leave %s out (state: absent)" % name, path, ask, None)

    def growths(self, conflict: Conflict) -> List[Way]:
        """So much more in the pool."""
        node = conflict.refusal.request.node
        if conflict.refusal.request.base is not None:
            return []
        where = "the pool" if node is None else "the pool of node %d" % node
        for requests in (self.requests, conflict.requests):
            size = self._growth(requests, node)
            if size is not None:
                return [Way(5, "add %s to %s" % (amount(size), where), ("pool", "memory"), enough=requests is self.requests)]
        return []

    def _growth(self, requests: Sequence[Ask], node: Optional[int]) -> Optional[int]:
        """How many bytes, in steps of 2 MiB, must be added to the pool in one piece for requests to fit; None when none help."""
        top = ranges.up(max([end for _start, end in self.pool] + [0]), ranges.BIG_PAGE) + (1 << 50)
        wanted = sum(ranges.up(ask.size, ranges.BIG_PAGE) for ask in requests)

        def fits(spared: int) -> bool:
            size = wanted - spared * ranges.BIG_PAGE
            return size > 0 and self._with(list(self.regions) + [(node, (top, top + size))], requests) is None

        spared = largest(0, wanted // ranges.BIG_PAGE, fits)
        return None if spared is None else wanted - spared * ranges.BIG_PAGE


def _collision(low: Tuple[int, int, Optional[Ask]], high: Tuple[int, int, Optional[Ask]]) -> Refusal:
    """Two given places share bytes. The later name is to blame, never an instance that was not started from here."""
    first, second = sorted([low, high], key=lambda one: (one[2] is not None, "" if one[2] is None else one[2].name))
    theirs = "an instance that was not started from here" if first[2] is None else first[2].name
    mine = second[2] or first[2]
    return Refusal(
        mine,
        "the memory of %s (%s) overlaps that of %s (%s)"
        % ("another one" if mine is None else mine.name, span(second[:2]), theirs, span(first[:2])),
        "leave one base out, and a free place is chosen",
    )


def _no_room(ask: Ask, gaps: Gaps) -> Refusal:
    largest_ = gaps.longest(ask.node)
    where = "the pool" if ask.node is None else "the pool of node %d" % ask.node
    hint = "ask for at most that much, or enlarge the pool" if largest_ else "enlarge the pool, or give another instance less"
    return Refusal(
        ask, "%s asks for %s of memory, the largest free piece of %s is %s" % (ask.name, amount(ask.size), where, amount(largest_)), hint
    )


def _no_area(ask: Ask) -> Refusal:
    return Refusal(
        ask,
        "the channel %s needs %s of the pool outside every instance's memory, and no piece is that large" % (ask.name, amount(ask.size)),
        "enlarge the pool by %s, or give an instance less" % amount(ranges.up(ask.size, ranges.BIG_PAGE)),
    )


def amount(size: int) -> str:
    """A number of bytes for a sentence: 256 MiB, 64 KiB, 12 bytes."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size and size % unit == 0:
            return "%d %s" % (size // unit, name)
    return "%d bytes" % size


def span(one: Range) -> str:
    """A range for a sentence, last byte included, as /proc/iomem writes it."""
    return "0x%x-0x%x" % (one[0], one[1] - 1)
