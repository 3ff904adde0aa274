# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The host's end of an instance's console, /dev/mktty: the first write names the instance, what is read is its output."""

from __future__ import annotations

import os
from typing import Optional

from . import files

PATH = "dev/mktty"
SIZE = 1 << 14


class Console:
    """An open console; nothing that was said before is in it."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def read(self) -> bytes:
        """What was said since the last read; empty when nothing was."""
        try:
            return os.read(self.handle, SIZE)
        except OSError:
            return b""

    def close(self) -> None:
        """Let it go."""
        os.close(self.handle)


def open_at(root: str, instance: int) -> Optional[Console]:
    """The console of the instance of this id; None when the host has no such device, or no such instance."""
    try:
        handle = os.open(files.path_below(root, PATH), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.write(handle, b"%d\n" % instance)
    except OSError:
        os.close(handle)
        return None
    return Console(handle)
