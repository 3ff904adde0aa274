# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IOMMU is told as confining devices only where every one of them is known to be confined."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import iommu

REMAPPED = """\
            CPU0       CPU1
   2:          9          0  IR-IO-APIC    2-edge      timer
 120:          0          0  DMAR-MSI    0-edge      dmar0
 126:          1          5  IR-PCI-MSI 524288-edge      nvme0q0
 NMI:          0          0   Non-maskable interrupts
"""
PLAIN = """\
            CPU0
   2:          9  IO-APIC    2-edge      timer
  24:          3  PCI-MSIX-0000:00:02.0    0-edge      virtio0-config
"""


def put(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def machine(root, types=("DMA-FQ", "DMA"), interrupts=REMAPPED):
    put(root, "sys/class/iommu/dmar0/intel-iommu/version", "1:0\n")
    for number, kind in enumerate(types):
        put(root, "sys/kernel/iommu_groups/{0}/{1}".format(number, "type" if kind else "reserved_regions"), "{0}\n".format(kind))
    put(root, "proc/interrupts", interrupts)
    return iommu.iommu(str(root))


def test_machine_whose_devices_are_all_translated(tmp_path):
    assert machine(tmp_path) == {"present": True, "translating": True, "interrupt_remapping": True, "groups": 2}


def test_one_device_that_passes_through_is_enough_to_say_no(tmp_path):
    assert machine(tmp_path, ("DMA", "identity", "DMA"))["translating"] is False


@pytest.mark.parametrize("types", [(), ("DMA", None)], ids=["no groups", "a group that cannot be read"])
def test_what_cannot_be_seen_is_not_known(tmp_path, types):
    assert machine(tmp_path, types)["translating"] is None


def test_machine_without_an_iommu(tmp_path):
    put(tmp_path, "sys/class/tty/uevent", "")
    put(tmp_path, "proc/interrupts", PLAIN)
    assert iommu.iommu(str(tmp_path)) == {"present": False, "translating": False, "interrupt_remapping": False, "groups": 0}


@pytest.mark.parametrize("text", ["", "no table at all\n", " NMI:  0  0  Non-maskable interrupts\n"])
def test_a_table_without_device_interrupts_tells_nothing(tmp_path, text):
    assert machine(tmp_path, interrupts=text)["interrupt_remapping"] is None


def test_one_interrupt_past_the_remapping_is_enough_to_say_no(tmp_path):
    assert machine(tmp_path, interrupts=REMAPPED + PLAIN)["interrupt_remapping"] is False


@pytest.mark.parametrize("name", ["lab-mkstock", "lab-plain"])
def test_the_lab_machines_have_none(collect, name):
    assert collect(name)["iommu"]["translating"] is False
