# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""The little AML that an instance with devices needs: one host bridge for each of its PCI buses, and who owns configuration space.

Each bus becomes a PNP0A08 device with _SEG, _BBN and _CRS, and its part of configuration space belongs to a PNP0C02 device, without
which Linux does not trust the MCFG table. Source: ACPI specification 6.3, chapters 5.2.6 (integers), 6.4 (resource descriptors) and
20.2 (encoding); arch/x86/pci/mmconfig-shared.c, is_acpi_reserved().
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Sequence, Tuple

FOUR_GIB = 1 << 32
BUS_SIZE = 1 << 20
"""Bytes of configuration space of one bus (ECAM)."""

_ADDRESS, _CONSUMER = 0x0C, 0x01  # least and greatest address are fixed; producer unless said otherwise
_MEMORY, _IO, _BUS = 0, 1, 2
_WRITABLE, _PREFETCHABLE = 0x01, 0x06
_ENTIRE_RANGE = 0x03  # ISA and non-ISA ports
_END = b"\x79\x00"


class Window(NamedTuple):
    """A range of addresses that leads to a bus: kind "memory" or "io", first and last address, whether it may be read ahead."""

    kind: str
    start: int
    end: int
    prefetch: bool = False


class Bus(NamedTuple):
    """One PCI bus (and those behind it, to last) of an instance; ecam: where the configuration space of *bus* begins."""

    segment: int
    bus: int
    last: int
    ecam: int
    windows: Tuple[Window, ...] = ()


def body(buses: Sequence[Bus]) -> bytes:
    """The term list of a DSDT in which these buses hang at the root; empty without any."""
    if not buses:
        return b""
    devices = b"".join(_bridge(number, one) + _owner(number, one) for number, one in enumerate(buses))
    return b"\x10" + _sized(b"\\_SB_" + devices)


def _bridge(number: int, bus: Bus) -> bytes:
    resources = _word(_BUS, 0, bus.bus, bus.last) + b"".join(_window(one) for one in bus.windows)
    names = _name(b"_HID", _eisa("PNP0A08")) + _name(b"_CID", _eisa("PNP0A03")) + _name(b"_UID", _integer(number))
    names += _name(b"_SEG", _integer(bus.segment)) + _name(b"_BBN", _integer(bus.bus)) + _name(b"_CRS", _buffer(resources + _END))
    return _device(b"PC%02X" % number, names)


def _owner(number: int, bus: Bus) -> bytes:
    size = (bus.last - bus.bus + 1) * BUS_SIZE
    if bus.ecam + size <= FOUR_GIB:
        resource = struct.pack("<BHBII", 0x86, 9, 1, bus.ecam, size)  # Memory32Fixed, writable
    else:
        resource = _quad(_CONSUMER, _WRITABLE, bus.ecam, bus.ecam + size - 1)
    return _device(
        b"MC%02X" % number, _name(b"_HID", _eisa("PNP0C02")) + _name(b"_UID", _integer(number)) + _name(b"_CRS", _buffer(resource + _END))
    )


def _window(window: Window) -> bytes:
    if window.kind == "io":
        return _word(_IO, _ENTIRE_RANGE, window.start, window.end)
    return _quad(0, _WRITABLE | (_PREFETCHABLE if window.prefetch else 0), window.start, window.end)


def _word(kind: int, flags: int, first: int, last: int) -> bytes:
    return struct.pack("<BHBBBHHHHH", 0x88, 13, kind, _ADDRESS, flags, 0, first, last, 0, last - first + 1)


def _quad(general: int, flags: int, first: int, last: int) -> bytes:
    return struct.pack("<BHBBBQQQQQ", 0x8A, 43, _MEMORY, _ADDRESS | general, flags, 0, first, last, 0, last - first + 1)


def _device(name: bytes, terms: bytes) -> bytes:
    return b"\x5b\x82" + _sized(name + terms)


def _name(name: bytes, value: bytes) -> bytes:
    return b"\x08" + name + value


def _buffer(data: bytes) -> bytes:
    return b"\x11" + _sized(_integer(len(data)) + data)


def _integer(value: int) -> bytes:
    if value < 2:
        return bytes([value])
    for prefix, form, limit in ((0x0A, "<B", 1 << 8), (0x0B, "<H", 1 << 16), (0x0C, "<I", 1 << 32)):
        if value < limit:
            return bytes([prefix]) + struct.pack(form, value)
    return b"\x0e" + struct.pack("<Q", value)


def _eisa(text: str) -> bytes:
    """A compressed EISA id: three letters of five bits each, then four hexadecimal digits, in the order of the bus."""
    letters = 0
    for letter in text[:3]:
        letters = letters << 5 | ord(letter) - 0x40
    return b"\x0c" + struct.pack(">HH", letters, int(text[3:], 16))


def _sized(content: bytes) -> bytes:
    """Content behind its PkgLength, which counts itself: six bits in one byte, or four bits and up to three bytes more."""
    if len(content) + 1 < 1 << 6:
        return bytes([len(content) + 1]) + content
    for more in (1, 2, 3):
        size = len(content) + 1 + more
        if size < 1 << (4 + 8 * more):
            return bytes([more << 6 | size & 0xF]) + (size >> 4).to_bytes(more, "little") + content
    raise ValueError("%d bytes are more than a package of AML holds" % len(content))
