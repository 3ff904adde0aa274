# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example layouts are not only valid: each fits the machine that it is for, and breaks no rule there."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host.facts import collect
from ansible_collections.multikernel.core.plugins.plugin_utils._check import examine
from ansible_collections.multikernel.core.plugins.plugin_utils._subject import Subject

Plain = dict[str, t.Any]


@pytest.fixture
def server(machine: Plain) -> Plain:
    """Two sockets of eight cores, each with a last-level cache and a NUMA node; the pool is reserved, as memmap= does it."""
    cpus = machine["cpus"]
    cpus["present"] = cpus["online"] = cpus["possible"] = list(range(16))
    for number in range(16):
        package = number // 8
        cpus["each"][str(number)] = {
            **cpus["each"]["1"],
            "apic_id": 2 * number,
            "package": package,
            "core": number % 8,
            "siblings": [number],
            "llc": list(range(8 * package, 8 * package + 8)),
            "node": package,
            "offlinable": number > 0,
        }
    machine["kernel"]["cmdline"] = "no_ipi_broadcast=1 memmap=192K$0x10000 memmap=16G$0x100000000 memmap=32G$0x2000000000"
    memory = machine["memory"]
    memory["total"] = 64 << 30
    memory["blocks"] = [{"number": number, "state": "online", "node": 0} for number in range(16)]
    memory["iomem"] = [
        {"start": 0x1000, "end": 0x9FBFF, "name": "System RAM", "depth": 0},
        {"start": 0x100000, "end": 0x7FFFFFFF, "name": "System RAM", "depth": 0},
        {"start": 0x1_0000_0000, "end": 0x4_FFFF_FFFF, "name": "Reserved", "depth": 0},
        {"start": 0x5_0000_0000, "end": 0xF_FFFF_FFFF, "name": "System RAM", "depth": 0},
        {"start": 0x20_0000_0000, "end": 0x27_FFFF_FFFF, "name": "Reserved", "depth": 0},
    ]
    return machine


def test_layout_of_the_lab_fits_the_lab(top: pathlib.Path) -> None:
    verdict = examine(Subject.of_file(str(top / "examples/layouts/lab.yml")), lab(top))
    assert verdict.failures == []
    placed = verdict.placed
    assert placed is not None
    assert {name: one["placed"]["cpus"] for name, one in placed["instances"].items()} == {"web": [3], "db": [2], "tiny": [1]}


def test_smallest_layout_fits_the_lab(top: pathlib.Path) -> None:
    verdict = examine(Subject.of_file(str(top / "examples/layouts/minimal.yml")), lab(top))
    assert verdict.failures == []
    assert verdict.placed is not None


def test_layout_of_the_server_fits_a_server(top: pathlib.Path, server: Plain) -> None:
    verdict = examine(Subject.of_file(str(top / "examples/layouts/smp.yml")), server)
    assert verdict.failures == []
    placed = verdict.placed
    assert placed is not None
    database, control = (placed["instances"][name]["placed"] for name in ("database", "control"))
    assert (database["cpus"], control["apic_ids"], control["cpus"]) == (list(range(8, 16)), [8, 10], [4, 5])
    assert database["base"] >= 0x20_0000_0000


def test_what_a_rule_has_told_is_not_told_again_by_placement(top: pathlib.Path) -> None:
    facts = lab(top)
    facts["cpus"]["present"] = facts["cpus"]["online"] = [0, 1, 2]
    findings = examine(Subject.of_file(str(top / "examples/layouts/lab.yml")), facts).findings
    about_web = [one["rule"] for one in findings if one["path"][:2] == ["instances", "web"] and one["verdict"] == "fail"]
    assert "cpu-present" in about_web
    assert [rule for rule in about_web if rule.startswith("placement")] == []


def test_layout_that_has_no_place_fails(top: pathlib.Path) -> None:
    facts = lab(top)
    facts["memory"]["low"] = []
    verdict = examine(Subject.of_file(str(top / "examples/layouts/minimal.yml")), facts)
    assert verdict.placed is None
    assert not verdict.good


def lab(top: pathlib.Path) -> Plain:
    return collect(str(top / "tests/unit/fixtures/hosts/lab-mkstock"))
