# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Which multikernel interface the host speaks, and what mkstock tells beyond it.

Neither dialect carries a version number, so that the presence of its files is the test: /proc/multikernel alone is the
RFC of September 2025, /sys/fs/multikernel is the later kernfs tree. Where both are (mkstock can show both), the later one is spoken
unless another is asked for. Which generation of the tree it is only the tree itself tells, once it is mounted.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from .._layout.units import whole
from . import files

_MKSTOCK = "sys/kernel/mkstock"
_SIGNS = (("kernfs", "sys/fs/multikernel"), ("rfc", "proc/multikernel"))


def dialect(root: str) -> Dict[str, Any]:
    """Return the dialect part of the facts. `strict` means: no choice of the image, no veto, no arrival wait."""
    info = mkstock_info(root)
    mkstock = files.word(root, _MKSTOCK + "/role") == "host"
    offers = [name for name, path in _SIGNS if files.exists(root, path)]
    if not offers:
        return {"name": "none", "provider": None, "strict": None, "pool": None, "channels": False, "offers": []}
    name = offers[0]
    if not mkstock:
        strict = True if name == "rfc" else None
        return {"name": name, "provider": "kernel", "strict": strict, "pool": None, "channels": False, "offers": offers}
    return {
        "name": name,
        "provider": "mkstock",
        "offers": offers,
        "strict": info["strict_rfc"] != "0" if "strict_rfc" in info else None,
        "pool": ranges(root, _MKSTOCK + "/pool"),
        "channels": files.exists(root, _MKSTOCK + "/channels"),
    }


def mkstock_info(root: str) -> Dict[str, str]:
    """Return the ``key value`` lines of mkstock's info file; empty without mkstock."""
    lines = (line.split(None, 1) for line in (files.read(root, _MKSTOCK + "/info") or "").splitlines())
    return {parts[0]: parts[1].strip() for parts in lines if len(parts) == 2}


def mkstock_low(root: str) -> Optional[List[List[int]]]:
    """Return the chunks below 1 MiB that mkstock offers to instances, as [base, size]; None without mkstock."""
    return ranges(root, _MKSTOCK + "/low")


def mkstock_apic_ids(root: str) -> Dict[int, int]:
    """Return logical CPU -> APIC id of the CPUs that instances own, as mkstock's instances file tells."""
    found: Dict[int, int] = {}
    for line in (files.read(root, _MKSTOCK + "/instances") or "").splitlines():
        cpus = re.search(r"\bcpus=([0-9,]+)", line)
        apic = re.search(r"\bapic=([0-9,]+)", line)
        if cpus and apic:
            pairs = zip(cpus.group(1).strip(",").split(","), apic.group(1).strip(",").split(","))
            known = ((whole(number), whole(apic_id)) for number, apic_id in pairs)
            found.update((number, apic_id) for number, apic_id in known if number is not None and apic_id is not None)
    return found


def ranges(root: str, path: str) -> Optional[List[List[int]]]:
    """Return ``0xSTART 0xSIZE`` lines as [base, size]; None when the file is missing."""
    text = files.read(root, path)
    if text is None:
        return None
    matches = re.finditer(r"^\s*(0x[0-9a-fA-F]+)\s+(0x[0-9a-fA-F]+)\s*$", text, re.MULTILINE)
    return [[int(match.group(1), 16), int(match.group(2), 16)] for match in matches]
