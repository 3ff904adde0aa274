# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor on a host of the kernfs interface: the same deaths are found, the same instances come back."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import desired, run
from ansible_collections.multikernel.core.plugins.module_utils._supervise import mortem
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel

from .test_loop import Bench, booted, layout, locked_down, nonces, statement


@pytest.fixture
def bench(tmp_path):
    machine = KernfsKernel(tmp_path)
    run.apply(layout(), system=machine)
    made = Bench(machine)
    made.turns(3)
    return made


def test_what_beats_is_left_alone(bench):
    before = nonces(bench.machine)
    bench.turns(50)
    assert (bench.said(), nonces(bench.machine), bench.machine.harm) == ([], before, [])


def test_what_cannot_be_read_any_more_is_not_taken_for_dead(bench):
    locked_down(bench)


def test_one_that_panics_is_started_again_alone(bench):
    machine, before = bench.machine, nonces(bench.machine)
    machine.end("web", 3, "Kernel panic")
    bench.turns()
    after = nonces(machine)
    assert (after["db"] == before["db"], after["web"] == before["web"], machine.harm) == (True, False, [])
    assert [name.rpartition("-")[0] for name in mortem.listed(machine.root)] == ["web"]
    assert bench.said()[1:] == [
        "web is down: it panicked: Kernel panic; it is started again in 1 s",
        "start web again (it panicked: Kernel panic)",
        "web runs again (restart 1)",
    ]


def test_two_that_are_down_do_not_keep_each_other_down(tmp_path):
    machine = KernfsKernel(tmp_path)
    run.apply(layout(db={"restart": "always"}), system=machine)
    bench = Bench(machine)
    bench.turns(3)
    for name in ("web", "db"):
        machine.end(name, 3, "Kernel panic")
    bench.turns(10)
    assert {name: one.alive for name, one in bench.supervisor.core.entries.items()} == {"web": True, "db": True}
    assert [line for line in bench.said() if "could not be" in line] == []


def test_one_that_is_down_for_good_does_not_keep_another_one_down(bench):
    for name in ("web", "db"):  # db has restart: no
        bench.machine.end(name, 3, "Kernel panic")
    bench.turns(10)
    assert {name: one.alive for name, one in bench.supervisor.core.entries.items()} == {"web": True, "db": False}


def test_what_the_operator_stopped_stays_stopped(bench):
    desired.instance("web", "stopped", system=bench.machine)
    bench.turns(30)
    assert bench.said() == []
    assert set(bench.machine.running()) == {"db"}


def test_everything_that_is_declared_comes_back(bench):
    fresh = booted(bench)
    assert set(fresh.machine.running()) == {"web", "db"}
    assert (statement(fresh)["restarted"], statement(fresh)["failed"]) == (["db", "web"], {})
    fresh.turns(10)
    assert [line for line in fresh.said() if "down" in line] == []
    assert not run.apply(layout(), system=fresh.machine)["changed"]


def test_one_that_cannot_come_back_is_told_and_the_others_run(bench):
    machine = bench.machine.reboot()
    machine.mute.add("db")
    fresh = Bench(machine)
    fresh.supervisor.bring_back()
    assert set(machine.running()) == {"web"}
    assert list(statement(fresh)["failed"]) == ["db"]
    machine.mute.clear()
    desired.instance("db", "started", system=machine)
    fresh.turns(5)
    assert set(machine.running()) == {"web", "db"}
    assert machine.harm == []


def test_a_restart_by_a_layout_that_lacks_another_one_leaves_that_alone(bench):
    machine, whole = bench.machine, layout()
    before = nonces(machine)
    part = dict(whole, instances={"web": whole["instances"]["web"]})
    run.apply(part, options=run.Options(only=["web"], restart=["web"], declared=whole), system=machine)
    after = nonces(machine)
    assert (after["db"] == before["db"], after["web"] == before["web"]) == (True, False)
    assert (set(machine.running()), machine.harm) == ({"web", "db"}, [])
    assert not run.apply(whole, system=machine)["changed"]
