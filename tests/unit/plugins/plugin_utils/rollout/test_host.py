# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout keeps of a host: its class by the facts that matter, whether it is well, and how long its instances would be away."""

from __future__ import annotations

import copy
import json
import pathlib
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._rollout import host

Plain = dict[str, t.Any]
TOP = pathlib.Path(__file__).parents[5]
HOSTS = sorted((TOP / "examples/hosts").rglob("*.json"))


@pytest.fixture
def facts() -> Plain:
    return t.cast(Plain, json.loads((TOP / "examples/hosts/lab-4.json").read_text()))


def result(facts: Plain, **more: t.Any) -> Plain:
    layout = {"instances": {"web": {"state": "running"}}}
    plain = {
        "facts": facts,
        "findings": [],
        "plan": [],
        "digest": "d",
        "instances": [{"name": "web", "state": "running"}],
        "layout": layout,
    }
    return {**plain, **more}


@pytest.mark.parametrize("file", HOSTS, ids=lambda path: path.stem)
def test_every_known_machine_has_a_class(file: pathlib.Path) -> None:
    name, words = host.kind(json.loads(file.read_text()))
    assert len(name) == 12
    assert str(words["cpus"]) in host.kind_line(words)


def test_machines_that_differ_in_what_matters_are_of_different_classes() -> None:
    kinds = {host.kind(json.loads(file.read_text()))[0] for file in HOSTS}
    assert len(kinds) >= len(HOSTS) - 4


def test_a_name_a_boot_or_an_offline_cpu_makes_no_class(facts: Plain) -> None:
    other = copy.deepcopy(facts)
    other.update(hostname="another", boot_id="another")
    other["cpus"]["online"] = [0]
    other["cpus"]["each"]["1"]["microcode"] = "0x7"
    assert host.kind(facts) == host.kind(other)


@pytest.mark.parametrize("change", [("kernel", "release", "7.3.0"), ("memory", "total", 8 << 30), ("dialect", "name", "kernfs")])
def test_kernel_memory_and_dialect_make_a_class(facts: Plain, change: tuple[str, str, t.Any]) -> None:
    other = copy.deepcopy(facts)
    other[change[0]][change[1]] = change[2]
    assert host.kind(facts)[0] != host.kind(other)[0]


def test_a_host_is_done_when_it_has_the_layout_and_nothing_is_to_do(facts: Plain) -> None:
    assert host.look(result(facts), "d")["done"]
    assert not host.look(result(facts), "e")["done"]
    assert not host.look(result(facts, plan=[{"say": "boot web", "do": "boot", "instance": "web"}]), "d")["done"]
    assert not host.look(result(facts, plan=None), "d")["done"], "not known is never well"


def test_what_is_wrong_with_a_host_is_said(facts: Plain) -> None:
    assert host.look(result(facts, instances=[{"name": "web", "state": "panicked"}]), "d")["ill"] == ["web is panicked"]
    assert host.look(result(facts, instances=[]), "d")["ill"] == ["web is gone"]
    assert host.look(result(facts, instances=[{"name": "web", "state": "defined"}]), "d")["ill"] == ["web is defined"]
    assert host.look(result(facts, instances=[]), "e")["ill"] == [], "that of another layout is not ours to judge"


def test_why_a_host_would_refuse_is_said_once(facts: Plain) -> None:
    finding = {"rule": "some", "severity": "error", "verdict": "unknown", "message": "no"}
    assert host.look(result(facts, findings=[finding, finding]), "d")["refused"] == ["no"]
    assert host.look(result(facts, plan=None), "d")["refused"] == ["there is no place for the layout on this host"]
    assert host.look(result(facts, findings=[{**finding, "severity": "warning"}]), "d")["refused"] == []
    quota = {**finding, "rule": "life-kexec-quota"}
    assert host.look(result(facts, findings=[quota]), "d")["done"], "where nothing is loaded, that nothing can be loaded is no matter"
    assert host.look(result(facts, findings=[quota], plan=[{"do": "load", "say": "", "instance": "web"}]), "e")["refused"] == ["no"]


def test_a_blackout_is_predicted_from_what_was_measured_and_else_not_measured(facts: Plain) -> None:
    steps = [{"do": "stop", "instance": name, "say": ""} for name in ("web", "db", "gone")]
    running = [{"name": name, "state": "running"} for name in ("web", "db", "other")]
    told = host.look(result(facts, plan=steps, instances=running, predicted={"web": {"seconds": 3.14}, "db": None}), "e")["blackout"]
    assert told == {"db": None, "web": 3.1}
    assert host.blackout_line(told) == "db not measured, web 3.1 s"
    assert host.blackout_line({}) == "none"
