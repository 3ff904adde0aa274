# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""The multikernel file system: whether it is mounted, and mount(2) for it.

The kernel has one instance of it, with one natural place; a second mount elsewhere shows the same.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Optional

from . import files

TYPE = "multikernel"
PLACE = "sys/fs/multikernel"
SOURCE = "multikernel.core"  # the kernel does not read it, and shows it: so it is known who mounted, also when that one was killed


def source(text: str, place: str = PLACE, kind: str = TYPE) -> Optional[str]:
    """What a list of mounts (proc_pid_mounts(5)) says is mounted at the place as a file system of this type; None when nothing is."""
    rows = (line.split() for line in text.splitlines())
    return next((row[0] for row in rows if len(row) >= 3 and row[1].strip("/") == place and row[2] == kind), None)


def mounted(root: str, place: str = PLACE, kind: str = TYPE) -> Optional[bool]:
    """Whether a file system of this type is mounted at the place; None when the list of mounts cannot be read."""
    text = files.read(root, "proc/self/mounts")
    if text is None:
        text = files.read(root, "proc/mounts")
    return None if text is None else source(text, place, kind) is not None


def mount(root: str, place: str = PLACE, kind: str = TYPE) -> None:
    """Mount it unless it is mounted; raises OSError with the kernel's errno."""
    if mounted(root, place, kind):
        return
    library = ctypes.CDLL(None, use_errno=True)
    path = os.fsencode(files.path_below(root, place))
    if library.mount(SOURCE.encode(), path, kind.encode(), ctypes.c_ulong(0), None) != 0:
        number = ctypes.get_errno() or errno.EIO
        if number != errno.EBUSY:  # somebody else was faster
            raise OSError(number, os.strerror(number), os.fsdecode(path))


def unmount(root: str, place: str = PLACE, kind: str = TYPE) -> None:
    """Unmount it if it is mounted; raises OSError with the kernel's errno."""
    if mounted(root, place, kind) is False:
        return
    library = ctypes.CDLL(None, use_errno=True)
    path = os.fsencode(files.path_below(root, place))
    if library.umount2(path, ctypes.c_int(0)) != 0:
        number = ctypes.get_errno() or errno.EIO
        raise OSError(number, os.strerror(number), os.fsdecode(path))
