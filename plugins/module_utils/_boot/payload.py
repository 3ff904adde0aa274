# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""The payload of a bzImage: the compressed vmlinux inside, unpacked in the loader so that the instance need not do it itself.

Source: boot.rst, payload_offset and payload_length. The build appends the unpacked size as four little-endian bytes to the payload
(gzip ends in the same four bytes by itself), which must not be fed to zstd or lz4 and which prove that the result is complete.
"""

from __future__ import annotations

import bz2
import contextlib
import importlib
import lzma
import mmap
import os
import resource
import shutil
import struct
import subprocess
import tempfile
import zlib
from typing import IO, Any, Callable, Dict, List, Optional, Union, cast

from . import elf, setup_header

CACHE = "/var/lib/multikernel/vmlinux"
KEPT = 4
"""Unpacked kernels that stay in the cache, some 60 MiB each."""

CHUNK = 1 << 16
LARGEST = 1 << 20

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
_STDLIB: Dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "bzip2": bz2.BZ2Decompressor,
    "lzma": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE),
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ),
}
_PROGRAMS: Dict[str, List[str]] = {"zstd": ["zstd", "-dcq"], "lz4": ["lz4", "-dcq"]}


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
        with tempfile.TemporaryFile() as file:
            unpack(body, file, size)
            return _map(file, size)
    kept = os.path.join(cache, digest)
    try:
        with open(kept, "rb") as file:
            if os.fstat(file.fileno()).st_size == size:
                os.utime(file.fileno())
                return _map(file, size)
    except FileNotFoundError:
        pass
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
    _forget_old(cache)
    return mapped


def unpack(body: memoryview, out: IO[bytes], size: int) -> None:
    """Unpack the payload *body* (with its four bytes of size) into the file *out*; raises PayloadError with a sentence.

    It ends when more than *size* bytes came out: what a header promises also bounds what a damaged or hostile payload may fill.
    """
    name = compression(bytes(body[:6]))
    if name in _STDLIB:
        _by_library(name, body, out, size)
    elif name in _PROGRAMS:
        if not _by_module(name, body[:-4], out, size):
            _by_program(name, body[:-4], out, size)
    else:
        raise PayloadError(
            "the kernel's payload is compressed by %s; known are gzip, bzip2, lzma, xz, lz4 and zstd" % (name or "no known method")
        )


def _forget_old(cache: str) -> None:
    """Keep the KEPT kernels that were used last; a map of a removed file stays good."""
    files = [os.path.join(cache, name) for name in os.listdir(cache) if not name.startswith(".")]
    for path in sorted(files, key=os.path.getmtime, reverse=True)[KEPT:]:
        os.unlink(path)


def _by_library(name: str, body: memoryview, out: IO[bytes], size: int) -> None:
    worker = _STDLIB[name]()
    # without a limit one piece of a well packed kernel becomes tens of MiB; zlib's interface is another, its ratio smaller
    limit = () if name == "gzip" else (LARGEST,)
    try:
        for begin in range(0, len(body), CHUNK):
            piece: Union[bytes, memoryview] = body[begin : begin + CHUNK]
            while not worker.eof:
                _bounded(out, size, worker.decompress(piece, *limit))
                if name == "gzip" or worker.needs_input:
                    break
                piece = b""
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise PayloadError("the kernel's %s payload is damaged: %s" % (name, error)) from error


def _by_module(name: str, body: memoryview, out: IO[bytes], size: int) -> bool:
    """Python 3.14 and newer have zstd in the standard library; False when this Python has not."""
    if name != "zstd":
        return False
    try:
        library = importlib.import_module("compression.zstd")
    except ImportError:
        return False
    worker = library.ZstdDecompressor()
    try:
        for begin in range(0, len(body), CHUNK):
            piece: Union[bytes, memoryview] = body[begin : begin + CHUNK]
            while not worker.eof:
                _bounded(out, size, worker.decompress(piece, LARGEST))
                if worker.needs_input:
                    break
                piece = b""
    except (library.ZstdError, EOFError) as error:
        raise PayloadError("the kernel's zstd payload is damaged: %s" % error) from error
    return True


def _bounded(out: IO[bytes], size: int, piece: bytes) -> None:
    if out.tell() + len(piece) > size:
        raise PayloadError("the kernel's payload is damaged: more than the %d bytes come out that it promises" % size)
    out.write(piece)


def _by_program(name: str, body: memoryview, out: IO[bytes], size: int) -> None:
    command = _PROGRAMS[name]
    if shutil.which(command[0]) is None:
        raise PayloadError(
            "the kernel's payload is compressed by %s, but there is no program '%s' on this machine; install it, "
            "or let the instance unpack the kernel itself (format: bzimage)" % (name, command[0])
        )
    out.flush()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out.fileno(), stderr=subprocess.PIPE) as process:
        # It waits for its input yet. One byte more than promised may come out, so that _map() says what is wrong.
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size + 1, size + 1))
        _nothing, said = process.communicate(cast(bytes, body))  # any buffer will do, and a copy would cost
    if process.returncode:
        words = said.decode("utf-8", "replace").strip() or "exit status %d" % process.returncode
        raise PayloadError("the kernel's %s payload is damaged: %s" % (name, words))
    out.seek(0, os.SEEK_END)


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
