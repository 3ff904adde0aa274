# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets, cores and threads of a machine with their owners, for a terminal."""

from __future__ import annotations

import textwrap

from ...module_utils._layout import cpuset
from . import grid
from .machine import FREE
from .scene import Scene


def cores(scene: Scene, ascii_only: bool = False) -> str:
    """Each core in brackets with its threads and the marks of their owners, a line for each last-level cache; empty without a machine."""
    if not scene.sockets:
        return ""
    marks = {name: "-" if name == FREE else one.mark for name, one in scene.owners.items()}
    legend = "  ".join(f"{marks[name]} {name}" for name in scene.owners)
    lines = [
        "CPUs: each core in brackets, its threads with the mark of their owner",
        *textwrap.wrap(legend, grid.WIDTH, break_on_hyphens=False),
    ]
    for socket in scene.sockets:
        name = "package not known" if socket.number is None else f"socket {socket.number}"
        lines.append(name + (f", memory node {cpuset.format(socket.nodes)}" if socket.nodes else ""))
        for cache in socket.caches:
            drawn = ["[" + "\0".join(f"{one.cpu}{marks.get(one.owner, '?')}" for one in core) + "]" for core in cache.cores]
            bullet = "  * " if ascii_only else "  • "
            start = bullet if len(socket.caches) > 1 else "    "
            wrapped = textwrap.wrap(" ".join(drawn), grid.WIDTH, initial_indent=start, subsequent_indent="    ", break_on_hyphens=False)
            lines += [line.replace("\0", " ") for line in wrapped]
    if any(len(socket.caches) > 1 for socket in scene.sockets):
        lines.append(f"{'*' if ascii_only else '•'} begins the cores of a last-level cache")
    return "\n".join(lines)
