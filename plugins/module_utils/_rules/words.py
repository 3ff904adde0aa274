# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Names, lists and places as sentences have them."""

from __future__ import annotations

import re
from typing import Sequence, Tuple

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def is_plain(name: str) -> bool:
    """Tell whether a name can be a folder, a device node, a label of iomem and a word on a command line."""
    return _PLAIN.fullmatch(name) is not None and ".." not in name


def names_of(names: Sequence[str]) -> str:
    """Return kernels as people list them: "the host, rt and web"."""
    names = ["the host" if name == "host" else name for name in names]
    return few(names) if len(names) > 4 else ", ".join([*names[:-2], " and ".join(names[-2:])])


def few(items: Sequence[str]) -> str:
    """Return at most eight items, and how many more there are."""
    return ", ".join(items) if len(items) <= 8 else "{0} and {1} more".format(", ".join(items[:8]), len(items) - 8)


def at_cpus(name: str) -> Tuple[str, ...]:
    """Return the place of an instance's CPUs."""
    return ("instances", name, "cpus")


def at_memory(name: str) -> Tuple[str, ...]:
    """Return the place of an instance's memory."""
    return ("instances", name, "memory")


def at_cmdline(name: str) -> Tuple[str, ...]:
    """Return the place of an instance's command line."""
    return ("instances", name, "cmdline")
