# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on memory as the layout divides it: sizes, addresses, overlaps, sums."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple

from .._boot import memory_map
from .._layout import units
from .case import Case, Region, region_of
from .registry import Outcome, fail, rule, unknown
from .survey import TWO_MIB
from .words import at_memory, few

PAGE = 4096
MIB = 1 << 20
GUARD = TWO_MIB

Piece = Tuple[str, Tuple[object, ...], Optional[int], int]


@rule(
    "mem-positive",
    "error",
    "Every piece of memory has a size",
    "Memory of size zero is a mistake in the layout.",
    anchor="kerf 0.4.0 (the pool only), kernel (EINVAL)",
)
def mem_positive(case: Case) -> Iterator[Outcome]:
    for what, path, _base, size in _odd_pieces(case):
        if not size:
            yield fail("{0} has size 0.".format(what), path + ("size",), "write a size such as 256MiB")


@rule(
    "mem-page",
    "error",
    "Memory is given in whole pages",
    "kexec_load(2) refuses segments that are not page aligned (EADDRNOTAVAIL).",
    source="kernel/kexec_core.c, sanity_check_segment_list()",
    anchor="kernel; kerf 0.4.0 (the base)",
)
def mem_page(case: Case) -> Iterator[Outcome]:
    for what, path, base, size in _odd_pieces(case):
        for key, value in (("base", base), ("size", size)):
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
    for name in case.those(lambda one: (one["memory"]["base"] or 0) % TWO_MIB or one["memory"]["size"] % TWO_MIB):
        base, size = case.instances[name]["memory"]["base"], case.instances[name]["memory"]["size"]
        # What is no whole page is told by mem-page.
        if base is not None and base % TWO_MIB and not base % PAGE:
            message = "the base of {0}, {1}, is not a multiple of 2 MiB.".format(name, units.format_address(base))
            yield fail(message, at_memory(name) + ("base",), "use {0}".format(_round(base, TWO_MIB, "base")))
        if size % TWO_MIB and not size % PAGE:
            message = "the size of {0}, {1}, is not a multiple of 2 MiB.".format(name, units.format_size(size))
            yield fail(message, at_memory(name) + ("size",), "use {0}".format(_round(size, TWO_MIB, "size")), "warning")


@rule(
    "mem-head",
    "error",
    "An instance's memory reaches to where its kernel is put",
    "The loader puts mailbox, tables and start code at the base, a flat payload 2 MiB above it and Linux 16 MiB above it.",
)
def mem_head(case: Case) -> Iterator[Outcome]:
    for name in case.those(lambda one: 0 < one["memory"]["size"] <= memory_map.KERNEL):
        if case.image(name) is None:
            continue
        size = case.instances[name]["memory"]["size"]
        what, start = ("kernel", memory_map.KERNEL) if case.is_linux(name) else ("payload", memory_map.FLAT)
        if size <= start:
            message = "{0} has {1}, but its {2} is put {3} above its base.".format(
                name, units.format_size(size), what, units.format_size(start)
            )
            yield fail(message, at_memory(name) + ("size",), "give it more than {0}".format(units.format_size(start)))


@rule(
    "mem-overlap",
    "error",
    "No two kernels share memory",
    "Kernels that write to the same memory corrupt each other; adjacent ranges are fine.",
    anchor="kerf 0.4.0; jailhouse-config-check inside one cell only",
)
def mem_overlap(case: Case) -> Iterator[Outcome]:
    widest: Optional[Tuple[int, int, str, str]] = None
    for span in sorted(case.spans + case.low):
        # A channel in private memory is told by chan-shm-private.
        if widest is not None and span[0] < widest[1] and span[0] < span[1] and {widest[2], span[2]} != {"instance", "channel"}:
            yield _overlap(region_of(widest), region_of(span))
        if widest is None or span[1] > widest[1]:
            widest = span
    chunk: Optional[Region] = None
    for region in sorted(case.pool):
        if chunk is not None and region.base < chunk.end and region.size:
            yield _overlap(chunk, region)
        if chunk is None or region.end > chunk.end:
            chunk = region


@rule(
    "mem-in-pool",
    "error",
    "Instances are made of the pool",
    "Only memory of the pool is taken from the host; everything else may be in use.",
    anchor="kerf 0.4.0, kernel (ENODEV)",
)
def mem_in_pool(case: Case) -> Iterator[Outcome]:
    chunks = case.layout["pool"]["memory"]
    if case.instances and not chunks:
        yield fail("the layout declares no pool, so its instances have nothing to be made of.", ("pool", "memory"), "declare pool.memory")
        return
    shown = ", ".join(units.format_range(base, size) for base, size in case.merged_pool) or "no chunk with an address"
    for region in case.outside:
        message = "{0} is not inside the pool ({1}).".format(region.shown(), shown)
        if len(case.pool) < len(chunks) and region.base >= MIB:
            yield unknown("{0} A pool chunk without an address is not placed yet.".format(message), region.path)
        else:
            yield fail(message, region.path, "choose a base in the pool, leave it out, or enlarge the pool")


