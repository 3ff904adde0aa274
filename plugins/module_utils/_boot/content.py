# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Image files as bytes that were held against their checksum and that nobody can change any more.

A file can be written to between the look at it and its use, and a map of it shows that. So what is loaded is a copy in memory, and the
checksum is taken of that very copy.
"""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple, Optional


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
