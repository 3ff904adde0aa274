# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Placement: gives every instance its CPUs, memory and low chunk, and every channel its area.

Pure and deterministic: the same layout, facts and state give the same placement. What is given in the layout is taken as
given, what an instance already has is kept, and the rest is chosen, lowest first, in the order of the names.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Optional, Sequence

from .._boot import channel as channel_area
from .._rules.finding import Finding
from . import cores, ranges
from .ranges import Range

ENTRY_OFFSET = 0x3000  # the entry stub behind mailbox, ACPI tables and the fake IO-APIC page
LOW_SIZE = 0x10000  # a Linux instance's real mode trampoline lives in 64 KiB of its own below 1 MiB
HOST = "host"


class PlacementError(Exception):
    """The layout does not fit this machine. findings says for each instance or channel what does not fit and what would."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = list(findings)
        super().__init__("; ".join(finding.message for finding in self.findings))


def place(layout: Dict[str, Any], facts: Dict[str, Any], state: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
    """A copy of the canonical layout where each instance that is not absent, and each channel, has a "placed" entry.

    facts is the facts bundle of the host, state what a dialect observed (None: nothing runs there).
    Instance: {"cpus", "apic_ids", "base", "size", "low", "entry"}; channel: {"address", "size", "ends"}; bytes and absolute
    addresses. Raises PlacementError with one finding for each thing that has no place.
    """
    return _Placement(layout, facts, state or {}).run()


def is_flat(layout: Dict[str, Any], facts: Dict[str, Any], image: str) -> bool:
    """Whether an image is a flat payload rather than a Linux kernel; the format given in the layout decides, then the file."""
    declared = layout["images"][image]
    if declared["format"] != "auto":
        return bool(declared["format"] == "flat")
    known = (facts.get("images") or {}).get(declared["kernel"]["path"]) or {}
    return bool(known.get("kind") == "flat")


class _Placement:
    def __init__(self, layout: Dict[str, Any], facts: Dict[str, Any], state: Dict[str, Any]) -> None:
        self.layout = copy.deepcopy(layout)
        self.facts = facts
        self.findings: List[Finding] = []
        self.names = sorted(name for name, one in self.layout["instances"].items() if one["state"] != "absent")
        self.kept = {name: one["spec"] for name, one in (state.get("instances") or {}).items() if one.get("spec")}
        self.foreign = (state.get("foreign") or {}).get("instances") or []
        self.kept_areas = (state.get("made") or {}).get("channels") or {}

    def run(self) -> Dict[str, Any]:
        for name in self.names:
            self.layout["instances"][name]["placed"] = {}
        self._memory()
        self._low()
        self._cpus()
        if not self.findings:
            self._channels()
        if self.findings:
            raise PlacementError(self.findings)
        return self.layout

    def _fail(self, where: Sequence[str], message: str, hint: str) -> None:
        self.findings.append(
            Finding(rule="placement." + where[-1], severity="error", verdict="fail", message=message, path=tuple(where), hint=hint)
        )

    # memory

    def _memory(self) -> None:
        pool = self.pool = self._pool()
        everything = [one for _node, one in pool]
        taken: Dict[str, Range] = {}
        for number, other in enumerate(self.foreign, 1):
            for start, end in ranges.sized(other["memory"]):
                taken["an instance that was not started from here (number %d, 0x%x)" % (number, start)] = (start, end)
        for name in self._fixed_first():
            wanted = self.layout["instances"][name]["memory"]
            size = ranges.up(wanted["size"], ranges.PAGE)
            base = wanted["base"]
            if base is None:
                base = self._kept_base(name, size, everything, taken)
            if base is None:
                regions = [one for node, one in pool if wanted["node"] is None or node == wanted["node"]]
                free = [ranges.subtract([one], taken.values()) for one in regions]
                base = next((at for at in (ranges.first_fit(part, size, ranges.BIG_PAGE) for part in free) if at is not None), None)
                if base is None:
                    self._no_memory(name, size, [one for part in free for one in part], wanted["node"])
                    continue
            else:
                self._check_base(name, (base, base + size), everything, taken)
            taken[name] = (base, base + size)
            self.layout["instances"][name]["placed"].update(base=base, size=size, entry=base + ENTRY_OFFSET)
        self.everything, self.taken = everything, taken

    def _pool(self) -> List[Any]:
        """(node, range) of every pool region in the order of the layout."""
        offered = ranges.sized((self.facts.get("dialect") or {}).get("pool"))
        pool: List[Any] = []
        for number, region in enumerate(self.layout["pool"]["memory"]):
            base, size = region["base"], region["size"]
            if base is None:
                free = ranges.subtract(offered, [one for _node, one in pool])
                base = ranges.first_fit(free, size, ranges.BIG_PAGE)
            if base is None:
                self._fail(
                    ("pool", "memory"),
                    "pool memory number %d (%s) has no base, and this kernel offers no pool to choose it from" % (number + 1, amount(size)),
                    "give its base: the address after the $ of memmap= on the host's command line",
                )
                continue
            region["base"] = base
            node = region["node"] if region["node"] is not None else self._node_of(base)
            pool.append((node, (base, base + size)))
        return pool

    def _node_of(self, address: int) -> Optional[int]:
        memory = self.facts.get("memory") or {}
        if memory.get("block_size") and memory.get("blocks"):
            for block in memory["blocks"]:
                if block["number"] == address // memory["block_size"]:
                    node = block.get("node")
                    return None if node is None else int(node)
        return None

    def _fixed_first(self) -> List[str]:
        """Names with a given base first, then those that already have a place, then the rest."""

        def rank(name: str) -> int:
            if self.layout["instances"][name]["memory"]["base"] is not None:
                return 0
            return 1 if name in self.kept else 2

        return sorted(self.names, key=lambda name: (rank(name), name))

    def _kept_base(self, name: str, size: int, pool: List[Range], taken: Dict[str, Range]) -> Optional[int]:
        spec = self.kept.get(name)
        if spec is None or spec["size"] != size:
            return None
        mine = (spec["base"], spec["base"] + size)
        if not ranges.contains(pool, mine) or any(ranges.overlap(mine, other) for other in taken.values()):
            return None
        return int(spec["base"])

    def _check_base(self, name: str, mine: Range, pool: List[Range], taken: Dict[str, Range]) -> None:
        where = ("instances", name, "memory")
        if mine[0] % ranges.BIG_PAGE:
            self._fail(
                where,
                "%s has its base at %s, which is not a multiple of 2 MiB" % (name, hex(mine[0])),
                "use %s" % hex(ranges.up(mine[0], ranges.BIG_PAGE)),
            )
        if not ranges.contains(pool, mine):
            self._fail(
                where,
                "the memory of %s (%s) is not wholly inside the pool (%s)"
                % (name, span(mine), ", ".join(span(one) for one in pool) or "empty"),
                "choose a base inside the pool, or leave it out",
            )
        for other, theirs in taken.items():
            if ranges.overlap(mine, theirs):
                self._fail(
                    where,
                    "the memory of %s (%s) overlaps that of %s (%s)" % (name, span(mine), other, span(theirs)),
                    "leave one base out, and a free place is chosen",
                )

    def _no_memory(self, name: str, size: int, free: List[Range], node: Optional[int]) -> None:
        largest = 0
        for start, end in free:
            largest = max(largest, end - ranges.up(start, ranges.BIG_PAGE))
        place_ = "the pool" if node is None else "the pool of node %d" % node
        hint = "ask for at most that much, or enlarge the pool" if largest > 0 else "enlarge the pool, or give another instance less"
        self._fail(
            ("instances", name, "memory"),
            "%s asks for %s of memory, the largest free piece of %s is %s" % (name, amount(size), place_, amount(max(largest, 0))),
            hint,
        )

    # the chunk below 1 MiB

    def _low(self) -> None:
        chunks = (self.facts.get("memory") or {}).get("low")
        linux = [name for name in self.names if not is_flat(self.layout, self.facts, self.layout["instances"][name]["image"])]
        available = ranges.sized(chunks)
        taken: List[Range] = [one for other in self.foreign for one in ranges.sized(other["memory"])]
        for name in self.names:
            self.layout["instances"][name]["placed"]["low"] = None
        for name in sorted(linux, key=lambda one: (one not in self.kept, one)):
            kept = self.kept.get(name, {}).get("low")
            if kept is not None and not any(ranges.overlap((kept, kept + LOW_SIZE), one) for one in taken):
                base: Optional[int] = kept
            else:
                base = ranges.first_fit(ranges.subtract(available, taken), LOW_SIZE, ranges.PAGE)
            if base is None:
                self._no_low(name, chunks is None, available)
                continue
            taken.append((base, base + LOW_SIZE))
            self.layout["instances"][name]["placed"]["low"] = base

    def _no_low(self, name: str, unknown: bool, available: List[Range]) -> None:
        if unknown:
            message = "%s runs Linux and needs 64 KiB below 1 MiB, and which of that memory is free is not known on this host" % name
        else:
            message = "%s runs Linux and needs 64 KiB below 1 MiB; of the reserved %s nothing that large is free" % (
                name,
                amount(sum(end - start for start, end in available)),
            )
        self._fail(
            ("instances", name, "memory"),
            message,
            "reserve 64 KiB for each Linux instance on the host's command line, for example memmap=192K$0x10000",
        )

    # CPUs

    def _cpus(self) -> None:
        chooser = cores.Chooser(self.facts, self.layout["host"]["cpus"])
        chooser.foreign = {cpu for other in self.foreign for cpu in other["cpus"]}
        for name in self.names:
            wanted = self.layout["instances"][name]["cpus"]
            if wanted["ids"] is not None:
                for message, hint in chooser.given(name, wanted["ids"], wanted["space"]):
                    self._fail(("instances", name, "cpus"), message, hint)
        for name in self.names:
            if name not in chooser.owned and name in self.kept:
                chooser.keep(name, self.kept[name]["cpus"], self.layout["instances"][name]["cpus"])
        for name in self.names:
            one = self.layout["instances"][name]
            if name not in chooser.owned:
                node = self._node_of_instance(one) if one["cpus"]["near"] == "memory" else None
                for message, hint in chooser.choose(name, one["cpus"], node):
                    self._fail(("instances", name, "cpus"), message, hint)
            cpus = chooser.owned.get(name, [])
            apic_ids = [chooser.apic_id(cpu) for cpu in cpus]
            for cpu, apic_id in zip(cpus, apic_ids):
                if apic_id is None and cpu in chooser.present:
                    self._fail(
                        ("instances", name, "cpus"),
                        "the APIC id of CPU %d, which %s is to have, is not known while it is offline" % (cpu, name),
                        "bring CPU %d online in the host once: echo 1 > /sys/devices/system/cpu/cpu%d/online" % (cpu, cpu),
                    )
            one["placed"].update(cpus=cpus, apic_ids=apic_ids)

    def _node_of_instance(self, one: Dict[str, Any]) -> Optional[int]:
        base = one["placed"].get("base")
        if base is None:
            return None
        for node, (start, end) in self.pool:
            if start <= base < end:
                return None if node is None else int(node)
        return None

    # channels

    def _channels(self) -> None:
        kept_first = sorted(self.layout["channels"], key=lambda name: (name not in self.kept_areas, name))
        private = list(self.taken.values())
        taken: List[Range] = []
        for name in kept_first:
            one = self.layout["channels"][name]
            if one["kind"] == "shared_memory":
                size = ranges.up(one["size"], ranges.PAGE)
            else:
                size = ranges.up(channel_area.area_size(one["slots"], one["message_size"]), ranges.PAGE)
            free = ranges.subtract(self.everything, private + taken)
            kept = self.kept_areas.get(name)
            if kept and kept["size"] == size and ranges.contains(free, (kept["address"], kept["address"] + size)):
                address: Optional[int] = kept["address"]
            else:
                address = ranges.last_fit(free, size, ranges.PAGE)
            if address is None:
                self._fail(
                    ("channels", name),
                    "the channel %s needs %s of the pool outside every instance's memory, and no piece is that large"
                    % (name, amount(size)),
                    "enlarge the pool by %s, or give an instance less" % amount(ranges.up(size, ranges.BIG_PAGE)),
                )
                continue
            taken.append((address, address + size))
            one["placed"] = {"address": address, "size": size, "ends": [self._end(name, end) for end in one["between"]]}

    def _end(self, channel: str, name: str) -> int:
        if name == HOST:
            cpus = self.facts["cpus"]
            known = (cpus.get("each") or {}).get(str(cpus.get("boot") or 0)) or {}
            return int(known.get("apic_id") or 0)
        if name not in self.names:
            self._fail(
                ("channels", channel),
                "the channel %s ends at %s, which is no instance that is to exist" % (channel, name),
                "name two of: %s" % ", ".join([HOST] + self.names),
            )
            return 0
        return int(self.layout["instances"][name]["placed"]["apic_ids"][0])


def amount(size: int) -> str:
    """A number of bytes for a sentence: 256 MiB, 64 KiB, 12 bytes."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size and size % unit == 0:
            return "%d %s" % (size // unit, name)
    return "%d bytes" % size


def span(one: Range) -> str:
    """A range for a sentence, last byte included, as /proc/iomem writes it."""
    return "0x%x-0x%x" % (one[0], one[1] - 1)
