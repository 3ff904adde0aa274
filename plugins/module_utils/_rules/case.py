# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""What the rules look at: a layout, perhaps the facts of a machine, perhaps the placement, and indexes over them.

Everything here is computed once and in time linear (or n log n) in the size of the layout.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from .._boot import channel as channel_area
from .._host import iomem
from .._layout import canonical

Path = Tuple[Any, ...]

LOW_SIZE = 0x10000  # what a Linux instance gets below 1 MiB
TWO_MIB = 1 << 21


class Region(NamedTuple):
    """A physical range with a known address. kind: instance, channel, low or pool; owner is the name of the instance or channel."""

    base: int
    size: int
    kind: str
    owner: str
    path: Path

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.base + self.size

    def named(self) -> str:
        """The region as it is called in a sentence."""
        if self.kind == "low":
            return "the chunk of {0} below 1 MiB".format(self.owner)
        return {"instance": "the memory of ", "channel": "the area of channel ", "pool": "the pool chunk "}[self.kind] + self.owner


class Case:
    """One layout to be judged. facts and placed may be None: then the rules know less, and say so."""

    def __init__(self, layout: Dict[str, Any], facts: Optional[Dict[str, Any]], placed: Optional[Dict[str, Any]]) -> None:
        self.layout = placed if placed is not None else layout
        self.facts = facts
        self.placed = placed is not None

    def fact(self, dotted: str) -> Any:
        """Return one fact, such as "kexec.load_disabled"; None when it or anything on the way to it is not known."""
        value: Any = self.facts
        for key in dotted.split("."):
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    # instances and images

    @cached_property
    def instances(self) -> Dict[str, Dict[str, Any]]:
        """The instances that are to exist, by name in order."""
        return canonical.instances(self.layout)

    def image(self, name: str) -> Optional[Dict[str, Any]]:
        """Return the declared image of an instance, or None where the layout declares no such image."""
        image: Optional[Dict[str, Any]] = self.layout["images"].get(self.instances[name]["image"])
        return image

    def file(self, path: str) -> Optional[Dict[str, Any]]:
        """Return what the machine knows of an image file, None when nobody looked."""
        files = self.fact("images")
        found = files.get(path) if isinstance(files, dict) else None
        return found if isinstance(found, dict) else None

    def kernel_file(self, name: str) -> Optional[Dict[str, Any]]:
        """Return what is known of an instance's kernel."""
        image = self.image(name)
        return self.file(image["kernel"]["path"]) if image else None

    def is_linux(self, name: str) -> bool:
        """Tell whether an instance runs Linux: the declared format decides, then the file; in doubt it does."""
        image = self.image(name)
        declared = image["format"] if image else "auto"
        if declared == "auto":
            return (self.kernel_file(name) or {}).get("kind") != "flat"
        return bool(declared != "flat")

    @cached_property
    def words(self) -> Dict[str, List[str]]:
        """The words of each instance's command line, split at white space."""
        return {name: canonical.command_line(self.layout, name).split() for name in self.instances}

    @cached_property
    def channels_of(self) -> Dict[str, List[str]]:
        """The channels that end at each instance or at the host, by name in order."""
        found: Dict[str, List[str]] = {}
        for channel, one in sorted(self.layout["channels"].items()):
            for end in sorted(set(one["between"])):
                found.setdefault(end, []).append(channel)
        return found

    # CPUs

    @cached_property
    def each_cpu(self) -> Dict[int, Dict[str, Any]]:
        """The machine's CPUs by logical number."""
        each = self.fact("cpus.each")
        return {int(number): one or {} for number, one in each.items()} if isinstance(each, dict) else {}

    @cached_property
    def logical_of_apic(self) -> Dict[int, int]:
        """Logical CPU number by APIC id."""
        return {one["apic_id"]: number for number, one in sorted(self.each_cpu.items()) if one.get("apic_id") is not None}

    @cached_property
    def boot_cpu(self) -> int:
        """The CPU that booted the host: logical CPU 0 on x86, unless the facts say otherwise."""
        boot = self.fact("cpus.boot")
        return 0 if boot is None else int(boot)

    @cached_property
    def cpus(self) -> Dict[str, Optional[List[int]]]:
        """The logical CPUs of each instance; None where they are not chosen yet or an APIC id cannot be resolved."""
        return {name: self._cpus_of(instance) for name, instance in self.instances.items()}

    @cached_property
    def owners(self) -> Dict[int, List[str]]:
        """The instances that claim each logical CPU."""
        owners: Dict[int, List[str]] = {}
        for name, cpus in self.cpus.items():
            for number in sorted(set(cpus or [])):
                owners.setdefault(number, []).append(name)
        return owners

    @cached_property
    def cores(self) -> Dict[int, Set[int]]:
        """The threads of the core of each CPU, itself included; only CPUs whose core is known are in it.

        The kernel drops a CPU that is offline from its siblings' lists, so that the lists of all of them are put together.
        """
        groups: Dict[int, Set[int]] = {}
        for number, one in sorted(self.each_cpu.items()):
            if one.get("siblings"):
                core = {number}.union(one["siblings"])
                core.update(*(groups[other] for other in core if other in groups))
                groups.update(dict.fromkeys(core, core))
        return groups

    def _cpus_of(self, instance: Dict[str, Any]) -> Optional[List[int]]:
        if "placed" in instance:
            placed: List[int] = instance["placed"]["cpus"]
            return placed
        ids = instance["cpus"]["ids"]
        if ids is None:
            return None
        if instance["cpus"]["space"] == "logical":
            return list(ids)
        if any(one not in self.logical_of_apic for one in ids):
            return None
        return [self.logical_of_apic[one] for one in ids]

    # memory

    @cached_property
    def pool(self) -> List[Region]:
        """The declared pool chunks with a known address."""
        return [
            Region(chunk["base"], chunk["size"], "pool", "0x{0:x}".format(chunk["base"]), ("pool", "memory", index))
            for index, chunk in enumerate(self.layout["pool"]["memory"])
            if chunk["base"] is not None
        ]

    @cached_property
    def regions(self) -> List[Region]:
        """What instances and channels own above 1 MiB, as far as the address is known."""
        found = []
        for name, instance in self.instances.items():
            where = instance.get("placed") or instance["memory"]
            if where["base"] is not None:
                found.append(Region(where["base"], where["size"], "instance", name, ("instances", name, "memory")))
        for name, channel in sorted(self.layout["channels"].items()):
            if "placed" in channel:
                found.append(Region(channel["placed"]["address"], channel["placed"]["size"], "channel", name, ("channels", name)))
        return found

    @cached_property
    def low(self) -> List[Region]:
        """The chunks below 1 MiB that are handed out."""
        return [
            Region(instance["placed"]["low"], LOW_SIZE, "low", name, ("instances", name, "memory"))
            for name, instance in self.instances.items()
            if "placed" in instance and instance["placed"]["low"] is not None
        ]

    def channel_size(self, name: str) -> Optional[int]:
        """Return the bytes that a channel needs of the pool; None when its numbers make no channel."""
        channel = self.layout["channels"][name]
        if channel["kind"] == "shared_memory":
            size: Optional[int] = channel["size"]
            return size
        try:
            return channel_area.area_size(channel["slots"] or 0, channel["message_size"] or 0)
        except ValueError:
            return None

    @cached_property
    def host_conflicts(self) -> Optional[List[Tuple[Region, iomem.Conflict]]]:
        """What the host uses of the pool, or of regions outside it; None when the memory map is not known.

        Online memory blocks that lie wholly inside a pool chunk count as free: the plan takes them offline first.
        """
        if self.fact("memory.iomem") is None:
            return None
        wanted = {(region.base, region.size): region for region in self.pool}
        merged = iomem.merge((region.base, region.size) for region in self.pool)
        for region in self.regions:
            if not iomem.inside(region.base, region.size, merged):
                wanted.setdefault((region.base, region.size), region)
        for region in self.low:
            wanted.setdefault((region.base, region.size), region)
        conflicts = iomem.host_use(list(wanted), self._with_releasable_blocks(merged), within_pool=False)
        return [(wanted[conflict.base, conflict.size], conflict) for conflict in conflicts or []]

    @cached_property
    def releasable(self) -> int:
        """The bytes of online memory blocks inside the pool, which the host loses when they are taken offline."""
        size = self.fact("memory.block_size")
        merged = iomem.merge((region.base, region.size) for region in self.pool)
        blocks = self.fact("memory.blocks") or []
        return sum(size for one in blocks if one["state"] != "offline" and iomem.inside(one["number"] * size, size, merged)) if size else 0

    def _with_releasable_blocks(self, pool: List[Tuple[int, int]]) -> Dict[str, Any]:
        facts = dict(self.facts or {})
        memory = dict(facts["memory"])
        size = memory.get("block_size")
        if size and memory.get("blocks"):
            memory["blocks"] = [
                dict(block, state="offline") if iomem.inside(block["number"] * size, size, pool) else block for block in memory["blocks"]
            ]
        facts["memory"] = memory
        return facts
