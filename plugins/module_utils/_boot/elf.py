# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""ELF64 program headers, as far as a kernel (vmlinux) needs them.

Source: System V ABI, "ELF-64 Object File Format"; e_machine 62 is EM_X86_64.
"""

from __future__ import annotations

import mmap
import struct
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

MAGIC = b"\x7fELF"
EM_X86_64 = 62
PT_LOAD = 1
PT_INTERP = 3
PT_NOTE = 4
MULTIKERNEL_NOTE = (b"Linux", 0x4D4B)
"""Owner and type of the note by which a vmlinux tells where an instance enters it; its value is a little-endian u64."""

_HEADER = "<16sHHIQQQIHHHHHH"
_PROGRAM = "<IIQQQQQQ"
_SECTION = "<IIQQQQIIQQ"
_NOTE = "<III"
_LONGEST_NOTES = 1 << 16
_SHT_NOBITS = 8

Bytes = Union[bytes, bytearray, memoryview, mmap.mmap]


class Load(NamedTuple):
    """One PT_LOAD: file bytes [offset, offset + filesz) go to physical address paddr, zeros follow up to memsz."""

    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int


class Elf(NamedTuple):
    """What a loader needs to know of an ELF file: entry address, PT_LOADs in file order, whether a PT_INTERP is there, where notes are.

    notes are (offset, bytes) of each PT_NOTE in the file.
    """

    kind: int
    entry: int
    loads: Tuple[Load, ...]
    dynamic: bool
    notes: Tuple[Tuple[int, int], ...] = ()


def looks_like(head: Bytes) -> bool:
    """True when the first bytes are those of any ELF file."""
    return bytes(head[:4]) == MAGIC


def parse(head: Bytes, file_size: int) -> Elf:
    """Parse the ELF header and the program headers found in *head*, the first bytes of a file of *file_size* bytes.

    Raises ValueError with a sentence for anything that is not a complete little-endian x86_64 ELF64 file.
    """
    if not looks_like(head):
        raise ValueError("there is no ELF signature at its start")
    if len(head) < 20:
        raise ValueError("the file is truncated: it ends inside the ELF header")
    if head[4] != 2:
        raise ValueError("it is a 32-bit ELF file; an x86_64 kernel (ELF64) is needed")
    if head[5] != 1:
        raise ValueError("it is a big-endian ELF file; an x86_64 kernel is needed")
    machine = struct.unpack_from("<H", head, 18)[0]
    if machine != EM_X86_64:
        raise ValueError("it is an ELF file for machine %d; an x86_64 kernel (machine %d) is needed" % (machine, EM_X86_64))
    if len(head) < struct.calcsize(_HEADER):
        raise ValueError("the file is truncated: it ends inside the ELF header")
    fields = struct.unpack_from(_HEADER, head, 0)
    kind, entry, offset, size, count = fields[1], fields[4], fields[5], fields[9], fields[10]
    if count and size != struct.calcsize(_PROGRAM):
        raise ValueError("its program headers have %d bytes each instead of %d" % (size, struct.calcsize(_PROGRAM)))
    if offset + size * count > file_size:
        raise ValueError("the file is truncated: it ends inside the program headers")
    if offset + size * count > len(head):
        raise ValueError("its program headers lie at %d, far from its start where those of a kernel are" % offset)
    rows = [struct.unpack_from(_PROGRAM, head, offset + size * number) for number in range(count)]
    loads = tuple(Load(row[2], row[3], row[4], row[5], row[6]) for row in rows if row[0] == PT_LOAD)
    for number, load in enumerate(loads):
        if load.filesz > load.memsz:
            raise ValueError("PT_LOAD %d has more bytes in the file than in memory: the program headers are damaged" % number)
        if load.offset + load.filesz > file_size:
            raise ValueError(
                "the file is truncated: PT_LOAD %d ends at %d, the file at %d" % (number, load.offset + load.filesz, file_size)
            )
    notes = tuple((row[2], row[5]) for row in rows if row[0] == PT_NOTE)
    return Elf(kind, entry, loads, any(row[0] == PT_INTERP for row in rows), notes)


def note(segment: Bytes, owner: bytes, kind: int) -> Optional[bytes]:
    """The value of the first note of this owner and type in the bytes of a PT_NOTE; None when there is none, or the notes are damaged."""
    data = bytes(segment[:_LONGEST_NOTES])
    position = 0
    while position + struct.calcsize(_NOTE) <= len(data):
        name_size, size, found = struct.unpack_from(_NOTE, data, position)
        name_at = position + struct.calcsize(_NOTE)
        value_at = name_at + name_size + (-name_size & 3)
        position = value_at + size + (-size & 3)
        if value_at + size > len(data):
            return None
        if found == kind and data[name_at : name_at + name_size].rstrip(b"\0") == owner:
            return data[value_at : value_at + size]
    return None


def multikernel_entry(read: Callable[[int, int], bytes], found: Elf) -> Optional[int]:
    """Where an instance enters this vmlinux, as its note tells; None without one. *read* gives bytes of the file: (offset, size)."""
    for offset, size in found.notes:
        value = note(read(offset, min(size, _LONGEST_NOTES)), *MULTIKERNEL_NOTE)
        if value is not None and len(value) == 8:
            return int.from_bytes(value, "little")
    return None


def extent(data: Bytes) -> int:
    """Bytes of the ELF file at the start of *data*, by its headers: a kernel's payload has relocations behind it.

    Raises ValueError with a sentence when it is no complete ELF64 file for x86_64.
    """
    found = parse(data, len(data))
    fields = struct.unpack_from(_HEADER, data, 0)
    segments, sections, segment_count, size, count = fields[5], fields[6], fields[10], fields[11], fields[12]
    end: int = max([64, segments + struct.calcsize(_PROGRAM) * segment_count] + [load.offset + load.filesz for load in found.loads])
    end = max([end] + [offset + length for offset, length in found.notes])
    if count and size == struct.calcsize(_SECTION) and sections + size * count <= len(data):
        rows = [struct.unpack_from(_SECTION, data, sections + size * number) for number in range(count)]
        end = max([end, sections + size * count] + [row[4] + row[5] for row in rows if row[1] != _SHT_NOBITS])
    elif count:
        raise ValueError("the file is truncated: its section headers lie at %d, beyond its end" % sections)
    if end > len(data):
        raise ValueError("the file is truncated: its headers tell %d bytes, there are %d" % (end, len(data)))
    return end


def refusal(found: Elf) -> Optional[str]:
    """Why this ELF file cannot be booted as a kernel, as a sentence; None when it can."""
    if found.dynamic:
        return "it is a program (it names a dynamic loader), not a kernel"
    if not found.loads:
        return "it has no PT_LOAD segment, so there is nothing to load; a vmlinux is needed, not an object file"
    if not any(load.paddr <= found.entry < load.paddr + load.memsz for load in found.loads):
        return "its entry address 0x%x is in none of its segments by physical address; a kernel's vmlinux is needed" % found.entry
    return None


def to_dict(found: Elf) -> Dict[str, Any]:
    """The facts of an ELF kernel as plain data: entry, loads, and the physical range they cover (bytes)."""
    loads: List[Dict[str, int]] = [dict(load._asdict()) for load in found.loads]
    return {
        "entry": found.entry,
        "loads": loads,
        "start": min((load.paddr for load in found.loads if load.memsz), default=None),
        "end": max((load.paddr + load.memsz for load in found.loads), default=None),
    }
