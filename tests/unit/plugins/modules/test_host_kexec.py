# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_kexec hands its arguments on, and what it returns is documented; bad input is never a traceback."""

from __future__ import annotations

import importlib
import json

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
from ansible_collections.multikernel.core.plugins.module_utils._dialect import system
from ansible_collections.multikernel.core.plugins.module_utils._handover import handover
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils import simulated
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.handover.test_handover import Host, Ways

MODULE = "ansible_collections.multikernel.core.plugins.modules.host_kexec"


class Left(Exception):
    """The module left by exit_json or fail_json."""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Host(tmp_path)
    run.apply(simulated.layout(), system=made)
    monkeypatch.setattr(system, "System", lambda root="/": made)
    ways = Ways()
    for name in ("load", "unload", "leave"):
        monkeypatch.setattr(handover.calls, name, getattr(ways, name))
    made.ways = ways
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
        with patch_module_args(dict(arguments, _ansible_check_mode=check)):
            with pytest.raises(Left) as caught:
                importlib.import_module(MODULE).main()
        return caught.value.args

    return run_module


def test_check_mode_returns_what_is_documented(machine, call):
    failed, result = call(check=True, kernel="/boot/vmlinuz")
    assert not failed
    assert set(result) - {"changed"} <= set(yaml.safe_load(importlib.import_module(MODULE).RETURN))
    assert machine.ways.calls == []


def test_it_loads_and_leaves(machine, call):
    failed, result = call(kernel="/boot/vmlinuz", append=["quiet"])
    assert not failed
    assert machine.ways.calls == [("load", "/boot/vmlinuz", None, result["cmdline"]), ("leave", handover.DELAY)]
    assert "quiet" in result["cmdline"].split()


def test_both_halves(machine, call, monkeypatch):
    _failed, before = call(kernel="/boot/vmlinuz")
    after = machine.kexec()
    after.now += 20
    monkeypatch.setattr(system, "System", lambda root="/": after)
    failed, result = call(stage="arrive", before=before)
    assert not failed
    assert result["instances"]["web"]["gap"] is False
    assert set(result) - {"changed"} <= set(yaml.safe_load(importlib.import_module(MODULE).RETURN))


def test_a_refusal_has_its_sentences(machine, call):
    machine.lockdown = "integrity"
    failed, result = call(kernel="/boot/vmlinuz")
    assert failed
    assert result["changed"] is False
    assert len(result["refusals"]) == 1
    assert result["msg"].startswith("the host stays in its kernel: kernel lockdown is integrity")


def test_a_kernel_is_needed_to_leave(call):
    failed, result = call()
    assert failed
    assert "kernel" in result["msg"]
    failed, result = call(stage="arrive")
    assert failed
    assert "before" in result["msg"]
