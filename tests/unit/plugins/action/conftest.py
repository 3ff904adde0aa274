# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ansible-playbook, run against hosts that are not there."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import ansible_collections.multikernel.core.plugins.plugin_utils._check as somewhere
import pytest

COLLECTIONS = next(folder for folder in pathlib.Path(somewhere.__file__).parents if folder.name == "ansible_collections").parent


class Playbook:
    """A folder with a playbook beside its variables and files."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> pathlib.Path:
        """Put a file beside the playbook."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def run(self, tasks: dict[str, dict[str, t.Any]], check: bool = False, inventory: str = "192.0.2.1,") -> dict[str, Outcome]:
        """Run tasks by name in one play that goes on after failures, and return how each ended.

        The addresses 192.0.2.x are for documentation: nothing answers there.
        """
        named = [{"name": name, **task, "ignore_errors": True, "register": "told"} for name, task in tasks.items()]
        shown = [step for task in named for step in (task, {"name": f"{task['name']}: result", "ansible.builtin.debug": {"var": "told"}})]
        self.write("play.yml", json.dumps([{"hosts": "all", "gather_facts": False, "tasks": shown}]))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        # One stream, so that an error stands below the task that it belongs to.
        done = subprocess.run(
            [sys.executable, "-u", "-m", "ansible", "playbook", "-i", inventory, "play.yml", *(["--check"] if check else [])],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        parts = dict(re.findall(r"^TASK \[(.+?)\] \*+\n(.*?)(?=^TASK |^PLAY RECAP)", done.stdout, re.MULTILINE | re.DOTALL))
        return {name: Outcome(parts[name], told(parts[f"{name}: result"])) for name in tasks}


class Outcome(t.NamedTuple):
    """How one task ended: everything that was printed about it, and its result."""

    text: str
    result: dict[str, t.Any]

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return bool(self.result.get("failed"))


def told(text: str) -> dict[str, t.Any]:
    """The registered result out of what a debug task printed."""
    value, _end = json.JSONDecoder().raw_decode(text[text.index("=> {") + 3 :])
    return t.cast(dict[str, t.Any], value["told"])


@pytest.fixture(scope="module")
def playbook(tmp_path_factory: pytest.TempPathFactory) -> Playbook:
    """A fresh folder for the tests of one file."""
    return Playbook(tmp_path_factory.mktemp("playbook"))
