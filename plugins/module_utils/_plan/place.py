# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Placement: gives every instance its CPUs, memory and low chunk, and every channel its area.

Pure and deterministic: the same layout, facts and state give the same placement, whatever the order of keys. What is given
in the layout is taken as given, what an instance already has is kept, and the rest is chosen, lowest first, in the order of
the names; where that does not work out, the most demanding first.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from .._boot import channel as channel_area
from .._boot.memory_map import LOW_SIZE
from .._boot.memory_map import STUB as ENTRY_OFFSET
from .._rules.finding import Finding
from . import collector, ranges
from .conflict import Conflict, Problem, explain
from .cores import Chooser
from .low import Low, Need
from .memory import Ask, Memory, amount, span
from .pool import Pool
from .ranges import Range
from .topology import Machine
from .wish import Wish

__all__ = ["ENTRY_OFFSET", "HOST", "LOW_SIZE", "PlacementError", "amount", "is_flat", "place", "span"]

HOST = "host"


class PlacementError(Exception):
    """The layout does not fit this machine.

    findings has one entry for each request that takes part: the first of a conflict says what does not fit, the others name
    what it collides with. conflicts says the same as data: {"requests": [{"path", "what"}], "minimal": whether all of these
    are needed for it, "ways": [{"cost", "do", "path", "enough": whether it alone lets everything fit}] cheapest first}.
    """

    def __init__(self, findings: Sequence[Finding], conflicts: Sequence[Dict[str, Any]] = ()) -> None:
        self.findings = list(findings)
        self.conflicts = list(conflicts)
        super().__init__("; ".join(finding.message for finding in self.findings))


