# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""PCI functions on a kernfs host: from the host's driver through the pool to an instance, and back, by what is read back.

The kernel says nothing of why a function did not come; and an instance that is removed leaves its functions in the pool.
"""

from __future__ import annotations

from typing import Any, Dict, List

from . import kernfs_overlay as overlay
from .base import DialectError
from .kernfs_files import Tree


class Devices:
    """The PCI functions behind the trees of one host."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def give(self, name: str, devices: List[Dict[str, Any]], expect: bool) -> Dict[str, Any]:
        """Let an instance have functions ({"pci", "alias"}). Raises Drift, and DialectError when one of them did not come."""
        lacking = [one for one in devices if one["pci"] not in self._of(name)]
        for one in lacking:
            address = one["pci"]
            if address not in self._free():
                self._send(overlay.pool_device_add(address, one["alias"]), expect)
                if address not in self._free():
                    raise DialectError("the kernel says that PCI device %s joined the pool, and does not show it there" % address)
            self._send(overlay.instance_device_add(name, address), expect)
            if address not in self._of(name):
                raise DialectError("the kernel says that %s was given PCI device %s, and does not show it there" % (name, address))
        return {} if lacking else {"already": True}

    def take_back(self, name: str, devices: List[Dict[str, Any]]) -> Dict[str, Any]:
        """Let the host have functions again, whether the instance that had them is still there or not. Raises DialectError."""
        done = False
        for address in sorted(one["pci"] for one in devices):
            if address in self._of(name):
                self._send(overlay.instance_device_remove(name, address), False)
                done = True
            if address in self._free():
                self._send(overlay.pool_device_remove(address), False)
                done = True
            if address in self._free() or address in self._of(name):
                raise DialectError("the kernel says that PCI device %s went back to the host, and still shows it" % address)
        return {} if done else {"already": True}

    def _free(self) -> List[str]:
        return [one["pci_id"] for one in self.tree.host()["devices"] if one["pci_id"]]

    def _of(self, name: str) -> List[str]:
        one = self.tree.instance(name)
        return [] if one is None else list(one.devices)

    def _send(self, operation: overlay.Operation, careful: bool) -> None:
        for blob in overlay.batch([operation]):
            self.tree.send(blob, careful)
