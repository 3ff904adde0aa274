# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Placement on a kernfs host: CPUs as everywhere; memory by size, since the kernel picks every address.

What an instance has, it keeps. For the rest it is only found out whether it fits: chunks that are not there yet are put at addresses
that no machine has, and those never leave this file. The area of a channel lies in the memory of the first instance that it names.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from .._boot import channel as channel_area
from . import collector, kernfs_pool, ranges
from .low import Low
from .memory import Ask, Memory, Region
from .place import HOST, Placement

PARK = 0x10000  # bytes of the pool that the kernel keeps for parked CPUs; it is told to be a few pages
NOWHERE = 1 << 60
APART = 1 << 44
AREA = 0x100000  # areas of channels lie this far into their owner's memory
AREAS = 0x100000  # bytes that areas of channels have there: a Linux kernel begins behind them


@collector.paused
def place(layout: Dict[str, Any], facts: Dict[str, Any], state: Dict[str, Any]) -> Dict[str, Any]:
    """As place.place; "base" is what the kernel shows for an instance that is there, else None, and so is a channel's "address"."""
    return _Placement(layout, facts, state).run()


def bare(layout: Dict[str, Any]) -> Dict[str, Any]:
    """The layout without addresses of memory: wishes that no kernfs host can honour, and what its kernel chose, which is no wish."""

    def without(one: Dict[str, Any]) -> Dict[str, Any]:
        made = dict(one, memory=dict(one["memory"], base=None))
        if "placed" in one:
            made["placed"] = dict(one["placed"], base=None)
        return made

    instances = {name: without(one) for name, one in layout["instances"].items()}
    return dict(layout, instances=instances, pool=dict(layout["pool"], memory=[dict(one, base=None) for one in layout["pool"]["memory"]]))


def located(placed: Dict[str, Any], state: Dict[str, Any]) -> Dict[str, Any]:
    """A placed layout with what the kernel chose: the addresses of instances, of the areas of channels, and the chunks of our pool."""
    have = state["instances"]
    instances = dict(placed["instances"])
    for name, one in instances.items():
        if "placed" in one and name in have:
            instances[name] = dict(one, placed=dict(one["placed"], base=have[name]["memory"]["base"]))
    channels = {}
    for name, (owner, at, _size) in offsets(placed["channels"]).items():
        base = have[owner]["memory"]["base"] if owner in have else None
        one = placed["channels"][name]
        channels[name] = dict(one, placed=dict(one["placed"], address=None if base is None else base + at))
    made = {base for base, _size in state["made"]["pool"]}
    pool = [dict(one) for one in state["pool"]["memory"] if one["base"] in made] or placed["pool"]["memory"]
    return dict(placed, instances=instances, channels=channels, pool=dict(placed["pool"], memory=pool))


def area_size(channel: Dict[str, Any]) -> int:
    """Bytes of a channel's area, in whole pages."""
    size = channel["size"] if channel["kind"] == "shared_memory" else channel_area.area_size(channel["slots"], channel["message_size"])
    return ranges.up(size, ranges.PAGE)


def offsets(channels: Dict[str, Any]) -> Dict[str, Tuple[str, int, int]]:
    """(owner, offset in the owner's memory, bytes) of each channel's area."""
    ends: Dict[str, int] = {}
    found: Dict[str, Tuple[str, int, int]] = {}
    for name, one in sorted(channels.items()):
        owner = next((end for end in one["between"] if end != HOST), HOST)
        size = area_size(one)
        at = ends.get(owner, AREA)
        ends[owner] = at + size
        found[name] = (owner, at, size)
    return found


class _Placement(Placement):
    def __init__(self, layout: Dict[str, Any], facts: Dict[str, Any], state: Dict[str, Any]) -> None:
        super().__init__(bare(layout), facts, state)

    def _memory(self) -> Tuple[List[Dict[str, Any]], Memory]:
        pool = self.state.get("pool") or {"memory": []}
        mine = {base for base, _size in (self.state.get("made") or {}).get("pool") or []}
        used = [(ask.kept, ask.kept + ask.size) for ask in self.asks if ask.kept is not None]
        ours = [one for one in pool["memory"] if one["base"] in mine]
        change = kernfs_pool.change(self.layout["pool"]["memory"], ours, used)
        regions: List[Region] = []
        for number, chunk in enumerate(change.keep + change.add):
            base = NOWHERE + number * APART if chunk["base"] is None else chunk["base"]
            regions.append((self._only_node() if chunk["node"] is None else chunk["node"], (base, base + chunk["size"])))
        self.change = change
        memory = Memory(self._without_park(regions), self.foreign, self.asks)
        self._solve(memory)
        return [dict(chunk) for chunk in self.layout["pool"]["memory"]], memory

    def _only_node(self) -> Optional[int]:
        nodes = {one.get("node") for one in (self.facts["cpus"].get("each") or {}).values()}
        return nodes.pop() if len(nodes) == 1 else None

    def _without_park(self, regions: List[Region]) -> List[Region]:
        """The kernel of the interface parks the CPUs of its pool in a few pages of it; mkstock does not."""
        if not regions or (self.facts.get("dialect") or {}).get("provider") == "mkstock":
            return regions
        node, (start, end) = regions[-1]
        return regions[:-1] + [(node, (start, end - PARK))]

    def _low(self) -> Low:
        """The kernel, or mkstock, finds what is needed below 1 MiB."""
        return Low(None, (), ())

    def _where(self, ask: Ask, memory: Memory, low: Low) -> Dict[str, Any]:
        base = memory.bases[ask.name]
        spec = self.kept.get(ask.name)
        there = spec is not None and spec["base"] == base
        return {"base": base if there else None, "size": ask.size, "low": None, "entry": None}

    def _channels(self, memory: Memory, apic_id: Callable[[str], Optional[int]]) -> Dict[str, Any]:
        placed: Dict[str, Any] = {}
        for name, (owner, at, size) in offsets(self.layout["channels"]).items():
            one = self.layout["channels"][name]
            if not self._ends_exist(name, one):
                continue
            limit = min(AREA + AREAS, self.instances[owner]["memory"]["size"])
            if at + size > limit:
                self._fail(
                    ("channels", name),
                    "the area of channel %s needs %d bytes behind 0x%x in the memory of %s, and there is room up to 0x%x"
                    % (name, size, at, owner, limit),
                    "give it fewer or smaller slots",
                )
            if not self.findings:
                ends = [apic_id(end) for end in one["between"]]
                base = (self.kept.get(owner) or {}).get("base") if memory.bases.get(owner) is not None else None
                address = None if base is None or base != memory.bases[owner] else base + at
                placed[name] = dict(one, placed={"address": address, "size": size, "ends": ends})
        return placed
