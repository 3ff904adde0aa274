# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""The payload of a bzImage: the compressed vmlinux inside, unpacked in the loader so that the instance need not do it itself.

Source: boot.rst, payload_offset and payload_length. The build appends the unpacked size as four little-endian bytes to the payload
(gzip ends in the same four bytes by itself), which must not be fed to zstd or lz4 and which prove that the result is complete.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import IO, Optional, Union

from . import elf, setup_header

CACHE = "/var/lib/multikernel/vmlinux"
KEPT = 4
"""Unpacked kernels that stay in the cache, some 60 MiB each."""

_MAGICS = (
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9e", "gzip"),
    (b"BZ", "bzip2"),
    (b"\x5d\0", "lzma"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x02\x21", "lz4"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x89LZO", "lzo"),
)


class PayloadError(ValueError):
    """The vmlinux inside a bzImage cannot be had; the text says why."""


def compression(start: bytes) -> Optional[str]:
    """How a payload that begins with *start* is compressed: gzip, bzip2, lzma, xz, lz4, zstd, lzo, or None when that is not known."""
    for magic, name in _MAGICS:
        if start[: len(magic)] == magic:
            return name
    return None


def extract(image: Union[bytes, memoryview, mmap.mmap], digest: Optional[str] = None, cache: Optional[str] = CACHE) -> mmap.mmap:
    """The vmlinux inside the bzImage *image*, as a private, writable map of a file.

    With *digest* (sha256 of the bzImage, hex) and *cache* (a folder) the result is kept as cache/digest and found again there;
    without, it lives in a temporary file that has no name. Memory use is that of the decompressor, whatever the size of the kernel.
    Raises PayloadError with a sentence when the payload is damaged or its decompressor is missing; OSError when it cannot be written.
    """
    view = memoryview(image)
    fields = setup_header.parse(bytes(view[: 1 << 16]))
    start = fields["setup_size"] + fields["payload_offset"]
    body = view[start : start + fields["payload_length"]]
    if fields["payload_length"] < 8 or len(body) != fields["payload_length"]:
        raise PayloadError("the bzImage has no complete payload (offset %d, length %d)" % (start, fields["payload_length"]))
    size = struct.unpack("<I", body[-4:])[0]
    if digest is None or cache is None:
        return _unpacked(body, size, None)
    kept = os.path.join(cache, digest)
    try:
        with open(kept, "rb") as file:
            if os.fstat(file.fileno()).st_size == size:
                os.utime(file.fileno())
                return _map(file, size)
    except FileNotFoundError:
        pass
    mapped = _unpacked(body, size, kept)
    _forget_old(cache)
    return mapped


def _unpacked(body: memoryview, size: int, kept: Optional[str]) -> mmap.mmap:
    """A map of what comes out of *body*, in a file without a name or in the file *kept*."""
    import tempfile  # this and the decompressors are a tenth of all that an apply imports, and most find the kernel unpacked

    from .unpack import unpack

    if kept is None:
        with tempfile.TemporaryFile() as file:
            unpack(body, file, size)
            return _map(file, size)
    cache = os.path.dirname(kept)
    os.makedirs(cache, mode=0o700, exist_ok=True)
    # mkstemp and rename: another process never sees half a kernel
    with tempfile.NamedTemporaryFile(dir=cache, prefix=".unpacking-", delete=False) as file:
        try:
            unpack(body, file, size)
            mapped = _map(file, size)
            os.replace(file.name, kept)
        except BaseException:
            os.unlink(file.name)
            raise
    return mapped


def _forget_old(cache: str) -> None:
    """Keep the KEPT kernels that were used last; a map of a removed file stays good."""
    files = [os.path.join(cache, name) for name in os.listdir(cache) if not name.startswith(".")]
    for path in sorted(files, key=os.path.getmtime, reverse=True)[KEPT:]:
        os.unlink(path)


def _map(file: IO[bytes], size: int) -> mmap.mmap:
    file.flush()
    got = os.fstat(file.fileno()).st_size
    if got != size:
        raise PayloadError("the kernel's payload is damaged: %d bytes came out, it promises %d" % (got, size))
    if not got:
        raise PayloadError("the kernel's payload is no ELF file: it is empty")
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    if not elf.looks_like(mapped[:4]):
        raise PayloadError("the kernel's payload is no ELF file")
    return mapped
