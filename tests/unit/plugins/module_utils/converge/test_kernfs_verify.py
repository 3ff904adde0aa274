# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read back of a kernfs host is compared with what was wanted, property by property; what cannot be seen is named."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run, store
from ansible_collections.multikernel.core.plugins.module_utils._dialect import kernfs_verify
from ansible_collections.multikernel.core.plugins.module_utils._dialect.kernfs import Kernfs
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import instance
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_kernfs import KernfsKernel


class Read:
    """A host with web and db running, and what it is compared with."""

    def __init__(self, tmp_path, **kind):
        self.machine = KernfsKernel(tmp_path, **kind)
        self.machine.kinds["/boot/vmlinuz"] = "vmlinux"
        layout = simulated.layout(instances={"web": instance(), "db": instance(cpus={"count": 2})}, channels={})
        self.placed = run.apply(layout, system=self.machine)["placed"]
        kept = store.Store(self.machine.root).state()
        self.specs = {name: one["spec"] for name, one in kept["instances"].items()}
        dialect = Kernfs(self.machine)
        facts = dialect.open(self.machine.facts(), True, kept["topology"])
        self.state = copy.deepcopy(dialect.observe(kept, facts))

    def compare(self):
        return kernfs_verify.verify(self.machine, self.placed, self.specs, self.state)

    def box(self, name):
        return self.machine.mailboxes[self.state["instances"][name]["spec"]["base"]]


@pytest.fixture
def read(tmp_path):
    return Read(tmp_path)


def test_a_host_that_is_as_it_should_be(read):
    assert read.compare() == ([], [])


@pytest.mark.parametrize("gone", [True, False])
def test_an_instance_that_is_not_there(read, gone):
    if gone:
        del read.state["instances"]["web"]
    else:
        read.state["instances"]["web"]["status"] = None
    assert read.compare()[0] == ["web is to be running and is not there"]


def test_an_instance_in_another_state(read):
    read.state["instances"]["web"]["state"] = "loaded"
    assert read.compare()[0] == ["web is to be running and is loaded"]


def test_an_instance_that_was_silent_is_listened_to_once_more(read):
    read.state["instances"]["web"]["state"] = "silent"
    assert read.compare() == ([], [])


def test_an_instance_with_other_cpus(read):
    read.state["instances"]["db"]["spec"]["apic_ids"] = [2]
    assert read.compare()[0] == ["db has the CPUs with APIC id [2] instead of %s" % read.specs["db"]["apic_ids"]]


def test_a_cpu_that_is_online(read):
    read.state["cpus"]["online"].append(read.specs["web"]["cpus"][0])
    assert read.compare()[0] == ["CPU %d of web is online in the host" % read.specs["web"]["cpus"][0]]


@pytest.mark.parametrize(("state", "verb"), [(3, "panicked"), (4, "halted"), (5, "asked for a restart"), (6, "powered off")])
def test_each_way_to_end_has_its_verb(read, state, verb):
    read.box("web")["state"] = state
    assert read.compare()[0] == ["web " + verb]


def test_a_heartbeat_that_stands_still(read):
    base = read.state["instances"]["web"]["spec"]["base"]
    beats, physical = read.machine.physical(base, 4096), read.machine.physical
    read.machine.physical = lambda address, size: beats[:size] if address == base else physical(address, size)
    began = read.machine.now
    (difference,) = read.compare()[0]
    assert difference.startswith("the heartbeat of web stands still at ")
    assert kernfs_verify.WAIT <= read.machine.now - began < kernfs_verify.WAIT + 0.2


def test_a_mailbox_of_another_boot(read):
    read.box("web")["nonce"] += 1
    assert read.compare()[0] == ["the mailbox of web does not carry the mark of its boot"]


def test_a_mailbox_that_cannot_be_read_is_unverifiable(read):
    read.machine.physical = lambda address, size: None
    assert read.compare() == ([], ["whether %s still runs: its mailbox cannot be read" % name for name in ("db", "web")])


def test_cpus_that_the_instance_did_not_find(read):
    read.box("db")["nproc"] = 1
    assert read.compare()[0] == ["db reports 1 CPUs and was given 2"]


def test_a_kernel_that_shows_nothing_of_its_instances_leaves_that_open(tmp_path):
    assert Read(tmp_path, mkstock=False).compare() == (
        [],
        ["whether %s came up: this kernel shows it as active, and nothing of what it does" % name for name in ("db", "web")],
    )
