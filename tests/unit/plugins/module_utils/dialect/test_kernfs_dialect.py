# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernfs dialect says of a host that it cannot speak to, and what it does twice without harm."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
from ansible_collections.multikernel.core.plugins.module_utils._dialect import choice
from ansible_collections.multikernel.core.plugins.module_utils._dialect.kernfs import Kernfs
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import PlacementError
from ansible_collections.multikernel.core.plugins.module_utils._plan.steps import Step
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import instance
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import TOP, KernfsKernel


def opened(machine):
    dialect = Kernfs(machine)
    return dialect, dialect.open(machine.facts(), True, {})


def test_a_host_that_speaks_otherwise_is_told(tmp_path):
    dialect, facts = opened(KernfsKernel(tmp_path))
    facts["dialect"]["name"] = "rfc"
    (one,) = dialect.probe(facts)
    assert (one.rule, one.message) == ("dialect.other", "this host speaks the multikernel dialect rfc, which is not kernfs")


def test_a_kernel_without_overlays_can_change_nothing(tmp_path, monkeypatch):
    machine = KernfsKernel(tmp_path)
    real = machine.exists
    monkeypatch.setattr(machine, "exists", lambda path: "overlays" not in path and real(path))
    with pytest.raises(run.ApplyError, match="/%s/overlays/new is missing: this kernel could not set up its overlays" % TOP):
        run.apply(simulated.layout(channels={}), system=machine)


def test_mounting_and_unmounting_twice_does_no_harm(tmp_path):
    machine = KernfsKernel(tmp_path, mounted=False)
    dialect = Kernfs(machine)
    mount, unmount = Step("mount", {}, ""), Step("unmount", {}, "")
    assert dialect.perform(mount) == {}
    assert dialect.perform(mount) == {"already": True}
    assert dialect.perform(unmount) == {}
    assert dialect.perform(unmount) == {"already": True}
    assert not machine.is_mounted


def test_cpus_of_which_nothing_is_known_stay_so(tmp_path):
    machine = KernfsKernel(tmp_path)
    run.apply(simulated.layout(channels={}), system=machine)
    facts = machine.facts()
    facts["cpus"]["present"] = None
    assert Kernfs(machine).open(facts, True, {})["cpus"]["present"] is None


def test_a_foreign_instance_whose_cpus_have_no_number_is_not_adopted(tmp_path):
    machine = KernfsKernel(tmp_path)
    layout = simulated.layout(instances={"web": instance()}, channels={})
    run.apply(layout, system=machine)
    dialect, facts = opened(machine)
    state = dialect.observe(None, facts)  # as if nobody remembered that we made it, nor which CPU has which APIC id
    (one,) = state["foreign"]["instances"]
    one["cpus"] = []
    dialect.adopt = ["web"]
    with pytest.raises(PlacementError) as caught:
        dialect.place(layout, facts, state)
    assert "web cannot be adopted: the numbers of its CPUs (APIC id 2) are not known" in caught.value.findings[0].message


def test_facts_alone_choose_a_dialect_for_planning(tmp_path):
    facts = KernfsKernel(tmp_path).facts()
    assert choice.offline(facts).name == "kernfs"
    facts["dialect"]["name"] = "none"
    assert choice.offline(facts).name == "rfc"
