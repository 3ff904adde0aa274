# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules read their arguments, apply on the machine at hand, and return what is documented; bad input is never a traceback."""

from __future__ import annotations

import importlib
import json

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.multikernel.core.plugins.module_utils._converge import desired, info, run
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated import Machine, instance

MODULES = "ansible_collections.multikernel.core.plugins.modules."


class Left(Exception):
    """A module left by exit_json or fail_json."""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A simulated machine that the modules take for the one they run on."""
    made = Machine(tmp_path)
    for module in (run, desired, info):
        monkeypatch.setattr(module, "System", lambda root="/": made)
    return made


@pytest.fixture
def call(monkeypatch):
    """Run a module with arguments; returns (failed, what it returned as JSON)."""

    def leave(failed):
        def function(_module, **result):
            raise Left(failed, json.loads(json.dumps(result)))

        return function

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", leave(False))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", leave(True))

    def run_module(module, /, check=False, **arguments):
        with patch_module_args(dict(arguments, _ansible_check_mode=check)):
            with pytest.raises(Left) as caught:
                importlib.import_module(MODULES + module).main()
        return caught.value.args

    return run_module


def documented(name):
    """The keys that a module's RETURN documents."""
    return set(yaml.safe_load(importlib.import_module(MODULES + name).RETURN))


def test_layout_applies_and_is_idempotent(machine, call):
    failed, result = call("layout", layout=simulated.layout())
    assert not failed
    assert result["changed"]
    assert machine.running() == {"web": [1]}
    assert call("layout", layout=simulated.layout())[1]["changed"] is False


def test_layout_check_mode(machine, call):
    _failed, result = call("layout", check=True, layout=simulated.layout())
    assert result["changed"]
    assert machine.running() == {}


def test_layout_absent_needs_no_layout(machine, call):
    call("layout", layout=simulated.layout())
    assert call("layout", state="absent")[1]["changed"]
    assert machine.running() == {}


def test_layout_refusal_is_a_failure_with_findings(machine, call):
    machine.load_disabled = True
    failed, result = call("layout", layout=simulated.layout())
    assert failed
    assert "kernel.kexec_load_disabled=1" in result["msg"]
    assert result["findings"][0]["severity"] == "error"


def test_layout_without_a_layout_says_so(machine, call):
    failed, result = call("layout")
    assert failed
    assert result["msg"].startswith("this is no canonical layout: ")


def test_health_timeout_is_passed_on(machine, call):
    machine.mute.add("web")
    failed, result = call("layout", layout=simulated.layout(), health_timeout=2.5)
    assert failed
    assert result["msg"].startswith("web did not report within 2.5 s: ")


def test_instance_and_rollback(machine, call):
    call("layout", layout=simulated.layout())
    assert call("instance", name="web", state="stopped")[1]["changed"]
    assert machine.running() == {}
    assert call("rollback")[1]["changed"]
    assert machine.running() == {"web": [1]}
    failed, result = call("instance", name="wbe")
    assert failed
    assert "has no instance wbe (it has: web)" in result["msg"]
    failed, result = call("rollback", to="beef")
    assert failed
    assert "no single layout with the digest beef" in result["msg"]


def test_layout_info_reads_only(machine, call):
    failed, result = call("layout_info", layout=simulated.layout(instances={"web": instance(cpus={"count": 9})}))
    assert not failed
    assert not result["changed"]
    assert any("web asks for 9 CPUs" in one["message"] for one in result["findings"])
    assert simulated.state_files(machine.root) == []
    assert call("layout_info", layout={"version": 1})[0]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("layout", {"layout": simulated.layout()}),
        ("instance", {"name": "web", "state": "restarted"}),
        ("rollback", {}),
        ("layout_info", {}),
    ],
    ids=["layout", "instance", "rollback", "layout_info"],
)
def test_everything_that_is_returned_is_documented(machine, call, name, arguments):
    if name != "layout":
        call("layout", layout=simulated.layout(instances={"web": instance(state="defined")}))
        call("layout", layout=simulated.layout())
    failed, result = call(name, **arguments)
    assert not failed, result
    assert set(result) - {"changed", "diff", "facts"} <= documented(name)


def test_layout_info_redacts_on_the_host(machine, call):
    _failed, result = call("layout_info", redact=True)
    assert (result["facts"]["hostname"], result["facts"]["boot_id"], result["state"]["boot_id"]) == (None, None, None)
    assert result["facts"]["redacted"]
