# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read back is compared with what was wanted, property by property; what cannot be seen is named, never passed over."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run, store
from ansible_collections.multikernel.core.plugins.module_utils._dialect import verify
from ansible_collections.multikernel.core.plugins.module_utils._dialect.rfc import Rfc
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance


class Read:
    """A host with web and db running, and what it is compared with."""

    def __init__(self, tmp_path, **kind):
        self.machine = Machine(tmp_path, **kind)
        layout = simulated.layout(instances={"web": instance(), "db": instance(cpus={"count": 2})})
        self.placed = run.apply(layout, system=self.machine)["placed"]
        self.kept = store.Store(self.machine.root).state()
        self.specs = {name: one["spec"] for name, one in self.kept["instances"].items()}
        self.state = copy.deepcopy(Rfc(self.machine).observe(self.kept, self.machine.facts()))

    def compare(self):
        return verify.verify(self.machine, self.placed, self.specs, self.state)

    def box(self, name):
        return self.machine.mailboxes[self.specs[name]["base"]]


@pytest.fixture
def read(tmp_path):
    return Read(tmp_path)


def test_a_host_that_is_as_it_should_be(read):
    assert read.compare() == ([], [])


def test_a_cpu_that_is_online(read):
    read.state["cpus"]["online"].append(3)
    assert read.compare()[0] == ["CPU 3 of web is online in the host"]


def test_an_instance_that_is_not_there(read):
    del read.state["instances"]["web"]
    assert read.compare()[0] == ["web is to be running and is not there"]


def test_an_instance_that_ended_with_its_words(read):
    read.state["instances"]["web"].update(state="ended", text="panic")
    assert read.compare()[0] == ["web is to be running and is ended (panic)"]


def test_an_instance_that_ends_while_it_is_looked_at(read):
    read.box("web")["state"] = 4
    assert read.compare()[0] == ["web halted"]


@pytest.mark.parametrize(("state", "verb"), [(3, "panicked"), (5, "asked for a restart"), (6, "powered off")])
def test_each_way_to_end_has_its_verb(read, state, verb):
    read.box("web")["state"] = state
    assert read.compare()[0] == ["web " + verb]


def test_a_heartbeat_that_stands_still(read):
    beats = read.machine.physical(read.specs["web"]["base"], 4096)
    physical = read.machine.physical
    read.machine.physical = lambda address, size: beats[:size] if address == read.specs["web"]["base"] else physical(address, size)
    began = read.machine.now
    (difference,) = read.compare()[0]
    assert difference.startswith("the heartbeat of web stands still at ")
    assert verify.WAIT <= read.machine.now - began < verify.WAIT + 0.2


def test_a_mailbox_of_another_boot(read):
    read.box("web")["nonce"] += 1
    assert read.compare()[0] == ["the mailbox of web does not carry the mark of its boot"]


def test_a_mailbox_that_cannot_be_read_is_unverifiable(read):
    read.machine.physical = lambda address, size: None
    assert read.compare() == (
        [],
        ["whether db still runs: its mailbox cannot be read", "whether web still runs: its mailbox cannot be read"],
    )


def test_cpus_that_the_instance_did_not_find(read):
    read.box("db")["nproc"] = 1
    assert read.compare()[0] == ["db reports 1 CPUs and was given 2"]


def test_an_image_that_stayed_in_the_list(read):
    read.state["images"].append({"type": "multikernel", "entry": read.specs["web"]["entry"], "segments": 3})
    assert read.compare()[0] == ["the kernel's list still holds 0x%x" % read.specs["web"]["entry"]]
    read.state["images"][-1]["type"] = "default"
    assert read.compare()[0] == []


def test_a_kernel_that_tells_nothing_leaves_things_unverifiable(tmp_path):
    read = Read(tmp_path, mkstock=False)
    read.state["instances"]["web"]["evidence"]["state"] = "unverifiable"
    differences, unverifiable = read.compare()
    assert differences == []
    assert "that db owns CPU 1, 2 and nothing else: this kernel does not tell, the journal remembers" in unverifiable
    assert "the state of web" in unverifiable
