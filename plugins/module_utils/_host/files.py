# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Small text files below a root folder; what cannot be read is None, never an exception."""

from __future__ import annotations

import os
from typing import Dict, List, Optional

from .._layout import cpuset

CHUNK = 1 << 16


def path_below(root: str, path: str) -> str:
    """Return an absolute path as found below `root` (``/`` for the running machine, else a captured tree)."""
    return os.path.join(root, path.lstrip("/"))


def read(root: str, path: str) -> Optional[str]:
    """Return the text of a file, or None when it is missing or may not be read."""
    try:
        text = content(path_below(root, path)).decode("utf-8", "replace")
    except OSError:
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def content(path: str, enough: Optional[int] = None) -> bytes:
    """All of a file, whose size may be a lie; no more is read when it has more than `enough` bytes. Raises OSError.

    The facts of a host are hundreds of files, and Python's text files take three times as long for each.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts: List[bytes] = []
        size = 0
        while enough is None or size <= enough:
            part = os.read(handle, CHUNK)
            if not part:
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def word(root: str, path: str) -> Optional[str]:
    """Return the text of a file without the white space around it; None when missing or empty."""
    text = read(root, path)
    return (text.strip() or None) if text is not None else None


def number(root: str, path: str, base: int = 10) -> Optional[int]:
    """Return the whole number in a file; None when missing or no number."""
    text = word(root, path)
    try:
        return int(text, base) if text is not None else None
    except ValueError:
        return None


def cpus(root: str, path: str) -> Optional[List[int]]:
    """Return the CPUs of a file in the kernel's list format; None when missing or no list."""
    text = read(root, path)
    try:
        return cpuset.parse(text) if text is not None else None
    except cpuset.CpuListError:
        return None


def names(root: str, path: str) -> Optional[List[str]]:
    """Return the sorted names in a folder; None when missing."""
    try:
        return sorted(os.listdir(path_below(root, path)))
    except OSError:
        return None


def numbered(root: str, path: str, prefix: str) -> Dict[int, str]:
    """Return number -> name of what is called ``prefix`` and a number in a folder, such as node0; empty when missing."""
    found = {}
    for name in names(root, path) or []:
        digits = name[len(prefix) :]
        if name.startswith(prefix) and digits.isascii() and digits.isdigit():
            found[int(digits)] = name
    return dict(sorted(found.items()))


def exists(root: str, path: str) -> bool:
    """Tell whether a path exists."""
    return os.path.exists(path_below(root, path))
