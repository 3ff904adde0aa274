# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on the machine's memory: what the host and its devices use of it, and what a kernel needs."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple

from .._boot import memory_map
from .._host import iomem
from .._layout import units
from . import size as image_size
from .case import Case, Region
from .registry import Outcome, fail, rule, unknown
from .words import at_memory, few

PAGE = 4096
MIB = 1 << 20

# Without a wish of the layout: below this a Debian host kills processes while it manages instances.
HOST_MEMORY = 256 * MIB
# What a Linux needs beside its image to reach user space.
ROOM_TO_BOOT = 64 * MIB


@rule(
    "mem-host-unused",
    "error",
    "The host uses nothing of the pool",
    "kexec_load(2) of the RFC overwrites System RAM and returns success: the proof that memory is free is the client's. Whole memory"
    " blocks that are online count as free, because they are taken offline first.",
    needs=("memory.iomem", "kernel.cmdline"),
    anchor="jailhouse-config-check, but only for the hypervisor's own memory",
)
def mem_host_unused(case: Case) -> Iterator[Outcome]:
    chunks = case.layout["pool"]["memory"]
    for region, conflict in case.host_conflicts or []:
        if conflict.kind in ("device", "crash") or (region.kind != "low" and region.base < MIB):
            continue
        if region.kind in ("instance", "channel") and len(case.pool) == len(chunks):
            continue  # that it lies outside the pool is told by mem-in-pool
        base, size = conflict.start, conflict.end - conflict.start + 1
        message = "{0} is not free for instances: {1} is {2}.".format(_capital(region), units.format_range(base, size), conflict.used_by)
        hint = "choose memory that exists and that the host does not use"
        if conflict.used_by.startswith("Kernel "):
            hint = "choose other memory, or boot the host with nokaslr: its kernel lies there and cannot be moved"
        elif conflict.kind == "ram":
            block = case.fact("memory.block_size")
            hint = "reserve it on the host's command line with memmap={0}${1}".format(
                _memmap(region.size), units.format_address(region.base)
            )
            if block:
                hint += ", or choose whole memory blocks of {0}, which can be taken offline".format(units.format_size(block))
        elif conflict.kind == "low":
            hint = "reserve 64 KiB for each Linux instance on the host's command line, for example memmap=192K$0x10000"
        yield fail(message, region.path, hint)


@rule(
    "mem-mmio",
    "error",
    "Instances get no device registers",
    "A write to the local APIC, an IO-APIC or a device window stops the host.",
    source="Intel SDM volume 3, chapter 11 (APIC)",
    anchor="jailhouse-config-check (APICs, MMCONFIG, IOMMU)",
)
def mem_mmio(case: Case) -> Iterator[Outcome]:
    devices: List[str] = []
    # What lies outside a pool whose place is known is told by mem-in-pool.
    loose = case.outside if len(case.pool) < len(case.layout["pool"]["memory"]) else []
    for region in case.pool + loose:
        if region.base >= memory_map.FOUR_GIB:
            continue
        for start, end, name in iomem.APIC_PAGES:
            if region.base <= end and region.end > start:
                devices.append(region.owner)
                message = "{0}{1} contains the registers of the {2} at 0x{3:x}.".format(*_split(region), name, start)
                yield fail(message, region.path, "choose memory below 0xfec00000 or above 4 GiB")
        if region.base < MIB:
            devices.append(region.owner)
            message = "{0}{1} begins below 1 MiB, where firmware, video memory and the host's start code lie.".format(*_split(region))
            yield fail(message, region.path, "choose memory above 1 MiB; the 64 KiB below 1 MiB that Linux needs are found by themselves")
    if case.host_conflicts is None:
        yield unknown("where the machine's device registers lie needs its memory map, read as root.", ("pool", "memory"))
        return
    for region, conflict in case.host_conflicts:
        if conflict.kind == "device" and region.owner not in devices and (region.kind == "pool" or region in loose):
            message = "{0} contains device registers: 0x{1:x}-0x{2:x} is {3}.".format(
                _capital(region), conflict.start, conflict.end, conflict.used_by
            )
            yield fail(message, region.path, "choose memory outside of it")


