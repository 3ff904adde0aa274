# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Cache allocation: whether this machine can give parts of its last-level caches to some CPUs only.

Sources: Documentation/arch/x86/resctrl.rst of the kernel; the flag "cat_l3" is CPUID leaf 10H (Intel RDT and AMD PQoS alike).
Which class a CPU runs in stands in a register of that CPU (IA32_PQR_ASSOC): of one that another kernel runs on, the host cannot tell.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from . import cpu, files

_INFO = "sys/fs/resctrl/info"


def cache_allocation(root: str) -> Dict[str, Any]:
    """Return supported (by the CPUs), mounted (resctrl is there to look at), and classes, ways and least_ways of the L3 caches.

    The numbers are None where resctrl is not mounted. With code and data apart (CDP) those of the data are told.
    """
    flags = cpu.flags(root)
    mounted = files.exists(root, _INFO) if files.exists(root, "sys/fs") else None
    level = next((one for one in ("L3", "L3DATA") if files.exists(root, "{0}/{1}".format(_INFO, one))), None)
    mask = _number(root, level, "cbm_mask", 16)
    return {
        "supported": None if flags is None else "cat_l3" in flags,
        "mounted": mounted,
        "classes": _number(root, level, "num_closids", 10),
        "ways": None if mask is None else bin(mask).count("1"),
        "least_ways": _number(root, level, "min_cbm_bits", 10),
    }


def _number(root: str, level: Optional[str], name: str, base: int) -> Optional[int]:
    return None if level is None else files.number(root, "{0}/{1}/{2}".format(_INFO, level, name), base)
