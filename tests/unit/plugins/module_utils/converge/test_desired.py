# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One instance can be started, stopped and restarted by name, and an earlier layout can be had again."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import desired, run, store
from ansible_collections.multikernel.core.plugins.module_utils._layout import canonical
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    run.apply(first(), system=made)
    return made


def first():
    return simulated.layout(instances={"web": instance(), "db": instance()})


def second():
    layout = simulated.layout(instances={"web": instance(cmdline="new"), "db": instance()})
    layout["policy"]["disruption"] = "allow"
    return layout


def test_stop_and_start(machine):
    result = desired.instance("web", "stopped", system=machine)
    assert machine.running() == {"db": [1]}
    assert machine.online == {0, 2, 3}
    assert result["changed"]
    assert "facts" not in result
    assert not desired.instance("web", "stopped", system=machine)["changed"]
    assert desired.instance("web", "started", system=machine)["changed"]
    assert machine.running() == {"db": [1], "web": [2]}
    assert not run.apply(first(), system=machine)["changed"]


def test_restart_is_a_new_boot_of_this_one_only(machine):
    before = dict(machine.mailboxes)
    nonces = {base: box["nonce"] for base, box in before.items()}
    result = desired.instance("web", "restarted", system=machine)
    assert [one["do"] for one in result["steps"]].count("boot") == 1
    changed = [base for base, box in machine.mailboxes.items() if box["nonce"] != nonces[base]]
    assert len(changed) == 1
    assert machine.running() == {"db": [1], "web": [2]}
    assert machine.harm == []


def test_check_mode_stops_nothing(machine):
    assert desired.instance("web", "stopped", check=True, system=machine)["changed"]
    assert machine.running() == {"db": [1], "web": [2]}


def test_an_unknown_instance_is_named_with_those_that_are(machine):
    with pytest.raises(run.ApplyError, match=r"the layout of this host has no instance wbe \(it has: db, web\)"):
        desired.instance("wbe", "started", system=machine)


def test_a_host_without_layout_says_so(tmp_path):
    with pytest.raises(run.ApplyError, match="this host has no layout yet"):
        desired.instance("web", "started", system=Machine(tmp_path))
    with pytest.raises(run.ApplyError, match="there is no earlier layout to go back to on this host"):
        desired.rollback(system=Machine(tmp_path))


def test_rollback_goes_to_the_layout_before(machine):
    run.apply(second(), system=machine)
    with pytest.raises(run.ApplyError, match="web runs and would be restarted"):
        desired.rollback(system=machine)
    result = desired.rollback(disruption="allow", system=machine)
    assert result["digest"] == canonical.digest(first())
    assert store.Store(machine.root).desired() == first()
    assert not run.apply(first(), system=machine)["changed"]
    desired.rollback(disruption="allow", system=machine)
    assert store.Store(machine.root).desired() == second()
    assert machine.harm == []


def test_rollback_to_a_digest(machine):
    run.apply(second(), system=machine)
    run.apply(None, state="absent", system=machine)
    desired.rollback(to=canonical.digest(first())[:10], system=machine)
    assert store.Store(machine.root).desired() == first()
    assert machine.running() == {"db": [1], "web": [2]}


def test_rollback_to_an_unknown_digest_names_what_there_is(machine):
    with pytest.raises(run.ApplyError) as caught:
        desired.rollback(to="beef", system=machine)
    assert (
        caught.value.message
        == "this host remembers no single layout with the digest beef (it remembers, the oldest first: %s)"
        % (canonical.digest(first())[:12])
    )


def test_rollback_after_a_removal_brings_it_back(machine):
    run.apply(None, state="absent", system=machine)
    assert machine.running() == {}
    desired.rollback(system=machine)
    assert machine.running() == {"db": [1], "web": [2]}


def test_only_the_last_layouts_are_kept(machine, monkeypatch):
    monkeypatch.setattr(store, "KEEP", 3)
    for number in range(6):
        run.apply(dict(first(), name="box-%d" % number), system=machine)
    kept = store.Store(machine.root)
    assert len(kept.history()) == 3
    assert len([one for one in simulated.state_files(machine.root) if "/layouts/" in one]) == 3
    assert kept.desired()["name"] == "box-5"


def test_only_the_named_instance_gets_the_new_kernel(machine):
    machine.digests["/boot/vmlinuz"] = "f" * 64
    desired.instance("web", "restarted", system=machine)
    kept = store.Store(machine.root).state()["instances"]
    assert kept["web"]["spec"]["image"]["kernel_sha256"] == "f" * 64
    assert kept["db"]["spec"]["image"]["kernel_sha256"] == "0" * 64
    assert machine.running() == {"db": [1], "web": [2]}
    with pytest.raises(run.ApplyError, match="db runs and would be restarted: its kernel changes"):
        run.apply(first(), system=machine)
    desired.instance("db", "restarted", system=machine)
    assert not run.apply(first(), system=machine)["changed"]


def test_an_instance_that_ended_does_not_stand_in_the_way_of_another(machine):
    machine.end("db", 3, "panic")
    desired.instance("web", "restarted", system=machine)
    kept = store.Store(machine.root).state()["instances"]
    assert set(kept) == {"db", "web"}
    assert machine.online == {0, 3}
    run.apply(first(), system=machine)
    assert machine.running() == {"db": [1], "web": [2]}
    assert machine.harm == []