@rule(
    "mem-crash-overlap",
    "error",
    "The crash kernel keeps its memory",
    "kdump would be overwritten exactly when it is needed.",
    needs=("memory.iomem",),
    source="Documentation/admin-guide/kdump/kdump.rst",
)
def mem_crash_overlap(case: Case) -> Iterator[Outcome]:
    for region, conflict in case.host_conflicts or []:
        if conflict.kind == "crash":
            message = "{0} overlaps the memory of the host's crash kernel at 0x{1:x}-0x{2:x}.".format(
                _capital(region), conflict.start, conflict.end
            )
            yield fail(message, region.path, "choose other memory, or move the crash kernel with crashkernel=SIZE@ADDRESS")


@rule(
    "mem-usable-ram",
    "error",
    "The firmware calls the whole pool RAM",
    "memmap= makes the host call anything reserved, also what never was RAM: firmware tables, ROM, or a hole in the address space.",
    needs=("memory.firmware",),
    source="Documentation/ABI/testing/sysfs-firmware-memmap",
    anchor="jailhouse config create",
    unsure="warning",
)
def mem_usable_ram(case: Case) -> Iterator[Outcome]:
    every = case.fact("memory.firmware")
    ram = iomem.merge((one["start"], one["end"] + 1 - one["start"]) for one in every if one["type"] == "System RAM")
    told = {(region.base, region.size) for region, _conflict in case.host_conflicts or []}
    for region in case.pool:
        if region.base < MIB or (region.base, region.size) in told or iomem.inside(region.base, region.size, ram):
            continue
        other = [one for one in every if one["start"] < region.end and one["end"] >= region.base and one["type"] != "System RAM"]
        what = "{0} at 0x{1:x}".format(other[0]["type"], max(other[0]["start"], region.base)) if other else "nothing that exists"
        message = "{0}{1} is not all RAM: the firmware's map has {2} in it.".format(*_split(region), what)
        yield fail(message, region.path, "reserve only memory that the host's log lists as usable at boot")


@rule(
    "mem-host-min",
    "error",
    "The host keeps enough memory",
    "A host that runs out of memory kills the processes that manage the instances.",
    needs=("memory.total",),
)
def mem_host_min(case: Case) -> Iterator[Outcome]:
    declared, least, left = _kept_by_host(case)
    if left < least:
        message = "the host would keep {0} MiB of memory, but {1} {2}.".format(
            max(left, 0) // MIB,
            units.format_size(least),
            "is the least that host.memory_min allows" if declared is not None else "is the least that a host can work with",
        )
        yield fail(message, ("host", "memory_min"), "make the pool smaller", None if declared is not None else "warning")


@rule(
    "mem-huge",
    "warning",
    "The host's huge pages leave it enough memory",
    "Huge pages are memory that nothing else can use; what is left beside them may be too little although the total is enough.",
    needs=("memory.total", "memory.hugetlb"),
    source="Documentation/admin-guide/mm/hugetlbpage.rst",
)
def mem_huge(case: Case) -> Iterator[Outcome]:
    _declared, least, left = _kept_by_host(case)
    huge = case.fact("memory.hugetlb")
    if huge and left - huge < least <= left:
        message = "the host would keep {0} MiB of memory, of which {1} MiB are huge pages: less than {2} is left for the rest.".format(
            left // MIB, huge // MIB, units.format_size(least)
        )
        yield fail(message, ("host", "memory_min"), "make the pool smaller, or lower vm.nr_hugepages on the host")


@rule(
    "mem-movable",
    "warning",
    "The memory blocks of the pool can be taken offline",
    "A block outside the zone Movable holds pages of the kernel sooner or later; taking it offline then fails half-way.",
    needs=("memory.blocks",),
    source="Documentation/admin-guide/mm/memory-hotplug.rst",
)
def mem_movable(case: Case) -> Iterator[Outcome]:
    fixed = [one for one in case.pool_blocks if one.get("zone") not in (None, "Movable")]
    if fixed:
        size = case.fact("memory.block_size")
        message = "{0} of the pool, the first at 0x{1:x}, {2} in zone {3} of the host, which the kernel may be unable to empty.".format(
            "1 memory block" if len(fixed) == 1 else "{0} memory blocks".format(len(fixed)),
            fixed[0]["number"] * size,
            "is" if len(fixed) == 1 else "are",
            fixed[0]["zone"],
        )
        yield fail(message, ("pool", "memory"), "boot the host with movable_node or movablecore=, or reserve the pool with memmap=")


