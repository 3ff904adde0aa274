# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on memory: what instances get, and that nobody else uses it."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional

from .._host import iomem
from .._layout import units
from . import size as image_size
from .case import LOW_SIZE, TWO_MIB, Case, Region
from .registry import Outcome, fail, rule, unknown

PAGE = 4096
MIB = 1 << 20

# Without a wish of the layout: below this a Debian host kills processes while it manages instances.
HOST_MEMORY = 256 * MIB
# What a Linux needs beside its image to reach user space.
ROOM_TO_BOOT = 64 * MIB


@rule("mem-positive", "error", "Every piece of memory has a size", "Memory of size zero is a mistake in the layout.")
def mem_positive(case: Case) -> Iterator[Outcome]:
    for what, path, memory in _pieces(case):
        if not memory["size"]:
            yield fail("{0} has size 0.".format(what), path + ("size",), "write a size such as 256MiB")


@rule(
    "mem-page",
    "error",
    "Memory is given in whole pages",
    "kexec_load(2) refuses segments that are not page aligned (EADDRNOTAVAIL).",
    source="kernel/kexec_core.c, sanity_check_segment_list()",
)
def mem_page(case: Case) -> Iterator[Outcome]:
    for what, path, memory in _pieces(case):
        for key, value in (("base", memory.get("base")), ("size", memory["size"])):
            if value is not None and value % PAGE:
                shown = units.format_address(value) if key == "base" else "{0} bytes".format(value)
                message = "the {0} of {1}, {2}, is not a multiple of the page size 4096.".format(key, what, shown)
                yield fail(message, path + (key,), "use {0}".format(_round(value, PAGE, key)))


@rule(
    "mem-2m",
    "error",
    "Memory of instances is aligned to 2 MiB",
    "x86-64 kernels relocate in steps of 2 MiB, and identity maps are rounded outwards to 2 MiB, into the neighbour's pages.",
    source="Documentation/arch/x86/boot.rst, kernel_alignment",
)
def mem_2m(case: Case) -> Iterator[Outcome]:
    for name, instance in case.instances.items():
        memory = instance["memory"]
        path = ("instances", name, "memory")
        if memory["base"] is not None and memory["base"] % TWO_MIB:
            message = "the base of {0}, {1}, is not a multiple of 2 MiB.".format(name, units.format_address(memory["base"]))
            yield fail(message, path + ("base",), "use {0}".format(_round(memory["base"], TWO_MIB, "base")))
        if memory["size"] % TWO_MIB:
            message = "the size of {0}, {1}, is not a multiple of 2 MiB.".format(name, units.format_size(memory["size"]))
            yield fail(message, path + ("size",), "use {0}".format(_round(memory["size"], TWO_MIB, "size")), "warning")


@rule(
    "mem-overlap",
    "error",
    "No two kernels share memory",
    "Kernels that write to the same memory corrupt each other; adjacent ranges are fine.",
)
def mem_overlap(case: Case) -> Iterator[Outcome]:
    for regions in (case.regions + case.low, case.pool):
        widest: Optional[Region] = None
        for region in sorted(regions):
            if widest is not None and region.base < widest.end and region.size:
                start, end = region.base, min(region.end, widest.end)
                message = "{0} ({1}) and {2} ({3}) overlap in {4}.".format(
                    widest.named(),
                    units.format_range(widest.base, widest.size),
                    region.named(),
                    units.format_range(region.base, region.size),
                    units.format_range(start, end - start),
                )
                yield fail(message, region.path, "move {0} to 0x{1:x} or leave its base out".format(region.named(), widest.end))
            if widest is None or region.end > widest.end:
                widest = region


