# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Names and nature of the machine."""

from __future__ import annotations

import re
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


# Of the kernel's configuration only what a rule asks for.
_OPTIONS = (
    "KEXEC",
    "HOTPLUG_CPU",
    "MEMORY_HOTREMOVE",
    "NR_CPUS",
    "STRICT_DEVMEM",
    "IO_STRICT_DEVMEM",
    "SECURITY_LOCKDOWN_LSM_EARLY",
    "LOCK_DOWN_KERNEL_FORCE_INTEGRITY",
    "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY",
)


def kernel(root: str) -> Dict[str, Any]:
    """Return release, version, command line, seconds to a reboot after a panic, and configuration of the host kernel."""
    return {
        "release": files.word(root, "proc/sys/kernel/osrelease"),
        "version": files.word(root, "proc/sys/kernel/version"),
        "cmdline": files.word(root, "proc/cmdline"),
        "panic": files.number(root, "proc/sys/kernel/panic"),
        "config": config(root),
    }


def config(root: str) -> Optional[Dict[str, Optional[str]]]:
    """Return the options that the kernel was built with ("y", "m", a number, null for no); None where no file tells."""
    release = files.word(root, "proc/sys/kernel/osrelease") or ""
    text = None
    if re.fullmatch(r"[0-9A-Za-z._+~-]+", release):
        text = files.read(root, "lib/modules/{0}/config".format(release)) or files.read(root, "boot/config-{0}".format(release))
    if text is None:
        return None
    text = "\n" + text
    return {option: _option(text, option) for option in _OPTIONS}


def _option(text: str, option: str) -> Optional[str]:
    """The last value of an option; ten thousand lines are searched for the few that are wanted, and not taken apart."""
    _before, found, rest = text.rpartition("\nCONFIG_%s=" % option)
    value = rest.partition("\n")[0]
    return value if found and value and not any(char.isspace() for char in value) else None


def encrypted(root: str) -> Optional[bool]:
    """Tell whether the memory is encrypted by AMD's SME (switched on by mem_encrypt=on) or in a confidential machine of Intel's."""
    flags = cpu.flags(root)
    if flags is None:
        return None
    return "tdx_guest" in flags or ("sme" in flags and "mem_encrypt=on" in (files.word(root, "proc/cmdline") or "").split())


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
