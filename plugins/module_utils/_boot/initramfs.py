# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause

"""Write an initramfs: a cpio archive in the "newc" format, the same bytes for the same input.

Source: Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import gzip
import io
import re
import stat
from typing import Dict, Iterable, List, NamedTuple, Tuple

_HEADER = re.compile(rb"07070[12][0-9a-fA-F]{104}")
_ALIGNMENT = 512  # the block size of cpio, so that other tools take the archive, too


class Part(NamedTuple):
    """One entry: path without a leading slash, mode with its type bits, contents (or the target of a link), device number."""

    path: str
    mode: int
    data: bytes = b""
    device: Tuple[int, int] = (0, 0)


def directory(path: str, mode: int = 0o755) -> Part:
    """A directory; missing parents are added by build()."""
    return Part(_clean(path), stat.S_IFDIR | mode)


def file(path: str, data: bytes, mode: int = 0o644) -> Part:
    """A regular file with contents *data*."""
    return Part(_clean(path), stat.S_IFREG | mode, bytes(data))


def symlink(path: str, target: str) -> Part:
    """A symbolic link at *path* that points to *target*."""
    return Part(_clean(path), stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Part:
    """A character device node."""
    return Part(_clean(path), stat.S_IFCHR | mode, b"", (major, minor))


def build(parts: Iterable[Part], compress: bool = True) -> bytes:
    """The archive, gzip-compressed unless *compress* is false.

    Parts may come in any order; parents are added with mode 0755; everything belongs to root and dates from the epoch. Raises
    ValueError with a sentence when two parts share a path, or a parent is no directory.
    """
    chosen = _with_parents(parts)
    out = io.BytesIO()
    for number, path in enumerate(sorted(chosen), start=1):
        _write(out, number, chosen[path])
    _write(out, 0, Part("TRAILER!!!", 0))
    out.write(b"\0" * (-out.tell() % _ALIGNMENT))
    if not compress:
        return out.getvalue()
    packed = io.BytesIO()
    # neither a name nor a time in the gzip header
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as stream:
        stream.write(out.getvalue())
    return packed.getvalue()


def parse(archive: bytes) -> List[Part]:
    """The entries of an uncompressed archive, in order; raises ValueError with a sentence when it is damaged."""
    parts: List[Part] = []
    offset = 0
    while True:
        head = archive[offset : offset + 110]
        if len(head) < 110 or head[:6] not in (b"070701", b"070702"):
            raise ValueError("the cpio archive is damaged at byte %d: no entry begins there" % offset)
        # int() alone would take a sign, and a negative size never comes to an end
        if not _HEADER.fullmatch(head):
            raise ValueError("the cpio archive is damaged at byte %d: its header holds no hexadecimal numbers" % offset)
        words = [int(head[6 + 8 * index : 14 + 8 * index], 16) for index in range(13)]
        name_end = offset + 110 + words[11]
        data_start = name_end + -name_end % 4
        data_end = data_start + words[6]
        if data_end > len(archive):
            raise ValueError("the cpio archive is truncated: the entry at byte %d ends at %d of %d" % (offset, data_end, len(archive)))
        name = archive[offset + 110 : name_end - 1].decode("utf-8", "replace")
        if name == "TRAILER!!!":
            return parts
        parts.append(Part(name, words[1], archive[data_start:data_end], (words[9], words[10])))
        offset = data_end + -data_end % 4


def _with_parents(parts: Iterable[Part]) -> Dict[str, Part]:
    chosen: Dict[str, Part] = {}
    for part in parts:
        if part.path in chosen:
            raise ValueError("the initramfs would hold /%s twice" % part.path)
        chosen[part.path] = part
    for path in list(chosen):
        pieces = path.split("/")[:-1]
        for depth in range(1, len(pieces) + 1):
            parent = chosen.setdefault("/".join(pieces[:depth]), directory("/".join(pieces[:depth])))
            if not stat.S_ISDIR(parent.mode):
                raise ValueError("/%s is no directory, so /%s cannot lie in it" % (parent.path, path))
    return chosen


def _write(out: io.BytesIO, number: int, part: Part) -> None:
    name = part.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(part.mode) else 1
    words = (number, part.mode, 0, 0, links, 0, len(part.data), 0, 0, part.device[0], part.device[1], len(name), 0)
    out.write(b"070701" + b"".join(b"%08X" % word for word in words) + name)
    out.write(b"\0" * (-out.tell() % 4))
    out.write(part.data)
    out.write(b"\0" * (-out.tell() % 4))


def _clean(path: str) -> str:
    pieces = [piece for piece in path.split("/") if piece not in ("", ".")]
    if not pieces or ".." in pieces or "\0" in path:
        raise ValueError("%r is no path inside an initramfs" % path)
    return "/".join(pieces)
