# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each step with an instance of a kernfs host believes what it reads back, touches what is ours alone, and may be done twice."""

from __future__ import annotations

import errno

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._boot import kexec_file
from ansible_collections.multikernel.core.plugins.module_utils._converge import run, store
from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_overlay as overlay
from ansible_collections.multikernel.core.plugins.module_utils._dialect.base import DialectError, Drift
from ansible_collections.multikernel.core.plugins.module_utils._dialect.kernfs import Kernfs
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import MIB, instance
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel


class Host:
    """A host whose instance web is in one state, and a process that has just begun to work with it."""

    def __init__(self, tmp_path, state="running"):
        self.kernel = KernfsKernel(tmp_path)
        run.apply(simulated.layout(instances={"web": instance(state=state)}, channels={}), system=self.kernel)
        kept = store.Store(self.kernel.root).state()
        self.spec = kept["instances"]["web"]["spec"]
        dialect = Kernfs(self.kernel)
        dialect.open(self.kernel.facts(), False, kept["topology"])
        self.steps = dialect.instances

    @property
    def record(self):
        return self.kernel.state.instances["web"]

    def theirs(self, *operations):
        """What another tool does to the pool."""
        for blob in overlay.batch(operations):
            self.kernel.overlays.submit(blob)


@pytest.fixture
def loaded(tmp_path):
    return Host(tmp_path, "loaded")


@pytest.fixture
def defined(loaded):
    """It is made, and has no image."""
    loaded.kernel.file_unload(loaded.record.id)
    return loaded


@pytest.fixture
def running(tmp_path):
    return Host(tmp_path)


# making


def test_an_instance_that_somebody_made_meanwhile_is_not_taken_for_ours(defined):
    with pytest.raises(Drift, match="somebody else has made web meanwhile"):
        defined.steps.create([defined.spec], True)
    assert defined.steps.remove([defined.spec]) == {"already": True}
    assert defined.record.state == "ready"


def test_an_instance_that_is_made_again_may_be_there(defined):
    assert defined.steps.create([defined.spec], False)["already"]


def test_a_cpu_that_somebody_took_meanwhile_stops_the_making(defined):
    wanted = dict(defined.spec, name="db", id=None)
    with pytest.raises(Drift, match="the CPU with APIC id 2 is no longer free in the pool"):
        defined.steps.create([wanted], True)
    assert list(defined.kernel.state.instances) == ["web"]


def test_an_instance_that_the_kernel_does_not_show_was_not_made(defined, monkeypatch):
    defined.steps.remove([defined.spec])
    monkeypatch.setattr(defined.steps.tree, "instance", lambda name: None)
    with pytest.raises(DialectError, match="the kernel says that web was made, and does not show it"):
        defined.steps.create([defined.spec], True)


