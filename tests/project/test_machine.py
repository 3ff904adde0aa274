# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab machine that stands still is ended all the same, and whoever asks it is told so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import machine
import pytest
from qmp import Qmp, QmpError

SILENT = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind('qmp'); s.listen(); print(flush=True); time.sleep(600)"


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has the socket and the pid file of a QEMU, and was stopped: it takes connections, and never answers."""
    process = subprocess.Popen([sys.executable, "-c", SILENT, str(tmp_path / "pid")], cwd=tmp_path, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    (tmp_path / "pid").write_text(str(process.pid))
    os.kill(process.pid, signal.SIGSTOP)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_machine_that_stands_still_is_told_as_one(tmp_path: Path, hung: subprocess.Popen[bytes]) -> None:
    with pytest.raises(QmpError, match=r"the QEMU at .*/qmp does not answer: timed out"):
        Qmp(tmp_path / "qmp", timeout=0.1)


def test_and_is_ended(tmp_path: Path, hung: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PATIENCE", 0.1)
    assert machine.Machine(tmp_path).stop() is True
    assert hung.wait(timeout=10) == -signal.SIGKILL


def test_nobody_at_the_socket(tmp_path: Path) -> None:
    with pytest.raises(QmpError, match="no QEMU listens at"):
        Qmp(tmp_path / "qmp")
