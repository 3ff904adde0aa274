# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance is told of a bus is what the host's bridge passes on to it."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import pci_bus
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.rules.machine_pci import (
    BESIDE,
    CARD,
    PORT,
    function,
    machine,
    memory,
)


def test_bus_has_the_windows_of_its_bridge_and_its_own_part_of_configuration_space():
    (bus,) = pci_bus.buses(machine(), [CARD])
    assert (bus.segment, bus.bus, bus.last, bus.ecam) == (0, 1, 1, 0xB0100000)
    assert [one.kind for one in bus.windows] == ["io", "memory", "memory"]


def test_functions_of_one_bus_make_one_bus():
    known = machine()
    known["functions"]["0000:01:00.1"] = function()
    assert len(pci_bus.buses(known, ["0000:01:00.1", CARD])) == 1


def test_window_without_a_place_and_ports_beyond_64_kib_are_left_out():
    known = machine()
    windows = known["functions"][PORT]["bridge"]["windows"]
    windows[0].update(start=0x10000, end=0x1FFFF)
    windows[1]["assigned"] = False
    (bus,) = pci_bus.buses(known, [CARD])
    assert [one.start for one in bus.windows] == [0xFE000000]


def test_window_of_configuration_space_may_begin_at_a_later_bus():
    known = dict(machine(), ecam=[{"base": 0xB0000000, "segment": 0, "first_bus": 1, "last_bus": 3}])
    assert pci_bus.ecam_of(known, CARD) == 0xB0000000
    assert pci_bus.ecam_of(known, BESIDE) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda known: known["functions"].pop(CARD), "has no PCI function 0000:01:00.0"),
        (lambda known: known.update(ecam=None), "configuration space of bus 01 lies"),
        (lambda known: known["functions"][CARD].update(path=[]), "behind no bridge"),
        (lambda known: known["functions"][PORT]["bridge"].update(windows=None), "behind no bridge"),
    ],
)
def test_what_is_not_known_is_told_and_not_guessed(change, sentence):
    known = machine()
    change(known)
    with pytest.raises(ValueError, match=sentence):
        pci_bus.buses(known, [CARD])
    with pytest.raises(ValueError, match="no PCI function"):
        pci_bus.buses(None, [CARD])


def test_prefetchable_window_takes_a_bar_and_another_place_does_not():
    windows = pci_bus.windows_of(machine(), CARD)
    inside, beyond = memory(0xFE000000, 0x1000), memory(0xFE1FF000, 0x2000)
    assert pci_bus.outside(function(bars=[inside, beyond]), windows) == [beyond]
