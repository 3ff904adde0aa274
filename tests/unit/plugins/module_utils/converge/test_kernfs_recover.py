# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the moment at which an apply is cut off on a kernfs host: no CPU and no chunk is lost, and the next apply gets through."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import journal, run
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.converge.test_recover import (
    Cut,
    removal_and_recovery_are_cut,
    two,
)
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Crash
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel

KINDS = [{}, {"mkstock": False}]


def kernel_at(path, kind):
    kernel = KernfsKernel(path, **kind)
    kernel.kinds["/boot/vmlinuz"] = "vmlinux"
    return kernel


def layout(kind, wish):
    return wish if not wish or kind == {} else dict(wish, channels={})


def moved():
    """db gets another command line and one CPU less, web other memory: all of it restarts."""
    db = simulated.instance(cpus={"count": 1}, cmdline="changed")
    web = simulated.instance(cpus={"ids": [3], "count": None}, memory={"size": 32 << 20})
    pool = {"memory": [{"base": None, "size": 640 << 20, "node": None}]}
    return simulated.layout(
        instances={"web": web, "db": db}, policy={"isolation": {"minimum_grade": None}, "disruption": "allow"}, pool=pool
    )


def check(kernel):
    """Every CPU and chunk of the pool is in our books; every CPU is the host's or the pool's."""
    assert kernel.misowned() == []


SCENES = [("first apply", None, two(), "present"), ("change of two", two(), moved(), "present"), ("removal", two(), None, "absent")]


@pytest.mark.parametrize("before", [True, False], ids=["before a record", "after a record"])
@pytest.mark.parametrize("kind", KINDS, ids=["mkstock", "the kernel itself"])
@pytest.mark.parametrize("scene", SCENES, ids=[scene[0] for scene in SCENES])
def test_a_cut_at_every_record_is_recovered(tmp_path, monkeypatch, scene, kind, before):
    _name, first, target, state = scene
    first, target = layout(kind, first), layout(kind, target)
    kernel = kernel_at(tmp_path / "count", kind)
    if first is not None:
        run.apply(first, system=kernel)
    path = str(tmp_path / "count" / journal.PATH)
    start = len(journal.read(path))
    run.apply(target, state=state, system=kernel)
    total = len(journal.read(path)) - start
    assert total > 6
    for at in range(1, total + 1):
        kernel = kernel_at(tmp_path / str(at), kind)
        if first is not None:
            run.apply(first, system=kernel)
        was = {name: sorted(cpus) for name, cpus in kernel.running().items()}
        with monkeypatch.context() as patch:
            Cut(patch, at, before)
            with pytest.raises(Crash):
                run.apply(target, state=state, system=kernel)
        if at < total:  # after that the apply is committed
            run.apply(first, state="present" if first is not None else "absent", system=kernel)
            assert {name: sorted(cpus) for name, cpus in kernel.running().items()} == was, "cut %d" % at
            check(kernel)
        run.apply(target, state=state, system=kernel)
        check(kernel)
        assert set(kernel.running()) == (set(target["instances"]) if target else set()), "cut %d" % at
        assert not run.apply(target, state=state, system=kernel)["changed"], "cut %d" % at


def test_after_a_boot_of_the_host_nothing_is_undone(tmp_path, monkeypatch):
    kernel = KernfsKernel(tmp_path)
    with monkeypatch.context() as patch:
        Cut(patch, 9, True)
        with pytest.raises(Crash):
            run.apply(two(), system=kernel)
    kernel = kernel.reboot()
    result = run.apply(two(), system=kernel)
    assert result["recovered"] == []
    assert set(kernel.running()) == {"web", "db"}
    assert kernel.harm == []


def test_a_refusal_after_a_boot_and_a_recovery_leaves_the_file_system_unmounted(tmp_path, monkeypatch):
    kernel = kernel_at(tmp_path, KINDS[0])
    with monkeypatch.context() as patch:
        Cut(patch, 4, True)
        with pytest.raises(Crash):
            run.apply(layout(KINDS[0], two()), system=kernel)
    kernel = kernel.reboot()
    kernel.is_mounted = False
    wrong = simulated.layout(instances={"web": simulated.instance(cpus={"count": 9})})
    with pytest.raises(run.ApplyError, match="is refused"):
        run.apply(wrong, system=kernel)
    assert not kernel.is_mounted


def test_an_instance_that_a_cut_recovery_started_is_known_by_the_mark_of_its_boot(tmp_path, monkeypatch):
    kernel = kernel_at(tmp_path, {})
    run.apply(two(), system=kernel)
    removal_and_recovery_are_cut(kernel, monkeypatch, 8, "command")
    assert set(kernel.running()) == {"db", "web"}
    assert not run.apply(two(), system=kernel)["changed"]
    check(kernel)