def test_an_instance_with_less_memory_is_told(defined, monkeypatch):
    defined.steps.remove([defined.spec])
    create = defined.kernel.state.create
    monkeypatch.setattr(
        defined.kernel.state, "create", lambda name, number, cpus, size, *more: create(name, number, cpus, size // 2, *more)
    )
    with pytest.raises(DialectError, match="web was to have %d bytes of memory, and has %d" % (64 * MIB, 32 * MIB)):
        defined.steps.create([defined.spec], True)


# removing


@pytest.mark.parametrize("fixture", ["loaded", "running"])
def test_what_has_an_image_is_not_removed(request, fixture):
    host = request.getfixturevalue(fixture)
    with pytest.raises(DialectError, match=r"web is (loaded|active); it is not removed before it is unloaded"):
        host.steps.remove([host.spec])
    assert "web" in host.kernel.state.instances


def test_an_instance_that_stays_after_its_removal_is_told(defined, monkeypatch):
    monkeypatch.setattr(defined.kernel.state, "remove", lambda name: None)
    with pytest.raises(DialectError, match="the kernel says that web was removed, and still shows it"):
        defined.steps.remove([defined.spec])


@pytest.mark.parametrize("change", [{"id": 77}, {"apic_ids": [6]}, {"size": 128 * MIB}])
def test_an_instance_of_another_make_is_not_removed(defined, change):
    assert defined.steps.remove([dict(defined.spec, **change)]) == {"already": True}
    assert defined.record.state == "ready"


# other CPUs


def test_cpus_are_handed_over_once(defined):
    defined.theirs(overlay.pool_cpus_add([4]))
    assert defined.steps.resize(defined.spec, [4], [2]) == {}
    assert defined.record.cpus == [4]
    assert defined.steps.resize(defined.spec, [4], [2]) == {"already": True}


def test_cpus_that_somebody_changed_meanwhile_are_not_handed_over(defined):
    with pytest.raises(Drift, match="somebody else has changed the CPUs of web meanwhile"):
        defined.steps.resize(defined.spec, [4], [6])
    assert defined.record.cpus == [2]


def test_cpus_that_did_not_come_are_told(defined, monkeypatch):
    defined.theirs(overlay.pool_cpus_add([4]))
    monkeypatch.setattr(defined.kernel.state, "cpu_add", lambda name, cpu: None)
    with pytest.raises(DialectError, match="web was to have the CPUs with APIC id 4, and has none"):
        defined.steps.resize(defined.spec, [4], [2])


# images


def test_an_instance_that_is_gone_takes_no_image(defined):
    defined.theirs(overlay.remove("web"))
    with pytest.raises(DialectError, match="there is no instance web"):
        defined.steps.load(defined.spec, True)


def test_an_instance_of_another_number_takes_no_image(defined):
    with pytest.raises(Drift, match=r"somebody else has made another instance web meanwhile \(id 1 instead of 77\)"):
        defined.steps.load(dict(defined.spec, id=77), True)
    assert defined.record.image is None


def test_an_image_that_somebody_loaded_meanwhile_stays(loaded):
    with pytest.raises(Drift, match="somebody else has loaded an image for web meanwhile"):
        loaded.steps.load(loaded.spec, True)
    assert loaded.steps.load(loaded.spec, False) == {"already": True}


def test_an_image_that_the_kernel_does_not_show_is_told(defined, monkeypatch):
    monkeypatch.setattr(defined.kernel, "file_load", lambda *arguments: None)
    with pytest.raises(DialectError, match="the kernel took the image of web, and shows the instance as ready"):
        defined.steps.load(defined.spec, True)


def test_an_image_is_not_unloaded_from_under_an_instance_that_runs(running):
    with pytest.raises(DialectError, match="web runs: its image is not unloaded from under it; halt it first"):
        running.steps.unload(running.spec)
    assert running.record.state == "active"
    running.steps.stop(running.spec)
    assert running.steps.unload(running.spec) == {}
    assert running.steps.unload(running.spec) == {"already": True}


# starting and stopping


def test_an_instance_without_a_cpu_is_not_started(loaded):
    loaded.record.cpus.clear()
    with pytest.raises(DialectError, match="web has no CPU to boot on"):
        loaded.steps.boot(loaded.spec)
    assert loaded.record.state == "loaded"


def test_a_start_that_was_cut_off_before_its_record_is_found(running):
    nonce = running.kernel.mailboxes[running.record.regions[0][0]]["nonce"]
    assert running.steps.boot(running.spec) == {"nonce": nonce, "already": True}


def test_what_does_not_run_is_stopped_already(loaded):
    assert loaded.steps.stop(loaded.spec) == {"already": True}


def test_a_refused_halt_is_told_and_not_forced(running):
    running.kernel.fails[("command", "")] = errno.EPERM
    with pytest.raises(DialectError, match="command refused: Operation not permitted"):
        running.steps.stop(running.spec)
    assert running.record.state == "active"


def test_an_instance_that_stays_active_after_force_is_told(running, monkeypatch):
    said = []
    running.kernel.deaf.add("web")

    def command(number, _instance):
        said.append(number)
        if number == kexec_file.HALT:
            raise DialectError("it does not answer", errno.ETIMEDOUT)

    monkeypatch.setattr(running.kernel, "command", command)
    with pytest.raises(DialectError, match="web was halted by force, and the kernel still shows it as active"):
        running.steps.stop(running.spec)
    assert said == [kexec_file.HALT, kexec_file.HALT_FORCE]


def test_no_channel_without_a_kernel_that_offers_them(running, monkeypatch):
    monkeypatch.setattr(running.kernel, "read", lambda path: None)
    with pytest.raises(DialectError, match="this kernel offers no channels to user space, so that beat cannot be laid out"):
        running.steps.channel({"name": "beat"})
