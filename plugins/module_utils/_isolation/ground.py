# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""What is known of the kernels of a layout and of the hardware that they meet in. None means "not known", never "no"."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Set, Tuple

from .._host import iommu
from .._layout import canonical

HOST = canonical.HOST
Groups = Optional[FrozenSet[Any]]

# No machine has memory in more blocks; a layout that claims so is not followed block by block.
MOST_BLOCKS = 1 << 17


class Kernel(NamedTuple):
    """One kernel. kind: host, linux, flat or None (nobody looked into the image); the sets are None where something is not known.

    words: key -> value of its own words on its command line; within: seconds after which the end of its heartbeats is noticed; devices:
    addresses of the PCI functions that the layout gives it.
    """

    name: str
    kind: Optional[str]
    cpus: Optional[FrozenSet[int]]
    cores: Groups
    caches: Groups
    packages: Groups
    nodes: Groups
    memory: Tuple[Tuple[int, int], ...]
    words: Dict[str, str]
    within: Optional[float]
    trust: Optional[str]
    devices: Tuple[str, ...] = ()


class Ground:
    """The kernels of a canonical or placed layout on one machine (facts None: on any), each looked at once."""

    def __init__(self, layout: Dict[str, Any], facts: Optional[Dict[str, Any]]) -> None:
        self.layout = layout
        self.facts = facts

    def fact(self, dotted: str) -> Any:
        """Return one fact, such as "iommu.translating"; None when it or anything on the way to it is not known."""
        value: Any = self.facts
        for key in dotted.split("."):
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    @cached_property
    def kernels(self) -> Dict[str, Kernel]:
        """The host, then the instances that are to exist, by name in order."""
        found = {HOST: self._host()}
        for name, instance in sorted(canonical.instances(self.layout).items()):
            found[name] = self._instance(name, instance)
        return found

    @cached_property
    def cpus(self) -> Dict[str, Optional[FrozenSet[int]]]:
        """The logical CPUs of each kernel by name, the host's first; None where they are not known yet."""
        own = {name: _cpus(instance) for name, instance in sorted(canonical.instances(self.layout).items())}
        given: Any = self.layout["host"]["cpus"]
        present = self.fact("cpus.present")
        if given is None and isinstance(present, list) and None not in own.values():
            given = set(present).difference(*(one for one in own.values() if one is not None))
        return {HOST: frozenset(given) if given is not None else None, **own}

    def cores(self, name: str) -> Groups:
        """The cores that a kernel runs on, each named by its smallest CPU; None where one of them is not known."""
        return self._of_cpus(self.cpus[name], self._cores)

    def caches(self, name: str) -> Groups:
        """The last-level caches below which a kernel runs, each named by its smallest CPU; None where one of them is not known."""
        return self._of_cpus(self.cpus[name], self._caches)

    @cached_property
    def channels(self) -> Dict[FrozenSet[str], List[str]]:
        """The names of the channels by the two kernels that they join."""
        found: Dict[FrozenSet[str], List[str]] = {}
        for name, channel in sorted(self.layout["channels"].items()):
            found.setdefault(frozenset(channel["between"]), []).append(name)
        return found

    @cached_property
    def _each(self) -> Dict[int, Dict[str, Any]]:
        each = self.fact("cpus.each")
        if not isinstance(each, dict):
            return {}
        return {int(number): one for number, one in each.items() if isinstance(one, dict) and str(number).isdigit()}

    @cached_property
    def _cores(self) -> Dict[int, Any]:
        return _united({number: one.get("siblings") for number, one in self._each.items()})

    @cached_property
    def _caches(self) -> Dict[int, Any]:
        return _united({number: one.get("llc") for number, one in self._each.items()})

    @cached_property
    def _packages(self) -> Dict[int, Any]:
        return {number: _number(one.get("package")) for number, one in self._each.items()}

    @cached_property
    def _block_nodes(self) -> Dict[int, Any]:
        blocks = self.fact("memory.blocks")
        if not isinstance(blocks, list):
            return {}
        return {one["number"]: _number(one.get("node")) for one in blocks if isinstance(one, dict) and isinstance(one.get("number"), int)}

    @cached_property
    def _all_nodes(self) -> FrozenSet[Any]:
        return frozenset(_number(one.get("node")) for one in self._each.values())

    def _of_cpus(self, cpus: Optional[FrozenSet[int]], known: Dict[int, Any]) -> Groups:
        if not cpus or any(known.get(number) is None for number in cpus):
            return None
        return frozenset(known[number] for number in cpus)

    def _host(self) -> Kernel:
        cmdline = self.fact("kernel.cmdline")
        words = _words(cmdline if isinstance(cmdline, str) else "")
        # The host's memory is everywhere that nobody else's is: on every node.
        nodes = self._all_nodes if self._each and None not in self._all_nodes else None
        return self._kernel(HOST, HOST, nodes, (), words, None, None)

    def _instance(self, name: str, instance: Dict[str, Any]) -> Kernel:
        where = instance.get("placed") or instance["memory"]
        memory = ((where["base"], where["base"] + where["size"]),) if where["base"] is not None else ()
        words = _words(canonical.command_line(self.layout, name))
        health = instance.get("health") or {}
        found = self._kernel(
            name,
            self._kind(instance),
            self._nodes(instance, memory),
            memory,
            words,
            health.get("within"),
            instance["trust"],
        )
        return found._replace(devices=tuple(sorted(one["pci"] for one in instance.get("devices") or ())))

    def translated(self, addresses: Tuple[str, ...]) -> Optional[bool]:
        """Whether an IOMMU confines each of these PCI functions; None where that is not known of one and no other is free."""
        functions = self.fact("pci.functions")
        found: List[Optional[bool]] = []
        for address in addresses:
            one = functions.get(address) if isinstance(functions, dict) else None
            if not isinstance(one, dict):
                found.append(None)
            elif one.get("iommu_group") is None:
                found.append(False)
            else:
                found.append(None if one.get("iommu_type") is None else one["iommu_type"] in iommu.TRANSLATED)
        return False if False in found else None if None in found else True

    def _kernel(
        self,
        name: str,
        kind: Optional[str],
        nodes: Groups,
        memory: Tuple[Tuple[int, int], ...],
        words: Dict[str, str],
        within: Optional[float],
        trust: Optional[str],
    ) -> Kernel:
        cpus = self.cpus[name]
        caches, packages = self._of_cpus(cpus, self._caches), self._of_cpus(cpus, self._packages)
        return Kernel(name, kind, cpus, self.cores(name), caches, packages, nodes, memory, words, within, trust)

    def _kind(self, instance: Dict[str, Any]) -> Optional[str]:
        image = self.layout["images"].get(instance["image"])
        if image is None:
            return None
        declared = image["format"]
        if declared == "auto":
            files = self.fact("images")
            found = files.get(image["kernel"]["path"]) if isinstance(files, dict) else None
            declared = found.get("kind") if isinstance(found, dict) else None
        return {"bzimage": "linux", "vmlinux": "linux", "flat": "flat"}.get(declared or "")

    def _nodes(self, instance: Dict[str, Any], memory: Tuple[Tuple[int, int], ...]) -> Groups:
        """The nodes of an instance's memory: by memory blocks, else by the declared pool chunk, else the only node there is."""
        if len(self._all_nodes) == 1 and None not in self._all_nodes:
            return self._all_nodes
        size = _number(self.fact("memory.block_size")) or 0
        if not memory or size <= 0 or memory[0][1] - memory[0][0] > size * MOST_BLOCKS:
            return None
        (start, end), found = memory[0], set()
        for number in range(start // size, (end - 1) // size + 1):
            node = self._block_nodes.get(number)
            found.add(self._declared(start, end) if node is None else node)
        return None if None in found else frozenset(found)

    def _declared(self, start: int, end: int) -> Optional[int]:
        for chunk in self.layout["pool"]["memory"]:
            if chunk["base"] is not None and chunk["base"] <= start and end <= chunk["base"] + chunk["size"]:
                node: Optional[int] = chunk["node"]
                return node
        return None


def _cpus(instance: Dict[str, Any]) -> Optional[FrozenSet[int]]:
    if "placed" in instance:
        return frozenset(instance["placed"]["cpus"])
    wish = instance["cpus"]
    return frozenset(wish["ids"]) if wish["ids"] is not None and wish["space"] == "logical" else None


def _number(value: Any) -> Optional[int]:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _words(text: str) -> Dict[str, str]:
    """Key -> value of the words of a command line; the kernel takes - and _ in keys for the same, and the last word counts."""
    pairs = (word.strip('"').partition("=") for word in text.split())
    return {key.replace("-", "_"): value for key, _equals, value in pairs}


def _united(lists: Dict[int, Any]) -> Dict[int, Any]:
    """CPU -> the smallest CPU of the group that it is in by its own list or that of any other; None where its own is not known.

    The kernel drops a CPU that is offline from the lists of the others, so that the lists of all of them are put together.
    """
    groups: Dict[int, Set[int]] = {}
    for number, members in sorted(lists.items()):
        if isinstance(members, list) and members:
            group = groups.get(number, {number})
            missing = {one for one in members if isinstance(one, int)} - group
            for other in missing:
                group |= groups.get(other, {other})
            if missing or number not in groups:
                groups.update(dict.fromkeys(group, group))
    return {number: min(groups[number]) if lists.get(number) else None for number in groups}