@rule(
    "mem-poison",
    "warning",
    "The machine's memory has no known errors",
    "A page that the host set aside for errors is handed to an instance like any other, when its block is given away.",
    needs=("memory.corrupted",),
    source="Documentation/mm/hwpoison.rst",
)
def mem_poison(case: Case) -> Iterator[Outcome]:
    bad = case.fact("memory.corrupted")
    if bad and case.instances:
        message = "the host has set {0} KiB of broken memory aside, and an instance would not know of it.".format(bad // 1024)
        yield fail(message, ("pool", "memory"), "find the address in the host's log and keep the pool away from it, or replace the module")


@rule(
    "mem-encryption",
    "error",
    "The host does not encrypt its memory",
    "What the host writes with the encryption bit set is noise to a kernel that maps it without: the instance would run it.",
    needs=("memory.encrypted",),
    source="Documentation/arch/x86/amd-memory-encryption.rst",
    unsure="warning",
)
def mem_encryption(case: Case) -> Iterator[Outcome]:
    if case.fact("memory.encrypted") and case.instances:
        message = "this host's memory is encrypted, so that an instance would find noise where its kernel was written."
        yield fail(message, (), "boot the host with mem_encrypt=off; a confidential virtual machine cannot carry instances")


@rule(
    "mem-kernel-min",
    "error",
    "An instance's memory holds its kernel and initrd, and leaves room to boot",
    "A kernel without room to unpack its initrd panics before it can say anything.",
    needs=("images",),
)
def mem_kernel_min(case: Case) -> Iterator[Outcome]:
    limits: Dict[str, int] = {}
    for image in sorted({one["image"] for one, _names in case.alike}.intersection(case.layout["images"])):
        if image not in case.flat_images:
            need = image_size.needed(case, image, image_size.ANY_BASE)
            where = case.layout["images"][image]["kernel"]["path"]
            if need is not None:
                limits[image] = need + ROOM_TO_BOOT
            elif case.file(where) is None:
                yield unknown("how much memory {0} needs is not known.".format(where), ("images", image, "kernel"))
    limits.update(dict.fromkeys(image_size.moving(case).intersection(limits), 1 << 64))
    for name in case.those(lambda one: memory_map.KERNEL < one["memory"]["size"] < limits.get(one["image"], 0)):
        size = case.instances[name]["memory"]["size"]
        need, kernel = image_size.of_instance(case, name, True) or 0, image_size.of_instance(case, name, False)
        limit = need + ROOM_TO_BOOT
        if size >= limit:
            continue
        if kernel is not None and kernel > size:
            continue  # the rules on images name a kernel that does not fit by itself
        path, hint = at_memory(name) + ("size",), "give it {0}MiB or more".format(-(-limit // MIB))
        if need > size:
            message = "{0} has {1}, but its kernel and initrd need {2} MiB.".format(name, units.format_size(size), -(-need // MIB))
            yield fail(message, path, hint)
        else:
            message = "{0} has {1}; its kernel and initrd need {2} MiB of it, which leaves less than 64 MiB to boot with.".format(
                name, units.format_size(size), -(-need // MIB)
            )
            yield fail(message, path, hint, "warning")


@rule(
    "mem-low-chunk",
    "error",
    "There is a chunk below 1 MiB for each Linux instance",
    "Linux needs memory below 1 MiB for its real-mode code (init_real_mode panics without); 64 KiB are plenty.",
    needs=("memory.low",),
)
def mem_low_chunk(case: Case) -> Iterator[Outcome]:
    if case.picks:
        return  # the kernel finds it
    wanted = case.linux
    chunks = case.fact("memory.low")
    there = sum((base + size - _up(base)) // memory_map.LOW_SIZE for base, size in chunks if base + size > _up(base))
    if len(wanted) > there:
        message = "{0} run Linux and need 64 KiB below 1 MiB each, but this host leaves room for {1} ({2}).".format(
            ", ".join(wanted) if len(wanted) < 9 else "{0} instances".format(len(wanted)),
            there,
            "; ".join(units.format_range(base, size) for base, size in chunks) or "nothing is reserved there",
        )
        hint = "reserve it on the host's command line: memmap={0}K$0x10000".format(64 * (len(wanted) + 1))
        yield fail(message, at_memory(wanted[there]), hint)
    for name in wanted if case.placed else ():
        if "placed" in case.instances[name] and case.instances[name]["placed"]["low"] is None:
            yield fail("{0} runs Linux but has no chunk below 1 MiB.".format(name), at_memory(name))


@rule(
    "mem-node-online",
    "error",
    "Every node that is named exists",
    "The kernel refuses memory of a node that it does not know, or silently takes another one.",
    needs=("cpus.each",),
    anchor="kernel (EINVAL); kerf 0.4.0 does not look",
)
def mem_node_online(case: Case) -> Iterator[Outcome]:
    known = case.nodes.union(block.get("node") for block in case.fact("memory.blocks") or [])
    nodes = sorted(node for node in known if node is not None)
    named: Dict[int, List[Tuple[str, Tuple[object, ...]]]] = {}
    for index, chunk in enumerate(case.layout["pool"]["memory"]):
        if chunk["node"] is not None and chunk["node"] not in known:
            named.setdefault(chunk["node"], []).append(("pool chunk {0}".format(index + 1), ("pool", "memory", index, "node")))
    for name in case.those(lambda one: one["memory"]["node"] is not None and one["memory"]["node"] not in known):
        named.setdefault(case.instances[name]["memory"]["node"], []).append((name, at_memory(name) + ("node",)))
    for node, places in sorted(named.items()):
        message = "{0} names node {1}, but this machine has {2}.".format(
            few([name for name, _path in places]), node, "node " + ", ".join(map(str, nodes)) if nodes else "no nodes"
        )
        yield fail(message, places[0][1], "choose one of those, or leave node out") if nodes else unknown(message, places[0][1])


@rule(
    "mem-node-claim",
    "warning",
    "Pool chunks lie on the node that they claim",
    "Instances are put near their memory by what the pool says; a wrong node makes all of it remote.",
    needs=("memory.blocks", "memory.block_size"),
)
def mem_node_claim(case: Case) -> Iterator[Outcome]:
    claims = [region for region in case.pool if case.layout["pool"]["memory"][region.path[-1]]["node"] is not None]
    size = case.fact("memory.block_size")
    if not claims or not size:
        return
    nodes = {block["number"]: block.get("node") for block in case.fact("memory.blocks")}
    for region in claims:
        said = case.layout["pool"]["memory"][region.path[-1]]["node"]
        true: Optional[int] = nodes.get(region.base // size)
        if true is not None and true != said and true in nodes.values():
            message = "{0} is said to be on node {1}, but its first block is on node {2}.".format(_capital(region), said, true)
            yield fail(message, region.path + ("node",), "say node: {0}".format(true))


def _kept_by_host(case: Case) -> Tuple[Optional[int], int, int]:
    """Return what host.memory_min says, what counts instead, and the bytes that the host would keep."""
    declared: Optional[int] = case.layout["host"]["memory_min"]
    return declared, HOST_MEMORY if declared is None else declared, case.fact("memory.total") - case.releasable


def _capital(region: Region) -> str:
    named = region.named()
    return named[0].upper() + named[1:]


def _split(region: Region) -> Tuple[str, str]:
    return _capital(region), " ({0})".format(units.format_range(region.base, region.size))


def _memmap(size: int) -> str:
    return "{0}M".format(size // MIB) if size % MIB == 0 else "{0}K".format(-(-size // 1024))


def _up(address: int) -> int:
    return -(-address // PAGE) * PAGE
