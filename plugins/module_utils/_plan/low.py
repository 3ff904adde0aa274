# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The chunk below 1 MiB that every Linux instance needs for its real mode trampoline."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from .._boot.memory_map import LOW_SIZE
from . import ranges
from .conflict import Conflict, Problem, Refusal, Way
from .memory import amount
from .ranges import Range

RESERVE = "reserve 64 KiB for each Linux instance on the host's command line, for example memmap=192K$0x10000"


class Need:
    """One Linux instance; kept is the address of the chunk that it has."""

    __slots__ = ("name", "path", "kept")

    def __init__(self, name: str, kept: Optional[int]) -> None:
        self.name, self.kept = name, kept
        self.path: Tuple[Any, ...] = ("instances", name, "memory")

    def __str__(self) -> str:
        return "%s (%s)" % (self.name, amount(LOW_SIZE))


class Low(Problem):
    """Chunks of 64 KiB. chunks is what the facts tell of that memory, None when it is not known."""

    def __init__(self, chunks: Optional[Iterable[Iterable[int]]], foreign: Sequence[Range], needs: Sequence[Need]) -> None:
        self.known = chunks is not None
        self.available = ranges.sized(chunks)
        self.foreign, self.requests = list(foreign), needs
        self.bases: Dict[str, int] = {}

    def kind(self, request: Need) -> Optional[Tuple[Any, ...]]:
        """All that have no chunk yet ask for the same."""
        return () if request.kept is None else None

    def solve(self, requests: Sequence[Need]) -> Optional[Refusal]:
        """Chunks for the needs: those that are there stay, the rest from the bottom."""
        self.bases = {}
        taken: List[Range] = list(self.foreign)
        for need in requests:
            if need.kept is not None:
                mine = (need.kept, need.kept + LOW_SIZE)
                if not any(ranges.overlap(mine, other) for other in taken):
                    self.bases[need.name] = need.kept
                    taken.append(mine)
        free = ranges.subtract(self.available, taken)
        at = 0
        start = free[0][0] if free else 0
        for need in requests:
            if need.name in self.bases:
                continue
            while at < len(free) and ranges.up(start, ranges.PAGE) + LOW_SIZE > free[at][1]:
                at += 1
                start = free[at][0] if at < len(free) else 0
            if at == len(free):
                return self._none(need)
            self.bases[need.name] = ranges.up(start, ranges.PAGE)
            start = self.bases[need.name] + LOW_SIZE
        return None

    def ways(self, request: Need, fits: Callable[[Way], bool]) -> Iterable[Way]:
        """Another instance's absence."""
        way = Way(9, "leave %s out (state: absent)" % request.name, request.path, request, None)
        if fits(way):
            yield way

    def growths(self, conflict: Conflict) -> List[Way]:
        """More memory that is kept from the host."""
        return [Way(5, RESERVE, ("instances",))]

    def _none(self, need: Need) -> Refusal:
        message = "%s runs Linux and needs 64 KiB below 1 MiB" % need.name
        if not self.known:
            message += ", and which of that memory is free is not known on this host"
        else:
            message += "; of the reserved %s nothing that large is free" % amount(sum(end - start for start, end in self.available))
        return Refusal(need, message, RESERVE)
