# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The files below /sys/fs/multikernel: trees that are whole, and transactions whose outcome is known.

A write tells neither the number of its transaction nor whether it succeeded: the folder of transactions is compared before and after,
and the state of the new one is read. Nothing here removes a transaction, since that would have its inverse applied.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from .._boot import fdt
from . import kernfs_tree
from .base import DialectError, Drift
from .kernfs_overlay import LIMIT

TOP = "sys/fs/multikernel"
ROOT = TOP + "/device_tree"
INSTANCES = TOP + "/instances"
OVERLAYS = TOP + "/overlays"
KIMAGE = "proc/kimage"
TRIES = 20  # readings of a tree that somebody changes meanwhile
TRY_PAUSE = 0.05  # seconds between two of them
STATES = ("empty", "ready", "loaded", "active", "failed")

_ROW = re.compile(r'\s*(\d+)\s+(\w+)\s+(0x[0-9a-fA-F]+)\s+(\d+)\s+(\w+)\s+"(.*)"\s*$')


class Found(NamedTuple):
    """An instance as the kernel shows it; cpus are APIC ids, the boot CPU first; devices are addresses of PCI functions."""

    name: str
    id: int
    status: str
    cpus: List[int]
    base: Optional[int]
    size: int
    devices: Tuple[str, ...] = ()


class Tree:
    """The mounted file system of one host. system is the door to it."""

    def __init__(self, system: Any) -> None:
        self.system = system
        self.seen: Optional[Set[int]] = None  # transactions that were there when the plan was made, and our own
        self._read: Dict[str, Tuple[bytes, Dict[str, Any]]] = {}  # what the tree of an instance was when it was last looked at

    def host(self) -> Dict[str, Any]:
        """The root tree, see kernfs_tree.host. Raises DialectError."""
        blob = self.system.read_bytes(ROOT)
        if blob is None:
            raise DialectError("/%s cannot be read" % ROOT)
        try:
            return kernfs_tree.host(blob)
        except kernfs_tree.TreeError as error:
            raise DialectError("/%s: %s" % (ROOT, error)) from error

    def names(self) -> List[str]:
        """The instances that there are. Raises DialectError."""
        found: List[str] = self.system.listdir(INSTANCES)
        return found

    def instances(self) -> Dict[str, Found]:
        """All instances, whoever made them. Raises DialectError."""
        found = {name: self.instance(name) for name in self.names()}
        return {name: one for name, one in sorted(found.items()) if one is not None}

    def instance(self, name: str) -> Optional[Found]:
        """One instance, None when there is none. Its tree is read until it comes out whole. Raises DialectError."""
        for attempt in range(TRIES):
            blob = self.system.read_bytes("%s/%s/device_tree" % (INSTANCES, name))
            status = (self.system.read("%s/%s/status" % (INSTANCES, name)) or "").strip()
            if blob is None or not status:
                if name not in self.names():
                    return None
            elif fdt.complete(blob):
                return self._found(name, status, blob)
            if attempt < TRIES - 1:
                self.system.sleep(TRY_PAUSE)
        raise DialectError("the tree of instance %s does not come out whole: it changes all the time, or the kernel is broken" % name)

    def _found(self, name: str, status: str, blob: bytes) -> Found:
        if status not in STATES:
            raise DialectError("instance %s is in the state %r, which nobody knows" % (name, status[:40]))
        before, told = self._read.get(name, (b"", {}))
        if blob != before:  # every step looks, and few change it
            try:
                told = kernfs_tree.instance(blob)
            except kernfs_tree.TreeError as error:
                raise DialectError("/%s/%s/device_tree: %s" % (INSTANCES, name, error)) from error
            self._read[name] = blob, told
        devices = tuple(sorted(one["pci_id"] for one in told["devices"] if one["pci_id"]))
        return Found(name, told["id"], status, told["cpus"], told["base"], told["size"], devices)

    def transactions(self) -> Set[int]:
        """The numbers of all transactions. Raises DialectError."""
        names = (name[3:] for name in self.system.listdir(OVERLAYS) if name.startswith("tx_"))
        return {int(number) for number in names if number.isdigit()}

    def send(self, blob: bytes, careful: bool) -> int:
        """Have one overlay applied and return its number.

        careful: raise Drift, and send nothing, when somebody else has had one applied since the plan was made. Raises DialectError
        when it was refused or failed: what the kernel did of it before stays done, so that the caller reads back.
        """
        if len(blob) > LIMIT:
            raise DialectError("an overlay of %d bytes is not sent: the kernel takes %d in one write" % (len(blob), LIMIT))
        before = self.transactions()
        strange = before - self.seen if self.seen is not None else set()
        if careful and strange:
            raise Drift("somebody else has changed the pool or an instance meanwhile (transaction %d)" % max(strange))
        self.system.write_bytes(OVERLAYS + "/new", blob)
        mine = [number for number in sorted(self.transactions() - before) if self._is(number, blob)]
        if len(mine) != 1:
            raise DialectError("the kernel took an overlay of %d bytes, but shows %d transactions for it" % (len(blob), len(mine)))
        self.seen = (before if self.seen is None else self.seen) | set(mine)
        status = (self.system.read("%s/tx_%d/status" % (OVERLAYS, mine[0])) or "").strip()
        if status != "applied":
            raise DialectError(
                "the kernel took transaction %d, and it is %s (only the kernel's log says why: dmesg)" % (mine[0], status or "gone")
            )
        return mine[0]

    def _is(self, number: int, blob: bytes) -> bool:
        told = self.system.read_bytes("%s/tx_%d/dtbo" % (OVERLAYS, number))
        return told is None or told == blob

    def images(self) -> List[Dict[str, Any]]:
        """Rows of /proc/kimage: {"id", "type", "start", "segments", "mode", "cmdline"}; odd lines are skipped."""
        rows = []
        for line in (self.system.read(KIMAGE) or "").splitlines():
            match = _ROW.match(line)
            if match:
                number, kind, start, segments, mode, cmdline = match.groups()
                row = {"id": int(number), "type": kind, "start": int(start, 16), "segments": int(segments), "mode": mode}
                rows.append(dict(row, cmdline=cmdline))
        return rows
