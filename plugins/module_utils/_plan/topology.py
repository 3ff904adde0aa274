# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The CPUs of one machine as placement sees them: caches, cores and threads, and which of them can be had at all."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Set, Tuple


class Cache:
    """CPUs of one node below one last-level cache, by core: threads of a core together, cores by their first CPU.

    family: all of one cache, where it serves several nodes (sub-NUMA clustering).
    """

    __slots__ = ("node", "cores", "family")

    def __init__(self, node: Optional[int], family: List["Cache"]) -> None:
        self.node, self.family = node, family
        self.cores: List[List[int]] = []
        family.append(self)

    def cpus(self) -> List[int]:
        """All CPUs below the cache, whatever their node."""
        return [cpu for one in self.family for core in one.cores for cpu in core]


class Machine:
    """An index of the facts about CPUs. Takes time in proportion to their number."""

    def __init__(self, facts: Dict[str, Any], foreign: Set[int]) -> None:
        cpus = facts["cpus"]
        self.each: Dict[int, Dict[str, Any]] = {int(number): one for number, one in (cpus.get("each") or {}).items()}
        present = cpus.get("present")
        self.present: List[int] = sorted(set(self.each if present is None else present))
        self.boot: int = cpus["boot"] if cpus.get("boot") is not None else 0
        self.foreign = foreign
        self.caches: List[Cache] = []
        self._cache_of: Optional[Dict[int, Cache]] = None
        self.core_of: Dict[int, List[int]] = {}
        self.unusable: Set[int] = {self.boot} | foreign
        self.apic_ids: Dict[int, int] = {}
        self._index()

    def _index(self) -> None:
        packages: Dict[Any, Dict[Any, List[int]]] = {}
        listed: Dict[int, Cache] = {}
        known: Set[int] = set(self.present)
        sizes: Dict[int, int] = {}
        for cpu in self.present:
            one = self.each.get(cpu) or {}
            apic_id = one.get("apic_id")
            if apic_id is not None:
                self.apic_ids[cpu] = int(apic_id)
            if one.get("offlinable") is False:
                self.unusable.add(cpu)
            core = one.get("core")
            threads = fresh = [cpu]
            if core is not None:
                package = one.get("package")
                cores = packages.get(package)
                if cores is None:
                    cores = packages[package] = {}
                threads = cores.setdefault(core, fresh)
            self.core_of[cpu] = threads
            if threads is not fresh:
                # all threads of a core lie below the cache of its first one, whatever an offline CPU still tells
                threads.append(cpu)
                continue
            sharing = one.get("llc") or ()
            cache = listed.get(cpu)
            if cache is None or len(sharing) > sizes[id(cache)]:
                # the kernel drops offline CPUs from the lists of the others: whoever lists a CPU belongs to its cache
                cache = cache or next((listed[other] for other in sharing if other in listed), None)
                if cache is None:
                    cache = Cache(one.get("node"), [])
                    self.caches.append(cache)
                sizes[id(cache)] = max(len(sharing), sizes.get(id(cache), 0))
                for other in sharing:
                    if other in known:
                        listed.setdefault(other, cache)
            if cache.node != one.get("node"):
                cache = self._of_family(cache, one.get("node"))
            cache.cores.append(threads)

    def _of_family(self, cache: Cache, node: Optional[int]) -> Cache:
        for one in cache.family:
            if one.node == node:
                return one
        self.caches.append(Cache(node, cache.family))
        return self.caches[-1]

    @property
    def cache_of(self) -> Dict[int, Cache]:
        """The cache above each CPU; most layouts never ask."""
        if self._cache_of is None:
            self._cache_of = {cpu: cache for cache in self.caches for core in cache.cores for cpu in core}
        return self._cache_of

    def apic_id(self, cpu: int) -> Optional[int]:
        """The APIC id of a logical CPU, None when the host does not tell."""
        return self.apic_ids.get(cpu)

    def logical(self) -> Dict[int, int]:
        """Logical CPU numbers by APIC id."""
        numbers: Dict[int, int] = {}
        for cpu, apic_id in self.apic_ids.items():
            numbers.setdefault(apic_id, cpu)
        return numbers

    def why_never(self, cpu: int) -> Optional[str]:
        """Why no instance can have a CPU, whatever the layout says; None when one can."""
        if cpu not in self.core_of:
            return "this host has no such CPU"
        if cpu not in self.unusable:
            return None
        if cpu == self.boot:
            return "it is the boot CPU, which stays with the host"
        if (self.each.get(cpu) or {}).get("offlinable") is False:
            return "the host cannot take it offline"
        return "an instance that was not started from here runs on it"


class Group:
    """Free CPUs below one cache. Lists are in falling order, so that the lowest is taken off the end."""

    __slots__ = ("number", "node", "whole", "split", "free", "threads", "untouched", "smallest", "family")

    def __init__(self, number: int, cache: Cache, closed: Set[int]) -> None:
        self.number, self.node = number, cache.node
        self.whole: List[List[int]] = []
        self.split: List[List[int]] = []
        self.free = self.threads = 0
        self.smallest = 1 << 30
        for core in cache.cores:
            if closed.isdisjoint(core):
                self.whole.append(core)
                self.threads += len(core)
                if len(core) < self.smallest:
                    self.smallest = len(core)
            else:
                rest = [cpu for cpu in core if cpu not in closed]
                if rest:
                    self.split.append(rest)
                    self.free += len(rest)
        self.free += self.threads
        self.family = cache.family
        self.untouched = len(self.whole) == len(cache.cores)
        self.whole.reverse()
        self.split.reverse()


class Scope:
    """Caches of one node, or of the machine, in the order in which they are filled."""

    def __init__(self) -> None:
        self.groups: List[Group] = []
        self.live: List[Group] = []
        self.free = self.threads = 0
        self._first: Dict[Tuple[bool, int], int] = {}

    def add(self, group: Group) -> None:
        self.groups.append(group)
        self.live.append(group)
        self.free += group.free
        self.threads += group.threads

    def first(self, count: int, whole: bool) -> Optional[Group]:
        """The first cache with room for count. Room only shrinks, so the search goes on where it stopped."""
        at = self._first.get((whole, count), 0)
        groups = self.groups
        while at < len(groups) and (groups[at].threads if whole else groups[at].free) < count:
            at += 1
        self._first[(whole, count)] = at
        return groups[at] if at < len(groups) else None

    def with_room(self) -> List[Group]:
        """The caches that still have a free CPU."""
        self.live = [group for group in self.live if group.free]
        return self.live
