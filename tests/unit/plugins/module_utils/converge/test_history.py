# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts took is measured at each of them, kept within bounds, and tells the next blackout."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import desired, history, run, store
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import BOOT_TIME, Machine, instance


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    run.apply(simulated.layout(instances={"web": instance(), "db": instance()}), system=made)
    return made


def spec(machine, name):
    return store.Store(machine.root).state()["instances"][name]["spec"]


def test_an_apply_measures_each_start(machine):
    told = history.predict(machine.root, spec(machine, "web"))
    assert told == {
        "boot": pytest.approx(BOOT_TIME, abs=0.06),
        "load": pytest.approx(0.0, abs=0.1),
        "stop": 0.0,
        "seconds": told["seconds"],
        "starts": 1,
        "of": "instance",
    }


def test_a_restart_adds_to_it(machine):
    desired.instance("web", "restarted", system=machine)
    rows = history.read(machine.root)[history.key(spec(machine, "web"))]
    assert [one["instance"] for one in rows] == ["db", "web", "web"]
    assert [one["stop"] is None for one in rows] == [True, True, False]
    assert history.sentence(history.predict(machine.root, spec(machine, "web"))).endswith(" s (median of 2 starts of this instance)")


def test_another_instance_of_the_image_is_told_by_what_the_others_took(machine):
    told = history.predict(machine.root, dict(spec(machine, "web"), name="new"))
    assert (told["of"], told["starts"]) == ("image", 2)


def test_another_image_was_not_measured(machine):
    other = spec(machine, "web")
    other["image"]["kernel_sha256"] = "f" * 64
    assert history.predict(machine.root, other) is None
    assert history.sentence(None) == "not measured yet"
    other["image"]["kernel_sha256"] = None
    assert history.predict(machine.root, other) is None


def test_a_start_that_failed_is_none(tmp_path):
    machine = Machine(tmp_path)
    machine.mute.add("web")
    with pytest.raises(run.ApplyError):
        run.apply(simulated.layout(), system=machine)
    assert history.read(machine.root) == {}


def test_it_is_bounded(machine):
    path = pathlib.Path(machine.root) / history.PATH
    one = {"instance": "web", "time": 1.0, "boot": 1.0, "load": None, "stop": None}
    many = {"%032x" % number: [dict(one, time=float(number))] * 50 for number in range(100)}
    path.write_text(json.dumps({"version": 1, "starts": many}))
    for _time in range(history.KEEP + 5):
        desired.instance("web", "restarted", system=machine)
    kept = history.read(machine.root)
    assert len(kept) == history.IMAGES
    assert len(kept[history.key(spec(machine, "web"))]) == history.KEEP
    assert "%032x" % 99 in kept
    assert "%032x" % 0 not in kept


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "starts": {"x": [1, {"instance": 3}], "y": 7}}', "\x00"])
def test_an_odd_file_is_no_history(machine, text):
    (pathlib.Path(machine.root) / history.PATH).write_text(text)
    assert [rows for rows in history.read(machine.root).values() if rows] == []
    desired.instance("web", "restarted", system=machine)
    assert history.predict(machine.root, spec(machine, "web"))["starts"] == 1


def test_a_disk_without_room_costs_no_start(machine, monkeypatch):
    def full(*_what):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(history, "note", full)
    path = pathlib.Path(machine.root) / history.PATH
    before = path.read_text()
    assert desired.instance("web", "restarted", system=machine)["changed"]
    assert path.read_text() == before
