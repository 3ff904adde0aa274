# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a kernel gives no sign of its instances, the gates of a layout are the only evidence, and their absence is told."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Probe, instance
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel

TCP = {"host": "192.0.2.7", "port": 80}


@pytest.fixture
def machine(tmp_path):
    """A kernel of the interface itself: no mailbox tells anything."""
    made = KernfsKernel(tmp_path, mkstock=False)
    made.kinds["/boot/vmlinuz"] = "vmlinux"
    return made


def layout(**gates):
    return simulated.layout(instances={"web": instance(health=dict({"channel": None, "within": 10.0}, **gates))}, channels={})


def test_gates_are_the_evidence(machine):
    machine.answers["tcp", "web"] = [(0.0, False), (1.0, True)]
    result = run.apply(layout(tcp=TCP), system=machine)
    (waited,) = [step["result"] for step in result["steps"] if step["do"] == "wait_health"]
    assert waited["gates"] == ["tcp"]
    assert waited["seconds"] > 1.0
    assert Probe.open == 0


def test_a_gate_that_stays_closed_takes_the_instance_back(machine):
    machine.answers["tcp", "web"] = [(0.0, False)]
    with pytest.raises(run.ApplyError, match="web is not well within 10 s: tcp: not well"):
        run.apply(layout(tcp=TCP), system=machine)
    assert machine.running() == {}
    assert Probe.open == 0


def test_an_instance_that_ends_while_it_is_asked_is_told(machine, monkeypatch):
    machine.answers["tcp", "web"] = [(0.0, False)]
    begin = machine.sleep

    def sleep(seconds):
        begin(seconds)
        for record in machine.state.instances.values():
            if record.state == "active":
                record.state = "failed"

    monkeypatch.setattr(machine, "sleep", sleep)
    with pytest.raises(run.ApplyError, match="web is no longer active"):
        run.apply(layout(tcp=TCP), system=machine)


def test_somebody_who_asks_for_the_end_is_not_kept_waiting(machine, monkeypatch):
    machine.answers["tcp", "web"] = [(0.0, False)]
    begin, began = machine.sleep, machine.now

    def sleep(seconds):
        begin(seconds)
        machine.stopped = machine.asked = "SIGTERM"

    monkeypatch.setattr(machine, "sleep", sleep)
    with pytest.raises(run.ApplyError, match="SIGTERM"):
        run.apply(layout(tcp=TCP), system=machine)
    assert machine.now - began < 40.0
    assert machine.running() == {}


def test_without_a_gate_nobody_can_tell(machine):
    result = run.apply(layout(), system=machine)
    (waited,) = [step["result"] for step in result["steps"] if step["do"] == "wait_health"]
    assert waited["unverifiable"] is True
