# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an apply imports: every module pays for it before anything happens, so that what few applies need comes when it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.multikernel.core.plugins.module_utils._converge import run

PROGRAM = """
import sys
sys.path.insert(0, %r)
from ansible_collections.multikernel.core.plugins.module_utils._converge import run
print("\\n".join(sys.modules))
"""
PREFIX = "ansible_collections.multikernel.core.plugins.module_utils."
LATER = (
    "subprocess",
    "socket",
    "shutil",
    "tempfile",
    "lzma",
    "platform",
    PREFIX + "_boot.fdt",
    PREFIX + "_boot.signature",
    PREFIX + "_boot.unpack",
    PREFIX + "_console.relay",
    PREFIX + "_dialect.kernfs",
    PREFIX + "_dialect.probes",
    PREFIX + "_isolation.grade",
)


@pytest.fixture(scope="module")
def imported() -> "set[str]":
    tree = next(path.parent for path in Path(run.__file__).parents if path.name == "ansible_collections")
    words = [sys.executable, "-I", "-S", "-c", PROGRAM % str(tree)]
    told = subprocess.run(words, stdout=subprocess.PIPE, check=True, env={"PATH": os.environ["PATH"]})
    return set(told.stdout.decode().split())


def test_an_apply_imports_what_it_needs(imported: "set[str]") -> None:
    assert PREFIX + "_dialect.rfc" in imported
    assert PREFIX + "_rules.ram" in imported


@pytest.mark.parametrize("name", LATER)
def test_what_few_applies_need_is_not_imported_by_all(imported: "set[str]", name: str) -> None:
    assert name not in imported
