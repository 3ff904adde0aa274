# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""boot_params, the "zero page" that a boot loader hands to a Linux kernel, with its E820 memory map.

Source: Documentation/arch/x86/zero-page.rst and boot.rst; offsets are those of struct boot_params.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Optional, Sequence, Tuple

from . import setup_header

SIZE = 4096
E820_RAM = 1
E820_RESERVED = 2
E820_MAX = 128

_ACPI_RSDP_ADDR = 0x070
_EXT_RAMDISK_IMAGE = 0x0C0
_EXT_RAMDISK_SIZE = 0x0C4
_EXT_CMD_LINE_PTR = 0x0C8
_E820_ENTRIES = 0x1E8
_TYPE_OF_LOADER = 0x210
_LOADFLAGS = 0x211
_CODE32_START = 0x214
_RAMDISK_IMAGE = 0x218
_RAMDISK_SIZE = 0x21C
_CMD_LINE_PTR = 0x228
_SETUP_DATA = 0x250
_E820_TABLE = 0x2D0

_NO_LOADER_ID = 0xFF


class Range(NamedTuple):
    """One E820 entry: address and size in bytes, type E820_RAM or E820_RESERVED."""

    address: int
    size: int
    type: int


def build(
    header: Optional[bytes],
    kernel: int,
    rsdp: int,
    cmdline: int,
    initrd: Optional[Tuple[int, int]],
    e820: Sequence[Range],
) -> bytes:
    """The zero page, SIZE bytes.

    *header*: the setup_header bytes of the bzImage (setup_header.raw()), or None for a kernel that has none (vmlinux, flat).
    *kernel*, *rsdp*, *cmdline*: physical addresses; *initrd*: (address, size) or None; *e820*: the memory the kernel may know of.
    Raises ValueError with a sentence when the map is too long or its ranges overlap.
    """
    _check(e820)
    page = bytearray(SIZE)
    copied = header if header is not None else _plain_header()
    page[setup_header.START : setup_header.START + len(copied)] = copied
    struct.pack_into("<Q", page, _ACPI_RSDP_ADDR, rsdp)
    page[_TYPE_OF_LOADER] = _NO_LOADER_ID
    # as the kernel's own kexec loader does: drop what the file says (KASLR_FLAG, CAN_USE_HEAP), keep what is a fact
    page[_LOADFLAGS] = setup_header.LOADED_HIGH
    struct.pack_into("<I", page, _CODE32_START, kernel & 0xFFFFFFFF)
    struct.pack_into("<Q", page, _SETUP_DATA, 0)
    address, size = initrd if initrd else (0, 0)
    _split(page, _RAMDISK_IMAGE, _EXT_RAMDISK_IMAGE, address)
    _split(page, _RAMDISK_SIZE, _EXT_RAMDISK_SIZE, size)
    _split(page, _CMD_LINE_PTR, _EXT_CMD_LINE_PTR, cmdline)
    page[_E820_ENTRIES] = len(e820)
    for number, entry in enumerate(e820):
        struct.pack_into("<QQI", page, _E820_TABLE + 20 * number, *entry)
    return bytes(page)


def _plain_header() -> bytes:
    header = bytearray(0x26C - setup_header.START)
    for offset, form, value in (
        (0x1FE, "<H", setup_header.BOOT_FLAG),
        (0x200, "<H", 0x6AEB),
        (0x202, "<I", setup_header.MAGIC),
        (0x206, "<H", 0x020F),
        (0x230, "<I", 0x200000),
        (0x236, "<H", setup_header.XLF_KERNEL_64 | setup_header.XLF_CAN_BE_LOADED_ABOVE_4G),
    ):
        struct.pack_into(form, header, offset - setup_header.START, value)
    return bytes(header)


def _split(page: bytearray, low: int, high: int, value: int) -> None:
    struct.pack_into("<I", page, low, value & 0xFFFFFFFF)
    struct.pack_into("<I", page, high, value >> 32)


def _check(e820: Sequence[Range]) -> None:
    if len(e820) > E820_MAX:
        raise ValueError("the memory map has %d ranges, the zero page holds %d" % (len(e820), E820_MAX))
    ordered = sorted(e820)
    for entry in ordered:
        if entry.size <= 0:
            raise ValueError("the memory map has a range of %d bytes at 0x%x" % (entry.size, entry.address))
    for left, right in zip(ordered, ordered[1:]):
        if left.address + left.size > right.address:
            raise ValueError(
                "the memory map's ranges 0x%x+0x%x and 0x%x+0x%x overlap" % (left.address, left.size, right.address, right.size)
            )
