# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The machine's CPUs: logical numbers, APIC ids, cores, caches, nodes.

Logical CPU numbers, APIC ids and counts are three different things: APIC ids are sparse on every machine with more than
one socket or with a core count that is no power of two. The "physical id" line of /proc/cpuinfo is the socket.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Optional, Tuple

from .._layout.units import whole
from . import files

_CPU = "sys/devices/system/cpu"
_REMEMBERED = ("apic_id", "package", "core", "siblings", "llc", "node", "offlinable", "flags", "microcode")
_MODEL = ("vendor_id", "cpu family", "model", "stepping")


def cpus(root: str, remembered: Optional[Dict[str, Dict[str, Any]]] = None) -> Dict[str, Any]:
    """Return the CPU part of the facts.

    The kernel forgets APIC id and topology of a CPU that is offline. `remembered` has the shape of "each" and fills in
    what is not known now; what the kernel says now always wins.
    """
    present = files.cpus(root, _CPU + "/present")
    blocks = cpuinfo(root)
    each: Dict[str, Dict[str, Any]] = {}
    nodes = _nodes(root)
    for number in present if present is not None else sorted(blocks):
        facts = _one(root, number, blocks.get(number), nodes)
        old = (remembered or {}).get(str(number), {})
        for key in _REMEMBERED:
            if facts[key] is None and old.get(key) is not None:
                facts[key] = old[key]
        each[str(number)] = facts
    return {
        "present": present,
        "online": files.cpus(root, _CPU + "/online"),
        "possible": files.cpus(root, _CPU + "/possible"),
        # x86 numbers the CPU that booted the kernel 0, whatever its APIC id (smp_prepare_boot_cpu).
        "boot": 0 if "0" in each else None,
        "each": each,
        "kinds": _kinds(root),
        "vulnerabilities": _vulnerabilities(root),
    }


def cpuinfo(root: str) -> Dict[int, Dict[str, str]]:
    """Return /proc/cpuinfo by logical CPU number: only CPUs that are online are in it."""
    blocks: Dict[int, Dict[str, str]] = {}
    for paragraph in (files.read(root, "proc/cpuinfo") or "").split("\n\n"):
        lines = (line.partition(":") for line in paragraph.splitlines())
        block = {key.strip(): value.strip() for key, colon, value in lines if colon}
        number = whole(block.get("processor", ""))
        if number is not None:
            blocks[number] = block
    return blocks


def flags(root: str) -> Optional[List[str]]:
    """Return the feature flags of the first CPU in /proc/cpuinfo; None when it cannot be read."""
    for _number, block in sorted(cpuinfo(root).items()):
        if "flags" in block:
            return block["flags"].split()
    return None


def _kinds(root: str) -> Optional[Dict[str, List[int]]]:
    """Return the CPUs of each kind of a hybrid processor, as its two PMUs tell; empty where all CPUs are alike."""
    if not files.exists(root, _CPU):
        return None
    kinds = {kind: files.cpus(root, "sys/devices/cpu_{0}/cpus".format(kind)) for kind in ("core", "atom")}
    return {kind: numbers for kind, numbers in kinds.items() if numbers}


def _vulnerabilities(root: str) -> Optional[Dict[str, str]]:
    """Return what the kernel says of each known weakness of the CPUs: "Not affected", "Mitigation: ...", "Vulnerable"."""
    names = files.names(root, _CPU + "/vulnerabilities")
    if names is None:
        return None
    return {name: files.word(root, "{0}/vulnerabilities/{1}".format(_CPU, name)) or "" for name in names}


def _one(root: str, number: int, block: Optional[Dict[str, str]], nodes: Dict[int, int]) -> Dict[str, Any]:
    folder = "{0}/cpu{1}".format(_CPU, number)
    block = block or {}
    apic_id = block.get("apicid", block.get("initial apicid", ""))
    return {
        "apic_id": whole(apic_id),
        "package": files.number(root, folder + "/topology/physical_package_id"),
        "core": files.number(root, folder + "/topology/core_id"),
        "siblings": files.cpus(root, folder + "/topology/thread_siblings_list") or None,
        "llc": _last_level_cache(root, folder),
        "node": _node(root, folder, number, nodes),
        # The boot CPU has no file "online": x86 cannot take it offline.
        "offlinable": files.exists(root, folder + "/online") if files.exists(root, folder) else None,
        "flags": _flags_digest(block),
        "microcode": block.get("microcode"),
    }


def _last_level_cache(root: str, folder: str) -> Optional[List[int]]:
    best: Tuple[int, Optional[List[int]]] = (0, None)
    for name in files.numbered(root, folder + "/cache", "index").values():
        level = files.number(root, "{0}/cache/{1}/level".format(folder, name)) or 0
        shared = files.cpus(root, "{0}/cache/{1}/shared_cpu_list".format(folder, name))
        if shared and level > best[0]:
            best = (level, shared)
    return best[1]


def _node(root: str, folder: str, number: int, nodes: Dict[int, int]) -> Optional[int]:
    linked = files.numbered(root, folder, "node")
    return next(iter(linked), nodes.get(number))


def _nodes(root: str) -> Dict[int, int]:
    found = {}
    for node, name in files.numbered(root, "sys/devices/system/node", "node").items():
        for number in files.cpus(root, "sys/devices/system/node/{0}/cpulist".format(name)) or []:
            found[number] = node
    return found


def _flags_digest(block: Dict[str, str]) -> Optional[str]:
    if "flags" not in block:
        return None
    words = [block.get(key, "") for key in _MODEL] + sorted(block["flags"].split())
    return hashlib.sha256(" ".join(words).encode("utf-8")).hexdigest()
