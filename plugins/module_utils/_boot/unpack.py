# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""The decompressors of a bzImage's payload: those of Python's standard library, and the programs of the host for what it does not have.

Source: scripts/Makefile.lib of Linux, which packs the payload; see payload.py for where it lies.
"""

from __future__ import annotations

import bz2
import contextlib
import importlib
import lzma
import os
import resource
import shutil
import subprocess
import zlib
from typing import IO, Any, Callable, Dict, List, Union, cast

from .payload import PayloadError, compression

CHUNK = 1 << 16
LARGEST = 1 << 20

_STDLIB: Dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "bzip2": bz2.BZ2Decompressor,
    "lzma": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE),
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ),
}
_PROGRAMS: Dict[str, List[str]] = {"zstd": ["zstd", "-dcq"], "lz4": ["lz4", "-dcq"]}


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