@rule(
    "mem-in-pool",
    "error",
    "Instances are made of the pool",
    "Only memory of the pool is taken from the host; everything else may be in use.",
)
def mem_in_pool(case: Case) -> Iterator[Outcome]:
    chunks = case.layout["pool"]["memory"]
    if case.instances and not chunks:
        yield fail("the layout declares no pool, so its instances have nothing to be made of.", ("pool", "memory"), "declare pool.memory")
        return
    pool = iomem.merge((region.base, region.size) for region in case.pool)
    shown = ", ".join(units.format_range(base, size) for base, size in pool) or "no chunk with an address"
    for region in case.regions:
        if iomem.inside(region.base, region.size, pool):
            continue
        message = "{0} ({1}) is not inside the pool ({2}).".format(region.named(), units.format_range(region.base, region.size), shown)
        if len(case.pool) < len(chunks) and region.base >= MIB:
            yield unknown("{0} A pool chunk without an address is not placed yet.".format(message), region.path)
        else:
            yield fail(message, region.path, "choose a base in the pool, leave it out, or enlarge the pool")


@rule(
    "mem-sum",
    "error",
    "The pool is large enough",
    "What instances and channels ask for together must fit, each of them in one piece.",
)
def mem_sum(case: Case) -> Iterator[Outcome]:
    chunks = case.layout["pool"]["memory"]
    if not chunks:
        return
    offered = sum(chunk["size"] for chunk in chunks)
    instances = sum(instance["memory"]["size"] for instance in case.instances.values())
    channels = sum(case.channel_size(name) or 0 for name in case.layout["channels"])
    if instances + channels > offered:
        message = "instances ask for {0} and channels for {1}, but the pool has {2}.".format(
            units.format_size(instances), units.format_size(channels), units.format_size(offered)
        )
        yield fail(message, ("pool", "memory"), "{0} more are needed".format(units.format_size(instances + channels - offered)))
    merged = iomem.merge((region.base, region.size) for region in case.pool)
    loose = [chunk["size"] for chunk in chunks if chunk["base"] is None]
    largest = max([size for _base, size in merged] + loose)
    for name, instance in case.instances.items():
        size = instance["memory"]["size"]
        if largest < size <= offered:
            message = "{0} asks for {1} in one piece, but the largest piece of the pool is {2}.".format(
                name, units.format_size(size), units.format_size(largest)
            )
            yield fail(message, ("instances", name, "memory", "size"), "ask for {0} at most".format(units.format_size(largest)))


@rule(
    "mem-host-unused",
    "error",
    "The host uses nothing of the pool",
    "kexec_load(2) of the RFC overwrites System RAM and returns success: the proof that memory is free is the client's. Whole memory"
    " blocks that are online count as free, because they are taken offline first.",
    needs=("memory.iomem", "kernel.cmdline"),
)
def mem_host_unused(case: Case) -> Iterator[Outcome]:
    for region, conflict in case.host_conflicts or []:
        if conflict.kind in ("device", "crash"):
            continue
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
)
def mem_mmio(case: Case) -> Iterator[Outcome]:
    devices: List[str] = []
    for region in case.pool + case.regions:
        for start, end, name in iomem.APIC_PAGES:
            if region.base <= end and region.end > start:
                devices.append(region.owner)
                message = "{0} ({1}) contains the registers of the {2} at 0x{3:x}.".format(
                    _capital(region), units.format_range(region.base, region.size), name, start
                )
                yield fail(message, region.path, "choose memory below 0xfec00000 or above 4 GiB")
        if region.base < MIB:
            devices.append(region.owner)
            message = "{0} ({1}) begins below 1 MiB, where firmware, video memory and the host's start code lie.".format(
                _capital(region), units.format_range(region.base, region.size)
            )
            yield fail(message, region.path, "choose memory above 1 MiB; the 64 KiB below 1 MiB that Linux needs are found by themselves")
    if case.host_conflicts is None:
        yield unknown("where the machine's device registers lie needs its memory map, read as root.", ("pool", "memory"))
        return
    for region, conflict in case.host_conflicts:
        if conflict.kind == "device" and region.owner not in devices:
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
    "mem-host-min",
    "error",
    "The host keeps enough memory",
    "A host that runs out of memory kills the processes that manage the instances.",
    needs=("memory.total",),
)
def mem_host_min(case: Case) -> Iterator[Outcome]:
    declared = case.layout["host"]["memory_min"]
    least = HOST_MEMORY if declared is None else declared
    left = case.fact("memory.total") - case.releasable
    if left < least:
        message = "the host would keep {0} MiB of memory, but {1} {2}.".format(
            max(left, 0) // MIB,
            units.format_size(least),
            "is the least that host.memory_min allows" if declared is not None else "is the least that a host can work with",
        )
        yield fail(message, ("host", "memory_min"), "make the pool smaller", None if declared is not None else "warning")


