# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Choice of CPUs: whole cores first, lowest first, below one cache and in one node where they fit.

What the layout names is taken, what an instance has is kept, and the rest is chosen: packed fills the first cache that has
room, spread takes the cache with most room for each core. Threads of cores that are split already go first.
"""

from __future__ import annotations

import heapq
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from .conflict import Problem, Refusal, Way
from .topology import Group, Machine, Scope
from .wish import SHOWN, Wish, asked, some, ways_out


class Chooser(Problem):
    """Hands out the CPUs of one machine."""

    def __init__(self, machine: Machine, wishes: Sequence[Wish]) -> None:
        self.machine, self.requests = machine, wishes
        self.owned: Dict[str, List[int]] = {}
        self.owner: Dict[int, str] = {}
        self.host: Set[int] = set()

    def weight(self) -> int:
        return len(self.requests) + len(self.machine.present)

    def kind(self, request: Wish) -> Optional[Tuple[Any, ...]]:
        """How many CPUs of what sort, where none is named or kept."""
        if request.ids is not None or request.kept is not None or request.host:
            return None
        return (request.count, request.whole, request.own, request.spread, request.node)

    def solve(self, requests: Sequence[Wish]) -> Optional[Refusal]:
        """Place the wishes by name, and where that fails the most demanding first."""
        refusal = self._attempt(requests)
        if refusal is not None and refusal.request.ids is None:
            harder = sorted(requests, key=lambda one: (not one.own, not one.whole, one.spread, -one.count, one.name))
            if harder != list(requests) and self._attempt(harder) is None:
                return None
        return refusal

    def _attempt(self, wishes: Sequence[Wish]) -> Optional[Refusal]:
        self.owned, self.owner = {}, {}
        self.host = {cpu for wish in wishes if wish.host for cpu in wish.ids or ()}
        private: Dict[int, str] = {}
        for wish in wishes:
            if wish.ids is not None and not wish.host:
                refusal = self._given(wish)
                if refusal is not None:
                    return refusal
                self._take_private(wish, private)
        strange = self._stranger(wishes)
        if strange is not None:
            return strange
        for wish in wishes:
            if wish.kept is not None and wish.ids is None and self._can_keep(wish, private):
                self._own(wish.name, list(wish.kept))
                self._take_private(wish, private)
        left = [wish for wish in wishes if wish.name not in self.owned and not wish.host]
        if not left:
            return None
        self._open(private)
        for wish in left:
            picked = self._choose(wish)
            if len(picked) < wish.count:
                return self._too_few(wish, picked)
            self._own(wish.name, sorted(picked))
        return None

    # what is named or kept

    def _own(self, name: str, cpus: List[int]) -> None:
        self.owned[name] = cpus
        for cpu in cpus:
            self.owner[cpu] = name

    def _given(self, wish: Wish) -> Optional[Refusal]:
        for cpu in wish.ids or ():
            reason = self._why_not(cpu)
            if reason is not None:
                return Refusal(wish, "%s names CPU %d, but %s" % (wish.name, cpu, reason), self.free_hint())
        self._own(wish.name, list(wish.ids or ()))
        return None

    def _take_private(self, wish: Wish, private: Dict[int, str]) -> None:
        if wish.own:
            for cpu in self.owned[wish.name]:
                private[id(self.machine.cache_of[cpu].family)] = wish.name

    def _stranger(self, wishes: Sequence[Wish]) -> Optional[Refusal]:
        """The first named CPU below a cache that another instance wants for itself."""
        for wish in wishes:
            if wish.own and wish.ids is not None and not wish.host:
                for cpu in wish.ids:
                    for other in self.machine.cache_of[cpu].cpus():
                        theirs = self.owner.get(other, "the host" if other in self.host or other == self.machine.boot else wish.name)
                        if theirs != wish.name:
                            return Refusal(
                                wish,
                                "%s is to have a last level cache of its own, but CPU %d of %s shares that of CPU %d"
                                % (wish.name, other, theirs, cpu),
                                "give it all CPUs of one cache, or leave llc: own out",
                            )
        return None

    def _can_keep(self, wish: Wish, private: Dict[int, str]) -> bool:
        """Whether an instance has what it asks for, and nobody else needs it."""
        kept = wish.kept or ()
        if len(kept) != wish.count or any(self._why_not(cpu) is not None for cpu in kept):
            return False
        machine = self.machine
        if any(id(machine.cache_of[cpu].family) in private for cpu in kept):
            return False
        if wish.whole and not all(other in kept for cpu in kept for other in machine.core_of[cpu]):
            return False
        if wish.own:
            below = [other for cpu in kept for other in machine.cache_of[cpu].cpus()]
            return all(other in kept or (other not in self.owner and other not in self.host and other != machine.boot) for other in below)
        return True

    # what is chosen

    def _open(self, private: Dict[int, str]) -> None:
        """Group what is free."""
        closed = self.machine.unusable | self.host
        closed.update(self.owner)
        self.all = Scope()
        self.nodes: Dict[Optional[int], Scope] = {}
        self.by_size: Dict[Optional[int], Dict[int, List[Group]]] = {}
        for number, cache in enumerate(self.machine.caches):
            if id(cache.family) in private:
                continue
            group = Group(number, cache, closed)
            if not group.free:
                continue
            self.all.add(group)
            node = self.nodes.get(group.node)
            if node is None:
                node = self.nodes[group.node] = Scope()
            node.add(group)
            if group.untouched and len(cache.family) == 1:
                self.by_size.setdefault(group.node, {}).setdefault(group.free, []).append(group)
        for sizes in self.by_size.values():
            for groups in sizes.values():
                groups.reverse()

    def _choose(self, wish: Wish) -> List[int]:
        if wish.own:
            return self._private(wish)
        near = self.nodes.get(wish.node) if wish.node is not None else None
        best: List[int] = []
        for groups in self._scopes(wish, near):
            picked = self._pick(groups, wish)
            if len(picked) == wish.count:
                return picked
            self._put_back(groups, picked)
            best = max(best, picked, key=len)
        return best

    def _scopes(self, wish: Wish, near: Optional[Scope]) -> Iterable[List[Group]]:
        """Where to look, nearest first: one cache, one node, the machine; first all of that for the node of the memory."""
        scopes = [near] if near is not None else []
        scopes.append(self.all)
        for scope in scopes:
            if not wish.spread:
                group = scope.first(wish.count, wish.whole)
                if group is not None:
                    yield [group]
            if scope is self.all:
                for node in [] if len(self.nodes) == 1 else self.nodes.values():
                    if node is not near and (node.threads if wish.whole else node.free) >= wish.count and not wish.spread:
                        yield node.with_room()
                        break
            elif (scope.threads if wish.whole else scope.free) >= wish.count:
                yield scope.with_room()
        if near is not None:
            yield near.with_room() + [group for group in self.all.with_room() if group.node != wish.node]
        else:
            yield self.all.with_room()

    def _private(self, wish: Wish) -> List[int]:
        """CPUs below caches that nobody else has a CPU of: one that just fits, else the smallest larger one, else several."""
        near = [wish.node] if wish.node is not None and wish.node in self.by_size else []
        group = self._smallest(near, wish.count) or self._smallest(list(self.by_size), wish.count)
        groups = [] if group is None else [group]
        if not groups:
            groups = self._several(wish)
        picked = self._pick(groups, wish)
        if len(picked) < wish.count:
            self._put_back(groups, picked)
            return picked
        for one in groups:
            self._count(one, -one.free, -one.threads)
            one.whole, one.split = [], []
        return picked

    def _several(self, wish: Wish) -> List[Group]:
        """Untouched caches that together have room, all parts of each."""
        families: Dict[int, List[Group]] = {}
        for group in sorted(self.all.with_room(), key=lambda one: (one.node != wish.node, one.number)):
            families.setdefault(id(group.family), []).append(group)
        groups: List[Group] = []
        room = 0
        for family in families.values():
            if room < wish.count and len(family) == len(family[0].family) and all(one.untouched for one in family):
                groups += family
                room += sum(one.threads for one in family)
        return groups

    def _smallest(self, nodes: Sequence[Optional[int]], count: int) -> Optional[Group]:
        """The smallest untouched cache with room for count, the lowest of them."""
        best: Optional[Group] = None
        for node in nodes:
            for size, groups in self.by_size[node].items():
                while groups and not groups[-1].untouched:
                    groups.pop()
                if groups and size >= count and (best is None or (size, groups[-1].number) < (best.free, best.number)):
                    best = groups[-1]
        return best

    def _pick(self, groups: List[Group], wish: Wish) -> List[int]:
        return self._scatter(groups, wish) if wish.spread else self._pack(groups, wish)

    def _pack(self, groups: List[Group], wish: Wish) -> List[int]:
        """Whole cores, then threads of cores that are split, then of others."""
        picked: List[int] = []
        count = wish.count
        for group in groups:
            while group.whole and count - len(picked) >= group.smallest:
                core = self._whole_core(group, count - len(picked))
                if core is None:
                    break
                picked += core
        if wish.whole:
            return picked
        for kind in ("split", "whole"):
            for group in groups:
                if len(picked) == count:
                    return picked
                cores: List[List[int]] = getattr(group, kind)
                while cores and len(picked) < count:
                    picked += self._threads(group, cores, count - len(picked))
        return picked

    def _scatter(self, groups: List[Group], wish: Wish) -> List[int]:
        """One core, or one thread of a core, at a time, each below the cache that has most left."""
        picked: List[int] = []
        heap = [(not group.whole, -group.free, at) for at, group in enumerate(groups)]
        heapq.heapify(heap)
        while heap and len(picked) < wish.count:
            _split, _free, at = heapq.heappop(heap)
            group = groups[at]
            if wish.whole:
                core = self._whole_core(group, wish.count - len(picked))
                if core is None:
                    continue
                picked += core
            else:
                picked += self._threads(group, group.whole or group.split, 1)
            if group.free:
                heapq.heappush(heap, (not group.whole, -group.free, at))
        return picked

    def _whole_core(self, group: Group, most: int) -> Optional[List[int]]:
        """Take the lowest free core that has at most so many threads."""
        for at in range(len(group.whole) - 1, -1, -1):
            core = group.whole[at]
            if len(core) <= most:
                del group.whole[at]
                self._count(group, -len(core), -len(core))
                return core
        return None

    def _threads(self, group: Group, cores: List[List[int]], most: int) -> List[int]:
        """Take up to so many threads of the last of cores; what is left of it is a split core."""
        core = cores.pop()
        rest = core[most:]
        if rest:
            group.split.append(rest)
        self._count(group, -len(core[:most]), -len(core) if cores is group.whole else 0)
        return core[:most]

    def _count(self, group: Group, free: int, threads: int) -> None:
        group.untouched = False
        for one in (group, self.all, self.nodes[group.node]):
            one.free += free
            one.threads += threads

    def _put_back(self, groups: List[Group], picked: List[int]) -> None:
        """Undo a pick that was too small: the groups are made anew from what is free."""
        if not picked:
            return
        closed = self.machine.unusable | self.host
        closed.update(self.owner)
        for group in groups:
            fresh = Group(group.number, self.machine.caches[group.number], closed)
            self._count(group, fresh.free - group.free, fresh.threads - group.threads)
            group.whole, group.split, group.untouched = fresh.whole, fresh.split, fresh.untouched
        for scope in [self.all] + list(self.nodes.values()):
            scope.live = list(scope.groups)

    # what is said

    def _why_not(self, cpu: int) -> Optional[str]:
        """Why a CPU cannot be handed out, None when it can."""
        reason = self.machine.why_never(cpu)
        if reason is not None:
            return reason
        if cpu in self.host:
            return "host.cpus keeps it for the host"
        return "it belongs to %s" % self.owner[cpu] if cpu in self.owner else None

    def _too_few(self, wish: Wish, picked: List[int]) -> Refusal:
        have = sorted(picked)
        if not wish.whole:
            groups = [group for group in self.all.with_room() if group.untouched or not wish.own]
            have = [cpu for group in groups for core in group.whole + group.split for cpu in core]
        what = "%s asks for %s" % (wish.name, asked(wish))
        said = "none is free" if not have else "only %d %s free (%s)" % (len(have), "is" if len(have) == 1 else "are", some(sorted(have)))
        closed = self.machine.unusable | self.host | set(self.owner)
        missing = [cpu for cpu in self.machine.present if cpu in closed]
        others = ["CPU %d: %s" % (cpu, self._why_not(cpu)) for cpu in missing[:SHOWN]]
        hint = "ask for %d, or free a CPU" % len(have) if have else "free a CPU"
        if others:
            more = ["and %d more" % (len(missing) - SHOWN)] if len(missing) > SHOWN else []
            hint += " (%s)" % "; ".join(others + more)
        return Refusal(wish, "%s, %s" % (what, said), hint)

    def free_hint(self, host: Iterable[int] = ()) -> str:
        """Which CPUs are free at the moment, for a hint."""
        self.host = self.host or set(host)
        free = [cpu for cpu in self.machine.present if self._why_not(cpu) is None]
        return "free here: %s" % (some(free) or "none")

    def ways(self, request: Wish, fits: Callable[[Way], bool]) -> Iterable[Way]:
        """Choose instead of naming, ask for less, let an instance move, let the host keep less, leave the instance out."""
        for way in ways_out(request, self.machine.boot, fits):
            if fits(way):
                yield way
