# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device goes to its instance and comes back to the host's driver, whatever happens in between."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run, store
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError
from ansible_collections.multikernel.core.plugins.module_utils._dialect.rfc import Rfc
from ansible_collections.multikernel.core.plugins.module_utils._plan import steps
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.rules.machine_pci import CARD, PORT
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Crash
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_pci import MachineWithCard, owner

ALLOW = {"isolation": {"minimum_grade": None}, "disruption": "allow"}


@pytest.fixture(params=[{}, {"strict": True}, {"mkstock": False}], ids=["mkstock", "strict mkstock", "the RFC's own kernel"])
def machine(request, tmp_path):
    return MachineWithCard(tmp_path, **request.param)


def as_it_was(machine):
    card = machine.card
    return (card["driver"], card["driver_override"], machine.functions[PORT]["power"]) == ("e1000e", None, "auto")


def is_held(machine):
    card = machine.card
    return (card["driver"], card["driver_override"], machine.functions[PORT]["power"]) == (None, "multikernel", "on")


def test_device_leaves_the_hosts_driver_before_its_instance_starts(machine):
    result = run.apply(owner(), system=machine)
    done = [step["do"] for step in result["steps"]]
    assert done.index("device_unbind") < done.index("load") < done.index("boot")
    assert is_held(machine)
    assert machine.harm == []
    (bus,) = machine.assembled.buses
    assert (bus.segment, bus.bus, bus.ecam) == (0, 1, 0xB0100000)
    assert [one.start for one in bus.windows] == [0xC000, 0xFE800000, 0xFE000000]
    assert machine.assembled.devices == [(CARD, "wire")]


def test_a_second_apply_changes_nothing(machine):
    run.apply(owner(), system=machine)
    assert run.apply(owner(), system=machine)["steps"] == []


def test_check_mode_says_what_would_be_done_and_does_nothing(machine):
    result = run.apply(owner(), check=True, system=machine)
    assert any("take PCI device 0000:01:00.0 from the host's driver e1000e" in step["say"] for step in result["plan"])
    assert as_it_was(machine)


def test_absent_gives_the_device_back_to_its_driver(machine):
    run.apply(owner(), system=machine)
    run.apply(None, state="absent", system=machine)
    assert as_it_was(machine)
    assert machine.harm == []
    assert CARD not in machine.masters


def test_device_that_no_instance_is_given_any_more_goes_back(machine):
    run.apply(owner(), system=machine)
    run.apply(dict(owner(devices=[]), policy=ALLOW), system=machine)
    assert as_it_was(machine)
    assert machine.running() == {"web": [3]} or machine.running() == {"web": [1]}


def test_device_without_a_driver_goes_back_without_one(machine):
    machine.card["driver"] = None
    run.apply(owner(), system=machine)
    run.apply(None, state="absent", system=machine)
    assert (machine.card["driver"], machine.card["driver_override"]) == (None, None)


def test_override_that_was_there_comes_back(machine):
    machine.card["driver_override"] = "e1000e"
    run.apply(owner(), system=machine)
    run.apply(None, state="absent", system=machine)
    assert (machine.card["driver"], machine.card["driver_override"]) == ("e1000e", "e1000e")


def test_failed_start_gives_the_device_back(machine):
    machine.dies["web"] = ("panicked", "no init")
    with pytest.raises(run.ApplyError):
        run.apply(owner(), system=machine)
    assert as_it_was(machine)


def test_refused_unbind_leaves_everything_as_it_was(machine):
    machine.fails[("driver/unbind", None)] = "the kernel refused it: device busy"
    with pytest.raises(run.ApplyError, match="device busy"):
        run.apply(owner(), system=machine)
    assert as_it_was(machine)
    assert machine.running() == {}


def test_device_is_silent_once_its_instance_was_stopped(machine):
    run.apply(owner(), system=machine)
    assert CARD in machine.masters
    run.apply(dict(owner(state="defined"), policy=ALLOW), system=machine)
    assert CARD not in machine.masters
    assert machine.resets


