# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where pydantic is missing, everything can still be imported, and using it says what is missing."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import ansible_collections.multikernel.core.plugins.plugin_utils._check as somewhere
import pytest

PLUGINS = pathlib.Path(somewhere.__file__).parents[1]
PREFIX = "ansible_collections.multikernel.core.plugins"
WITHOUT = """
import importlib, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pydantic", "pydantic_core", "jsonschema", "pytest", "testinfra"):
            raise ImportError("No module named %r" % name)
sys.meta_path.insert(0, Nothing())
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT + program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("folder", ["plugin_utils", "action", "filter"])
def test_every_file_can_be_imported(folder: str) -> None:
    names = [
        ".".join([PREFIX, *file.relative_to(PLUGINS).with_suffix("").parts])
        for file in sorted((PLUGINS / folder).rglob("*.py"))
        if file.name != "__init__.py"
    ]
    assert names
    done = python("\n".join(f"importlib.import_module({name!r})" for name in names))
    assert done.returncode == 0, done.stderr


def test_reading_a_layout_says_how_to_install_it() -> None:
    done = python(f"from {PREFIX}.plugin_utils._cli import main; sys.exit(main(['schema']))")
    assert done.returncode == 2
    assert done.stderr.startswith("mkl: reading a layout needs the Python library pydantic (2.x) on the controller")
    assert "python -m pip install 'pydantic>=2'" in done.stderr
