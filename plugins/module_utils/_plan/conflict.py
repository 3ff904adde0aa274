# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Why something does not fit: the fewest requests that cannot all be had, and the cheapest ways out.

The search is told by calling the solver again: a request is dropped where the rest still does not fit. It stops at a set of
which every request is needed: without any one of them the others fit. Requests that ask for the same are looked at together: of a
thousand of a kind only how many are needed is asked, by halving, so that a pure shortage takes a handful of calls, too.
No solver library takes part, since the target places, too, and has nothing but the standard library; and the questions are
small (a handful of calls for a pair among a thousand requests).
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

MOST_CONFLICTS = 8  # that are told at once
MOST_WAYS = 4  # that are told of one conflict
WORK = 1600000  # requests that may be placed again to explain a refusal: about three seconds at most, whatever the layout
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
        """The requests with this way taken; old may be a list of requests that are left out together."""
        if isinstance(self.old, list):
            gone = {id(one) for one in self.old}
            return [one for one in requests if id(one) not in gone]
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

    def kind(self, request: Any) -> Optional[Tuple[Any, ...]]:
        """What a request asks for, the same for all that could take each other's places; None for one that is not like any other."""
        return None

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
        told = {id(one) for one in conflict.requests}
        left = [one for one in left if id(one) not in told]
        found = problem.solve(left)
    for conflict in conflicts:
        _ways(problem, conflict, left if found is None else [])
    return conflicts


def _kinds(problem: Problem, requests: Iterable[Any]) -> List[List[Any]]:
    """The requests of each kind that several are of, the largest group first."""
    found: Dict[Tuple[Any, ...], List[Any]] = {}
    for one in requests:
        kind = problem.kind(one)
        if kind is not None:
            found.setdefault(kind, []).append(one)
    return sorted((group for group in found.values() if len(group) > 1), key=len, reverse=True)


class _Shrinking:
    """Requests that do not fit, becoming fewer. budget holds the calls of the solver that are left."""

    def __init__(self, problem: Problem, requests: List[Any], refusal: Refusal, budget: List[int]) -> None:
        self.problem, self.requests, self.refusal, self.budget = problem, requests, refusal, budget

    def drop(self, gone: Sequence[Any]) -> bool:
        """Leave these out if the rest still does not fit; tells whether it was done."""
        if self.budget[0] <= 0:
            return False
        self.budget[0] -= 1
        out = {id(one) for one in gone}
        rest = [one for one in self.requests if id(one) not in out]
        again = self.problem.solve(rest) if rest else None
        if again is None:
            return False
        self.requests, self.refusal = rest, again
        return True

    def drop_of_a_kind(self, group: List[Any]) -> None:
        """As many as possible of requests that ask for the same, from the last on: by halving."""
        if self.drop(group):
            return
        step = len(group)
        while step > 1:
            step = (step + 1) // 2
            while len(group) > step and self.drop(group[-step:]):
                del group[-step:]


def _minimal(problem: Problem, requests: List[Any], refusal: Refusal, budget: List[int]) -> Conflict:
    """Deletion by kinds, then in shrinking chunks of the rest, until no single request can be dropped."""
    state = _Shrinking(problem, requests, refusal, budget)
    groups = _kinds(problem, requests)
    of_a_kind = {id(one) for group in groups for one in group}
    for group in groups:
        state.drop_of_a_kind(group)
    chunk = max(1, len(state.requests) // 2)
    while True:
        single = [one for one in state.requests if id(one) not in of_a_kind]
        dropped = False
        for at in range(0, len(single), chunk):
            dropped |= state.drop(single[at : at + chunk])
        if budget[0] <= 0:
            return Conflict(state.requests, state.refusal, False)
        if chunk > 1:
            chunk = max(1, chunk // 2)
        elif not dropped:
            return Conflict(state.requests, state.refusal, True)


def _ways(problem: Problem, conflict: Conflict, others: List[Any]) -> None:
    """Ways out that let everything fit that is in no other conflict; where there is none, those that let these requests fit."""
    calls = [max(CALLS, WORK // (problem.weight() + 1))]

    def search(context: List[Any]) -> List[Way]:
        def fits(way: Way) -> bool:
            calls[0] -= 1
            return calls[0] >= 0 and problem.solve(way.applied(context)) is None

        return [way for request in told for way in problem.ways(request, fits)]

    # Of many that ask for the same, one stands for all.
    groups = _kinds(problem, conflict.requests)
    alike = {id(one) for group in groups for one in group[1:]}
    told = [one for one in conflict.requests if id(one) not in alike][:CALLS]
    everything = others + conflict.requests
    conflict.ways = search(everything)
    if not any(way.enough for way in conflict.ways):
        conflict.ways = [way for way in (_fewer(problem, group, everything) for group in _kinds(problem, everything)[:2]) if way]
    if not conflict.ways and others:
        calls[0] = CALLS * 2
        conflict.ways = search(conflict.requests)
        for way in conflict.ways:
            way.enough = False


def _fewer(problem: Problem, group: List[Any], everything: List[Any]) -> Optional[Way]:
    """Leave out as many of requests that ask for the same as must be; None when leaving out all of them does not do."""

    def way(kept: int) -> Way:
        out = group[kept:]
        first = ", ".join(one.name for one in out[:3]) + (" ..." if len(out) > 3 else "")
        say = "leave %d of the %d that ask for the same as %s out (state: absent), such as %s" % (len(out), len(group), out[0], first)
        return Way(9 * len(out), say, out[0].path, out, None)

    kept = largest(0, len(group) - 1, lambda count: problem.solve(way(count).applied(everything)) is None)
    return None if kept is None else way(kept)


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
