# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The PCI functions of the machine: what one could be given away, what goes with it, and what the host itself needs of it.

Sources: Documentation/ABI/testing/sysfs-bus-pci of the kernel; drivers/pci/pci-sysfs.c (resource, reset_method); the PCI Local Bus
Specification 3.0, chapter 6 (configuration header, capabilities), and the PCI Express Base Specification, chapter 7.
"""

from __future__ import annotations

import os
import re
import struct
from typing import Any, Dict, List, Optional, Tuple

from . import files, pci_use

DEVICES = "sys/bus/pci/devices"

HOLD = "multikernel"
"""What driver_override says of a function that was given away: no driver has that name."""

_IO, _MEMORY, _PREFETCH, _WIDE = 0x100, 0x200, 0x2000, 0x100000  # include/linux/ioport.h
_DISABLED, _UNSET = 0x10000000, 0x20000000
_BARS, _ROM = 6, 6
_BRIDGE = 1  # header type of a bridge to another bus
_CAP_MSI, _CAP_EXPRESS, _CAP_MSIX = 0x05, 0x10, 0x11
_TO_CONVENTIONAL = 7  # port type of a bridge from PCI Express to PCI
_EXTENDED = 64  # bytes of the configuration space that the kernel shows to everybody

Function = Dict[str, Any]


def pci(root: str) -> Optional[Dict[str, Any]]:
    """Return {"ecam", "functions"}; None on a machine that does not say what is on its PCI buses.

    ecam: [{"base", "segment", "first_bus", "last_bus"}], the windows through which configuration space is reached by memory (base is
    where first_bus begins), None without privilege. functions: by address ("0000:01:00.0")::

        {"vendor", "device", "class": int (24 bits), "driver", "driver_override": str, "power": "on" | "auto", "numa_node": int,
         "iommu_group": int, "iommu_type": str, "msi", "msix": most vectors, 0 for none, "bars": [resource], "path": [address of each
         bridge, the one at the root first], "reset": [method], "physical_function": address, "virtual_functions": int in use,
         "bridge": {"secondary", "subordinate": bus, "conventional": bool, "windows": [resource]} | null,
         "uses": [{"kind": "root" | "mount" | "swap" | "route" | "address" | "upper", "name"}]: what the host does with it}

    A resource is {"kind": "io" | "memory", "start", "end" (inclusive), "prefetch", "wide" (64 bits), "assigned": bool}.
    """
    names = files.names(root, DEVICES)
    if names is None:
        return None
    uses = pci_use.uses(root)
    return {
        "ecam": ecam(files.read(root, "proc/iomem")),
        "functions": {name: _function(root, name, uses.get(name)) for name in names if pci_use.ADDRESS.fullmatch(name)},
    }


def ecam(iomem: Optional[str]) -> Optional[List[Dict[str, int]]]:
    """Return the windows of configuration space that /proc/iomem shows ("PCI ECAM", before Linux 6.8 "PCI MMCONFIG"); None without it."""
    if not iomem or not re.search(r"[1-9a-f]", re.sub(r" : .*", "", iomem)):
        return None  # without CAP_SYS_ADMIN all addresses are zero
    found = []
    line = re.compile(
        r"^ *([0-9a-f]{8,16})-[0-9a-f]{8,16} : PCI (?:ECAM|MMCONFIG) ([0-9a-f]{4,8}) \[bus ([0-9a-f]{2})-([0-9a-f]{2})\]$", re.MULTILINE
    )
    for match in line.finditer(iomem):
        base, segment, first, last = (int(word, 16) for word in match.groups())
        found.append({"base": base, "segment": segment, "first_bus": first, "last_bus": last})
    return found


def _function(root: str, name: str, uses: Optional[List[Dict[str, str]]]) -> Function:
    folder = DEVICES + "/" + name
    config = _config(root, folder)
    resources = _resources(files.read(root, folder + "/resource"))
    is_bridge = None if config is None else config[0x0E] & 0x7F == _BRIDGE
    group = _link(root, folder + "/iommu_group")
    override = files.word(root, folder + "/driver_override")
    node = files.number(root, folder + "/numa_node")
    path = [step for step in os.path.realpath(files.path_below(root, folder)).split(os.sep)[:-1] if pci_use.ADDRESS.fullmatch(step)]
    msi, msix, express = _capabilities(config)
    return {
        "vendor": files.number(root, folder + "/vendor", 16),
        "device": files.number(root, folder + "/device", 16),
        "class": files.number(root, folder + "/class", 16),
        "driver": _link(root, folder + "/driver"),
        "driver_override": None if override == "(null)" else override,
        "power": files.word(root, folder + "/power/control"),
        "numa_node": node if node is not None and node >= 0 else None,
        "iommu_group": int(group) if group is not None and group.isdigit() else None,
        "iommu_type": files.word(root, folder + "/iommu_group/type") if group is not None else None,
        "msi": msi,
        "msix": msix,
        "bars": None if resources is None else [one for number, one in resources if number < _BARS],
        "path": path,
        "reset": _reset(root, folder),
        "physical_function": _link(root, folder + "/physfn"),
        "virtual_functions": files.number(root, folder + "/sriov_numvfs"),
        "bridge": _bridge(root, folder, express, resources) if is_bridge else None,
        "uses": [] if uses is None else uses,
    }


def _bridge(root: str, folder: str, express: Optional[int], resources: Optional[List[Tuple[int, Dict[str, Any]]]]) -> Dict[str, Any]:
    return {
        "secondary": files.number(root, folder + "/secondary_bus_number"),
        "subordinate": files.number(root, folder + "/subordinate_bus_number"),
        "conventional": None if express is None else express in (-1, _TO_CONVENTIONAL),
        "windows": None if resources is None else [one for number, one in resources if number > _ROM],
    }


def _link(root: str, path: str) -> Optional[str]:
    """Return the last part of where a link points to."""
    try:
        return os.path.basename(os.readlink(files.path_below(root, path))) or None
    except OSError:
        return None


def _reset(root: str, folder: str) -> Optional[List[str]]:
    """The ways in which the kernel can reset the function; kernels before 5.15 tell only that there is one."""
    text = files.read(root, folder + "/reset_method")
    if text is not None:
        return text.split()
    return ["unnamed"] if files.exists(root, folder + "/reset") else []


def _config(root: str, folder: str) -> Optional[bytes]:
    try:
        with open(files.path_below(root, folder + "/config"), "rb") as file:
            data = file.read(4096)
    except OSError:
        return None
    return data if len(data) >= _EXTENDED else None


def _capabilities(config: Optional[bytes]) -> Tuple[Optional[int], Optional[int], Optional[int]]:
    """Most MSI vectors, most MSI-X vectors, PCI Express port type (-1: conventional PCI); None where the kernel hides the list."""
    if config is None:
        return None, None, None
    msi, msix, express = 0, 0, -1
    if not config[0x06] & 0x10:  # status: has a list of capabilities
        return msi, msix, express
    at, seen = config[0x34] & 0xFC, 0
    while at >= 0x40 and seen < 48:  # a list that bites its tail ends here
        if at + 4 > len(config):
            return None, None, None
        kind, following, control = struct.unpack_from("<BBH", config, at)
        if kind == _CAP_MSI:
            msi = 1 << (control >> 1 & 7)
        elif kind == _CAP_MSIX:
            msix = (control & 0x7FF) + 1
        elif kind == _CAP_EXPRESS:
            express = control >> 4 & 0xF
        at, seen = following & 0xFC, seen + 1
    return msi, msix, express


def _resources(text: Optional[str]) -> Optional[List[Tuple[int, Dict[str, Any]]]]:
    """The lines of "resource" that mean something, with their numbers: 0-5 BARs, 6 the ROM, behind it windows of a bridge."""
    if text is None:
        return None
    found = []
    for number, line in enumerate(text.splitlines()[:64]):
        words = line.split()
        if len(words) != 3 or not all(re.fullmatch(r"0x[0-9a-f]{1,16}", word) for word in words):
            continue
        start, end, flags = (int(word, 16) for word in words)
        if not flags & (_IO | _MEMORY) or flags & _DISABLED:
            continue
        found.append(
            (
                number,
                {
                    "kind": "io" if flags & _IO else "memory",
                    "start": start,
                    "end": end,
                    "prefetch": bool(flags & _PREFETCH),
                    "wide": bool(flags & _WIDE),
                    "assigned": bool(start and end >= start and not flags & _UNSET),
                },
            )
        )
    return found
