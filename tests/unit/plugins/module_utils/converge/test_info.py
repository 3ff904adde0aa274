# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells of itself changes nothing, and works on hosts that can do nothing."""

from __future__ import annotations

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import info, journal, run, store
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance


def test_a_bare_host_tells_its_facts(tmp_path):
    machine = Machine(tmp_path, mkstock=False)
    machine.multikernel = machine.privileged = False
    found = info.info(system=machine)
    assert found["facts"]["hostname"] == "sim"
    assert (found["layout"], found["digest"], found["history"], found["instances"]) == (None, None, [], [])
    assert found["changed"] is False
    assert simulated.state_files(tmp_path) == []


def test_a_host_with_a_layout_tells_what_runs(tmp_path):
    machine = Machine(tmp_path)
    done = run.apply(simulated.layout(), system=machine)
    found = info.info(system=machine)
    assert found["layout"] == simulated.layout()
    assert found["digest"] == done["digest"] == found["history"][-1]
    assert found["instances"][0]["state"] == "running"
    assert found["placed"] is None


def test_a_layout_is_judged_placed_and_planned(tmp_path):
    found = info.info(simulated.layout(), system=Machine(tmp_path))
    assert found["placed"]["instances"]["web"]["placed"]["cpus"] == [1]
    assert [one["do"] for one in found["plan"]][-1] == "save"


def test_what_speaks_against_a_layout_is_a_finding_and_no_error(tmp_path):
    machine = Machine(tmp_path)
    machine.load_disabled = True
    found = info.info(simulated.layout(instances={"web": instance(cpus={"count": 9})}), system=machine)
    messages = [one["message"] for one in found["findings"]]
    assert any("kernel.kexec_load_disabled=1" in one for one in messages)
    assert "web asks for 9 CPUs, only 3 are free (CPUs 1, 2, 3)" in messages
    assert (found["placed"], found["plan"]) == (None, None)


def test_something_that_is_no_layout_is_an_error(tmp_path):
    with pytest.raises(run.ApplyError, match="this is no canonical layout"):
        info.info({"version": 1}, system=Machine(tmp_path))


def test_what_runs_in_a_dialect_that_is_no_longer_offered_is_an_error_and_no_traceback(tmp_path):
    machine = Machine(tmp_path)
    run.apply(simulated.layout(), system=machine)
    path = tmp_path / store.STATE
    path.write_text(path.read_text().replace('"dialect": "rfc"', '"dialect": "kernfs"'))
    with pytest.raises(run.ApplyError, match="what runs on this host was made in the dialect kernfs, and rfc is asked for"):
        info.info(system=machine)


def test_a_journal_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / journal.PATH).mkdir(parents=True)
    with pytest.raises(run.ApplyError, match=r"what an apply wrote down cannot be read: .*Is a directory"):
        info.info(system=Machine(tmp_path))
