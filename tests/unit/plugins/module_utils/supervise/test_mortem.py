# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the dead is bounded in number and size, and the newest stays."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run, store
from ansible_collections.multikernel.core.plugins.module_utils._supervise import mortem
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine

VERDICT = {"state": "panicked", "why": "it panicked", "beats": 3, "silent_for": 0.0, "uname": "6.1", "text": "x" * 300}


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    run.apply(simulated.layout(), system=made)
    return made


def keep(machine, name="web"):
    known = store.Store(machine.root).state()["instances"]["web"]
    return pathlib.Path(mortem.keep(machine, name, known, 1, VERDICT, "always"))


def test_of_one_instance_the_last_ones_stay(machine):
    made = [keep(machine) for _time in range(mortem.KEEP + 5)]
    assert len({one.name for one in made}) == len(made), "several deaths in one second"
    assert mortem.listed(machine.root) == [one.name for one in made[-mortem.KEEP :]]


def test_of_all_instances_no_more_than_so_many_stay(machine):
    for number in range(mortem.KEEP_ALL // mortem.KEEP + 3):
        for _time in range(mortem.KEEP):
            keep(machine, "one-%d" % number)
    assert len(mortem.listed(machine.root)) == mortem.KEEP_ALL


def test_a_console_without_end_is_cut(machine):
    machine.consoles[1] = "y" * 100000 + "\nlast\n"
    text = (keep(machine) / "console.txt").read_text()
    assert text.endswith("yyy\nlast\n")
    assert len(text) <= mortem.CONSOLE


def test_a_link_in_the_place_of_the_folder_is_not_written_through(machine, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    known = store.Store(machine.root).state()["instances"]["web"]
    top = pathlib.Path(machine.root) / mortem.FOLDER
    top.mkdir(parents=True)
    moment = mortem.time.strftime("%Y%m%dT%H%M", mortem.time.gmtime())
    for second in range(60):
        (top / ("web-%s%02d" % (moment, second))).symlink_to(elsewhere)
    mortem.keep(machine, "web", known, None, VERDICT, "no")
    assert list(elsewhere.iterdir()) == []
