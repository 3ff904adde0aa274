# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The constructed machines, as facts."""

from __future__ import annotations

import pathlib
import shutil

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._host import facts

HOSTS = pathlib.Path(__file__).parents[3] / "fixtures" / "hosts"


@pytest.fixture
def collect():
    """Return a function from the name of a machine to its facts."""

    def collect_one(name, **options):
        return facts.collect(root=str(HOSTS / name), **options)

    return collect_one


@pytest.fixture
def machine(tmp_path):
    """Return a function that copies a machine to where a test may change it."""

    def copy(name):
        target = tmp_path / name
        shutil.copytree(HOSTS / name, target)
        return target

    return copy