@rule(
    "mem-kernel-min",
    "error",
    "An instance's memory holds its kernel and initrd, and leaves room to boot",
    "A kernel without room to unpack its initrd panics before it can say anything.",
    needs=("images",),
)
def mem_kernel_min(case: Case) -> Iterator[Outcome]:
    for name, instance in case.instances.items():
        need, kernel = image_size.needed(case, name), image_size.kernel_end(case, name)
        size = instance["memory"]["size"]
        if not case.is_linux(name) or (kernel is not None and kernel > size):
            continue  # the rules on images name a kernel that does not fit by itself
        if need is None:
            if case.kernel_file(name) is None:
                yield unknown("how much memory the image of {0} needs is not known.".format(name), ("instances", name, "memory"))
            continue
        path = ("instances", name, "memory", "size")
        if need > size:
            message = "{0} has {1}, but its kernel and initrd need {2} MiB.".format(name, units.format_size(size), -(-need // MIB))
            yield fail(message, path, "give it {0}MiB or more".format(-(-(need + ROOM_TO_BOOT) // MIB)))
        elif need + ROOM_TO_BOOT > size:
            message = "{0} has {1}; its kernel and initrd need {2} MiB of it, which leaves less than 64 MiB to boot with.".format(
                name, units.format_size(size), -(-need // MIB)
            )
            yield fail(message, path, "give it {0}MiB or more".format(-(-(need + ROOM_TO_BOOT) // MIB)), "warning")


@rule(
    "mem-low-chunk",
    "error",
    "There is a chunk below 1 MiB for each Linux instance",
    "Linux needs memory below 1 MiB for its real-mode code (init_real_mode panics without); 64 KiB are plenty.",
    needs=("memory.low",),
)
def mem_low_chunk(case: Case) -> Iterator[Outcome]:
    wanted = [name for name in case.instances if case.is_linux(name)]
    chunks = case.fact("memory.low")
    there = sum((base + size - _up(base)) // LOW_SIZE for base, size in chunks if base + size > _up(base))
    if len(wanted) > there:
        message = "{0} run Linux and need 64 KiB below 1 MiB each, but this host leaves room for {1} ({2}).".format(
            ", ".join(wanted) if len(wanted) < 9 else "{0} instances".format(len(wanted)),
            there,
            "; ".join(units.format_range(base, size) for base, size in chunks) or "nothing is reserved there",
        )
        hint = "reserve it on the host's command line: memmap={0}K$0x10000".format(64 * (len(wanted) + 1))
        yield fail(message, ("instances", wanted[there], "memory"), hint)
    for name, instance in case.instances.items():
        if "placed" in instance and instance["placed"]["low"] is None and case.is_linux(name):
            yield fail("{0} runs Linux but has no chunk below 1 MiB.".format(name), ("instances", name, "memory"))


def _pieces(case: Case) -> Iterator[Any]:
    for index, chunk in enumerate(case.layout["pool"]["memory"]):
        yield "pool chunk {0}".format(index + 1), ("pool", "memory", index), chunk
    for name, instance in case.instances.items():
        yield "the memory of {0}".format(name), ("instances", name, "memory"), instance["memory"]
    for name, channel in case.layout["channels"].items():
        if channel["kind"] == "shared_memory" and channel["size"] is not None:
            piece: Dict[str, Any] = {"size": channel["size"]}
            yield "channel {0}".format(name), ("channels", name), piece


def _capital(region: Region) -> str:
    named = region.named()
    return named[0].upper() + named[1:]


def _round(value: int, to: int, key: str) -> str:
    below, above = value // to * to, -(-value // to) * to
    form = units.format_address if key == "base" else units.format_size
    return form(above) if not below else "{0} or {1}".format(form(below), form(above))


def _memmap(size: int) -> str:
    return "{0}M".format(size // MIB) if size % MIB == 0 else "{0}K".format(-(-size // 1024))


def _up(address: int) -> int:
    return -(-address // PAGE) * PAGE
