# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a kexec of the host, what the store remembers counts where mkstock adopted the instances of that very boot, and nowhere else."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import carried, health, run
from ansible_collections.multikernel.core.plugins.module_utils._converge.store import Store
from ansible_collections.multikernel.core.plugins.module_utils._supervise import restore
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance

WANTED = simulated.layout(instances={"web": instance(), "db": instance(state="loaded"), "api": instance()})
REPORT = """\
state partly
adopted 2
refused 1
pool 0x40000000 0x20000000 adopted
instance 0x40003000 adopted
channel add one refused: there is no channel at its address any more
"""


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    run.apply(WANTED, system=made)
    return made


def left(machine, **how):
    """The machine in its next kernel, after the word for the record was written as a handover writes it."""
    machine.write(carried.WORD, carried.word(Store(machine.root).state()))
    return machine.kexec(**how)


def test_an_apply_after_an_adopting_kexec_changes_nothing(machine):
    runs = machine.running()
    after = left(machine)
    assert run.apply(WANTED, check=True, system=after)["plan"] == []
    assert run.apply(WANTED, system=after)["changed"] is False
    assert after.running() == runs
    assert not after.harm


def test_health_and_the_supervisor_know_the_instances(machine):
    after = left(machine)
    assert {name: one["alive"] for name, one in health.now(system=after).items()} == {"web": True, "api": True}
    assert restore.needed(after) is None


def test_everything_can_be_taken_back_and_made_again(machine):
    after = left(machine)
    assert run.apply(None, state="absent", system=after)["changed"]
    assert (after.running(), after.online) == ({}, {0, 1, 2, 3})
    assert run.apply(WANTED, system=after)["changed"]
    assert not after.harm


def test_a_change_is_remembered_under_the_new_boot(machine):
    after = left(machine)
    changed = dict(WANTED, instances=dict(WANTED["instances"], api=instance(state="absent")))
    run.apply(changed, system=after)
    assert Store(after.root).state()["boot_id"] == after.boot_id
    assert list(after.running()) == ["web"]


def test_a_second_kexec_needs_a_word_of_its_own(machine):
    after = left(machine)
    assert carried.state(after.kexec())["boot_id"] == "boot-1++"
    run.apply(dict(WANTED, instances={"web": instance()}, policy=dict(WANTED["policy"], disruption="allow")), system=after)
    stale = after.kexec()
    assert carried.state(stale)["boot_id"] != stale.boot_id
    assert carried.state(left(after))["boot_id"] == "boot-1++"


def test_one_that_was_not_adopted_has_ended_and_is_started_again(machine):
    after = left(machine)
    entry = next(entry for entry, one in after.instances.items() if one["name"] == "api")
    after.online |= set(after.instances.pop(entry)["cpus"])
    after.adopted = REPORT
    result = run.apply(WANTED, system=after)
    assert "web" not in {step["instance"] for step in result["plan"]}
    assert sorted(after.running()) == ["api", "web"]


@pytest.mark.parametrize("reason", ["no record", "no word", "word of another boot", "word of another apply"])
def test_without_proof_nothing_of_before_counts(machine, reason):
    after = left(machine, adopts=reason != "no record")
    word = dict(one.split("=") for one in carried.word(Store(after.root).state()).split())
    if reason == "no word":
        after.word = ""
    elif reason == "word of another boot":
        after.word = "boot=boot-0 apply=%s" % word["apply"]
    elif reason == "word of another apply":
        after.word = "boot=%s apply=20200101T000000-00000000" % word["boot"]
    assert carried.state(after) == Store(after.root).state()
    assert health.now(system=after) == {}
    assert restore.needed(after)


def test_what_the_host_has_back_is_no_longer_made(machine):
    after = left(machine)
    after.online.add(1)
    after.channels.clear()
    after.pool.clear()
    made = Store(after.root).state()["made"]
    assert 1 in made["cpus"]
    assert "beat" in made["channels"]
    kept = carried.state(after)["made"]
    assert kept == {"cpus": [cpu for cpu in made["cpus"] if cpu != 1], "blocks": [], "pool": [], "channels": {}, "devices": {}}


def test_the_word_fits_where_mkstock_keeps_it(machine):
    kept = dict(Store(machine.root).state(), boot_id="00000000-0000-4000-8000-000000000000")
    assert len(carried.word(kept)) < 160
    assert carried.word(kept).endswith("digest=" + kept["digest"])
    assert len(kept["digest"]) == 64


def test_the_report_is_read():
    assert carried.adopted(REPORT) == {
        "state": "partly",
        "reason": None,
        "adopted": ["pool 0x40000000 0x20000000", "instance 0x40003000"],
        "refused": {"channel add one": "there is no channel at its address any more"},
    }
    assert carried.adopted("state none\nreason nothing ran\n")["reason"] == "nothing ran"
    assert carried.adopted(None)["state"] is None
