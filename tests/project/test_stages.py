# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises of the test runner itself: it counts right, it ends what hangs, a broken stage is a failure and not the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/stages/base.py, with its logs in a folder of this test."""
    monkeypatch.setenv("MULTIKERNEL_CHECKOUT", str(TOP))
    monkeypatch.setenv("MULTIKERNEL_CACHE", str(tmp_path))
    monkeypatch.setenv("MULTIKERNEL_WORK", str(tmp_path))
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(TOP / "scripts"))
    for name in [name for name in sys.modules if name == "stages" or name.startswith("stages.")]:
        monkeypatch.delitem(sys.modules, name)
    from stages import base as module

    module.LOGS.mkdir(parents=True)
    return module


def test_counts_add_up(base: ModuleType) -> None:
    total = base.Counts(3, 1) + base.Counts(2, 0, 4)
    assert str(total) == "5 passed, 1 failed, 4 skipped"
    assert str(base.Counts(5)) == "5 passed, 0 failed"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("noise\n12 passed, 0 failed\n", (12, 0, 0)),
        ("1 passed, 9 failed\nthen\n8 passed, 2 failed, 1 skipped\n", (8, 2, 1)),
        ("kernel: 3 passed, 1 failed\n", (3, 1, 0)),
        ("everything passed, nothing failed", None),
    ],
)
def test_the_last_closing_line_counts(base: ModuleType, output: str, expected: tuple[int, int, int] | None) -> None:
    found = base.closing_line(output)
    assert (found and (found.passed, found.failed, found.skipped)) == expected


def test_junit_errors_are_failures(base: ModuleType, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="10" failures="1" errors="2" skipped="3"/></testsuites>')
    assert base.junit(report) == base.Counts(4, 3, 3)
    assert base.junit(tmp_path / "missing.xml") == base.Counts()


@pytest.mark.parametrize("apart", ["", "setsid --fork --wait"], ids=["its group", "a session of its own"])
def test_a_command_that_hangs_is_ended_with_its_children(base: ModuleType, tmp_path: Path, apart: str) -> None:
    witness = tmp_path / "alive"
    script = f"{apart} sh -c 'sleep 4; touch {witness}' & sleep 60"
    began = time.monotonic()
    status, _output = base.command("hang", ["sh", "-c", script], limit=1)
    assert status == 124
    assert time.monotonic() - began < 4
    time.sleep(max(0.0, 5 - (time.monotonic() - began)))
    assert not witness.exists(), "a child outlived the limit"


def test_a_run_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    """As by Ctrl-C: the stage that is under way is ended, the next one does not begin."""
    runner = [str(TOP / "scripts/run"), str(TOP / "scripts/test"), "crash", "docs"]
    with subprocess.Popen(runner, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}) as run:
        assert run.stdout is not None
        run.stdout.readline()
        time.sleep(2)
        run.send_signal(signal.SIGINT)
        said = run.stdout.read()
    assert run.returncode == 130
    assert "stopped" in said
    assert "docs:" not in said
    mark = f"TMPDIR={tmp_path}".encode()
    end = time.monotonic() + 10
    while left := [path for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)]:
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_stage_that_breaks_is_one_failure(base: ModuleType) -> None:
    def broken() -> None:
        raise RuntimeError("no such thing")

    counts, _seconds = base.run(base.Stage("broken", "never", broken))
    assert counts == base.Counts(failed=1)


def test_pytest_without_a_test_is_a_failure(base: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert base.pytest("empty", [folder], limit=60).failed == 1
