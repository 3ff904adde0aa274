# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module update reads its arguments, does one stage on the machine at hand, and returns what is documented."""

from __future__ import annotations

import copy
import importlib
import json

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.multikernel.core.plugins.module_utils._converge import run, update
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine

MODULE = "ansible_collections.multikernel.core.plugins.modules.update"


class Left(Exception):
    """The module left by exit_json or fail_json."""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Machine(tmp_path)
    monkeypatch.setattr(update, "System", lambda: made)
    run.apply(simulated.layout(), system=made)
    return made


@pytest.fixture
def call(monkeypatch):
    def leave(failed):
        def function(_module, **result):
            raise Left(failed, json.loads(json.dumps(result)))

        return function

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", leave(False))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", leave(True))

    def run_module(check=False, **arguments):
        with patch_module_args(dict(arguments, _ansible_check_mode=check)), pytest.raises(Left) as caught:
            importlib.import_module(MODULE).main()
        failed, result = caught.value.args
        documented = set(yaml.safe_load(importlib.import_module(MODULE).RETURN))
        assert set(result) - {"changed", "msg", "diff", "stuck", "watched"} <= documented | {"instance"}
        return failed, result

    return run_module


def wanted():
    made = copy.deepcopy(simulated.layout())
    made["instances"]["web"]["cmdline"] = "new"
    return made


def test_the_stages_in_their_order(machine, call):
    stages = [("begin", "begun"), ("watch", "begun"), ("switch", "switched"), ("watch", "switched"), ("retire", "none")]
    for stage, far in stages:
        more = {"name": "web", "layout": wanted()} if stage == "begin" else {}
        failed, result = call(stage=stage, soak=1, **more)
        assert (failed, result["stage"]) == (False, far)
        assert result["changed"] == (stage != "watch")
    assert not run.apply(wanted(), system=machine)["changed"]


def test_check_mode_changes_nothing(machine, call):
    before = simulated.state_files(machine.root)
    failed, result = call(check=True, stage="begin", name="web", layout=wanted())
    assert (failed, result["changed"], result["blackout"]) == (False, True, 0.0)
    assert simulated.state_files(machine.root) == before


def test_what_is_wrong_is_said_in_a_sentence(machine, call):
    for arguments, words in [
        ({"stage": "begin"}, "stage: begin needs the name of an instance and a layout"),
        ({"stage": "begin", "name": "web", "layout": {"version": 1}}, "this is no canonical layout"),
        ({"stage": "begin", "name": "db", "layout": wanted()}, "has no instance db (it has: web)"),
        ({"stage": "switch"}, "no update is under way on this host"),
    ]:
        failed, result = call(**arguments)
        assert failed
        assert words in result["msg"]
