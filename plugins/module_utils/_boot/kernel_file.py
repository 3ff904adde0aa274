# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""What kexec_file_load(2) gets for an instance: the vmlinux inside a bzImage, or the file as it is.

A kernel with multikernel built in takes a vmlinux that carries the multikernel note; mkstock takes stock images, too. The unpacked
vmlinux is another file than the one that was signed: a host that asks for signatures refuses it, and that must be said beforehand.
Source: boot.rst; PE/COFF specification, "The Attribute Certificate Table"; module signatures as in Linux, scripts/sign-file.c.
"""

from __future__ import annotations

import mmap
import struct
from typing import NamedTuple, Optional, Union

from . import content, elf, payload, setup_header

Bytes = Union[bytes, bytearray, memoryview, mmap.mmap]

MODULE_SIGNATURE = b"~Module signature appended~\n"

_PE_AT = 0x3C
_CERTIFICATES = 4  # the entry of the data directories that is the certificate table
_DIRECTORIES = 24 + 112  # of a PE32+ header: signature and COFF header, then the optional header up to the directories


class KernelFile(NamedTuple):
    """A kernel, ready for kexec_file_load(2).

    content: the bytes of the file, or of the vmlinux that was unpacked of it; kind: "bzimage", "vmlinux" or "flat"; entry: what the
    multikernel note says, None without one; signed: what is handed over carries a signature; signature_lost: the file carries one,
    and the unpacked vmlinux does not.
    """

    content: memoryview
    kind: str
    entry: Optional[int]
    signed: bool
    signature_lost: bool


def prepare(
    path: str, unpack: bool, digest: Optional[str] = None, cache: Optional[str] = payload.CACHE, kept: Optional[content.Kept] = None
) -> KernelFile:
    """The kernel at *path*, whose sha256 must be *digest* (hex; None: any), for kexec_file_load(2); with *unpack*, a bzImage becomes
    the vmlinux inside it (kept as in payload.extract). *kept*: where the file may have been read already.

    Raises payload.PayloadError with a sentence when the vmlinux cannot be had, ValueError when the file is another one or damaged, OSError.
    """
    whole, found = (kept or content.Kept()).read(path, digest)
    if elf.looks_like(bytes(whole[:4])):
        return KernelFile(whole, "vmlinux", _entry(whole), signed(whole), False)
    if not setup_header.looks_like(bytes(whole[: 1 << 12])):
        return KernelFile(whole, "flat", None, False, False)
    if not unpack:
        return KernelFile(whole, "bzimage", None, signed(whole), False)
    inside = memoryview(payload.extract(whole, found, cache))
    try:
        vmlinux = inside[: elf.extent(inside)]
    except ValueError as error:
        raise payload.PayloadError("the vmlinux inside %s: %s" % (path, error)) from error
    return KernelFile(vmlinux, "vmlinux", _entry(inside), False, signed(whole))


def signed(data: Bytes) -> bool:
    """Whether a whole kernel file carries a signature, of PE (bzImage) or appended (vmlinux); not whether it is a good one."""
    return data[-len(MODULE_SIGNATURE) :] == MODULE_SIGNATURE or pe_signed(data)


def pe_signed(head: Bytes) -> bool:
    """Whether the PE header of a bzImage names certificates; its first 4 KiB tell."""
    if head[:2] != b"MZ" or len(head) < _PE_AT + 4:
        return False
    header = struct.unpack_from("<I", head, _PE_AT)[0]
    entry = header + _DIRECTORIES + 8 * _CERTIFICATES
    if head[header : header + 4] != b"PE\0\0" or len(head) < entry + 8 or head[header + 24 : header + 26] != b"\x0b\x02":
        return False
    directories = struct.unpack_from("<I", head, header + _DIRECTORIES - 4)[0]
    where, size = struct.unpack_from("<II", head, entry)
    return directories > _CERTIFICATES and bool(where and size)


def _entry(data: Bytes) -> Optional[int]:
    found = elf.parse(data, len(data))
    return elf.multikernel_entry(lambda offset, size: bytes(data[offset : offset + size]), found)
