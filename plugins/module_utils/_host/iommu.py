# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The IOMMU: whether the devices of this machine reach only the memory that was mapped for them, and whether interrupts are checked.

Sources: Documentation/ABI/testing/sysfs-class-iommu and sysfs-kernel-iommu_groups of the kernel; the chip names with "IR-" in
/proc/interrupts come from drivers/iommu/intel/irq_remapping.c and drivers/iommu/amd/iommu.c.
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Union

from . import files

# The default domains in which every access of a device is translated; "identity" lets it reach all memory.
TRANSLATED = ("DMA", "DMA-FQ", "blocked")


def iommu(root: str) -> Dict[str, Union[bool, int, None]]:
    """Return present, translating (every device is confined to what was mapped for it), interrupt_remapping, and the number of groups."""
    classes = files.names(root, "sys/class")
    present = None if classes is None else bool(files.names(root, "sys/class/iommu"))
    groups = files.numbered(root, "sys/kernel/iommu_groups", "")
    return {
        "present": present,
        "translating": _translating(root, present, [groups[number] for number in groups]),
        "interrupt_remapping": _remapping(files.read(root, "proc/interrupts")),
        "groups": len(groups) if present else (0 if present is False else None),
    }


def _translating(root: str, present: Optional[bool], groups: List[str]) -> Optional[bool]:
    """One device in a domain without translation is enough to say no; one that cannot be looked at, to say nothing."""
    if present is not True:
        return present
    kinds = [files.word(root, "sys/kernel/iommu_groups/{0}/type".format(group)) for group in groups]
    if any(kind is not None and kind not in TRANSLATED for kind in kinds):
        return False
    return True if kinds and None not in kinds else None


def _remapping(text: Optional[str]) -> Optional[bool]:
    """The kernel names the interrupt chips that stand behind a remapping table "IR-IO-APIC", "IR-PCI-MSI"."""
    chips = re.findall(r"\s((?:IR-)?(?:IO-APIC|PCI-MSIX?))(?=[-\s])", text or "")
    return all(chip.startswith("IR-") for chip in chips) if chips else None
