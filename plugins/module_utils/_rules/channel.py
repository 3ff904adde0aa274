# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on channels: who talks to whom, and through which memory."""

from __future__ import annotations

import re
from typing import Iterator

from .._boot import channel as channel_area
from .._layout import canonical, units
from .case import Case
from .registry import Outcome, fail, rule, unknown

PAGE = 4096
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@rule(
    "chan-name",
    "error",
    "Channels have plain names",
    "The name becomes a device node and a word on the command line.",
)
def chan_name(case: Case) -> Iterator[Outcome]:
    for name in sorted(case.layout["channels"]):
        if not NAME.fullmatch(name) or ".." in name:
            message = "the channel name {0!r} cannot be a device node.".format(name)
            yield fail(message, ("channels", name), "use letters, digits, _, - and ., at most 63 of them")


@rule("chan-ends", "error", "Both ends of a channel exist", "A message to nobody is lost.")
def chan_ends(case: Case) -> Iterator[Outcome]:
    known = ", ".join([canonical.HOST, *list(case.instances)[:8]]) + (" and others" if len(case.instances) > 8 else "")
    for name, channel in sorted(case.layout["channels"].items()):
        for end in channel["between"]:
            if end == canonical.HOST or end in case.instances:
                continue
            if end in case.layout["instances"]:
                message = "channel {0} ends at {1}, whose state is absent.".format(name, end)
            else:
                message = "channel {0} ends at {1}, which is no instance of this layout (there are {2}).".format(name, end, known)
            yield fail(message, ("channels", name, "between"), "correct the name, or remove the channel")


@rule("chan-self", "error", "A channel connects two kernels", "A kernel needs no channel to itself.")
def chan_self(case: Case) -> Iterator[Outcome]:
    for name, channel in sorted(case.layout["channels"].items()):
        first, second = channel["between"]
        if first == second:
            message = "channel {0} connects {1} with itself.".format(name, first)
            yield fail(message, ("channels", name, "between"), "name two different ends")


@rule(
    "chan-msg-size",
    "error",
    "Messages have 1 to {0} bytes".format(channel_area.MAX_MESSAGE),
    "The RFC's message slots hold 256 bytes; a message of length zero looks like none.",
)
def chan_msg_size(case: Case) -> Iterator[Outcome]:
    for name, channel in sorted(case.layout["channels"].items()):
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
    for name, channel in sorted(case.layout["channels"].items()):
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
)
def chan_shm_private(case: Case) -> Iterator[Outcome]:
    private = sorted(region for region in case.regions if region.kind == "instance")
    areas = sorted(region for region in case.regions if region.kind == "channel")
    if case.layout["channels"] and not case.placed:
        yield unknown("where channels lie is known only once the layout is placed on a machine.", ("channels",))
    index = 0
    for area in areas:
        while index < len(private) and private[index].end <= area.base:
            index += 1
        if index < len(private) and private[index].base < area.end:
            message = "the area of channel {0} ({1}) lies in {2} ({3}).".format(
                area.owner,
                units.format_range(area.base, area.size),
                private[index].named(),
                units.format_range(private[index].base, private[index].size),
            )
            yield fail(message, area.path, "leave the place to the placement")


@rule(
    "chan-rw-matrix",
    "error",
    "Shared memory has a declared writer",
    "Nothing but the declaration says who may write; no hardware keeps the other end from it.",
)
def chan_rw_matrix(case: Case) -> Iterator[Outcome]:
    for name, channel in sorted(case.layout["channels"].items()):
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
    own = {name: set(instance.get("placed", {}).get("apic_ids", [])) for name, instance in case.instances.items()}
    own[canonical.HOST] = {one.get("apic_id") for number, one in case.each_cpu.items() if number not in case.owners}
    for name, channel in sorted(case.layout["channels"].items()):
        if "placed" not in channel:
            continue
        for end, apic_id in zip(channel["between"], channel["placed"]["ends"]):
            if end in own and apic_id not in own[end]:
                receiver = "the host" if end == canonical.HOST else end
                message = "channel {0} rings {1} at APIC id {2}, which is no CPU of {1}.".format(name, receiver, apic_id)
                yield fail(message, ("channels", name), "place the layout again")


@rule(
    "chan-support",
    "warning",
    "This host can carry channels to user space",
    "A kernel with the RFC's patches alone has no device for messages; the area is there, but the host's end stays silent.",
    needs=("dialect.channels",),
)
def chan_support(case: Case) -> Iterator[Outcome]:
    for name, channel in sorted(case.layout["channels"].items()):
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
    for name, instance in case.instances.items():
        health = instance["health"]
        if health is None:
            continue
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


def _power(slots: int) -> int:
    return min(1 << (slots - 1).bit_length(), channel_area.MAX_SLOTS)
