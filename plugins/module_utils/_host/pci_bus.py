# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""What goes with a PCI function that is given away: the others of its group and of its bus, its bridge's windows, configuration space.

Pure functions of the facts' part "pci" (see pci.py); what a fact does not tell is None.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from .._boot import aml

Pci = Dict[str, Any]
Function = Dict[str, Any]

_KEPT_BRIDGES = (0x0600, 0x0601, 0x0604)  # to the host, to ISA, to PCI: a group may have them, and they stay with the host


def split(address: str) -> Tuple[int, int]:
    """Segment and bus of an address: "0000:01:00.0" lies on (0, 1)."""
    segment, bus, _rest = address.split(":")
    return int(segment, 16), int(bus, 16)


def is_bridge(function: Function) -> bool:
    """Whether a function is a bridge of the machine itself, which no instance can drive alone."""
    code = function.get("class")
    return function.get("bridge") is not None or (code is not None and code >> 8 in _KEPT_BRIDGES)


def on_bus(pci: Pci, address: str) -> List[str]:
    """The functions of the bus that a function is on, itself included."""
    place = split(address)
    return sorted(other for other in pci["functions"] if split(other) == place)


def in_group(pci: Pci, address: str) -> Optional[List[str]]:
    """The functions of its IOMMU group, bridges left out, itself included; None without such a group."""
    group = pci["functions"][address].get("iommu_group")
    if group is None:
        return None
    members = {name: one for name, one in pci["functions"].items() if one.get("iommu_group") == group}
    return sorted(name for name, one in members.items() if name == address or not is_bridge(one))


def behind(pci: Pci, bridge: str) -> List[str]:
    """The functions behind a bridge, at any depth, other bridges left out."""
    return sorted(name for name, one in pci["functions"].items() if bridge in (one.get("path") or []) and not is_bridge(one))


def behind_conventional(pci: Pci, address: str) -> Optional[Tuple[str, List[str]]]:
    """The outermost bridge to conventional PCI before a function, and all functions behind it; None where there is no such bridge.

    On conventional PCI no request tells which function it comes from, so that all of them are one to whoever looks from outside.
    """
    functions = pci["functions"]
    for bridge in functions[address].get("path") or []:
        leads = (functions.get(bridge) or {}).get("bridge") or {}
        if leads.get("conventional"):
            return bridge, sorted({*behind(pci, bridge), address})
    return None


def ecam_of(pci: Pci, address: str) -> Optional[int]:
    """Where the configuration space of a function's bus begins in memory; None where no window of it is known."""
    segment, bus = split(address)
    for one in pci.get("ecam") or []:
        if one["segment"] == segment and one["first_bus"] <= bus <= one["last_bus"]:
            base: int = one["base"] + (bus - one["first_bus"]) * aml.BUS_SIZE
            return base
    return None


def bridge_of(pci: Pci, address: str) -> Optional[str]:
    """The bridge that leads to a function's bus; None on a root bus, or where that is not known."""
    path = pci["functions"][address].get("path") or []
    return path[-1] if path and path[-1] in pci["functions"] else None


def windows_of(pci: Pci, address: str) -> Optional[List[aml.Window]]:
    """The addresses that the bridge before a function passes on to its bus."""
    bridge = bridge_of(pci, address)
    leads = pci["functions"][bridge].get("bridge") if bridge is not None else None
    if leads is None or leads.get("windows") is None:
        return None
    usable = [one for one in leads["windows"] if one["assigned"] and not (one["kind"] == "io" and one["end"] > 0xFFFF)]
    return [aml.Window(one["kind"], one["start"], one["end"], bool(one["prefetch"])) for one in usable]


def outside(function: Function, windows: Sequence[aml.Window]) -> List[Dict[str, Any]]:
    """The memory BARs of a function that have no place, or none within these windows; ports are left out, drivers can do without."""
    memory = [(one.start, one.end) for one in windows if one.kind == "memory"]
    return [
        one
        for one in function.get("bars") or []
        if one["kind"] == "memory" and not (one["assigned"] and any(start <= one["start"] and one["end"] <= end for start, end in memory))
    ]


def buses(pci: Optional[Pci], addresses: Iterable[str]) -> List[aml.Bus]:
    """The buses of these functions as ACPI tables describe them, each once, in order. Raises ValueError with a sentence."""
    found: Dict[Tuple[int, int], aml.Bus] = {}
    for address in sorted(addresses):
        place = split(address)
        if place in found:
            continue
        if pci is None or address not in pci["functions"]:
            raise ValueError("this machine has no PCI function %s" % address)
        ecam, windows = ecam_of(pci, address), windows_of(pci, address)
        if ecam is None:
            raise ValueError(
                "where the configuration space of bus %02x lies (%s) is not known; /proc/iomem does not tell" % (place[1], address)
            )
        if windows is None:
            raise ValueError("%s lies behind no bridge whose windows are known" % address)
        found[place] = aml.Bus(place[0], place[1], place[1], ecam, tuple(windows))
    return list(found.values())
