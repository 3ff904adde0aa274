# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""What the host itself does with its PCI functions: disks that are mounted, network interfaces that carry routes.

Sources: proc(5) (mountinfo, swaps), Documentation/networking of the kernel for /proc/net/route, ipv6_route and if_inet6;
Documentation/ABI/testing/sysfs-class-net and sysfs-block for the links.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, Optional, Set, Tuple

from . import files

ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]")
_LINK_SCOPE = 0x20  # an address that every interface gives to itself
_DEEPEST = 16  # of devices on top of each other

Uses = Dict[str, List[Dict[str, str]]]


def uses(root: str) -> Uses:
    """Return, by the address of a function, [{"kind", "name"}]: name is the block device or the interface.

    kind: root (the root file system lies on it), mount, swap, route (a default route), address (another route or address), upper
    (it is a part of a bridge, bond or VLAN). No path and no network address is told.
    """
    found: Uses = {}
    _disks(root, found)
    _networks(root, found)
    return {address: sorted(each, key=lambda one: (one["kind"], one["name"])) for address, each in found.items()}


def _add(found: Uses, root: str, path: str, kind: str, name: str) -> None:
    """Count a use for the function that a device hangs on: the last PCI address on its way through sysfs."""
    steps = [step for step in os.path.realpath(files.path_below(root, path)).split(os.sep) if ADDRESS.fullmatch(step)]
    use = {"kind": kind, "name": name}
    if steps and use not in found.setdefault(steps[-1], []):
        found[steps[-1]].append(use)


# disks


def _disks(root: str, found: Uses) -> None:
    by_number = {files.word(root, "sys/class/block/%s/dev" % name): name for name in files.names(root, "sys/class/block") or []}
    for line in (files.read(root, "proc/self/mountinfo") or "").splitlines():
        left, _dash, right = line.partition(" - ")
        words, more = left.split(), right.split()
        if len(words) < 5:
            continue
        source = os.path.basename(more[1]) if len(more) > 1 and more[1].startswith("/dev/") else None
        name = by_number.get(words[2]) or source
        if name is not None:
            _disk(root, found, name, "root" if words[4] == "/" else "mount", name, 0)
    for line in (files.read(root, "proc/swaps") or "").splitlines()[1:]:
        name = os.path.basename((line.split() or [""])[0])
        _disk(root, found, name, "swap", name, 0)


def _disk(root: str, found: Uses, name: str, kind: str, told: str, depth: int) -> None:
    """A use of a block device, and of what it is made of (dm and md name theirs in "slaves")."""
    if not re.fullmatch(r"[\w!.:+-]+", name) or depth > _DEEPEST:
        return
    path = "sys/class/block/" + name
    _add(found, root, path, kind, told)
    for below in files.names(root, path + "/slaves") or []:
        _disk(root, found, below, kind, told, depth + 1)


# networks


def _networks(root: str, found: Uses) -> None:
    default, addressed = _routes(root)
    for name in files.names(root, "sys/class/net") or []:
        above = _above(root, name, 0)
        path = "sys/class/net/" + name
        for kind, names in (("route", default), ("address", addressed)):
            for one in sorted(names & (above | {name})):
                _add(found, root, path, kind, one)
        for one in sorted(above):
            _add(found, root, path, "upper", one)


def _above(root: str, name: str, depth: int) -> Set[str]:
    """The interfaces that stand on this one."""
    if depth > _DEEPEST:
        return set()
    direct = {one[len("upper_") :] for one in files.names(root, "sys/class/net/" + name) or [] if one.startswith("upper_")}
    above = set(direct)
    for one in direct:
        above |= _above(root, one, depth + 1)
    return above


def _routes(root: str) -> Tuple[Set[str], Set[str]]:
    """The interfaces of default routes, and those that have any other route or an address of more than their own link."""
    default: Set[str] = set()
    other: Set[str] = set()
    for line in (files.read(root, "proc/net/route") or "").splitlines()[1:]:
        words = line.split()
        if len(words) > 7:
            (default if words[1] == words[7] == "00000000" else other).add(words[0])
    for line in (files.read(root, "proc/net/ipv6_route") or "").splitlines():
        words = line.split()
        if len(words) == 10 and words[0] == "0" * 32 and words[1] == "00" and words[9] != "lo":
            default.add(words[9])
    for line in (files.read(root, "proc/net/if_inet6") or "").splitlines():
        words = line.split()
        if len(words) == 6 and _number(words[3]) not in (None, _LINK_SCOPE):
            other.add(words[5])
    return default, other - default


def _number(word: str) -> Optional[int]:
    try:
        return int(word, 16)
    except ValueError:
        return None
