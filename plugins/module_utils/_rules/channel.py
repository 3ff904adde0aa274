# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on channels: who talks to whom, and through which memory."""

from __future__ import annotations

from typing import Dict, Iterator

from .._boot import channel as channel_area
from .._layout import canonical, cpuset, units
from .case import Case, region_of
from .registry import Outcome, fail, rule, unknown
from .words import is_plain

PAGE = 4096
SEGMENTS = 16  # KEXEC_SEGMENT_MAX
SLACK = 3  # seconds: three heartbeats


@rule(
    "chan-name",
    "error",
    "Channels have plain names",
    "The name becomes a device node and a word on the command line.",
    anchor="ACRN",
)
def chan_name(case: Case) -> Iterator[Outcome]:
    for name, _channel in case.channels:
        if not is_plain(name):
            message = "the channel name {0!r} cannot be a device node.".format(name)
            yield fail(message, ("channels", name), "use letters, digits, _, - and ., at most 63 of them")


@rule("chan-ends", "error", "Both ends of a channel exist", "A message to nobody is lost.", anchor="ACRN")
def chan_ends(case: Case) -> Iterator[Outcome]:
    if all(end == canonical.HOST or end in case.instances for _name, channel in case.channels for end in channel["between"]):
        return
    known = ", ".join([canonical.HOST, *list(case.instances)[:8]]) + (" and others" if len(case.instances) > 8 else "")
    for name, channel in case.channels:
        for end in channel["between"]:
            if end == canonical.HOST or end in case.instances:
                continue
            if end in case.layout["instances"]:
                message = "channel {0} ends at {1}, whose state is absent.".format(name, end)
            else:
                message = "channel {0} ends at {1}, which is no instance of this layout (there are {2}).".format(name, end, known)
            yield fail(message, ("channels", name, "between"), "correct the name, or remove the channel")


@rule("chan-self", "error", "A channel connects two kernels", "A kernel needs no channel to itself.", anchor="ACRN")
def chan_self(case: Case) -> Iterator[Outcome]:
    for name, channel in case.channels:
        first, second = channel["between"]
        if first == second:
            message = "channel {0} connects {1} with itself.".format(name, first)
            yield fail(message, ("channels", name, "between"), "name two different ends")


@rule(
    "chan-msg-size",
    "error",
    "Messages have 1 to {0} bytes".format(channel_area.MAX_MESSAGE),
    "The RFC's message slots hold 256 bytes; a message of length zero looks like none.",
    anchor="kernel (the upper limit)",
)
def chan_msg_size(case: Case) -> Iterator[Outcome]:
    for name, channel in case.channels:
        size = channel["message_size"]
        if channel["kind"] == "ipi" and (size is None or not 1 <= size <= channel_area.MAX_MESSAGE):
            message = "channel {0} has messages of {1} bytes; 1 to {2} are possible.".format(name, size or 0, channel_area.MAX_MESSAGE)
            yield fail(message, ("channels", name, "message_size"), "choose a size up to {0}".format(channel_area.MAX_MESSAGE))


