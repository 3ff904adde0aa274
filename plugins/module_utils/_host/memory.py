# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The host's memory: its amount, and the blocks that can be taken offline."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from . import files

_MEMORY = "sys/devices/system/memory"


def total(root: str) -> Optional[int]:
    """Return the bytes of memory that the host kernel manages (MemTotal of /proc/meminfo)."""
    match = re.search(r"^MemTotal:\s*([0-9]{1,20}) kB", files.read(root, "proc/meminfo") or "", re.MULTILINE)
    return int(match.group(1)) * 1024 if match else None


def hugetlb(root: str) -> Optional[int]:
    """Return the bytes that huge pages of all sizes take; the kernel before 4.20 has no such line."""
    return _amount(root, "Hugetlb")


def corrupted(root: str) -> Optional[int]:
    """Return the bytes of memory that the kernel set aside because of hardware errors; None without memory failure handling."""
    return _amount(root, "HardwareCorrupted")


def firmware(root: str) -> Optional[List[Dict[str, Any]]]:
    """Return the memory map as the firmware gave it, before memmap= changed it: start, end (inclusive) and type; None when hidden."""
    folder = "sys/firmware/memmap"
    found = []
    for name in files.names(root, folder) or []:
        start, end = (files.number(root, "{0}/{1}/{2}".format(folder, name, key), base=16) for key in ("start", "end"))
        kind = files.word(root, "{0}/{1}/type".format(folder, name))
        if start is None or end is None or kind is None:
            return None
        found.append({"start": start, "end": end, "type": kind})
    return sorted(found, key=lambda one: one["start"]) or None


def _amount(root: str, key: str) -> Optional[int]:
    match = re.search(r"^{0}:\s*([0-9]{{1,20}}) kB".format(key), files.read(root, "proc/meminfo") or "", re.MULTILINE)
    return int(match.group(1)) * 1024 if match else None


def block_size(root: str) -> Optional[int]:
    """Return the bytes of one memory block; sysfs writes it in hexadecimal without 0x."""
    return files.number(root, _MEMORY + "/block_size_bytes", base=16)


def blocks(root: str) -> Optional[List[Dict[str, Any]]]:
    """Return the memory blocks: block number N covers N * block_size onwards. None without memory hotplug."""
    if block_size(root) is None:
        return None
    nodes = {
        number: node
        for node, name in files.numbered(root, "sys/devices/system/node", "node").items()
        for number in files.numbered(root, "sys/devices/system/node/" + name, "memory")
    }
    found = []
    for number, name in files.numbered(root, _MEMORY, "memory").items():
        folder = "{0}/{1}".format(_MEMORY, name)
        linked = files.numbered(root, folder, "node")
        found.append(
            {
                "number": number,
                # "going-offline" is still in use; whatever is not surely offline counts as online.
                "state": "offline" if files.word(root, folder + "/state") == "offline" else "online",
                "node": next(iter(linked), nodes.get(number)),
                "zone": next(iter((files.word(root, folder + "/valid_zones") or "").split()), None),
            }
        )
    return found
