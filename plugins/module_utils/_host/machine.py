# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Names and nature of the machine."""

from __future__ import annotations

from typing import Any, Dict, Optional

from . import cpu, files

_VENDORS = {
    "qemu": "qemu",
    "amazon ec2": "amazon",
    "google": "google",
    "microsoft corporation": "microsoft",
    "vmware, inc.": "vmware",
    "innotek gmbh": "virtualbox",
    "xen": "xen",
}


def kernel(root: str) -> Dict[str, Optional[str]]:
    """Return release, version and command line of the host kernel."""
    return {
        "release": files.word(root, "proc/sys/kernel/osrelease"),
        "version": files.word(root, "proc/sys/kernel/version"),
        "cmdline": files.word(root, "proc/cmdline"),
    }


def la57(root: str) -> Optional[bool]:
    """Tell whether the host runs with five-level paging: the kernel hides the flag when it does not."""
    flags = cpu.flags(root)
    return None if flags is None else "la57" in flags


def virtualization(root: str) -> Optional[str]:
    """Return "none" on bare metal, the hypervisor's maker where DMI tells, else "other"; None when not known."""
    flags = cpu.flags(root)
    if flags is None:
        return None
    if "hypervisor" not in flags:
        return "none"
    vendor = (files.word(root, "sys/class/dmi/id/sys_vendor") or "").lower()
    return _VENDORS.get(vendor, "other")


def identity(root: str) -> Dict[str, Any]:
    """Return the names of the machine and of this boot of it."""
    return {
        "hostname": files.word(root, "proc/sys/kernel/hostname"),
        "boot_id": files.word(root, "proc/sys/kernel/random/boot_id"),
    }