@rule(
    "chan-shm-size",
    "error",
    "Channels have a size that works",
    "Ring indexes are masked, so that the number of slots is a power of two; shared memory is mapped in pages.",
)
def chan_shm_size(case: Case) -> Iterator[Outcome]:
    for name, channel in case.channels:
        slots, size = channel["slots"], channel["size"]
        if channel["kind"] == "ipi":
            if not slots or slots & (slots - 1) or slots > channel_area.MAX_SLOTS:
                message = "channel {0} has {1} slots; a power of two from 1 to {2} is needed.".format(
                    name, slots or 0, channel_area.MAX_SLOTS
                )
                yield fail(message, ("channels", name, "slots"), "use {0}".format(_power(slots or 1)))
        elif not size or size % PAGE:
            message = "channel {0} shares {1} bytes; a multiple of 4096 above zero is needed.".format(name, size or 0)
            yield fail(message, ("channels", name, "size"), "use {0}".format(units.format_size(max(-(-(size or 0) // PAGE), 1) * PAGE)))


@rule(
    "chan-shm-private",
    "error",
    "Channels lie outside of every kernel's private memory",
    "A kernel would hand out the pages of the channel to its own processes.",
    anchor="Jailhouse (ROOTSHARED)",
)
def chan_shm_private(case: Case) -> Iterator[Outcome]:
    private, index = case.private, 0
    if case.channels and not case.placed:
        yield unknown("where channels lie is known only once the layout is placed on a machine.", ("channels",))
    for area in case.areas:
        while index < len(private) and private[index][1] <= area[0]:
            index += 1
        if index < len(private) and private[index][0] < area[1]:
            message = "{0} lies in {1}.".format(region_of(area).shown(), region_of(private[index]).shown())
            yield fail(message, ("channels", area[3]), "leave the place to the placement")


@rule(
    "chan-rw-matrix",
    "error",
    "Shared memory has a declared writer",
    "Nothing but the declaration says who may write; no hardware keeps the other end from it.",
    anchor="Jailhouse (ivshmem sections)",
)
def chan_rw_matrix(case: Case) -> Iterator[Outcome]:
    for name, channel in case.channels:
        writer, ends = channel["writer"], channel["between"]
        if writer is not None and writer not in ends:
            message = "channel {0} is to be written by {1}, but connects {2} and {3}.".format(name, writer, ends[0], ends[1])
            yield fail(message, ("channels", name, "writer"), "name one of its ends")
        elif writer is None and channel["kind"] == "shared_memory":
            message = "channel {0} shares memory between {1} and {2} without naming the writer.".format(name, ends[0], ends[1])
            yield fail(message, ("channels", name), "say writer: {0} or writer: {1}".format(ends[0], ends[1]), "warning")


@rule(
    "chan-doorbell",
    "error",
    "The doorbell of a channel rings at its receiver",
    "An interrupt to a CPU of somebody else wakes nobody.",
    needs=("cpus.each",),
)
def chan_doorbell(case: Case) -> Iterator[Outcome]:
    of_host = {one.get("apic_id") for number, one in case.each_cpu.items() if number not in case.owners} if case.areas else set()
    for name, channel in case.channels if case.areas else ():
        if "placed" not in channel:
            continue
        for end, apic_id in zip(channel["between"], channel["placed"]["ends"]):
            known = end == canonical.HOST or end in case.instances
            own = of_host if end == canonical.HOST else case.instances[end].get("placed", {}).get("apic_ids", []) if known else []
            if known and apic_id not in own:
                receiver = "the host" if end == canonical.HOST else end
                message = "channel {0} rings {1} at APIC id {2}, which is no CPU of {1}.".format(name, receiver, apic_id)
                yield fail(message, ("channels", name), "place the layout again")


@rule(
    "chan-segments",
    "error",
    "An instance's image and channels fit into one load",
    "kexec_load(2) takes 16 segments; kernel, head, initrd and each channel that the instance is the first end of are one.",
    source="include/uapi/linux/kexec.h, KEXEC_SEGMENT_MAX",
    anchor="kernel (EINVAL)",
)
def chan_segments(case: Case) -> Iterator[Outcome]:
    made: Dict[str, int] = {}
    for _name, channel in case.channels:
        if channel["kind"] == "ipi":
            maker = next((end for end in channel["between"] if end != canonical.HOST), "")
            made[maker] = made.get(maker, 0) + 1
    # Head, boot parameters, kernel, initrd; a vmlinux has a segment for each PT_LOAD instead.
    for name, number in made.items():
        image = case.image(name) if number + 2 > SEGMENTS - 8 and name in case.instances else None
        if image is None:
            continue
        loads = len(((case.kernel_file(name) or {}).get("elf") or {}).get("loads") or [None])
        own = 2 + loads + (image["initrd"] is not None)
        if own + number > SEGMENTS:
            message = "{0} needs {1} segments ({2} of its image, {3} of channels), and one load takes {4}.".format(
                name, own + number, own, number, SEGMENTS
            )
            yield fail(message, ("instances", name), "let other instances be the first end of {0} channels".format(own + number - SEGMENTS))


@rule(
    "chan-trust",
    "warning",
    "Channels connect kernels of one trust",
    "Whatever arrives through a channel is parsed by the kernel behind it; across a border of trust that is an attack surface.",
)
def chan_trust(case: Case) -> Iterator[Outcome]:
    for name, channel in case.channels:
        ends = [case.instances[end]["trust"] for end in channel["between"] if end in case.instances]
        if len(ends) == 2 and ends[0] and ends[1] and ends[0] != ends[1]:
            message = "channel {0} connects {1} ({2}) with {3} ({4}).".format(
                name, channel["between"][0], ends[0], channel["between"][1], ends[1]
            )
            yield fail(message, ("channels", name), "let them talk through the host, which can check, or waive the rule with a reason")


@rule(
    "chan-numa",
    "info",
    "A channel's memory is on the node of one of its ends",
    "Each message crosses the link between sockets twice, which makes it two to five times slower.",
    needs=("cpus.each", "memory.blocks", "memory.block_size"),
)
def chan_numa(case: Case) -> Iterator[Outcome]:
    size = case.fact("memory.block_size")
    nodes = {block["number"]: block.get("node") for block in case.fact("memory.blocks")} if case.areas else {}
    if not size or len({node for node in nodes.values() if node is not None}) < 2:
        return
    of_apic = {one.get("apic_id"): one.get("node") for one in case.each_cpu.values()}
    for base, _end, _kind, name in case.areas:
        node = nodes.get(base // size)
        known = [of_apic.get(apic_id) for apic_id in case.layout["channels"][name]["placed"]["ends"]]
        ends = [one for one in known if one is not None]
        if node is not None and len(ends) == 2 and node not in ends:
            message = "channel {0} lies on node {1}, but its ends are on node {2}.".format(name, node, cpuset.format(ends))
            yield fail(message, ("channels", name), "give the pool a chunk on one of those nodes")


@rule(
    "chan-support",
    "warning",
    "This host can carry channels to user space",
    "A kernel with the RFC's patches alone has no device for messages; the area is there, but the host's end stays silent.",
    needs=("dialect.channels",),
)
def chan_support(case: Case) -> Iterator[Outcome]:
    for name, channel in case.channels:
        if channel["kind"] == "ipi" and canonical.HOST in channel["between"] and not case.fact("dialect.channels"):
            message = "channel {0} ends at the host, whose kernel offers no channels to user space.".format(name)
            yield fail(message, ("channels", name), "load mkstock on the host, or leave the channel out")


@rule(
    "life-health",
    "error",
    "Health is watched through a channel of the instance",
    "A heartbeat that arrives elsewhere says nothing of the instance.",
)
def life_health(case: Case) -> Iterator[Outcome]:
    for name in case.those(lambda one: one["health"] is not None):
        health = case.instances[name]["health"]
        path = ("instances", name, "health")
        channel = case.layout["channels"].get(health["channel"]) if health["channel"] is not None else None
        if health["channel"] is not None and channel is None:
            message = "the health of {0} is watched through channel {1}, which the layout does not declare.".format(name, health["channel"])
            yield fail(message, path, "declare it between host and {0}".format(name))
        elif channel is not None and sorted(channel["between"]) != sorted([canonical.HOST, name]):
            message = "the health of {0} is watched through channel {1}, which connects {2} and {3}.".format(
                name, health["channel"], channel["between"][0], channel["between"][1]
            )
            yield fail(message, path, "use a channel between host and {0}".format(name))
        elif not health["within"]:
            yield fail("the health of {0} has a deadline of zero.".format(name), path, "write one such as 30s")


@rule(
    "life-health-slack",
    "warning",
    "A deadline leaves room for a late heartbeat",
    "Instances beat once a second; a deadline close to that calls a busy instance dead, and restarts it.",
)
def life_health_slack(case: Case) -> Iterator[Outcome]:
    for name in case.those(lambda one: one["health"] is not None and 0 < one["health"]["within"] < SLACK):
        within = case.instances[name]["health"]["within"]
        message = "the health of {0} has a deadline of {1:g} s, and instances beat once a second.".format(name, within)
        yield fail(message, ("instances", name, "health"), "allow {0} s or more".format(SLACK))


def _power(slots: int) -> int:
    return min(1 << (slots - 1).bit_length(), channel_area.MAX_SLOTS)
