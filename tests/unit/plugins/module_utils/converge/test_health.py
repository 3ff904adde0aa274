# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of what runs is told from beats and own words; what nobody started is not told of."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import health, run
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    run.apply(simulated.layout(instances={"web": instance(health={"channel": "beat", "within": 5.0}), "db": instance()}), system=made)
    return made


def freeze(machine, name):
    """Its CPU spins with interrupts off: the kernel still lists it, and it beats no more."""
    entry = next(entry for entry, one in machine.instances.items() if one["name"] == name)
    page = machine.physical(entry - 0x3000, 4096)
    machine.frozen = {entry - 0x3000: page}
    real = machine.physical
    machine.physical = lambda address, size: machine.frozen.get(address) or real(address, size)


def test_what_beats_is_alive(machine):
    told = health.now(system=machine)
    assert {name: one["alive"] for name, one in told.items()} == {"web": True, "db": True}
    assert told["db"]["uname"] == "6.1.0-sim"
    assert told["db"]["beats"] > 0


def test_one_that_panicked_says_with_which_words(machine):
    machine.end("db", 3, "out of memory")
    told = health.now(["db"], system=machine)
    assert told == {"db": dict(told["db"], alive=False, state="panicked", why="it panicked: out of memory")}


def test_one_that_is_stuck_is_not_alive(machine):
    freeze(machine, "db")
    begin = machine.now
    told = health.now(system=machine)["db"]
    assert told["alive"] is False
    assert told["why"] == "no heartbeat in its mailbox for 3.0 s (3 s are allowed)"
    assert machine.now - begin < 3.2


def test_one_that_the_kernel_no_longer_lists_is_gone(machine):
    machine.instances.clear()
    assert {one["state"] for one in health.now(system=machine).values()} == {"gone"}


def test_a_mailbox_of_another_boot_is_no_sign_of_life(machine):
    for box in machine.mailboxes.values():
        box["nonce"] += 100
    told = health.now(["db"], system=machine)["db"]
    assert (told["alive"], told["state"]) == (False, "silent")


def test_nothing_of_an_earlier_boot_of_the_host_is_told(machine):
    assert health.now(system=machine.reboot()) == {}


def test_a_host_without_layout_has_nothing_to_tell(tmp_path):
    assert health.now(system=Machine(tmp_path)) == {}


def test_where_nothing_tells_nobody_claims_to_know(tmp_path):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(), system=machine)
    machine.mkstock = False
    machine.physical = lambda address, size: None
    told = health.now(system=machine)["web"]
    assert (told["alive"], told["state"]) == (None, "untold")
