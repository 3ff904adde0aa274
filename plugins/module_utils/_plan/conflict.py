# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Why something does not fit: the fewest requests that cannot all be had, and the cheapest ways out.

The search is told by calling the solver again: a request is dropped where the rest still does not fit. It stops at a set of
which every request is needed: without any one of them the others fit. No solver library takes part, since the target
places, too, and has nothing but the standard library; and the questions are small (a handful of calls for a pair among
a thousand requests).
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, List, Optional, Sequence, Tuple

MOST_CONFLICTS = 8  # that are told at once
MOST_WAYS = 4  # that are told of one conflict
WORK = 200000  # requests that may be placed again to explain a refusal: seconds at most, whatever the layout
CALLS = 24  # that are always allowed


class Refusal:
    """What a solver says when requests do not fit: the request that found no place, a sentence and a hint."""

    __slots__ = ("request", "message", "hint")

    def __init__(self, request: Any, message: str, hint: str) -> None:
        self.request, self.message, self.hint = request, message, hint


class Way:
    """One way out: what it costs (less is cheaper), what to do, where, and the requests that it puts in place of one.

    Cost: 1 nothing is lost, 2 a preference, 3 a guarantee, 4 a part of what was asked for, 5 of what the host has, 6 a restart,
    9 the whole thing.
    """

    __slots__ = ("cost", "say", "path", "old", "new", "enough")

    def __init__(
        self, cost: float, say: str, path: Tuple[Any, ...], old: Any = None, new: Optional[Any] = None, enough: bool = True
    ) -> None:
        self.cost, self.say, self.path, self.old, self.new = cost, say, path, old, new
        self.enough = enough  # whether everything fits then, or only the requests of the conflict

    def applied(self, requests: Iterable[Any]) -> List[Any]:
        """The requests with this way taken."""
        return [self.new if one is self.old else one for one in requests if one is not self.old or self.new is not None]


class Conflict:
    """Requests that cannot all be had. minimal: without any one of them the others fit (false where the search was cut short)."""

    def __init__(self, requests: List[Any], refusal: Refusal, minimal: bool) -> None:
        self.requests, self.refusal, self.minimal = requests, refusal, minimal
        self.ways: List[Way] = []


class Problem:
    """Requests of one kind and how they are placed; memory, low memory and CPUs are three of them."""

    requests: Sequence[Any] = ()

    def solve(self, requests: Sequence[Any]) -> Optional[Refusal]:
        """Place requests, in their order. None when they fit."""
        raise NotImplementedError

    def ways(self, request: Any, fits: Callable[[Way], bool]) -> Iterable[Way]:
        """Ways out that change one request, each of which was found to fit."""
        raise NotImplementedError

    def growths(self, conflict: "Conflict") -> List[Way]:
        """Ways out that change no request but the machine."""
        return []

    def all_ways(self, conflict: "Conflict") -> List[Way]:
        """The cheapest ways out: those that are enough by themselves, else those that are needed among others."""
        ways = conflict.ways + self.growths(conflict)
        ways = [way for way in ways if way.enough] or ways
        return sorted(ways, key=lambda way: (way.cost, [str(part) for part in way.path], way.say))[:MOST_WAYS]

    def weight(self) -> int:
        """How much work one call of solve is, in requests."""
        return len(self.requests)


def explain(problem: Problem, refusal: Refusal) -> List[Conflict]:
    """All conflicts of a problem that does not fit, disjoint, each with its ways out, cheapest first."""
    left = list(problem.requests)
    budget = [max(CALLS, WORK // (problem.weight() + 1))]
    conflicts: List[Conflict] = []
    found: Optional[Refusal] = refusal
    while found is not None and len(conflicts) < MOST_CONFLICTS:
        conflict = _minimal(problem, left, found, budget)
        conflicts.append(conflict)
        left = [one for one in left if not any(one is other for other in conflict.requests)]
        found = problem.solve(left)
    for conflict in conflicts:
        _ways(problem, conflict, left if found is None else [])
    return conflicts


def _minimal(problem: Problem, requests: List[Any], refusal: Refusal, budget: List[int]) -> Conflict:
    """Deletion in shrinking chunks, until no single request can be dropped. budget holds the calls that are left."""
    chunk = max(1, len(requests) // 2)
    while True:
        dropped = False
        at = 0
        while at < len(requests):
            if budget[0] <= 0:
                return Conflict(requests, refusal, False)
            rest = requests[:at] + requests[at + chunk :]
            budget[0] -= 1
            again = problem.solve(rest) if rest else None
            if again is None:
                at += chunk
            else:
                requests, refusal, dropped = rest, again, True
        if chunk > 1:
            chunk = max(1, chunk // 2)
        elif not dropped:
            return Conflict(requests, refusal, True)


def _ways(problem: Problem, conflict: Conflict, others: List[Any]) -> None:
    """Ways out that let everything fit that is in no other conflict; where there is none, those that let these requests fit."""
    calls = [max(CALLS, WORK // (problem.weight() + 1))]

    def search(context: List[Any]) -> List[Way]:
        def fits(way: Way) -> bool:
            calls[0] -= 1
            return calls[0] >= 0 and problem.solve(way.applied(context)) is None

        return [way for request in conflict.requests[:CALLS] for way in problem.ways(request, fits)]

    conflict.ways = search(others + conflict.requests)
    if not conflict.ways and others:
        calls[0] = CALLS * 2
        conflict.ways = search(conflict.requests)
        for way in conflict.ways:
            way.enough = False


def largest(low: int, high: int, fits: Callable[[int], bool]) -> Optional[int]:
    """The largest number from low to high that fits, by halving; None when low does not."""
    if high < low or not fits(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
