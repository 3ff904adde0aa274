# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that talk to a running lab machine through testinfra; molecule/shared/tasks/tests.yml runs them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

TROUBLE = re.compile("Oops|BUG:|soft lockup|rcu.*stall|general protection|Call Trace")
pytest_plugins = ["ansible_collections.multikernel.core.plugins.plugin_utils._testing.fixture"]


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
