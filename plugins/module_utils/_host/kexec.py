# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""What the host kernel allows: kexec policy, lockdown, privilege."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional

from . import files

# include/uapi/linux/capability.h
_CAP_SYS_ADMIN = 21  # real addresses in /proc/iomem
_CAP_SYS_BOOT = 22  # kexec_load(2), reboot(2)


def kexec(root: str) -> Dict[str, Any]:
    """Return the kexec sysctls (Documentation/admin-guide/sysctl/kernel.rst); limit_reboot -1 means no limit.

    Kernels before 6.3 have the switch but not the limits, which is the same as no limit.
    """
    crash = files.number(root, "sys/kernel/kexec_crash_loaded")
    disabled = files.number(root, "proc/sys/kernel/kexec_load_disabled")
    limit = files.number(root, "proc/sys/kernel/kexec_load_limit_reboot")
    if limit is None and disabled is not None:
        limit = -1
    return {
        "load_disabled": None if disabled is None else disabled != 0,
        "limit_reboot": limit,
        "crash_loaded": None if crash is None else crash != 0,
    }


def lockdown(root: str) -> Optional[str]:
    """Return none, integrity or confidentiality; None when securityfs is not mounted or may not be read.

    A kernel without the folder /sys/kernel/security has no lockdown to switch on.
    """
    match = re.search(r"\[(\w+)\]", files.read(root, "sys/kernel/security/lockdown") or "")
    if match:
        return match.group(1)
    active = files.word(root, "sys/kernel/security/lsm")
    if active is not None and "lockdown" not in active.split(","):
        return "none"
    if files.exists(root, "sys/kernel") and not files.exists(root, "sys/kernel/security"):
        return "none"
    return None


def privileged(root: str) -> bool:
    """Tell whether this process may load and boot kernels and sees real addresses."""
    match = re.search(r"^CapEff:\s*([0-9a-fA-F]+)", files.read(root, "proc/self/status") or "", re.MULTILINE)
    effective = int(match.group(1), 16) if match else 0
    return all(effective >> bit & 1 for bit in (_CAP_SYS_ADMIN, _CAP_SYS_BOOT))
