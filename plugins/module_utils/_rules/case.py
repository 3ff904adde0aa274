# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""What the rules look at: a layout, perhaps the facts of a machine, perhaps the placement, and indexes over them.

Everything here is computed once for a judgement, when the first rule asks, in time linear (or n log n) in the size of the layout.
A rule reads an index and picks its suspects from it; only for those it builds sentences.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from .._boot import acpi
from .._boot import channel as channel_area
from .._host import iomem
from .._layout import units
from .lines import Lines
from .survey import Survey

Path = Tuple[Any, ...]

_WHAT = {"instance": "the memory of ", "channel": "the area of channel ", "pool": "the pool chunk "}


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
        return _WHAT[self.kind] + self.owner

    def shown(self) -> str:
        """The region with its addresses."""
        return "{0} ({1})".format(self.named(), units.format_range(self.base, self.size))


class Case:
    """One layout to be judged. facts and placed may be None: then the rules know less, and say so."""

    def __init__(self, layout: Dict[str, Any], facts: Optional[Dict[str, Any]], placed: Optional[Dict[str, Any]]) -> None:
        self.facts = facts
        self.given_layout = layout
        layout = placed if placed is not None else layout
        # where the kernel picks every address, those of the layout are wishes, and no rule may build on them
        self.layout = self._bare(layout) if self.picks else layout
        self.placed = placed is not None

    def fact(self, dotted: str) -> Any:
        """Return one fact, such as "kexec.load_disabled"; None when it or anything on the way to it is not known."""
        value: Any = self.facts
        for key in dotted.split("."):
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    @property
    def picks(self) -> bool:
        """Whether the host's kernel picks where memory lies, at run time and out of what it uses itself (dialect kernfs)."""
        return bool(self.fact("dialect.name") == "kernfs")

    @staticmethod
    def _bare(layout: Dict[str, Any]) -> Dict[str, Any]:
        from .._plan.kernfs_place import bare  # placement is not needed to judge a layout alone, and takes its time to load

        return bare(layout)

    # instances and images

    @cached_property
    def survey(self) -> Survey:
        """What one pass over all instances tells."""
        return Survey(self.layout["instances"])

    @cached_property
    def instances(self) -> Dict[str, Dict[str, Any]]:
        """The instances that are to exist, by name in order."""
        return self.survey.instances

    @cached_property
    def alike(self) -> List[Tuple[Dict[str, Any], List[str]]]:
        """One instance of each sort, and the names of all of that sort (see Survey)."""
        return self.survey.alike

    def those(self, test: Callable[[Dict[str, Any]], Any]) -> List[str]:
        """Return the instances that pass a test, in order. The test sees one of each sort (see alike), not every single one."""
        return sorted(name for one, names in self.alike if test(one) for name in names)

    @cached_property
    def channels(self) -> List[Tuple[str, Dict[str, Any]]]:
        """The channels in the order of their names."""
        every = self.layout["channels"]
        return [(name, every[name]) for name in sorted(every)]

    def image(self, name: str) -> Optional[Dict[str, Any]]:
        """Return the declared image of an instance, or None where the layout declares no such image."""
        image: Optional[Dict[str, Any]] = self.layout["images"].get(self.instances[name]["image"])
        return image

    def file(self, path: str) -> Optional[Dict[str, Any]]:
        """Return what the machine knows of an image file, None when nobody looked; a file whose size is not known was not looked into."""
        files = self.fact("images")
        found = files.get(path) if isinstance(files, dict) else None
        return found if isinstance(found, dict) and (found.get("size") is not None or not found.get("exists")) else None

    def kernel_file(self, name: str) -> Optional[Dict[str, Any]]:
        """Return what is known of an instance's kernel."""
        image = self.image(name)
        return self.file(image["kernel"]["path"]) if image else None

    @cached_property
    def flat_images(self) -> Set[str]:
        """The images that are no Linux: the declared format decides, then the file; in doubt it is Linux."""
        return {
            name
            for name, image in self.layout["images"].items()
            if image["format"] == "flat" or (image["format"] == "auto" and (self.file(image["kernel"]["path"]) or {}).get("kind") == "flat")
        }

    def is_linux(self, name: str) -> bool:
        """Tell whether an instance runs Linux."""
        return self.instances[name]["image"] not in self.flat_images

    @cached_property
    def linux(self) -> List[str]:
        """The instances that run Linux, in order."""
        flat = self.flat_images
        return self.those(lambda one: one["image"] not in flat)

    @cached_property
    def lines(self) -> Lines:
        """The command lines of all instances."""
        return Lines(self.layout["images"], self.survey.texts, self.flat_images)

    @cached_property
    def consoles(self) -> List[Tuple[str, str]]:
        """(instance, UART) for each instance that has one."""
        return [(name, one["device"]) for name, one in self.survey.consoles if one["device"].startswith("ttyS")]

    @cached_property
    def devices(self) -> List[Tuple[str, int, Dict[str, Any]]]:
        """(instance, place in its list, what it asks for) for every device that is given away."""
        return [(name, number, one) for name, devices in self.survey.devices for number, one in enumerate(devices)]

    @cached_property
    def devices_of(self) -> Dict[str, List[str]]:
        """The addresses of the devices of each instance that has some."""
        found: Dict[str, List[str]] = {}
        for name, _number, one in self.devices:
            found.setdefault(name, []).append(one["pci"])
        return found

    @cached_property
    def channels_of(self) -> Dict[str, List[str]]:
        """The channels that end at each instance or at the host, by name in order."""
        found: Dict[str, List[str]] = {}
        for name, channel in self.channels:
            first, second = channel["between"]
            found.setdefault(first, []).append(name)
            if second != first:
                found.setdefault(second, []).append(name)
        return found

    # CPUs

    @cached_property
    def each_cpu(self) -> Dict[int, Dict[str, Any]]:
        """The machine's CPUs by logical number."""
        each = self.fact("cpus.each")
        return {int(number): one or {} for number, one in each.items()} if isinstance(each, dict) else {}

    @cached_property
    def nodes(self) -> Set[int]:
        """The NUMA nodes that CPUs are known to belong to."""
        return {one["node"] for one in self.each_cpu.values() if one.get("node") is not None}

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
        found: Dict[str, Optional[List[int]]] = self.survey.cpus
        if self.survey.apic:
            known = self.logical_of_apic
            named = {name: found[name] or [] for name in self.survey.apic}
            found = dict(found)
            for name, ids in named.items():
                found[name] = [known[one] for one in ids] if all(one in known for one in ids) else None
        return found

    @cached_property
    def owners(self) -> Dict[int, List[str]]:
        """The instances that claim each logical CPU, in the order of the CPUs."""
        owners: Dict[int, List[str]] = {}
        for name, cpus in self.cpus.items():
            for number in cpus or ():
                if number not in owners:
                    owners[number] = [name]
                elif name not in owners[number]:
                    owners[number].append(name)
        return {number: owners[number] for number in sorted(owners)}

    @cached_property
    def given(self) -> List[Tuple[int, Dict[str, Any]]]:
        """The CPUs that instances own and the machine knows, with what it knows."""
        each = self.each_cpu
        return [(number, each[number]) for number in self.owners if number in each]

    @cached_property
    def given_alike(self) -> List[Tuple[Dict[str, Any], List[int]]]:
        """One CPU of each sort of the given ones, and all of that sort: they differ at most in numbers, caches and neighbours."""
        sorts: Dict[Tuple[Any, ...], List[int]] = {}
        first: Dict[Tuple[Any, ...], Dict[str, Any]] = {}
        for number, one in self.given:
            get = one.get
            apic_id = get("apic_id")
            key = (apic_id is None or apic_id > acpi.MAX_APIC_ID, apic_id is None, not get("siblings"), get("offlinable"), get("microcode"))
            if key in sorts:
                sorts[key].append(number)
            else:
                sorts[key], first[key] = [number], one
        return [(first[key], numbers) for key, numbers in sorts.items()]

    def those_given(self, test: Callable[[Dict[str, Any]], Any]) -> List[int]:
        """Return the given CPUs that pass a test, in order. The test sees one of each sort (see given_alike)."""
        return sorted(number for one, numbers in self.given_alike if test(one) for number in numbers)

    @cached_property
    def cores(self) -> Dict[int, Set[int]]:
        """The threads of the core of each CPU, itself included, where a core has several.

        The kernel drops a CPU that is offline from its siblings' lists, so that the lists of all of them are put together.
        """
        groups: Dict[int, Set[int]] = {}
        several = [(number, one["siblings"]) for number, one in self.each_cpu.items() if len(one.get("siblings") or ()) > 1]
        for number, siblings in several:
            core = {number}.union(siblings)
            core.update(*(groups[other] for other in siblings if other in groups))
            groups.update(dict.fromkeys(core, core))
        return groups

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
    def merged_pool(self) -> List[Tuple[int, int]]:
        """The pool as (base, size), sorted and joined."""
        return iomem.merge((region.base, region.size) for region in self.pool)

    @cached_property
    def private(self) -> List[Tuple[int, int, str, str]]:
        """(base, end, "instance", name) of the memory of instances, as far as the address is known, sorted."""
        return self.survey.private

    @cached_property
    def areas(self) -> List[Tuple[int, int, str, str]]:
        """(base, end, "channel", name) of the areas of channels that are placed, sorted."""
        places = [(name, channel["placed"]) for name, channel in self.channels if "placed" in channel and not self.picks]
        return sorted((where["address"], where["address"] + where["size"], "channel", name) for name, where in places)

    @cached_property
    def low(self) -> List[Tuple[int, int, str, str]]:
        """(base, end, "low", name) of the chunks below 1 MiB that are handed out."""
        return self.survey.low

    @cached_property
    def spans(self) -> List[Tuple[int, int, str, str]]:
        """The memory of instances and the areas of channels, as far as the address is known, sorted."""
        return sorted(self.private + self.areas)

    @cached_property
    def outside(self) -> List[Region]:
        """What of the spans is not wholly inside the pool."""
        found = []
        pool = self.merged_pool
        index, limit = 0, len(pool)
        for span in self.spans:
            base = span[0]
            while index < limit and pool[index][0] + pool[index][1] <= base:
                index += 1
            if index == limit or base < pool[index][0] or span[1] > pool[index][0] + pool[index][1]:
                found.append(region_of(span))
        return found

    def channel_size(self, name: str) -> Optional[int]:
        """Return the bytes that a channel needs of the pool; None when its numbers make no channel."""
        channel = self.layout["channels"][name]
        if channel["kind"] == "shared_memory":
            size: Optional[int] = channel["size"]
            return size
        shape = (channel["slots"] or 0, channel["message_size"] or 0)
        if shape not in self._area_sizes:
            try:
                self._area_sizes[shape] = channel_area.area_size(*shape)
            except ValueError:
                self._area_sizes[shape] = None
        return self._area_sizes[shape]

    @cached_property
    def _area_sizes(self) -> Dict[Tuple[int, int], Optional[int]]:
        return {}

    @cached_property
    def host_conflicts(self) -> Optional[List[Tuple[Region, iomem.Conflict]]]:
        """What the host uses of the pool, or of regions outside it; None when the memory map is not known.

        Online memory blocks that lie wholly inside a pool chunk count as free: the plan takes them offline first.
        """
        if self.fact("memory.iomem") is None:
            return None
        wanted = {(one.base, one.size): one for one in self.pool}
        for one in self.outside + [region_of(span) for span in self.low]:
            wanted.setdefault((one.base, one.size), one)
        conflicts = iomem.host_use(list(wanted), self._with_releasable_blocks(), within_pool=False)
        return [(wanted[conflict.base, conflict.size], conflict) for conflict in conflicts or []]

    @cached_property
    def pool_blocks(self) -> List[Dict[str, Any]]:
        """The online memory blocks that lie wholly inside a pool chunk, which the plan takes offline."""
        size = self.fact("memory.block_size")
        if not size:
            return []
        online = {one["number"]: one for one in self.fact("memory.blocks") or [] if one["state"] != "offline"}
        spans = [(-(-base // size), (base + length) // size) for base, length in self.merged_pool]
        return [one for number, one in online.items() if any(first <= number < last for first, last in spans)]

    @cached_property
    def releasable(self) -> int:
        """The bytes of online memory blocks inside the pool, which the host loses when they are taken offline."""
        return len(self.pool_blocks) * (self.fact("memory.block_size") or 0)

    def _with_releasable_blocks(self) -> Dict[str, Any]:
        facts = dict(self.facts or {})
        taken = {one["number"] for one in self.pool_blocks}
        if taken:
            blocks = [dict(block, state="offline") if block["number"] in taken else block for block in facts["memory"]["blocks"]]
            facts["memory"] = dict(facts["memory"], blocks=blocks)
        return facts


def region_of(span: Tuple[int, int, str, str]) -> Region:
    """Return a span of memory as what a sentence can name."""
    base, end, kind, owner = span
    path = ("channels", owner) if kind == "channel" else ("instances", owner, "memory")
    return Region(base, end - base, kind, owner, path)
