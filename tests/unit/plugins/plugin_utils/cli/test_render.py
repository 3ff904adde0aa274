# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl render: one machine, before and after, and a fleet."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.plugin_utils._offline import fresh_state, steps
from ansible_collections.multikernel.core.plugins.plugin_utils._report import command, topology
from ansible_collections.multikernel.core.plugins.plugin_utils._report.scene import scene

Plain = dict[str, t.Any]


@pytest.fixture
def lab(top: pathlib.Path) -> str:
    return str(top / "examples/layouts/lab.yml")


@pytest.fixture
def hosts(top: pathlib.Path) -> pathlib.Path:
    return top / "examples/hosts"


def test_terminal_picture_shows_cores_memory_and_ways(lab: str, hosts: pathlib.Path) -> None:
    code, text = command.render(lab, facts=[str(hosts / "lab-4.json")])
    assert code == 0
    assert "H host  A tiny  B db  C web" in text
    assert "    [0H] [1A] [2B] [3C]" in text
    assert "Isolation grade D: no IOMMU confines all devices." in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("form", ["text", "svg", "html", "json"])
def test_before_and_after_are_both_drawn(tmp_path: pathlib.Path, lab: str, hosts: pathlib.Path, form: str) -> None:
    raw = yaml.safe_load(pathlib.Path(lab).read_text())
    raw["instances"].pop("tiny")
    old = tmp_path / "old.yml"
    old.write_text(yaml.safe_dump(raw, sort_keys=False))
    code, text = command.render(lab, facts=[str(hosts / "lab-4.json")], before=str(old), form=form)
    assert code == 0
    if form != "json":
        assert "before" in text.lower()
        assert "after" in text.lower()


def test_state_that_was_seen_is_drawn_with_the_plan_and_keeps_what_runs(tmp_path: pathlib.Path, lab: str, hosts: pathlib.Path) -> None:
    facts = json.loads((hosts / "lab-4.json").read_text())
    _subject, layout = command.read(lab, None)
    state = fresh_state(facts)
    placed = place(layout, facts, state)
    spec = next(step.args["spec"] for step in steps(placed, facts, state, None) if step.do == "boot" and step.instance == "tiny")
    state["instances"] = {"tiny": {"state": "running", "spec": spec, "evidence": {}, "health": None, "nonce": 1}}
    state["cpus"]["online"] = [0, 2, 3]
    file = tmp_path / "state.json"
    file.write_text(json.dumps(state))
    code, text = command.render(lab, facts=[str(hosts / "lab-4.json")], state=str(file))
    assert code == 0, text
    before, after = text.split("AFTER")
    assert "tiny" in before
    assert "web" not in before
    assert "boot web on CPU 3" in after
    assert "boot tiny" not in after


def test_a_folder_of_bundles_is_an_overview(lab: str, hosts: pathlib.Path) -> None:
    code, text = command.render(lab, facts=[str(hosts)])
    assert code == 1
    assert "lab-4          ok" in text
    code, page = command.render(lab, facts=[str(hosts)], form="html")
    assert code == 1
    assert page.count("<h3>") >= len(list(hosts.glob("*.json")))
    assert json.loads(command.render(lab, facts=[str(hosts)], form="json")[1])["counts"]["ok"] >= 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"facts": ["missing.json"]}, "missing.json cannot be read"),
        ({"facts": ["."], "form": "svg"}, "several machines make an overview"),
        ({"state": "s.json"}, "--state needs the machine"),
    ],
)
def test_wrong_usage_is_a_sentence(lab: str, words: Plain, sentence: str) -> None:
    code, text = command.render(lab, **words)
    assert code == 2
    assert sentence in text


def test_layout_without_a_place_is_told_where(tmp_path: pathlib.Path, lab: str, hosts: pathlib.Path) -> None:
    raw = yaml.safe_load(pathlib.Path(lab).read_text())
    raw["instances"]["db"]["memory"] = "400GiB"
    file = tmp_path / "layout.yml"
    file.write_text(yaml.safe_dump(raw, sort_keys=False))
    code, text = command.render(str(file), facts=[str(hosts / "lab-4.json")], form="svg")
    assert code == 1
    assert "instances.db.memory" in text


def test_cores_of_a_large_machine_are_listed_by_cache(hosts: pathlib.Path, lab: str) -> None:
    facts = json.loads((hosts / "dense-512.json").read_text())
    _subject, layout = command.read(lab, None)
    text = topology.cores(scene(layout, facts), ascii_only=True)
    text.encode("ascii")
    assert text.count("memory node") == len({one["package"] for one in facts["cpus"]["each"].values()})
    assert max(map(len, text.splitlines())) <= 100
    numbers = {
        int(word.rstrip("HABC-"))
        for line in text.splitlines()
        if "[" in line
        for word in line.replace("[", " ").replace("]", " ").split()
        if word != "*"
    }
    assert numbers == set(facts["cpus"]["present"])
