# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl channel: what is asked of a machine, how it is told, and with which exit status."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from ansible_collections.multikernel.core.plugins.plugin_utils._cli import main

LINE = "beat 0x5fff6000 end=0 slots=64 size=16 sent=3 received=12 rejected=1 last_beat_ms=1400 peer=up waiting=2 blocked=0 restarts=1\n"
SSH = """#!/bin/sh
# takes the machine's name and runs the line here
[ "$1" = box ] || { echo "ssh: no such machine" >&2; exit 255; }
exec sh -c "$2"
"""
PYTHON = """#!{python}
import sys
exec(sys.stdin.read().replace('root: str = "/"', 'root: str = ' + {root!r}))
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    root = tmp_path / "root"
    (root / "sys/kernel/mkstock").mkdir(parents=True)
    (root / "sys/kernel/mkstock/channels").write_text(LINE)
    (root / "dev/mkchan").mkdir(parents=True)
    os.mkfifo(root / "dev/mkchan/beat")
    for name, text in (("ssh", SSH), ("python", PYTHON.format(python=sys.executable, root=repr(str(root))))):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return ["--ssh", str(tmp_path / "ssh"), "--python", str(tmp_path / "python")]


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's line asks who it is; whoever runs the tests is root there."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "bin/id").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def test_stat_of_this_machine_as_a_table(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channel", "stat", *words]) == 0
    titles, line = capsys.readouterr().out.splitlines()
    assert titles.split()[:4] == ["channel", "kind", "end", "peer"]
    assert line.split() == ["beat", "ipi", "0", "up", "2", "3", "12", "1", "0", "1", "1.4", "s", "ago"]


def test_stat_as_data_by_ssh(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channel", "stat", "box", "--json", *words]) == 0
    assert json.loads(capsys.readouterr().out)["channels"]["beat"]["waiting"] == 2


def test_a_channel_that_is_not_there(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channel", "ping", "box", "beet", *words]) == 1
    assert capsys.readouterr().err == "mkl: there is no channel beet on this machine; there are: beat\n"


def test_a_machine_that_is_not_there(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channel", "stat", "bax", *words]) == 2
    assert capsys.readouterr().err == "mkl: bax did not run the program: ssh: no such machine\n"


def test_a_program_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channel", "stat", "box", "--ssh", "/nowhere/ssh"]) == 2
    assert capsys.readouterr().err == "mkl: /nowhere/ssh cannot be run: No such file or directory\n"


def test_a_message_too_long(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channel", "send", "beat", "seventeen letters", *words]) == 1
    assert capsys.readouterr().err == "mkl: the message has 17 bytes, and beat carries 16 at most\n"


def test_silence(words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    both = os.open(tmp_path / "root/dev/mkchan/beat", os.O_RDWR | os.O_NONBLOCK)
    try:
        assert main(["channel", "recv", "beat", "--timeout", "0.1", *words]) == 1
        os.write(both, b"caf\xe9")
        assert main(["channel", "recv", "beat", "--timeout", "5", *words]) == 0
    finally:
        os.close(both)
    said = capsys.readouterr()
    assert said.err == "mkl: nothing came through beat within 0.1 s; the other end is up\n"
    assert said.out == "caf\\xe9\n"


@pytest.mark.parametrize("more", [["--count", "0"], ["--count", "x"], ["--timeout", "-1"], ["--timeout", "nan"]])
def test_numbers_that_make_no_sense(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["channel", "recv", "beat", *more])
    assert end.value.code == 2
    assert f"argument {more[0]}" in capsys.readouterr().err
