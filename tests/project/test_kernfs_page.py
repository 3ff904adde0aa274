# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of traps names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_test_that_the_page_names_exists(top: Path) -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", (top / "docs/kernfs.md").read_text()))
    tests = "\n".join(path.read_text() for path in (top / "tests").rglob("test_*.py"))
    assert len(named) > 20
    missing = sorted(name for name in named if f"def {name}(" not in tests)
    assert not missing, f"docs/kernfs.md names tests that are not there: {missing}"