@collector.paused
def place(layout: Dict[str, Any], facts: Dict[str, Any], state: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
    """A copy of the canonical layout where each instance that is not absent, and each channel, has a "placed" entry.

    facts is the facts bundle of the host, state what a dialect observed (None: nothing runs there). What the copy does not
    change it shares with the layout.
    Instance: {"cpus", "apic_ids", "base", "size", "low", "entry"}; channel: {"address", "size", "ends"}; bytes and absolute
    addresses; chunks of the pool have their base, and whole memory blocks where they are made of those. Raises PlacementError
    that names for each conflict the fewest requests that cannot all be had, and the cheapest ways out.
    """
    return Placement(layout, facts, state or {}).run()


def is_flat(layout: Dict[str, Any], facts: Dict[str, Any], image: str) -> bool:
    """Whether an image is a flat payload rather than a Linux kernel; the format given in the layout decides, then the file."""
    declared = layout["images"][image]
    if declared["format"] != "auto":
        return bool(declared["format"] == "flat")
    known = (facts.get("images") or {}).get(declared["kernel"]["path"]) or {}
    return bool(known.get("kind") == "flat")


class Placement:
    """One placement in the making. Other dialects place memory and channels in ways of their own."""

    def __init__(self, layout: Dict[str, Any], facts: Dict[str, Any], state: Dict[str, Any]) -> None:
        self.layout, self.facts, self.state = layout, facts, state
        self.findings: List[Finding] = []
        self.conflicts: List[Dict[str, Any]] = []
        self.areas: List[Ask] = []  # what channels ask of the memory
        every = layout["instances"]
        had = state.get("instances") or {}
        # Of one that is to be defined only, nothing is kept: the next placement, when it is gone, is to be the same as this one.
        defined = {name for name in had if name in every and every[name]["state"] == "defined"}
        self.kept = {name: one["spec"] for name, one in had.items() if one.get("spec") and name not in defined}
        self.instances: Dict[str, Dict[str, Any]] = {}
        self.asks: List[Ask] = []  # what the instances ask for: memory, chunks below 1 MiB, CPUs
        self.needs: List[Need] = []
        self.wishes: List[Wish] = []
        self.named: List[Tuple[Wish, str]] = []  # with the space of the numbers
        self.near: List[Wish] = []  # CPUs near the memory, wherever that comes to lie
        self._ask(every)
        foreign = (state.get("foreign") or {}).get("instances") or []
        self.foreign = [one for other in foreign for one in ranges.sized(other["memory"])]
        self.foreign_cpus = {cpu for other in foreign for cpu in other["cpus"]}
        # one that runs beside the one that it replaces is in no layout of the host, and keeps what it has
        for spec in (one for name, one in self.kept.items() if "called" in one and name not in self.instances):
            self.foreign += [(spec["base"], spec["base"] + spec["size"])]
            self.foreign += [(spec["low"], spec["low"] + LOW_SIZE)] if spec["low"] is not None else []
            self.foreign += [(one["address"], one["address"] + one["size"]) for one in spec["channels"]]
            self.foreign_cpus.update(spec["cpus"])

    def _ask(self, every: Dict[str, Dict[str, Any]]) -> None:
        """Look at every instance once: ten thousand are more than a processor's caches hold."""
        linux = {image for image in self.layout["images"] if not is_flat(self.layout, self.facts, image)}
        kept = self.kept
        for name in sorted(every):
            one = every[name]
            if one["state"] == "absent":
                continue
            self.instances[name] = one
            memory, cpus, spec = one["memory"], one["cpus"], kept.get(name) if kept else None
            size, ids = ranges.up(memory["size"], ranges.PAGE), cpus["ids"]
            where = spec["base"] if spec is not None and spec["size"] == size else None
            self.asks.append(Ask(name, size, memory["base"], memory["node"], where))
            if one["image"] in linux:
                self.needs.append(Need(name, None if spec is None else spec.get("low")))
            wish = Wish(name, ids, cpus["count"] or 1, cpus["whole_cores"], cpus["llc"] == "own", cpus.get("pick") == "spread")
            self.wishes.append(wish)
            if spec is not None:
                wish.kept = spec["cpus"]
            if ids is not None:
                self.named.append((wish, cpus["space"]))
            if cpus["near"] == "memory":
                self.near.append(wish)

    def run(self) -> Dict[str, Any]:
        chunks, memory = self._memory()
        low = self._low()
        machine, chooser = self._cpus(memory)
        self._ids_are_known(machine, chooser)
        known = machine.apic_ids
        host = machine.apic_id(machine.boot) or 0
        channels = self._channels(memory, lambda end: host if end == HOST else known[chooser.owned[end][0]])
        if self.findings:
            raise PlacementError(self.findings, self.conflicts)
        instances = dict(self.layout["instances"])
        for ask in self.asks:
            name = ask.name
            where = self._where(ask, memory, low)
            where["cpus"] = cpus = chooser.owned[name]
            where["apic_ids"] = [known[cpu] for cpu in cpus]
            instances[name] = dict(instances[name], placed=where)
        return dict(self.layout, instances=instances, channels=channels, pool=dict(self.layout["pool"], memory=chunks))

    def _where(self, ask: Ask, memory: Memory, low: Low) -> Dict[str, Any]:
        """A dictionary of its own for each instance."""
        base = memory.bases[ask.name]
        return {"base": base, "size": ask.size, "low": low.bases.get(ask.name), "entry": base + ENTRY_OFFSET}

    # what is refused

    def _fail(self, where: Sequence[Any], message: str, hint: str) -> None:
        what = where[2] if where[0] == "instances" else where[0] if where[0] == "channels" else where[1]
        self.findings.append(
            Finding(rule="placement." + what, severity="error", verdict="fail", message=message, path=tuple(where), hint=hint)
        )

    def _solve(self, problem: Problem) -> None:
        """Place all requests of a problem, or find out why that cannot be."""
        refusal = problem.solve(problem.requests)
        if refusal is not None:
            for conflict in explain(problem, refusal):
                self._tell(problem, conflict)

    def _tell(self, problem: Problem, conflict: Conflict) -> None:
        refusal = conflict.refusal
        others = [one for one in conflict.requests if one is not refusal.request]
        ways = problem.all_ways(conflict)
        hint = refusal.hint
        if ways and (others or ways[0].cost < 9):
            first = "cheapest first: " if ways[0].enough else "cheapest first, of several that are needed: "
            hint = first + "; or ".join(way.say for way in ways)
        unnamed = [str(one) for one in others if one.name not in refusal.message.split(":")[0].replace(",", " ").split()]
        if len(unnamed) > _SHOWN:
            unnamed[_SHOWN:] = ["%d more" % (len(unnamed) - _SHOWN)]
        beside = ", beside " + ", ".join(unnamed) if unnamed else ""
        self._fail(refusal.request.path, refusal.message + beside, hint)
        for other in others[:_SHOWN]:
            self._fail(other.path, "%s is in the way of %s" % (other, refusal.request), hint)
        self.conflicts.append(
            {
                "requests": [{"path": list(one.path), "what": str(one)} for one in conflict.requests],
                "minimal": conflict.minimal,
                "ways": [{"cost": round(way.cost, 3), "do": way.say, "path": list(way.path), "enough": way.enough} for way in ways],
            }
        )

    # memory

    def _memory(self) -> Tuple[List[Dict[str, Any]], Memory]:
        pool = Pool(self.facts, self.state, lambda number, message, hint: self._fail(("pool", "memory", number), message, hint))
        chunks, regions = pool.place(self.layout["pool"]["memory"])
        complete = not self.findings
        self.areas = self._areas()
        memory = Memory(regions, self.foreign, self.asks + self.areas)
        good = [ask for ask in memory.requests if ask.base is None or self._is_given_well(ask, memory.pool)]
        memory.requests = good
        if complete:
            self._solve(memory)
        return chunks, memory

    def _areas(self) -> List[Ask]:
        asks = []
        known = (self.state.get("made") or {}).get("channels") or {}
        for name, one in sorted(self.layout["channels"].items()):
            size = one["size"] if one["kind"] == "shared_memory" else channel_area.area_size(one["slots"], one["message_size"])
            size = ranges.up(size, ranges.PAGE)
            there = known.get(name)
            asks.append(Ask(name, size, kept=there["address"] if there and there["size"] == size else None, area=True))
        return asks

    def _is_given_well(self, ask: Ask, pool: List[Range]) -> bool:
        base = ask.base or 0
        mine = (base, base + ask.size)
        if base % ranges.BIG_PAGE:
            self._fail(
                ask.path,
                "%s has its base at %s, which is not a multiple of 2 MiB" % (ask.name, hex(base)),
                "use %s" % hex(ranges.up(base, ranges.BIG_PAGE)),
            )
            return False
        if not ranges.contains(pool, mine):
            self._fail(
                ask.path,
                "the memory of %s (%s) is not wholly inside the pool (%s)"
                % (ask.name, span(mine), ", ".join(span(one) for one in pool) or "empty"),
                "choose a base inside the pool, or leave it out",
            )
            return False
        return True

    def _low(self) -> Low:
        low = Low((self.facts.get("memory") or {}).get("low"), self.foreign, self.needs)
        self._solve(low)
        return low

    # CPUs

    def _cpus(self, memory: Memory) -> Tuple[Machine, Chooser]:
        machine = Machine(self.facts, self.foreign_cpus)
        logical: Optional[Dict[int, int]] = None
        lost: Set[str] = set()
        for wish, space in self.named:
            if space == "apic":
                logical = machine.logical() if logical is None else logical
                wish.ids = self._logical(wish.name, wish.ids or (), logical)
            if not self._are_there(wish.name, wish.ids or (), machine):
                lost.add(wish.name)
        for wish in self.near:
            base = memory.bases.get(wish.name)
            wish.node = None if base is None else memory.node_at(base)
        host = self.layout["host"]["cpus"]
        wishes = [] if host is None else [Wish("host.cpus", ids=host, host=True)]
        wishes += [wish for wish in self.wishes if wish.name not in lost] if lost else self.wishes
        chooser = Chooser(machine, wishes)
        self._solve(chooser)
        return machine, chooser

    def _logical(self, name: str, ids: Sequence[int], logical: Dict[int, int]) -> List[int]:
        for one in ids:
            if one not in logical:
                self._fail(
                    ("instances", name, "cpus"),
                    "%s names APIC id %d, and no CPU of this host is known to have it" % (name, one),
                    "known APIC ids: %s" % (", ".join(str(known) for known in sorted(logical)) or "none"),
                )
        return [logical[one] for one in ids if one in logical]

    def _are_there(self, name: str, ids: Sequence[int], machine: Machine) -> bool:
        """Whether all CPUs that an instance names are ones that an instance can have."""
        good = bool(ids)
        for cpu in ids:
            reason = machine.why_never(cpu)
            if reason is not None:
                good = False
                self._fail(
                    ("instances", name, "cpus"),
                    "%s names CPU %d, but %s" % (name, cpu, reason),
                    Chooser(machine, ()).free_hint(self.layout["host"]["cpus"] or ()),
                )
        return good

    def _ids_are_known(self, machine: Machine, chooser: Chooser) -> None:
        lost = machine.core_of.keys() - machine.apic_ids.keys()
        for name, cpu in ((name, cpu) for name, cpus in chooser.owned.items() for cpu in cpus if cpu in lost) if lost else ():
            self._fail(
                ("instances", name, "cpus"),
                "the APIC id of CPU %d, which %s is to have, is not known while it is offline" % (cpu, name),
                "bring CPU %d online in the host once: echo 1 > /sys/devices/system/cpu/cpu%d/online" % (cpu, cpu),
            )

    # channels

    def _channels(self, memory: Memory, apic_id: Callable[[str], Optional[int]]) -> Dict[str, Any]:
        placed: Dict[str, Any] = {}
        for ask in self.areas:
            one = self.layout["channels"][ask.name]
            self._ends_exist(ask.name, one)
            if not self.findings:
                ends = [apic_id(end) for end in one["between"]]
                placed[ask.name] = dict(one, placed={"address": memory.areas[ask.name], "size": ask.size, "ends": ends})
        return placed

    def _ends_exist(self, name: str, channel: Dict[str, Any]) -> bool:
        missing = [end for end in channel["between"] if end != HOST and end not in self.instances]
        for end in missing:
            self._fail(
                ("channels", name),
                "the channel %s ends at %s, which is no instance that is to exist" % (name, end),
                "name two of: %s" % ", ".join([HOST] + list(self.instances)),
            )
        return not missing


_SHOWN = 8  # members of a conflict that are shown one by one
