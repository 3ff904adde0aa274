# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Small text files below a root folder; what cannot be read is None, never an exception."""

from __future__ import annotations

import os
import re
from typing import Dict, List, Optional

from .._layout import cpuset


def path_below(root: str, path: str) -> str:
    """Return an absolute path as found below `root` (``/`` for the running machine, else a captured tree)."""
    return os.path.join(root, path.lstrip("/"))


def read(root: str, path: str) -> Optional[str]:
    """Return the text of a file, or None when it is missing or may not be read."""
    try:
        with open(path_below(root, path), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


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
        match = re.fullmatch(re.escape(prefix) + r"([0-9]+)", name)
        if match:
            found[int(match.group(1))] = name
    return dict(sorted(found.items()))


def exists(root: str, path: str) -> bool:
    """Tell whether a path exists."""
    return os.path.exists(path_below(root, path))
