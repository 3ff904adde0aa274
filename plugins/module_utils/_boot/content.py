# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Image files as bytes that were held against their checksum and that nobody can change any more.

A file can be written to between the look at it and its use, and a map of it shows that. So what is loaded is a copy in memory, and the
checksum is taken of that very copy. Who judges an apply and who loads the image share it (`Kept`): it is read and hashed once.
"""

from __future__ import annotations

import hashlib
import os
from typing import Dict, NamedTuple, Optional

ROOM = 128 << 20  # bytes of all files that are kept for a second reader


class Content(NamedTuple):
    """data: the whole file, writable because ctypes wants that of a buffer; sha256: of data, hex."""

    data: memoryview
    sha256: str


def read(path: str, expected: Optional[str] = None) -> Content:
    """Read the file at *path*, whose sha256 must be *expected* (hex; None: any).

    Raises ValueError with a sentence for an empty file, one that is read short, and another checksum; OSError.
    """
    with open(path, "rb") as file:
        data = bytearray(os.fstat(file.fileno()).st_size)
        if file.readinto(data) != len(data):
            raise ValueError("%s became shorter while it was read; stage it again" % path)
    if not data:
        raise ValueError("%s is empty" % path)
    found = hashlib.sha256(data).hexdigest()
    if expected is not None and found != expected.lower():
        raise ValueError("%s has sha256 %s, %s was expected" % (path, found, expected.lower()))
    return Content(memoryview(data), found)


class Kept:
    """What the files of a change held when they were looked at, for whoever loads them; as much of it as there is room for."""

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self._held: Dict[str, Content] = {}

    def has_room(self, path: str, size: int) -> bool:
        """Whether a file of this size could be kept."""
        others = sum(len(one.data) for name, one in self._held.items() if name != path)
        return size > 0 and others + size <= self.room

    def hold(self, path: str, data: bytearray, sha256: str) -> None:
        """Keep the content of a file; what was kept of it before is dropped."""
        self._held.pop(path, None)
        if self.has_room(path, len(data)):
            self._held[path] = Content(memoryview(data), sha256)

    def read(self, path: str, expected: Optional[str] = None) -> Content:
        """As read(), but what is kept and has the checksum *expected* is not read once more."""
        held = self._held.get(path)
        if held is not None and expected is not None and held.sha256 == expected.lower():
            return held
        return read(path, expected)

    def drop(self) -> None:
        """Keep nothing any more."""
        self._held.clear()
