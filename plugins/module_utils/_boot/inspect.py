# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""What a file is, as far as booting goes: the entries of the facts key `images`.

One pass over the file; nothing is believed from its name. A bad file is no exception but a sentence.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any, BinaryIO, Dict, Mapping, Optional, Tuple

from . import elf, kernel_file, payload, setup_header
from .content import Kept

if TYPE_CHECKING:
    from .signature import Check

HEAD = 1 << 20
"""Bytes from the start of a file that are looked at: setup code, program headers and the magic of a bzImage's payload lie there."""

FLAT_MAGIC = b"MKFLAT01"
FLAT_OFFSET = 8
"""A flat payload may carry FLAT_MAGIC at FLAT_OFFSET to be recognised; without it, only the layout's `format: flat` tells."""

_INITRD_MAGICS = (
    (b"070701", "newc cpio"),
    (b"070702", "newc cpio with checksums"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x5d\0\0", "lzma"),
    (b"BZh", "bzip2"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)


def inspect(
    path: str, want_sha256: bool = True, signers: Optional[Mapping[str, str]] = None, kept: Optional[Kept] = None
) -> Dict[str, Any]:
    """Facts of the file *path*: exists, regular, size (bytes), sha256, kind, error, header, elf, signed, signatures; it never raises.

    kind is "bzimage", "vmlinux", "flat", "initrd" or "unknown". error is None or one sentence that begins with the path. header has
    the setup_header fields of a bzImage (also of a damaged one), elf those of elf.to_dict() and the multikernel_entry of its note.
    signed tells whether a kernel carries a signature, not whether it is good. sha256 stays None when it is not wanted (*want_sha256*,
    it costs reading the whole file) or cannot be had. signatures has {"by", "error"} of the bytes with that sha256 for each file of
    allowed signers; *signers* are these files, by the names under which they are told (see signature.py). *kept* takes what was hashed.
    """
    facts: Dict[str, Any] = {
        "exists": False,
        "regular": False,
        "size": 0,
        "sha256": None,
        "kind": "unknown",
        "error": None,
        "header": None,
        "elf": None,
        "signed": None,
        "signatures": {},
    }
    problem: Optional[str] = None
    try:
        status = os.stat(path)
        facts["exists"] = True
        facts["regular"] = stat.S_ISREG(status.st_mode)
        if not facts["regular"]:
            problem = "it is %s, not a regular file" % _file_type(status.st_mode)
        else:
            with open(path, "rb") as file:
                checks = _checks(path, signers or {})
                problem = _read(file, facts, want_sha256, checks, _Copy(path, status.st_size, kept))
    except FileNotFoundError:
        problem = "there is no such file"
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        problem = "it cannot be read: %s" % (getattr(error, "strerror", None) or error)
    if problem:
        facts["error"] = "%s: %s" % (path, problem)
    return facts


def is_flat(head: bytes) -> bool:
    """True when the first bytes of a file carry the mark of a flat payload."""
    return bytes(head[FLAT_OFFSET : FLAT_OFFSET + len(FLAT_MAGIC)]) == FLAT_MAGIC


class _Copy:
    """What is read of a file, for those who want it later, where there is room for it."""

    def __init__(self, path: str, size: int, kept: Optional[Kept]) -> None:
        self.path, self.kept = path, kept if kept is not None and kept.has_room(path, size) else None
        self.data = bytearray()

    def update(self, chunk: bytes) -> None:
        """One more part of it."""
        if self.kept is not None and not self.kept.has_room(self.path, len(self.data) + len(chunk)):  # it grows while it is read
            self.kept, self.data = None, bytearray()
        if self.kept is not None:
            self.data += chunk

    def end(self, sha256: str) -> None:
        """That was all."""
        if self.kept is not None:
            self.kept.hold(self.path, self.data, sha256)


def _checks(path: str, signers: Mapping[str, str]) -> Dict[str, Check]:
    if not signers:
        return {}
    from .signature import Check  # starts a tool, with all that Python needs for one: few images are signed

    return {name: Check(path, place) for name, place in sorted(signers.items())}


def _read(file: BinaryIO, facts: Dict[str, Any], want_sha256: bool, checks: Dict[str, Check], copy: _Copy) -> Optional[str]:
    head = file.read(HEAD)
    facts["size"] = os.fstat(file.fileno()).st_size
    if want_sha256 or checks:
        facts["sha256"], facts["size"] = _digest(file, head, checks, copy)
        facts["signatures"] = {name: check.end() for name, check in checks.items()}
    if not head:
        return "it is empty"
    if setup_header.looks_like(head):
        facts["kind"] = "bzimage"
        facts["signed"] = kernel_file.pe_signed(head)
        return _bzimage(head, facts)
    if elf.looks_like(head):
        facts["kind"] = "vmlinux"
        tail = _at(file, facts["size"] - len(kernel_file.MODULE_SIGNATURE), len(kernel_file.MODULE_SIGNATURE))
        facts["signed"] = tail == kernel_file.MODULE_SIGNATURE
        return _vmlinux(file, head, facts)
    if is_flat(head):
        facts["kind"] = "flat"
        return None
    if any(head.startswith(magic) for magic, _name in _INITRD_MAGICS):
        facts["kind"] = "initrd"
        return None
    return "it is not a kernel: neither a bzImage ('HdrS' at 0x202) nor an ELF file, and no initrd in a format that Linux unpacks"


def _digest(file: BinaryIO, head: bytes, checks: Dict[str, Check], copy: _Copy) -> Tuple[str, int]:
    """sha256 and length; what is hashed is what the signatures are held against, and what is kept."""
    for check in checks.values():
        check.begin()
    digest, size, chunk = hashlib.sha256(), 0, head
    try:
        while chunk:
            digest.update(chunk)
            size += len(chunk)
            copy.update(chunk)
            for check in checks.values():
                check.update(chunk)
            chunk = file.read(HEAD)
    except OSError:
        for check in checks.values():
            check.end()
        raise
    copy.end(digest.hexdigest())
    return digest.hexdigest(), size


def _bzimage(head: bytes, facts: Dict[str, Any]) -> Optional[str]:
    try:
        fields = setup_header.parse(head)
    except ValueError as error:
        return str(error)
    start = fields["setup_size"] + fields["payload_offset"]
    fields["payload"] = payload.compression(head[start : start + 6]) if fields["payload_length"] else None
    facts["header"] = fields
    return setup_header.refusal(fields, facts["size"])


def _vmlinux(file: BinaryIO, head: bytes, facts: Dict[str, Any]) -> Optional[str]:
    try:
        found = elf.parse(head, facts["size"])
    except ValueError as error:
        return str(error)
    facts["elf"] = elf.to_dict(found)
    facts["elf"]["multikernel_entry"] = elf.multikernel_entry(lambda offset, size: _at(file, offset, size), found)
    return elf.refusal(found)


def _at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Bytes of the file at a place that its own headers may have made up."""
    if not 0 <= offset < 1 << 62:
        return b""
    file.seek(offset)
    return file.read(size)


def _file_type(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a block device"),
    ):
        if test(mode):
            return name
    return "a character device"