def test_stop_alone_silences_a_device_that_stays_with_its_instance(machine):
    run.apply(owner(), system=machine)
    kept = run.Store(machine.root).state()
    dialect = Rfc(machine)
    dialect.observe(kept, machine.facts())
    dialect.perform(steps.stop(kept["instances"]["web"]["spec"]))
    assert is_held(machine)
    assert CARD not in machine.masters
    assert machine.harm == []


def test_reset_that_fails_does_not_keep_an_instance_from_being_stopped(machine):
    run.apply(owner(), system=machine)
    machine.fails[("reset", None)] = "the kernel refused it: inappropriate ioctl"
    run.apply(None, state="absent", system=machine)
    assert as_it_was(machine)


def test_device_that_somebody_bound_again_is_taken_again(machine):
    run.apply(owner(state="loaded"), system=machine)
    machine.card.update(driver="e1000e", driver_override=None)
    result = run.apply(owner(state="loaded"), system=machine)
    assert "device_unbind" in [step["do"] for step in result["steps"]]
    assert is_held(machine)
    run.apply(None, state="absent", system=machine)
    assert as_it_was(machine)


def test_apply_that_was_cut_off_gives_the_device_back(machine, monkeypatch):
    def crash(*_arguments):
        raise Crash

    monkeypatch.setattr(machine, "load", crash)
    with pytest.raises(Crash):
        run.apply(owner(), system=machine)
    monkeypatch.undo()
    assert is_held(machine)
    run.apply(simulated.layout(instances={}, channels={}), system=machine)
    assert as_it_was(machine)


def test_device_that_is_the_hosts_default_route_is_refused(machine):
    machine.card["uses"] = [{"kind": "route", "name": "eth0"}]
    with pytest.raises(run.ApplyError, match="its default route"):
        run.apply(owner(), system=machine)
    assert as_it_was(machine)


def test_without_an_iommu_a_device_needs_a_waiver(machine):
    with pytest.raises(run.ApplyError, match="reaches all memory of the machine"):
        run.apply(dict(owner(), waivers={}), system=machine)
    assert as_it_was(machine)


def test_other_alias_needs_consent_to_a_restart(machine):
    run.apply(owner(), system=machine)
    renamed = owner()
    renamed["instances"]["web"]["devices"][0]["alias"] = "lan"
    with pytest.raises(run.ApplyError, match="its devices get other aliases"):
        run.apply(renamed, system=machine)


def test_state_of_an_older_release_knows_no_devices_and_is_read(machine):
    plain = dict(owner(devices=[]), waivers={})
    run.apply(plain, system=machine)
    store = run.Store(machine.root)
    kept = store.state()
    kept["made"].pop("devices")
    for one in kept["instances"].values():
        one["spec"].pop("devices")
    store.commit(kept)
    assert [step["do"] for step in run.apply(plain, system=machine)["steps"]] == []


def test_device_does_not_go_back_while_its_instance_uses_it(machine):
    run.apply(owner(), system=machine)
    dialect = Rfc(machine)
    facts = machine.facts()
    dialect.observe(store.Store(machine.root).state(), facts)
    with pytest.raises(DialectError, match=r"PCI device 0000:01:00\.0 cannot go back to the host while web uses it; stop web first"):
        dialect.perform(steps.device_bind(CARD, {"driver": "e1000e", "override": None, "power": {}}))
    assert is_held(machine)


def test_a_driver_that_takes_a_device_behind_our_back_is_found_by_reading_back(machine):
    placed = run.apply(owner(), system=machine)["placed"]
    kept = store.Store(machine.root).state()
    machine.card.update(driver="e1000e", driver_override=None)
    dialect = Rfc(machine)
    state = dialect.observe(kept, machine.facts())
    differences, _unverifiable = dialect.verify(placed, {"web": kept["instances"]["web"]["spec"]}, state)
    assert "PCI device 0000:01:00.0 of web is not kept from the host's drivers" in differences
