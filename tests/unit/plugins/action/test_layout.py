# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions layout, layout_info and rollback: what they hand to their modules, and what they make of the answers."""

from __future__ import annotations

import json
import pathlib
import types
import typing as t

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.action import layout, layout_info, rollback
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout

Plain = dict[str, t.Any]
GOOD: Plain = {
    "version": 1,
    "name": "box",
    "pool": {"memory": [{"base": 0x40000000, "size": "64MiB"}]},
    "images": {"tiny": {"kernel": "/srv/tiny.bin", "format": "flat"}},
    "instances": {"rt": {"image": "tiny", "cpus": "3", "memory": "16MiB"}},
}
PLACED = load_layout(GOOD)
PLACED["instances"]["rt"]["placed"] = {"cpus": [3], "apic_ids": [3], "base": 0x40000000, "size": 16 << 20, "low": None, "entry": 0x40003000}
FACTS: Plain = {"hostname": "box", "cpus": {"present": [0, 1, 2, 3], "each": {}}, "memory": {"total": 1 << 31, "iomem": None}}
FINDING: Plain = {
    "rule": "cpu-present",
    "severity": "error",
    "verdict": "fail",
    "message": "there is no CPU 3",
    "path": ["instances", "rt", "cpus"],
    "hint": "take another",
    "waived": None,
}


class Run:
    """One run of an action whose module is replaced by an answer."""

    def __init__(self, answer: Plain) -> None:
        self.answer = answer
        self.calls: list[Plain] = []

    def __call__(self, action: t.Any, arguments: Plain, files: pathlib.Path | None = None) -> Plain:
        task = types.SimpleNamespace(args=arguments, check_mode=False, diff=False, async_val=0)
        plugin = action.ActionModule(task, None, None, None, None, None)

        def execute(**call: t.Any) -> Plain:
            self.calls.append(call)
            return dict(self.answer)

        plugin._execute_module = execute
        plugin._find_needle = lambda folder, name: str(t.cast(pathlib.Path, files) / name)
        return t.cast(Plain, plugin.run(None, {}))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    return Run({"changed": True, "placed": PLACED, "facts": FACTS, "instances": [], "findings": [], "digest": "d"})


@pytest.mark.parametrize(("action", "module"), [(layout, "layout"), (layout_info, "layout_info")])
def test_canonical_layout_goes_to_the_module_in_one_call(run: Run, action: t.Any, module: str) -> None:
    run(action, {"layout": GOOD})
    (call,) = run.calls
    assert call["module_name"] == f"multikernel.core.{module}"
    assert call["module_args"]["layout"] == load_layout(GOOD)


def test_layout_out_of_a_file_goes_the_same_way_and_its_path_stays_here(run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.yml").write_text(
        "version: 1\nname: box\npool: {memory: [{base: 0x40000000, size: 64MiB}]}\n"
        "images: {tiny: {kernel: /srv/tiny.bin, format: flat}}\ninstances: {rt: {image: tiny, cpus: '3', memory: 16MiB}}\n"
    )
    run(layout, {"file": "a.yml"}, tmp_path)
    assert run.calls[0]["module_args"] == {"layout": load_layout(GOOD)}


def test_other_arguments_pass_through(run: Run) -> None:
    run(layout, {"layout": GOOD, "lock_timeout": 5, "health_timeout": 7})
    assert {key: value for key, value in run.calls[0]["module_args"].items() if key != "layout"} == {"lock_timeout": 5, "health_timeout": 7}


def test_rollback_asks_the_host_and_draws_the_machine(run: Run) -> None:
    result = run(rollback, {"to": "4cb0", "disruption": "allow"})
    (call,) = run.calls
    assert (call["module_name"], call["module_args"]) == ("multikernel.core.rollback", {"to": "4cb0", "disruption": "allow"})
    assert "rt" in result["picture"]
    assert result["isolation"].startswith("Isolation grade")
    assert "table_text" in result
    assert "facts" not in result


