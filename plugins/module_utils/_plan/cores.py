# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Choice of CPUs: whole cores first, lowest first, never the boot CPU nor what stays with the host."""

from __future__ import annotations

import collections
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

Complaint = Tuple[str, str]


class Chooser:
    """Hands out the CPUs of one machine. owned maps instance names to logical CPU numbers, in the order they are to be used."""

    def __init__(self, facts: Dict[str, Any], host_cpus: Optional[Sequence[int]]) -> None:
        cpus = facts["cpus"]
        self.each: Dict[int, Dict[str, Any]] = {int(number): one for number, one in (cpus.get("each") or {}).items()}
        self.present: List[int] = sorted(cpus["present"])
        self.boot: int = cpus["boot"] if cpus.get("boot") is not None else 0
        self.host = set(host_cpus or [])
        self.foreign: Set[int] = set()
        self.owned: Dict[str, List[int]] = {}
        self._owner: Dict[int, str] = {}
        self._there = set(self.present)
        self._threads_of = collections.Counter(self._core(cpu) for cpu in self.present)

    def apic_id(self, cpu: int) -> Optional[int]:
        """The APIC id of a logical CPU, None when the host does not tell."""
        known = (self.each.get(cpu) or {}).get("apic_id")
        return None if known is None else int(known)

    def given(self, name: str, ids: Sequence[int], space: str) -> List[Complaint]:
        """Takes the CPUs that the layout names. Returns what is wrong with them as (sentence, hint)."""
        complaints: List[Complaint] = []
        cpus: List[int] = []
        for one in ids:
            cpu = one if space == "logical" else self._logical(one)
            if cpu is None:
                complaints.append(
                    (
                        "%s names APIC id %d, and no CPU of this host is known to have it" % (name, one),
                        "known APIC ids: %s" % (", ".join(str(one) for one in self._apic_ids()) or "none"),
                    )
                )
                continue
            cpus.append(cpu)
            reason = self._why_not(cpu)
            if reason is not None:
                complaints.append(("%s names CPU %d, but %s" % (name, cpu, reason), self._free_hint()))
        self._own(name, cpus)
        return complaints

    def keep(self, name: str, cpus: Sequence[int], wanted: Dict[str, Any]) -> None:
        """Lets an instance keep the CPUs that it has, where they are still what the layout asks for."""
        if len(cpus) == wanted["count"] and all(self._why_not(cpu) is None for cpu in cpus):
            self._own(name, cpus)

    def choose(self, name: str, wanted: Dict[str, Any], node: Optional[int]) -> List[Complaint]:
        """Chooses wanted["count"] CPUs, those of node first. Returns what prevents it as (sentence, hint)."""
        count = wanted["count"] or 1
        free = [cpu for cpu in self.present if self._why_not(cpu) is None]
        if wanted["llc"] == "own":
            free = [cpu for cpu in free if self._cache_is_free(cpu)]
        picked, rest = self._whole_cores(free, count, node)
        if count > len(picked) and not wanted["whole_cores"]:
            picked += self._threads(rest, count - len(picked))
        if len(picked) < count:
            return [self._too_few(name, count, free, picked, wanted)]
        self._own(name, sorted(picked))
        return []

    def _own(self, name: str, cpus: Sequence[int]) -> None:
        self.owned[name] = list(cpus)
        for cpu in cpus:
            self._owner.setdefault(cpu, name)

    def _whole_cores(self, free: List[int], count: int, node: Optional[int]) -> Tuple[List[int], List[List[int]]]:
        """CPUs of whole free cores, up to count, and the free threads of all other cores."""
        picked: List[int] = []
        rest: List[List[int]] = []
        groups: Dict[Any, List[int]] = {}
        for cpu in free:
            groups.setdefault(self._core(cpu), []).append(cpu)
        for threads in sorted(groups.values(), key=lambda one: (node is not None and self._of(one[0], "node") != node, one[0])):
            if self._is_whole(threads) and len(threads) <= count - len(picked):
                picked += threads
            else:
                rest.append(threads)
        return picked, rest

    def _threads(self, groups: List[List[int]], count: int) -> List[int]:
        """Single threads: those of cores that are split already first, so that whole cores stay whole."""
        picked: List[int] = []
        for threads in sorted(groups, key=lambda one: (self._is_whole(one), one[0])):
            picked += threads[: count - len(picked)]
        return picked

    def _is_whole(self, threads: List[int]) -> bool:
        return len(threads) == self._threads_of[self._core(threads[0])]

    def _core(self, cpu: int) -> Any:
        core = self._of(cpu, "core")
        return ("alone", cpu) if core is None else (self._of(cpu, "package"), core)

    def _of(self, cpu: int, key: str) -> Any:
        return (self.each.get(cpu) or {}).get(key)

    def _cache_is_free(self, cpu: int) -> bool:
        return all(other == cpu or self._why_not(other) is None for other in self._of(cpu, "llc") or [])

    def _why_not(self, cpu: int) -> Optional[str]:
        """Why a CPU cannot be handed out, None when it can."""
        if cpu not in self._there:
            return "this host has no such CPU"
        if cpu == self.boot:
            return "it is the boot CPU, which stays with the host"
        if cpu in self.host:
            return "host.cpus keeps it for the host"
        if self._of(cpu, "offlinable") is False:
            return "the host cannot take it offline"
        if cpu in self.foreign:
            return "an instance that was not started from here runs on it"
        if cpu in self._owner:
            return "it belongs to %s" % self._owner[cpu]
        return None

    def _too_few(self, name: str, count: int, free: List[int], picked: List[int], wanted: Dict[str, Any]) -> Complaint:
        kind = "CPU" if count == 1 else "CPUs"
        number = len(picked) if wanted["whole_cores"] else len(free)
        names = picked if wanted["whole_cores"] else free
        what = "%d %s" % (count, kind) + (" in whole cores" if wanted["whole_cores"] else "")
        what += " with a last level cache of their own" if wanted["llc"] == "own" else ""
        have = "none is free" if not number else "only %d %s free (%s)" % (number, "is" if number == 1 else "are", _numbers(names))
        others = ["CPU %d: %s" % (cpu, self._why_not(cpu)) for cpu in self.present if self._why_not(cpu) is not None]
        hint = "ask for %d, or free a CPU" % number if number else "free a CPU"
        if others:
            hint += " (%s)" % "; ".join(others)
        return "%s asks for %s, %s" % (name, what, have), hint

    def _free_hint(self) -> str:
        free = [cpu for cpu in self.present if self._why_not(cpu) is None]
        return "free here: %s" % (_numbers(free) or "none")

    def _logical(self, apic_id: int) -> Optional[int]:
        return next((cpu for cpu in self.present if self.apic_id(cpu) == apic_id), None)

    def _apic_ids(self) -> List[int]:
        return sorted(one for one in (self.apic_id(cpu) for cpu in self.present) if one is not None)


def _numbers(cpus: Sequence[int]) -> str:
    if not cpus:
        return ""
    return ("CPU " if len(cpus) == 1 else "CPUs ") + ", ".join(str(cpu) for cpu in cpus)
