# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action update: the new layout is read here, and only where a stage needs it."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.action import update
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.tests.unit.plugins.action.test_layout import FINDING, GOOD, Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    return Run({"changed": True, "stage": "begun", "findings": [FINDING]})


def test_the_new_layout_goes_to_the_module_in_its_canonical_form(run: Run) -> None:
    run(update, {"stage": "begin", "name": "rt", "layout": GOOD})
    (call,) = run.calls
    assert call["module_name"] == "multikernel.core.update"
    assert call["module_args"] == {"stage": "begin", "name": "rt", "layout": load_layout(GOOD)}


def test_a_layout_file_is_read_on_the_controller_and_findings_tell_its_line(run: Run, tmp_path: t.Any) -> None:
    (tmp_path / "new.yml").write_text(
        "version: 1\nname: box\npool: {memory: [{base: 0x40000000, size: 64MiB}]}\nimages: {tiny: {kernel: /srv/tiny.bin, format: flat}}\n"
        'instances:\n  rt: {image: tiny, cpus: "3", memory: 16MiB}\n'
    )
    result = run(update, {"stage": "begin", "name": "rt", "file": "new.yml"}, tmp_path)
    assert run.calls[0]["module_args"]["layout"] == load_layout(GOOD)
    assert "file" not in run.calls[0]["module_args"]
    assert result["findings"][0]["line"] == 6


def test_begin_needs_a_name_and_a_layout(run: Run) -> None:
    with pytest.raises(AnsibleActionFail, match="stage: begin needs name"):
        run(update, {"stage": "begin", "layout": GOOD})
    with pytest.raises(AnsibleActionFail, match="there is no layout"):
        run(update, {"stage": "begin", "name": "rt"})
    assert run.calls == []


@pytest.mark.parametrize("stage", ["watch", "switch", "back", "retire", "retreat", "status"])
def test_the_other_stages_need_neither(run: Run, stage: str) -> None:
    run(update, {"stage": stage})
    assert run.calls[0]["module_args"] == {"stage": stage}
