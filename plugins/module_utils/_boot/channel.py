# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""The memory of an IPI channel: one header page, then one ring of message slots for each direction.

Ring k carries the messages *from* end k; its producer owns `head`, its consumer owns `tail`, both run freely and are reduced modulo
the number of slots. A slot is {s32 sender APIC id, u32 type, u64 size, data[message_size]}. A full ring refuses the sender, so
nothing is ever overwritten. All numbers are little endian, all offsets count from the start of the area.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, NamedTuple, Sequence

MAGIC = 0x48434B4D  # "MKCH"
VERSION = 1
PAGE = 4096
MAX_MESSAGE = 256
MAX_SLOTS = 1 << 16
MESSAGE_TYPES = {1: "data", 2: "heartbeat", 3: "exit report", 4: "ping", 5: "pong"}

_HEADER = struct.Struct("<8I")
_END = struct.Struct("<II")
_ENDS = (0x20, 0x40)
_RINGS = (0x80, 0x100)
_SLOT_HEADER = 16


class Geometry(NamedTuple):
    """Where things are in a channel's area: bytes from its start, stride in bytes from slot to slot."""

    stride: int
    ring0: int
    ring1: int
    total: int


def geometry(slots: int, message_size: int) -> Geometry:
    """The geometry of a channel. *slots* in each direction (power of two), *message_size* in bytes (1 to 256); else ValueError."""
    if slots < 1 or slots > MAX_SLOTS or slots & (slots - 1):
        raise ValueError("a channel cannot have %d slots: a power of two from 1 to %d is needed" % (slots, MAX_SLOTS))
    if not 1 <= message_size <= MAX_MESSAGE:
        raise ValueError("a channel cannot carry messages of %d bytes: 1 to %d are possible" % (message_size, MAX_MESSAGE))
    stride = _SLOT_HEADER + _align(message_size, 16)
    ring0 = PAGE
    ring1 = PAGE + _align(slots * stride, 64)
    return Geometry(stride, ring0, ring1, _align(ring1 + slots * stride, PAGE))


def area_size(slots: int, message_size: int) -> int:
    """Bytes that a channel needs, a multiple of the page size. Errors as geometry()."""
    return geometry(slots, message_size).total


def header(slots: int, message_size: int, apic_ids: Sequence[int]) -> bytes:
    """The first page of a channel's area; the rest of the area is zero. *apic_ids*: of end 0 and of end 1. Errors as geometry()."""
    if len(apic_ids) != 2:
        raise ValueError("a channel has two ends, %d APIC ids were given" % len(apic_ids))
    place = geometry(slots, message_size)
    page = bytearray(PAGE)
    _HEADER.pack_into(page, 0, MAGIC, VERSION, slots, message_size, place.stride, place.ring0, place.ring1, place.total)
    for offset, apic_id in zip(_ENDS, apic_ids):
        _END.pack_into(page, offset, apic_id, 0)
    return bytes(page)


def parse(page: bytes) -> Dict[str, Any]:
    """Read a channel's header page (at least 0x180 bytes; fewer raise ValueError).

    Returns valid (magic, version and geometry agree), slots, message_size, total, ends [{apic_id, attached}] and rings
    [{head, tail, rejected, waiting}], ring k being the messages from end k. Odd contents never raise: they make `valid` false.
    """
    if len(page) < 0x180:
        raise ValueError("a channel's header has 384 bytes, %d were read" % len(page))
    magic, version, slots, message_size, stride, ring0, ring1, total = _HEADER.unpack_from(page, 0)
    valid = magic == MAGIC and version == VERSION
    try:
        valid = valid and geometry(slots, message_size) == (stride, ring0, ring1, total)
    except ValueError:
        valid = False
    ends = [dict(zip(("apic_id", "attached"), _END.unpack_from(page, offset))) for offset in _ENDS]
    for end in ends:
        end["attached"] = bool(end["attached"])
    return {
        "valid": valid,
        "version": version,
        "slots": slots,
        "message_size": message_size,
        "total": total,
        "ends": ends,
        "rings": [_ring(page, offset) for offset in _RINGS],
    }


def _ring(page: bytes, offset: int) -> Dict[str, int]:
    head = struct.unpack_from("<I", page, offset)[0]
    rejected = struct.unpack_from("<Q", page, offset + 0x08)[0]
    tail = struct.unpack_from("<I", page, offset + 0x40)[0]
    return {"head": head, "tail": tail, "rejected": rejected, "waiting": (head - tail) & 0xFFFFFFFF}


def _align(value: int, to: int) -> int:
    return (value + to - 1) // to * to
