# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles that the collector wrote on machines that really booted: read, told apart, placed and judged like the constructed ones."""

from __future__ import annotations

import copy
import pathlib
import re
import runpy
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.module_utils._rules import engine
from ansible_collections.multikernel.core.plugins.plugin_utils import _fleet
from ansible_collections.multikernel.core.plugins.plugin_utils._check import examine
from ansible_collections.multikernel.core.plugins.plugin_utils._facts import read_facts
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._subject import Subject

Plain = dict[str, t.Any]
TOP = pathlib.Path(__file__).parents[5]
FILES = sorted((TOP / "examples/hosts/captured").glob("*.json"))
MACHINES = runpy.run_path(str(TOP / "scripts/capture-hosts"))["MACHINES"]


def words(name: str) -> dict[str, int]:
    """What -smp says of a machine: cpus, sockets, cores and threads."""
    first, *rest = MACHINES[name][0].split(",")
    said = {key: int(value) for key, value in (word.split("=") for word in rest)}
    return {"cpus": int(first), "sockets": 1, "threads": 1, **said}


def test_the_constructed_ones_and_the_captured_ones_say_what_they_are() -> None:
    assert {read_facts(str(file))["origin"] for file in (TOP / "examples/hosts").glob("*.json")} == {"constructed"}
    assert {file.stem for file in FILES} == set(MACHINES), "scripts/capture-hosts writes them"
    for file in FILES:
        assert re.match(r"lab boot: QEMU \d", read_facts(str(file))["origin"]), file.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_captured_machine_has_the_topology_that_it_was_booted_with(file: pathlib.Path) -> None:
    facts, asked = read_facts(str(file)), words(file.stem)
    each = facts["cpus"]["each"]
    assert f"-smp {MACHINES[file.stem][0]}" in facts["origin"]
    assert facts["privileged"] is True
    assert facts["hostname"] is None
    assert len(each) == asked["cpus"] == len(facts["cpus"]["online"])
    assert len({one["package"] for one in each.values()}) == asked["sockets"]
    assert {len(one["siblings"]) for one in each.values()} == {asked["threads"]}
    nodes = sum(word.startswith("node,") for word in MACHINES[file.stem][1])
    assert len({one["node"] for one in each.values()}) == max(1, nodes)
    assert len({one["apic_id"] for one in each.values()}) == asked["cpus"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_instances_on_whole_cores_find_a_place_on_every_captured_machine(file: pathlib.Path) -> None:
    facts = read_facts(str(file))
    threads = words(file.stem)["threads"]
    # No Linux, which would need memory below 1 MiB; nothing is reserved on these machines, so that whole memory blocks are chosen.
    raw = {
        "version": 1,
        "name": "captured",
        "pool": {"memory": [{"size": "128MiB"}]},
        "images": {"tiny": {"kernel": "/srv/tiny.bin", "format": "flat"}},
        "instances": {"one": {"image": "tiny", "memory": "64MiB", "cpus": {"count": threads, "whole_cores": True}}},
    }
    canonical = load_layout(raw)
    placed = place(canonical, facts, None)["instances"]["one"]["placed"]
    boot = facts["cpus"]["each"][str(facts["cpus"]["boot"])]
    assert len(placed["cpus"]) == threads
    assert not set(placed["cpus"]) & set(boot["siblings"])
    assert placed["apic_ids"] == [facts["cpus"]["each"][str(cpu)]["apic_id"] for cpu in placed["cpus"]]
    ram = [one for one in facts["memory"]["iomem"] if one["name"] == "System RAM"]
    assert any(one["start"] <= placed["base"] and placed["base"] + placed["size"] - 1 <= one["end"] for one in ram)


def test_the_layout_of_the_lab_is_refused_on_all_of_them_with_reasons_and_without_a_traceback() -> None:
    canonical = examine(Subject.of_file(str(TOP / "examples/layouts/lab.yml"))).canonical
    assert canonical is not None
    machines = _fleet.judge(canonical, _fleet.bundles([str(file) for file in FILES]), processes=1)
    assert {machine.verdict for machine in machines} == {_fleet.REFUSED}
    for file in FILES:
        facts = read_facts(str(file))
        before = copy.deepcopy(facts)
        found = engine.judge(canonical, facts)
        assert any(one.rule == "host-dialect" or one.blocks for one in found)
        assert facts == before
