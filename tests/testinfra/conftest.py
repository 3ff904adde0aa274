# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that talk to a running lab machine through testinfra; molecule/shared/tasks/tests.yml runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

TROUBLE = re.compile("Oops|BUG:|soft lockup|rcu.*stall|general protection|Call Trace")
pytest_plugins = ["ansible_collections.multikernel.core.plugins.plugin_utils._testing.fixture"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, but say so."""
    for item in items if not os.environ.get("MULTIKERNEL_LONG") else ():
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="one of the long runs: make soak"))


@pytest.fixture(scope="session")
def console():
    """The text that came out of one serial port (COM1 is the host's, COM2 to COM4 are those of instances)."""

    def text(port: str) -> str:
        return (Path(os.environ["LAB_FOLDER"]) / f"{port}.log").read_text(errors="replace")

    return text


@pytest.fixture(scope="session")
def releases() -> list[str]:
    """The kernels that instances run, as `uname -r` says them."""
    return os.environ["LAB_RELEASES"].split(",")


@pytest.fixture
def trouble(host) -> list[str]:
    """What the host kernel complains of since mkstock came. A boot before it may stall by itself, on an emulator short of time."""
    lines = host.run("dmesg").stdout.splitlines()
    assert lines, "the kernel log is empty or may not be read"
    loaded = [number for number, line in enumerate(lines) if "mkstock: loading out-of-tree module" in line]
    return [line for line in lines[loaded[0] if loaded else 0 :] if TROUBLE.search(line)]


@pytest.fixture(scope="session")
def dialect() -> str:
    """The dialect that the scenario is about."""
    return os.environ["LAB_DIALECT"]


class Answer(NamedTuple):
    """What a command of the peer said, both streams."""

    status: int
    text: str


@pytest.fixture(scope="module")
def kerf(host):
    """Runs a command of the peer on the machine, and holds it to its exit status."""

    def run(words: str, status: int = 0) -> Answer:
        done = host.run(f"/root/kerf-command {words} 2>&1")
        assert done.rc == status, f"kerf {words}: exit status {done.rc}\n{done.stdout}{done.stderr}"
        return Answer(done.rc, done.stdout)

    return run


@pytest.fixture
def foreign():
    """The instances of the machine that this collection did not make, as the module `layout_info` names them."""
    words = ["ansible", "all", "-i", f"{os.environ['LAB_FOLDER']}/inventory.yml", "-m", "multikernel.core.layout_info"]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300, env=environment)
    return json.loads(done.stdout.partition("=>")[2])["state"]["foreign"]["instances"]
