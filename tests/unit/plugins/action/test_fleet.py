# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet by Ansible: layout_info keeps bundles on the controller, the playbook judge answers from them without a connection."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import types
import typing as t

import pytest
from ansible.errors import AnsibleActionFail, AnsibleFilterError
from ansible.plugins.action import ActionBase
from ansible_collections.multikernel.core.plugins.action import layout_info
from ansible_collections.multikernel.core.plugins.filter.fleet_report import FilterModule
from ansible_collections.multikernel.core.plugins.plugin_utils._facts import read_facts
from ansible_collections.multikernel.core.tests.unit.plugins.action.conftest import COLLECTIONS

Plain = dict[str, t.Any]
TOP = pathlib.Path(__file__).parents[4]
HOSTS = TOP / "examples" / "hosts"
REPORT = FilterModule().filters()["fleet_report"]


class Keep:
    """layout_info whose module answers with the facts of a machine."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.facts = json.loads((HOSTS / "lab-4.json").read_text())
        self.arguments: Plain = {}

    def __call__(self, bundle: str, check: bool = False, host: str = "edge-1") -> Plain:
        task = types.SimpleNamespace(args={"bundle": bundle, "redact": True}, check_mode=check, diff=False, async_val=0)
        loader = types.SimpleNamespace(path_dwim=lambda path: str(self.folder / path))
        plugin = layout_info.ActionModule(task, None, None, loader, None, None)

        def execute(**call: t.Any) -> Plain:
            self.arguments = call["module_args"]
            return {"changed": False, "facts": self.facts, "findings": []}

        plugin._execute_module = execute
        return t.cast(Plain, plugin.run(None, {"inventory_hostname": host}))


@pytest.fixture
def keep(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Keep:
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    return Keep(tmp_path)


def test_bundle_is_written_once_and_named_for_the_host(keep: Keep) -> None:
    first = keep("facts/")
    assert (first["changed"], first["bundle"]) == (True, str(keep.folder / "facts/edge-1.json"))
    assert read_facts(first["bundle"])["hostname"] == "lab-4"
    assert not keep("facts")["changed"], "a folder that is there needs no slash"
    keep.facts["boot_id"] = "another"
    assert keep("facts")["changed"]
    assert [file.name for file in (keep.folder / "facts").iterdir()] == ["edge-1.json"]


def test_bundle_stays_on_the_controller_and_redaction_goes_to_the_host(keep: Keep) -> None:
    keep("one.json")
    assert keep.arguments == {"redact": True}


def test_check_mode_writes_nothing(keep: Keep) -> None:
    assert keep("facts/", check=True)["changed"]
    assert list(keep.folder.iterdir()) == []


def test_bundle_that_cannot_be_written_is_a_sentence(keep: Keep) -> None:
    (keep.folder / "file").write_text("")
    with pytest.raises(AnsibleActionFail, match=r"the bundle .*/file/edge-1.json cannot be written: (Not a directory|File exists)"):
        keep("file/")


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Plain, int]:
    """What the playbook judge prints and stores, and its exit status, for five hosts that do not exist."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "facts").mkdir()
    for name in ("lab-4", "locked-4", "edge-8-smt"):
        (folder / "facts" / f"{name}.json").write_text((HOSTS / f"{name}.json").read_text())
    (folder / "facts/torn.json").write_text('{"version": 1, "cpus"')
    (folder / "hosts.ini").write_text("lab-4\nlocked-4\nedge-8-smt\ntorn\nnever-seen\n")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    words = ["-i", "hosts.ini", "multikernel.core.judge", "-e", f"multikernel_layout_file={TOP}/examples/layouts/lab.yml"]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", *words, "-e", f"multikernel_report={folder}/answer.json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (folder / "answer.json").exists(), done.stdout + done.stderr
    return done.stdout, json.loads((folder / "answer.json").read_text()), done.returncode


def test_playbook_judges_every_host_without_a_connection(answer: tuple[str, Plain, int]) -> None:
    text, told, status = answer
    assert {one["name"]: one["verdict"] for one in told["machines"]} == {
        "lab-4": "ok",
        "locked-4": "refused",
        "edge-8-smt": "refused",
        "torn": "unreadable",
        "never-seen": "unreadable",
    }
    assert status != 0
    assert re.search(r'"locked-4 +refused +\[\d\] life-kexec-allowed', text)
    assert "unreachable=1" not in text


def test_playbook_says_of_each_reason_where_it_was_written(answer: tuple[str, Plain, int]) -> None:
    _text, told, _status = answer
    reasons = {tuple(group["machines"]): group for group in told["groups"]}
    assert reasons[("edge-8-smt",)]["reasons"][0]["file"].endswith("examples/layouts/lab.yml")
    assert reasons[("edge-8-smt",)]["reasons"][0]["line"] > 1
    assert "are no JSON" in reasons[("torn",)]["message"]
    assert "there is no bundle" in reasons[("never-seen",)]["message"]


def test_host_whose_layout_has_errors_is_refused_by_the_report() -> None:
    error = {"path": ["name"], "message": "a/b is no name", "hint": None, "file": "a.yml", "line": 2, "column": 7}
    text = REPORT({"edge-1": {"valid": False, "errors": [error], "machines": []}})
    assert "edge-1   refused     [1] layout-language" in text
    assert "a.yml:2:7: error [layout-language] name: a/b is no name" in text


def test_host_that_failed_otherwise_is_not_passed_over() -> None:
    assert REPORT({"edge-1": {"failed": True, "msg": "no pydantic"}}, as_data=True)["counts"]["unreadable"] == 1


@pytest.mark.parametrize("value", [None, [], {"a": 1}])
def test_anything_else_is_a_sentence(value: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="fleet_report wants"):
        REPORT(value)
