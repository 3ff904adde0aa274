# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Everything that rules want to know of each single instance, found in one pass.

Ten thousand instances are more than a processor's caches hold: a second look at each costs as much as ten questions at the first.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from .._boot.memory_map import LOW_SIZE

TWO_MIB = 1 << 21

Span = Tuple[int, int, str, str]  # base, end, kind, owner


class Survey:
    """The instances of a layout that are to exist, in the order of their names, and what was seen of them.

    instances: by name. alike: one instance of each sort, and the names of all of that sort; of one sort are instances that
    differ at most in their names, the numbers of their CPUs, the address of their memory (but not in whether it is aligned),
    their command lines and what is placed. cpus: the numbers of the CPUs, None where they are not chosen or are APIC ids, of
    which apic has the instances. private, low: the memory whose address is known. consoles, devices: who has some. texts:
    the names by image and own command line.
    """

    def __init__(self, every: Dict[str, Dict[str, Any]]) -> None:
        self.instances: Dict[str, Dict[str, Any]] = {}
        self.cpus: Dict[str, Any] = {}
        self.apic: List[str] = []
        self.private: List[Span] = []
        self.low: List[Span] = []
        self.consoles: List[Tuple[str, Dict[str, Any]]] = []
        self.devices: List[Tuple[str, List[Dict[str, Any]]]] = []
        self.texts: Dict[Tuple[str, str], List[str]] = {}
        sorts: Dict[Tuple[Any, ...], List[str]] = {}
        self._kinds: Dict[Tuple[Any, ...], int] = {}
        numbers: Dict[int, int] = {}  # by the identity of a wish: equal ones are mostly one object (see _layout.canonical)
        for name in sorted(every):
            one = every[name]
            state = one["state"]
            if state == "absent":
                continue
            self.instances[name] = one
            cpus, memory, health, image = one["cpus"], one["memory"], one["health"], one["image"]
            cpus_are = numbers.get(id(cpus))
            if cpus_are is None:
                cpus_are = numbers[id(cpus)] = self._kind_of_cpus(cpus)
            memory_is = numbers.get(id(memory))
            if memory_is is None:
                memory_is = numbers[id(memory)] = self._kind_of_memory(memory)
            watched = None if health is None else (health["channel"] is not None, health["within"], health.get("console") is not None)
            sort = (image, cpus_are, memory_is, state, one["restart"], one["trust"], watched)
            if sort in sorts:
                sorts[sort].append(name)
            else:
                sorts[sort] = [name]
            text = (image, one["cmdline"])
            if text in self.texts:
                self.texts[text].append(name)
            else:
                self.texts[text] = [name]
            if one["console"] is not None:
                self.consoles.append((name, one["console"]))
            devices = one.get("devices")
            if devices:
                self.devices.append((name, devices))
            if "placed" in one:
                where = one["placed"]
                self.cpus[name] = where["cpus"]
                if where["low"] is not None:
                    self.low.append((where["low"], where["low"] + LOW_SIZE, "low", name))
            else:
                where = memory
                ids = self.cpus[name] = cpus["ids"]
                if ids is not None and cpus["space"] != "logical":
                    self.apic.append(name)
            base = where["base"]
            if base is not None:
                self.private.append((base, base + where["size"], "instance", name))
        self.private.sort()
        self.alike = [(self.instances[names[0]], names) for names in sorts.values()]

    def _kind_of_cpus(self, cpus: Dict[str, Any]) -> int:
        ids = cpus["ids"]
        kind = ("cpus", -1 if ids is None else len(ids), cpus["count"], cpus["space"], cpus["llc"], cpus["whole_cores"])
        return self._kinds.setdefault(kind, len(self._kinds))

    def _kind_of_memory(self, memory: Dict[str, Any]) -> int:
        base = memory["base"]
        kind = ("memory", memory["size"], memory["node"], None if base is None else base % TWO_MIB)
        return self._kinds.setdefault(kind, len(self._kinds))