@rule(
    "mem-sum",
    "error",
    "The pool is large enough",
    "What instances and channels ask for together must fit, each of them in one piece.",
    anchor="kerf 0.4.0 (sum), ACRN (sum, warning)",
)
def mem_sum(case: Case) -> Iterator[Outcome]:
    chunks = case.layout["pool"]["memory"]
    if not chunks:
        return
    offered = sum(chunk["size"] for chunk in chunks)
    instances = sum(len(names) * one["memory"]["size"] for one, names in case.alike)
    channels = sum(case.channel_size(name) or 0 for name, _channel in case.channels)
    if instances + channels > offered:
        message = "instances ask for {0} and channels for {1}, but the pool has {2}.".format(
            units.format_size(instances), units.format_size(channels), units.format_size(offered)
        )
        yield fail(message, ("pool", "memory"), "{0} more are needed".format(units.format_size(instances + channels - offered)))
    loose = [chunk["size"] for chunk in chunks if chunk["base"] is None]
    largest = max([size for _base, size in case.merged_pool] + loose)
    for name in case.those(lambda one: largest < one["memory"]["size"] <= offered):
        message = "{0} asks for {1} in one piece, but the largest piece of the pool is {2}.".format(
            name, units.format_size(case.instances[name]["memory"]["size"]), units.format_size(largest)
        )
        yield fail(message, at_memory(name) + ("size",), "ask for {0} at most".format(units.format_size(largest)))


@rule(
    "mem-node-sum",
    "error",
    "The pool has enough memory of each node that is asked for",
    "An instance that asks for a node is not served from another one.",
)
def mem_node_sum(case: Case) -> Iterator[Outcome]:
    chunks = case.layout["pool"]["memory"]
    asked: Dict[int, List[Tuple[str, int]]] = {}
    for name in case.those(lambda one: one["memory"]["node"] is not None):
        memory = case.instances[name]["memory"]
        asked.setdefault(memory["node"], []).append((name, memory["size"]))
    if not asked or any(chunk["node"] is None for chunk in chunks):
        return  # which node such a chunk is on is for the facts to say
    for node, wishes in sorted(asked.items()):
        there = sum(chunk["size"] for chunk in chunks if chunk["node"] == node)
        wanted = sum(size for _name, size in wishes)
        if wanted > there:
            message = "{0} ask for {1} of node {2}, but the pool has {3} of it.".format(
                few([name for name, _size in wishes]), units.format_size(wanted), node, units.format_size(there)
            )
            yield fail(message, at_memory(wishes[0][0]) + ("node",), "enlarge the pool of node {0}, or leave node out".format(node))


@rule(
    "mem-guard",
    "info",
    "Kernels of different trust are not neighbours in memory",
    "Rows of DRAM disturb their neighbours (Rowhammer), and a 2 MiB page that is rounded outwards maps the neighbour's first pages.",
)
def mem_guard(case: Case) -> Iterator[Outcome]:
    labels = {one["trust"] for one, _names in case.alike}
    if len(labels - {None}) < 2:
        return
    for left, right in zip(case.private, case.private[1:]):
        one, other = case.instances[left[3]]["trust"], case.instances[right[3]]["trust"]
        if one and other and one != other and 0 <= right[0] - left[1] < GUARD:
            message = "the memory of {0} ({1}) ends right before that of {2} ({3}).".format(left[3], one, right[3], other)
            yield fail(message, at_memory(right[3]), "leave 2 MiB between them: set memory.base")


def _odd_pieces(case: Case) -> List[Piece]:
    """Every declared piece of memory whose numbers are zero or no whole pages: what it is called, its place, base and size."""
    found: List[Piece] = []
    for index, chunk in enumerate(case.layout["pool"]["memory"]):
        if not chunk["size"] or chunk["size"] % PAGE or (chunk["base"] or 0) % PAGE:
            found.append(("pool chunk {0}".format(index + 1), ("pool", "memory", index), chunk["base"], chunk["size"]))
    odd = case.those(lambda one: not one["memory"]["size"] or one["memory"]["size"] % PAGE or (one["memory"]["base"] or 0) % PAGE)
    for name in odd:
        memory = case.instances[name]["memory"]
        found.append(("the memory of {0}".format(name), at_memory(name), memory["base"], memory["size"]))
    return found


def _overlap(first: Region, second: Region) -> Outcome:
    start, end = second.base, min(second.end, first.end)
    message = "{0} and {1} overlap in {2}.".format(first.shown(), second.shown(), units.format_range(start, end - start))
    return fail(message, second.path, "move {0} to 0x{1:x} or leave its base out".format(second.named(), first.end))


def _round(value: int, to: int, key: str) -> str:
    below, above = value // to * to, -(-value // to) * to
    form = units.format_address if key == "base" else units.format_size
    return form(above) if not below else "{0} or {1}".format(form(below), form(above))
