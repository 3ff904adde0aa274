# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible itself through the console of a simulated machine: raw, script, files, and what is said when it cannot be done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_console import ConsoleMachine

PYTHON = """#!/bin/sh
# the machine's Python: its root folder is that of the simulated machine
sed 's,root: str = "/",root: str = "{root}",' | {python} -
"""


@pytest.fixture
def machine(tmp_path: Path) -> t.Iterator[ConsoleMachine]:
    one = ConsoleMachine(tmp_path / "root")
    python = tmp_path / "python"
    python.write_text(PYTHON.format(python=sys.executable, root=one.root))
    python.chmod(0o755)
    yield one
    one.close()


def inventory(tmp_path: Path, **variables: t.Any) -> Path:
    """A machine reached locally, and its instance."""
    instance = {
        "ansible_connection": "multikernel.core.mktty",
        "mktty_machine": "box",
        "mktty_instance": "web",
        "mktty_python": str(tmp_path / "python"),
        "mktty_timeout": 8,
        **variables,
    }
    path = tmp_path / "inventory.json"
    path.write_text(json.dumps({"all": {"hosts": {"box": {"ansible_connection": "local"}, "box.web": instance}}}))
    return path


def ansible(tmp_path: Path, module: str, words: str, **variables: t.Any) -> tuple[int, str]:
    command = [sys.executable, "-m", "ansible.cli.adhoc", "-i", str(inventory(tmp_path, **variables)), "box.web", "-m", module, "-a", words]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_STRATEGY": "linear"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_raw_gives_output_and_status(machine: ConsoleMachine, tmp_path: Path) -> None:
    status, text = ansible(tmp_path, "ansible.builtin.raw", "echo $((6 * 7)); tty || true")
    assert (status, text) == (0, "box.web | CHANGED | rc=0 >>\n42\nnot a tty\n\n"), text
    status, text = ansible(tmp_path, "ansible.builtin.raw", "echo no >&2; exit 3")
    assert status == 2 and "rc=3" in text and "no" in text


def test_script_goes_there_with_its_arguments(machine: ConsoleMachine, tmp_path: Path) -> None:
    script = tmp_path / "check.sh"
    script.write_text("#!/bin/sh\necho \"$0 got $1\" | sed 's,.*/,,'\nexit 4\n")
    status, text = ansible(tmp_path, "ansible.builtin.script", f"{script} word")
    assert status == 2
    assert '"rc": 4' in text and "check.sh got word" in text


FILES = """
import json, os, sys
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader, init_plugin_loader
from ansible.template import Templar

init_plugin_loader()
folder = sys.argv[1] + "/"
hosts = json.load(open(folder + "inventory.json"))["all"]["hosts"]
own = dict(hosts["box.web"], hostvars=hosts)
connection = connection_loader.get("multikernel.core.mktty", PlayContext(), os.devnull)
connection.set_options(var_options=connection._resolve_option_variables(own, Templar(DataLoader(), own)))
connection.fetch_file(folder + "there", folder + "here")
connection.put_file(folder + "here", folder + "back")
connection.reset()
"""


def test_files_go_both_ways(machine: ConsoleMachine, tmp_path: Path) -> None:
    data = os.urandom(3000)
    (tmp_path / "there").write_bytes(data)
    inventory(tmp_path)
    done = subprocess.run([sys.executable, "-c", FILES, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here").read_bytes() == data
    assert (tmp_path / "back").read_bytes() == data


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"mktty_instance": "db"}, "box: this machine knows of no instance db"),
        ({"mktty_instance": "db", "multikernel_instance": "web"}, "box: this machine knows of no instance db"),
        ({"mktty_machine": "nobox"}, "the machine nobox of the instance web is not in the inventory"),
        ({"mktty_machine": "box.web"}, "is itself reached by a console"),
        ({"mktty_python": "/no/such/python"}, "the machine box did not run the relay (status 127)"),
    ],
)
def test_what_cannot_be_reached_is_unreachable_with_a_sentence(
    machine: ConsoleMachine, tmp_path: Path, variables: dict[str, t.Any], sentence: str
) -> None:
    status, text = ansible(tmp_path, "ansible.builtin.raw", "true", **variables)
    assert status == 4 and "UNREACHABLE" in text
    assert sentence in text
    assert "Traceback" not in text


def test_a_silent_instance_is_unreachable(machine: ConsoleMachine, tmp_path: Path) -> None:
    machine.deaf = True
    status, text = ansible(tmp_path, "ansible.builtin.raw", "true", mktty_timeout=1)
    assert status == 4 and "no shell answered on the console of the instance web within 1 s" in text


def test_too_much_output_fails_and_says_both_sizes(machine: ConsoleMachine, tmp_path: Path) -> None:
    status, text = ansible(tmp_path, "ansible.builtin.raw", "echo 123456789", mktty_limit=4)
    assert status == 2 and "10 bytes came from the instance web, and the limit is 4" in text
