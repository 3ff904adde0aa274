# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Reading physical memory: how the host hears what an instance says of itself."""

from __future__ import annotations

import mmap
import os
from typing import Optional

from . import files

# mkstock's device also reaches memory blocks that are offline, which /dev/mem refuses.
_DEVICES = ("dev/mkstock", "dev/mem")


def read(address: int, size: int, root: str = "/") -> Optional[bytes]:
    """Return `size` bytes at a physical address, or None when no device lets this process read them."""
    for device in _DEVICES:
        found = _read(files.path_below(root, device), address, size)
        if found is not None:
            return found
    return None


def _read(path: str, address: int, size: int) -> Optional[bytes]:
    start = address - address % mmap.PAGESIZE
    end = address + size
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_SYNC", 0))
    except OSError:
        return None
    try:
        # The kernel refuses a range it does not let us see at mmap(2) time.
        with mmap.mmap(descriptor, end - start, mmap.MAP_SHARED, mmap.PROT_READ, offset=start) as window:
            return bytes(window[address - start : end - start])
    except (OSError, ValueError, OverflowError):
        return None
    finally:
        os.close(descriptor)
