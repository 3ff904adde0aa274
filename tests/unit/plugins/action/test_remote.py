# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task costs the controller before it is on its way to a host."""

from __future__ import annotations

import gc
import subprocess
import sys
import typing as t

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.multikernel.core.plugins.plugin_utils._remote import run_module
from ansible_collections.multikernel.core.tests.unit.plugins.action.conftest import COLLECTIONS

PREFIX = "ansible_collections.multikernel.core.plugins."


class Action:
    """An action plugin whose module sees whether the collector is on."""

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.seen = fails, []

    def _execute_module(self, **given: t.Any) -> dict[str, t.Any]:
        self.seen.append((given, gc.isenabled()))
        if self.fails:
            raise AnsibleConnectionFailure("gone")
        return {"changed": True}


@pytest.fixture(params=[True, False])
def collector(request: pytest.FixtureRequest) -> t.Iterator[bool]:
    """The collector on, and off, before a module runs."""
    was = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if was else gc.disable)()


def test_no_garbage_is_sought_while_a_module_is_packed(collector: bool) -> None:
    action = Action()
    assert run_module(action, "layout", {"state": "absent"}, {"a": 1}) == {"changed": True}
    assert action.seen == [({"module_name": "multikernel.core.layout", "module_args": {"state": "absent"}, "task_vars": {"a": 1}}, False)]
    assert gc.isenabled() is collector


def test_the_collector_is_as_before_when_a_module_fails(collector: bool) -> None:
    with pytest.raises(AnsibleConnectionFailure):
        run_module(Action(fails=True), "layout", {}, None)
    assert gc.isenabled() is collector


@pytest.mark.parametrize("action", ["layout", "layout_info", "rollback", "update", "host_kexec"])
def test_an_action_that_judges_on_the_host_imports_no_rule(action: str) -> None:
    program = f"import sys; sys.path.insert(0, sys.argv[1]); import {PREFIX}action.{action}; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program, str(COLLECTIONS)], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert f"{PREFIX}plugin_utils._remote" in told
    assert not [name for name in told if name.startswith((f"{PREFIX}module_utils._rules.", f"{PREFIX}plugin_utils._check"))]
