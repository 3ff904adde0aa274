# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests about the repository itself share: its root and the files that belong to it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def own_files() -> list[Path]:
    """Relative paths of all files that git tracks or would track, in order."""
    listing = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=TOP, check=True, capture_output=True, text=True).stdout
    return sorted(path for path in map(Path, {name for name in listing.split("\0") if name}) if (TOP / path).is_file())


def text_of(path: Path) -> str | None:
    """A file's text, None for a binary one."""
    content = (TOP / path).read_bytes()
    if b"\0" in content:
        return None
    return content.decode("utf-8", errors="replace")


@pytest.fixture(scope="session")
def top() -> Path:
    return TOP


@pytest.fixture(scope="session")
def files() -> list[Path]:
    return own_files()


@pytest.fixture(scope="session")
def texts() -> dict[Path, str]:
    """Every text file with its content."""
    return {path: text for path in own_files() if (text := text_of(path)) is not None}
