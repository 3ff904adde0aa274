# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI functions leave the host's drivers and go back to them; doing it twice does no harm, and what did not happen is told."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._dialect import devices
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError
from ansible_collections.multikernel.core.plugins.module_utils._dialect.system import System

CARD, PORT = "0000:09:00.0", "0000:00:03.0"
MASTER = bytes([0x86, 0x80, 0xD3, 0x10, 0x07, 0x04, 0x10, 0x00])  # the command register has memory, I/O and bus master set


class Bus:
    """Files as sysfs has them, of a card without a driver behind a port."""

    def __init__(self, root):
        self.root, self.system = root, System(str(root))
        self.card = root / "sys/bus/pci/devices" / CARD
        for folder in (self.card / "power", root / "sys/bus/pci/devices" / PORT / "power", root / "sys/bus/pci/drivers/e1000e"):
            folder.mkdir(parents=True)
            if folder.name == "power":
                (folder / "control").write_text("auto")
        (self.card / "driver_override").write_text("")
        (self.card / "config").write_bytes(MASTER)

    def power(self, address):
        return (self.root / "sys/bus/pci/devices" / address / "power/control").read_text()[:4]


@pytest.fixture
def bus(tmp_path):
    return Bus(tmp_path)


def test_a_function_is_taken_once_and_its_bridges_no_longer_sleep(bus):
    assert devices.take(bus.system, CARD, {PORT: "auto", CARD: "auto"}) == {}
    assert devices.is_held(bus.system, CARD)
    assert [bus.power(one)[:2] for one in (PORT, CARD)] == ["on", "on"]
    assert devices.take(bus.system, CARD, {}) == {"already": True}


def test_a_function_that_is_gone_is_told(bus):
    with pytest.raises(DialectError, match=r"this host has no PCI device 0000:0a:00.0 any more"):
        devices.take(bus.system, "0000:0a:00.0", {})


def test_a_driver_that_stays_is_told(bus):
    (bus.card / "driver").mkdir()
    (bus.card / "driver/unbind").write_text("")
    with pytest.raises(DialectError, match="still has a driver of the host, although the kernel accepted that it is unbound"):
        devices.take(bus.system, CARD, {})
    assert (bus.card / "driver/unbind").read_text() == CARD


def test_a_function_goes_back_silent_to_the_driver_that_it_had(bus):
    bind = bus.root / "sys/bus/pci/drivers/e1000e/bind"
    bind.write_text("")
    (bus.card / "reset").write_text("")
    devices.take(bus.system, CARD, {PORT: "auto"})
    assert devices.give_back(bus.system, CARD, "e1000e", None, {PORT: "auto"}) == {}
    assert bind.read_text() == CARD
    assert (bus.card / "driver_override").read_text().startswith("\n"), "a write to sysfs replaces all; in this folder it does not"
    assert (bus.card / "reset").read_text() == "1"
    assert (bus.card / "config").read_bytes()[4] == 0x03, "it is no bus master, the rest of the register stays"
    assert bus.power(PORT) == "auto"


def test_what_is_not_held_does_not_go_back(bus):
    (bus.card / "driver_override").write_text("vfio-pci\n")
    assert devices.give_back(bus.system, CARD, "e1000e", None, {}) == {"already": True}
    (bus.card / "driver_override").write_text("(null)\n")
    assert devices.give_back(bus.system, CARD, None, None, {}) == {"already": True}
    (bus.card / "driver").mkdir()
    assert devices.give_back(bus.system, CARD, "e1000e", None, {}) == {"already": True}
    assert devices.give_back(bus.system, "0000:0a:00.0", "e1000e", None, {}) == {"already": True}
    assert (bus.card / "config").read_bytes() == MASTER


def test_a_driver_that_was_unloaded_is_told_and_the_function_goes_back_once_it_is_there(bus):
    bind = bus.root / "sys/bus/pci/drivers/e1000e/bind"
    devices.take(bus.system, CARD, {PORT: "auto"})
    for _again in range(2):
        with pytest.raises(DialectError, match="cannot go back to the host's driver e1000e: it is no longer loaded; load it"):
            devices.give_back(bus.system, CARD, "e1000e", None, {PORT: "auto"})
        assert devices.is_held(bus.system, CARD)
    bind.write_text("")
    assert devices.give_back(bus.system, CARD, "e1000e", None, {PORT: "auto"}) == {}
    assert (bind.read_text(), bus.power(PORT)) == (CARD, "auto")


def test_a_way_back_that_was_cut_before_the_driver_was_bound_is_gone_to_its_end(bus):
    bind = bus.root / "sys/bus/pci/drivers/e1000e/bind"
    bind.write_text("")
    (bus.card / "driver_override").write_text("(null)\n")
    assert devices.give_back(bus.system, CARD, "e1000e", None, {PORT: "auto"}) == {}
    assert bind.read_text() == CARD


def test_a_refused_reset_is_no_harm_and_a_function_of_the_host_is_left_alone(bus):
    (bus.card / "reset").mkdir()
    devices.quiet(bus.system, [CARD])
    assert (bus.card / "config").read_bytes() == MASTER
    devices.take(bus.system, CARD, {})
    devices.quiet(bus.system, [CARD])
    assert (bus.card / "config").read_bytes()[4] == 0x03
    devices.quiet(bus.system, [CARD])
    assert (bus.card / "config").read_bytes()[4] == 0x03


def test_dma_that_cannot_be_stopped_is_told(bus):
    (bus.card / "config").unlink()
    with pytest.raises(DialectError, match=r"the DMA of PCI device 0000:09:00.0 cannot be stopped: No such file"):
        bus.system.stop_dma(CARD)
