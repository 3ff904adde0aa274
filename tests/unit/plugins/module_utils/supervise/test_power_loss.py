# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host loses its power at each step of an apply, and of the bringing back itself: the layout that was committed last comes back."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import journal, run, store
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.converge.test_recover import Cut, cuts, moved, two
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Crash, Machine
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel

from .test_loop import Bench


def back(machine):
    """The host boots, and its supervisor with it; nobody else does anything."""
    bench = Bench(machine.reboot())
    bench.supervisor.bring_back()
    bench.turns(3)
    return bench


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_power_lost_within_an_apply(tmp_path, monkeypatch, before):
    total = cuts(tmp_path, {}, two(), moved())
    for at in range(1, total + 1):
        machine = Machine(tmp_path / str(at))
        run.apply(two(), system=machine)
        with monkeypatch.context() as patch:
            Cut(patch, at, before)
            with pytest.raises(Crash):
                run.apply(moved(), system=machine)
        bench = back(machine)
        wanted = store.Store(bench.machine.root).desired()
        assert wanted == (two() if at < total else moved()), "cut %d" % at
        assert set(bench.machine.running()) == {"web", "db"}, "cut %d" % at
        assert bench.machine.harm == []
        assert not run.apply(wanted, system=bench.machine)["changed"], "cut %d" % at


@pytest.mark.parametrize("kind", [Machine, KernfsKernel])
def test_power_lost_again_while_everything_is_brought_back(tmp_path, monkeypatch, kind):
    machine = kind(tmp_path)
    run.apply(two(), system=machine)
    for at in range(1, 1000):
        machine = machine.reboot()
        count = len(journal.read(str(tmp_path / journal.PATH)))
        with monkeypatch.context() as patch:
            Cut(patch, at, at % 2 == 0)
            try:
                Bench(machine).supervisor.bring_back()
                break
            except Crash:
                assert len(journal.read(str(tmp_path / journal.PATH))) >= count
    assert at > 8, "it was cut at each of its steps"
    assert set(machine.running()) == {"web", "db"}
    assert machine.harm == []
    assert not run.apply(two(), system=machine)["changed"]
