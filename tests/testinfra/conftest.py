# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that talk to a running lab machine through testinfra; molecule/shared/tasks/tests.yml runs them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
