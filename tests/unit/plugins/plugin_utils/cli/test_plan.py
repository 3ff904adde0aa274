# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl plan with a stored state: what runs is compared with what is wanted."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.multikernel.core.plugins.module_utils._layout.canonical import digest
from ansible_collections.multikernel.core.plugins.module_utils._plan import spec
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.plugin_utils import _cli
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._offline import fresh_state

Plain = dict[str, t.Any]


@pytest.fixture
def applied(good: Plain, machine: Plain) -> Plain:
    """What layout_info returns of a host on which the layout was applied."""
    canonical = load_layout(good)
    placed = place(canonical, machine, None)
    state = fresh_state(machine)
    state["digest"] = digest(canonical)
    state["cpus"]["online"] = [0, 1]
    state["pool"] = [[0x40000000, 512 << 20]]
    state["instances"] = {
        name: {
            "state": "running",
            "spec": spec.of(name, placed, machine),
            "health": None,
            "nonce": 1,
            "uname": "6.1",
            "beats": 3,
            "text": "",
        }
        for name in placed["instances"]
    }
    state["channels"] = {"beat": {"address": placed["channels"]["beat"]["placed"]["address"], "end": 0, "attached": True}}
    state["made"] = {"cpus": [2, 3], "blocks": [8, 9, 10, 11], "pool": [[0x40000000, 512 << 20]], "channels": {}}
    for block in machine["memory"]["blocks"]:
        block["state"] = "offline" if block["number"] in (8, 9, 10, 11) else "online"
    return {"changed": False, "state": state, "facts": machine}


@pytest.fixture
def plan(tmp_path: pathlib.Path, applied: Plain, capsys: pytest.CaptureFixture[str]) -> t.Callable[[Plain], tuple[int, str]]:
    """Plan a layout against that host; both files are the stored result of layout_info."""
    info = tmp_path / "info.json"
    info.write_text(json.dumps(applied))

    def run(layout: Plain) -> tuple[int, str]:
        file = tmp_path / "layout.yml"
        file.write_text(yaml.safe_dump(layout, sort_keys=False))
        code = _cli.main(["plan", str(file), "--facts", str(info), "--state", str(info)])
        return code, capsys.readouterr().out

    return run


def test_nothing_is_to_do_where_the_layout_runs_already(good: Plain, plan: t.Any) -> None:
    assert plan(good) == (0, "nothing to do\n")


def test_restart_of_what_runs_is_refused_with_its_place(good: Plain, plan: t.Any) -> None:
    good["instances"]["rt"]["cmdline"] = "more=1"
    code, out = plan(good)
    assert code == 1
    assert "error [plan.disruption] instances.rt: rt runs and would be restarted" in out
    assert "layout.yml:" in out


def test_restart_is_planned_when_the_layout_allows_it(good: Plain, plan: t.Any) -> None:
    good["instances"]["rt"]["cmdline"] = "more=1"
    good["policy"] = {"disruption": "allow"}
    code, out = plan(good)
    assert code == 0
    assert "stop rt (CPU 3)" in out
    assert "web" not in out.replace("web;", "")
