# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated host with a network card behind a root port, as sysfs shows and drives it."""

from __future__ import annotations

import copy

from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError

from .rules.machine_pci import CARD, PORT, machine
from .simulated import Machine, instance, layout

DEVICES, DRIVERS = "sys/bus/pci/devices/", "sys/bus/pci/drivers/"


class MachineWithCard(Machine):
    """Its card has the driver e1000e; what a careful client must never do with it goes to `harm`."""

    def __init__(self, root, **options):
        super().__init__(root, **options)
        self.functions = copy.deepcopy(machine()["functions"])
        self.functions[PORT]["power"] = "auto"
        self.loaded_drivers = {"e1000e", "pcieport"}
        self.masters = {CARD}  # functions that may write to memory
        self.resets = 0

    @property
    def card(self):
        return self.functions[CARD]

    def facts(self, images=(), remembered=None, signers=None):
        found = super().facts(images, remembered, signers)
        found["iommu"] = {"present": False, "translating": False, "interrupt_remapping": False, "groups": 0}
        found["pci"] = dict(machine(), functions=copy.deepcopy(self.functions))
        return found

    def read(self, path):
        if not path.startswith(DEVICES):
            return super().read(path)
        address, _slash, what = path[len(DEVICES) :].partition("/")
        one = self.functions.get(address)
        if one is None:
            return None
        return {
            "driver_override": "%s\n" % (one["driver_override"] or "(null)"),
            "driver": "" if one["driver"] else None,
            "reset": "" if one["reset"] else None,
        }.get(what)

    def exists(self, path):
        if path.startswith(DRIVERS):
            return path[len(DRIVERS) :].split("/")[0] in self.loaded_drivers
        return super().exists(path)

    def write(self, path, text):
        if path.startswith(DRIVERS):
            self._maybe_fail(path, text)
            self._bind(text, path[len(DRIVERS) :].split("/")[0])
        elif path.startswith(DEVICES):
            self._maybe_fail(path, text)
            address, _slash, what = path[len(DEVICES) :].partition("/")
            self._tell(self.functions[address], address, what, text)
        else:
            super().write(path, text)

    def stop_dma(self, address):
        self._maybe_fail("stop_dma", address)
        if self._user(address):
            self.harm.append("the card was silenced while its instance runs")
        self.masters.discard(address)

    def boot(self, cpu):
        super().boot(cpu)
        self.masters.add(CARD)  # its driver there switches it on

    def _tell(self, one, address, what, text):
        if what == "driver_override":
            one["driver_override"] = text.strip() or None
        elif what == "driver/unbind":
            one["driver"] = None
            self.masters.discard(address)
        elif what == "power/control":
            one["power"] = text
        elif what == "reset":
            if address in self.masters:
                self.harm.append("the card was reset in the middle of its writes")
            self.resets += 1
        else:
            raise AssertionError("write to %s" % what)

    def _bind(self, address, driver):
        one = self.functions[address]
        if one["driver_override"] not in (None, driver):
            raise DialectError("the kernel refused %r: no such device" % address)
        if address in self.masters or self._user(address):
            self.harm.append("the host's driver got the card while an instance used it")
        one["driver"] = driver

    def _user(self, address):
        running = {entry for entry, one in self.instances.items() if one.get("ended") is None}
        return any(one["entry"] in running and address in [name for name, _alias in one["spec"].devices] for one in self.images)


def owner(**changes):
    """A layout in which web owns the card."""
    device = {"pci": CARD, "vendor": 0x8086, "device": 0x10D3, "alias": "wire"}
    one = dict(instance(console={"device": "ttyS1"}), devices=[device])
    one.update(changes)
    return layout(instances={"web": one}, waivers={"dev-iommu": "both kernels are of one trust"})
