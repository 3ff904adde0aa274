# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""The first instructions of an instance, and the page tables they run on.

A CPU arrives in 64-bit mode on page tables and a stack that belong to the host and that the next boot of any CPU rewrites. The stub
leaves them at once: own CR3, own stack, RSI = the instance's boot_params, RDI = its mailbox, then the jump. Source: boot.rst, "64-bit
boot protocol" (identity mapping, %rsi); Intel SDM volume 3, "4-level paging"; Intel SDM volume 2 for the encodings.
"""

from __future__ import annotations

import struct
from typing import Dict, List, Sequence, Tuple

PAGE = 4096
GIB = 1 << 30
MAX_ADDRESS = 1 << 47
"""Identity mapping ends where the lower half of 4-level paging does."""

_PRESENT_WRITABLE = 0x03
_LARGE = 0x80
_2MIB = 1 << 21


def code(tables: int, stack: int, boot_params: int, mailbox: int, target: int) -> bytes:
    """Machine code that may run at any identity-mapped address and ends in a jump to *target*; all arguments are physical addresses."""
    return b"".join(
        (
            b"\xfa",  # cli
            b"\xfc",  # cld
            b"\x48\xb8" + struct.pack("<Q", tables),  # movabs $tables,%rax
            b"\x0f\x22\xd8",  # mov %rax,%cr3
            b"\x48\xbc" + struct.pack("<Q", stack),  # movabs $stack,%rsp
            b"\x48\xbe" + struct.pack("<Q", boot_params),  # movabs $boot_params,%rsi
            b"\x48\xbf" + struct.pack("<Q", mailbox),  # movabs $mailbox,%rdi
            b"\x48\xb8" + struct.pack("<Q", target),  # movabs $target,%rax
            b"\xff\xe0",  # jmp *%rax
        )
    )


def identity_tables(address: int, ranges: Sequence[Tuple[int, int]], room: int) -> bytes:
    """Page tables for physical *address* (page aligned) that map 0-4 GiB and every GiB touched by *ranges* onto themselves.

    *ranges*: (start, size) in bytes. 2 MiB pages, as every x86_64 CPU has them. The first page is the PML4. Raises ValueError when the
    tables need more than *room* bytes or a range lies beyond MAX_ADDRESS.
    """
    wanted = set(range(4))
    for start, size in ranges:
        if start < 0 or start + size > MAX_ADDRESS:
            raise ValueError("0x%x+0x%x cannot be mapped: 4-level paging ends at 0x%x" % (start, size, MAX_ADDRESS))
        wanted.update(range(start // GIB, (start + size - 1) // GIB + 1))
    pages: List[bytearray] = [bytearray(PAGE)]
    pdpts: Dict[int, int] = {}
    for gib in sorted(wanted):
        slot = gib // 512
        if slot not in pdpts:
            pdpts[slot] = _add(pages, 0, slot, address)
        directory = _add(pages, pdpts[slot], gib % 512, address)
        for entry in range(512):
            struct.pack_into("<Q", pages[directory], 8 * entry, gib * GIB + entry * _2MIB | _LARGE | _PRESENT_WRITABLE)
    if len(pages) * PAGE > room:
        raise ValueError("the page tables need %d bytes, there is room for %d: map less" % (len(pages) * PAGE, room))
    return b"".join(bytes(page) for page in pages)


def _add(pages: List[bytearray], parent: int, slot: int, address: int) -> int:
    number = len(pages)
    pages.append(bytearray(PAGE))
    struct.pack_into("<Q", pages[parent], 8 * slot, address + number * PAGE | _PRESENT_WRITABLE)
    return number
