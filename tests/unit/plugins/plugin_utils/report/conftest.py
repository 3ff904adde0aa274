# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines of all sizes for the pictures."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout

Plain = dict[str, t.Any]


@pytest.fixture
def machine(machine: Plain) -> Plain:
    """The machine of the other tests, with what the isolation report asks for."""
    image = {
        "exists": True,
        "regular": True,
        "size": 8 << 20,
        "sha256": None,
        "kind": "bzimage",
        "error": None,
        "header": None,
        "elf": None,
    }
    machine["images"] = {"/boot/vmlinuz": image}
    machine["iommu"] = {"present": False, "translating": False, "interrupt_remapping": False, "groups": 0}
    return machine


@pytest.fixture
def placed(good: Plain, machine: Plain) -> Plain:
    return place(load_layout(good), machine, None)


@pytest.fixture
def large(good: Plain, machine: Plain) -> tuple[Plain, Plain]:
    """A layout of 40 instances with their places, and the facts of its machine: two sockets, 512 CPUs, 16 last-level caches."""
    facts = copy.deepcopy(machine)
    half = 256
    each = {}
    for number in range(2 * half):
        core = number % half
        cache = [core // 16 * 16 + one for one in range(16)]
        each[str(number)] = {
            **machine["cpus"]["each"]["0"],
            "apic_id": core * 2 + number // half,
            "package": core // 128,
            "node": core // 128,
            "core": core,
            "siblings": [core, core + half],
            "llc": [*cache, *(one + half for one in cache)],
        }
    facts["cpus"] = {key: list(range(2 * half)) for key in ("present", "online", "possible")} | {"boot": 0, "each": each}
    layout = load_layout({**good, "name": "rack", "host": {"cpus": "0-15"}, "pool": {"memory": [{"base": 1 << 37, "size": "512GiB"}]}})
    web = copy.deepcopy(layout["instances"]["web"])
    layout["instances"], layout["channels"] = {}, {}
    for number in range(40):
        cpus = [16 + 5 * number + one for one in range(5)]
        cpus += [one + half for one in cpus]
        base = (1 << 37) + number * (8 << 30)
        where = {"cpus": cpus, "apic_ids": cpus, "base": base, "size": 8 << 30, "low": 0x10000 + number * 0x2000, "entry": base}
        layout["instances"][f"tenant-with-a-rather-long-name-{number:02}"] = {**web, "placed": where, "health": None}
    return layout, facts