def test_absent_needs_no_layout(run: Run) -> None:
    run(layout, {"state": "absent"})
    assert run.calls[0]["module_args"] == {"state": "absent"}


def test_layout_info_needs_no_layout(run: Run) -> None:
    run(layout_info, {})
    assert run.calls[0]["module_args"] == {}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "there is no layout; give it as layout: (a mapping) or file: (a path on the controller)"),
        ({"state": "present"}, "there is no layout"),
        ({"layout": GOOD, "file": "a.yml"}, "layout and file are both given; give one of them"),
        ({"layout": {**GOOD, "nmae": 1}}, "nmae: unknown key 'nmae' (did you mean 'name'?)"),
        ({"layout": {**GOOD, "nmae": 1}, "state": "absent"}, "unknown key 'nmae'"),
    ],
)
def test_wrong_arguments_never_reach_the_host(run: Run, arguments: Plain, sentence: str) -> None:
    with pytest.raises(AnsibleActionFail) as failed:
        run(layout, arguments)
    assert sentence in str(failed.value)
    assert run.calls == []


def test_pictures_take_the_place_of_the_facts(run: Run) -> None:
    result = run(layout, {"layout": GOOD})
    assert "facts" not in result
    assert result["picture"].startswith("box on box: 4 CPUs\n┌")
    assert result["table_text"] == "no instances"
    assert result["isolation"].startswith("Isolation grade D, at best C: ")
    assert "No hypervisor stands between host and rt." in " ".join(result["isolation"].split())
    assert result["placed"] == PLACED


def test_facts_may_come_as_text(run: Run) -> None:
    drawn = run(layout, {"layout": GOOD})
    run.answer["facts"] = json.dumps(FACTS)
    assert run(layout, {"layout": GOOD}) == drawn
    run.answer["facts"] = None
    assert run(layout, {"layout": GOOD}) != drawn


def test_layout_info_keeps_the_facts_and_adds_pictures(run: Run) -> None:
    result = run(layout_info, {"layout": GOOD})
    assert result["facts"] == FACTS
    assert result["picture"].startswith("box on box")


def test_absent_has_no_picture(run: Run) -> None:
    run.answer["placed"] = None
    assert "picture" not in run(layout, {"state": "absent"})


def test_findings_come_back_with_their_places(run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.yml").write_text(
        "version: 1\nname: box\npool: {memory: [{base: 0x40000000, size: 64MiB}]}\n"
        "images: {tiny: {kernel: /srv/tiny.bin, format: flat}}\ninstances:\n  rt:\n    image: tiny\n    cpus: '3'\n    memory: 16MiB\n"
    )
    run.answer["findings"] = [{**FINDING, "severity": "warning"}]
    (finding,) = run(layout, {"file": "a.yml"}, tmp_path)["findings"]
    assert (finding["file"], finding["line"], finding["column"]) == (str(tmp_path / "a.yml"), 8, 11)


def test_refusal_has_one_line_for_each_finding(run: Run) -> None:
    run.answer = {
        "failed": True,
        "msg": "the layout is refused, nothing was changed: a; b",
        "findings": [FINDING, {**FINDING, "severity": "info"}],
    }
    with pytest.raises(AnsibleActionFail) as failed:
        run(layout, {"layout": GOOD})
    assert str(failed.value) == (
        "the layout is refused, nothing was changed:\nerror [cpu-present] instances.rt.cpus: there is no CPU 3 (take another)"
    )


def test_failed_step_keeps_the_words_of_the_module(run: Run) -> None:
    run.answer = {"failed": True, "msg": "web did not report; undone: stop web", "steps": [{"do": "boot"}], "findings": [FINDING]}
    assert run(layout, {"layout": GOOD})["msg"] == "web did not report; undone: stop web"


def test_pydantic_that_is_missing_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.multikernel.core.plugins.plugin_utils import _pydantic

    monkeypatch.setattr(_pydantic, "IMPORT_ERROR", ImportError("No module named 'pydantic'"))
    with pytest.raises(AnsibleActionFail, match="needs the Python library pydantic"):
        run(layout, {"layout": GOOD})
