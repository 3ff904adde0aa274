# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The ways (vectors) on which one kernel can reach another, the five verdicts about a way, and what a hypervisor would do there.

The last column is what a static partitioning hypervisor such as Jailhouse does: it runs each kernel below second-level page
tables and intercepts what would reach outside. Sources: Documentation/ and hypervisor/ of Jailhouse; Intel SDM volume 3,
chapters on VMX, VT-d and the local APIC.
"""

from __future__ import annotations

from typing import NamedTuple

HARDWARE = "prevented-by-hardware"
SOFTWARE = "prevented-by-own-software"
DETECTED = "detected"
OPEN = "open"
UNKNOWN = "unknown"

# From the best to the worst. What is not known stands below all: it may be any of them.
VERDICTS = (HARDWARE, SOFTWARE, DETECTED, OPEN, UNKNOWN)

MEANING = {
    HARDWARE: "hardware stands in the way, whatever the first kernel does, as long as the hardware is not set up anew (see registers)",
    SOFTWARE: "the first kernel's own code keeps off; a bug in it, or whoever rules it, gets through",
    DETECTED: "nothing stands in the way, but the harm is noticed",
    OPEN: "nothing stands in the way and nothing notices",
    UNKNOWN: "a fact is missing; it counts as nothing",
}


class Vector(NamedTuple):
    """One way. title: as it is called in a table; what: what the first kernel would do; hypervisor: verdict and how, by Jailhouse."""

    id: str
    title: str
    what: str
    hypervisor: str
    how: str


VECTORS = (
    Vector("ram", "RAM", "read or change the other's memory", HARDWARE, "second-level page tables (EPT, NPT) map only its own memory"),
    Vector(
        "registers",
        "device registers",
        "program the other's devices, the IOMMU or the chipset, by memory or ports",
        HARDWARE,
        "second-level page tables and the port bitmap let through what is listed; the IOMMU belongs to the hypervisor",
    ),
    Vector(
        "dma",
        "device DMA",
        "have a device write to the other's memory",
        HARDWARE,
        "it requires an IOMMU and maps only the cell's own memory",
    ),
    Vector("irq", "device interrupts", "have a device raise interrupts on the other's CPUs", HARDWARE, "it requires interrupt remapping"),
    Vector(
        "ipi", "IPI, NMI, INIT", "interrupt or stop the other's CPUs", HARDWARE, "writes to the interrupt command register are intercepted"
    ),
    Vector(
        "msr",
        "MSRs and WBINVD",
        "change what the whole package shares: cache contents, memory types, microcode, power",
        "partly",
        "MSRs are filtered by a bitmap; WBINVD, split locks and what firmware does still reach all",
    ),
    Vector(
        "reset",
        "machine reset",
        "reset the machine: port 0xcf9, keyboard controller, triple fault",
        HARDWARE,
        "ports are intercepted, a triple fault stops only the cell",
    ),
    Vector("crash", "crash", "take the other down by its own crash", HARDWARE, "the cell is stopped, the others go on"),
    Vector(
        "core",
        "side channels of a core",
        "watch the other through caches and buffers of one core (SMT)",
        OPEN,
        "nothing, where its file splits a core",
    ),
    Vector(
        "llc",
        "side channels of the cache",
        "watch or evict the other's lines in a last-level cache",
        OPEN,
        "nothing, unless its file partitions the cache (CAT)",
    ),
    Vector("dram", "side channels of DRAM", "watch the other's row hits, or flip its bits by hammering", OPEN, "nothing"),
    Vector(
        "starvation",
        "starvation",
        "take memory bandwidth, cache or power away from the other",
        OPEN,
        "nothing but a partitioned cache (CAT)",
    ),
    Vector(
        "channel",
        "declared channels",
        "use what the layout declares as shared between the two",
        OPEN,
        "the same: shared memory (ivshmem) is shared",
    ),
)

BY_ID = {one.id: one for one in VECTORS}
