# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl console: a person's terminal, a pipe, the way over ssh, and what is said when there is no console."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.multikernel.core.tests.unit.plugins.module_utils.simulated_console import ConsoleMachine

MKL = "import sys; from ansible_collections.multikernel.core.plugins.plugin_utils._cli import main; sys.exit(main(sys.argv[1:]))"
SSH = """#!/bin/sh
# takes the machine's name and runs the line here, below the root folder of the simulated machine
echo "Warning: a word of ssh" >&2
[ "$1" = -F ] && shift 2
[ "$1" = box ] || exit 255
exec sh -c "$2"
"""
PYTHON = """#!{python}
import sys
root = {root!r}
text = sys.argv[2].replace("exec(zlib", "text=(zlib") + ".decode().replace('root: str = \\"/\\"', 'root: str = ' + repr(root))\\nexec(text)"
exec(text)
"""


@pytest.fixture
def machine(tmp_path: Path) -> t.Iterator[ConsoleMachine]:
    one = ConsoleMachine(tmp_path / "root")
    for name, text in (("ssh", SSH), ("python", PYTHON.format(python=sys.executable, root=str(one.root)))):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    yield one
    one.close()


def words(tmp_path: Path, *more: str) -> list[str]:
    return [sys.executable, "-c", MKL, "console", "--python", str(tmp_path / "python"), "--wait", "0.5", *more]


def await_(fd: int, wanted: bytes) -> bytes:
    """What comes up to `wanted`."""
    heard, deadline = b"", time.monotonic() + 20
    while wanted not in heard and time.monotonic() < deadline:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                heard += os.read(fd, 4096)
            except OSError:
                break
    assert wanted in heard, heard
    return heard


def test_a_terminal_is_the_console_until_it_is_detached_and_then_as_before(machine: ConsoleMachine, tmp_path: Path) -> None:
    mine, theirs = pty.openpty()
    with subprocess.Popen(words(tmp_path, "web"), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        await_(mine, b"Ctrl-] detaches")
        time.sleep(0.3)
        os.write(mine, b"echo 6\r7 | :\rtty\r")
        os.write(mine, b"echo $((6 * 7)) is the answer\r")
        await_(mine, b"42 is the answer")
        os.write(mine, b"\x1d")
        await_(mine, b"detached")
        assert process.wait(20) == 0
    os.close(mine)
    os.close(theirs)


def test_a_pipe_may_be_the_input_and_ssh_the_way(machine: ConsoleMachine, tmp_path: Path) -> None:
    command = words(tmp_path, "box", "web", "--ssh", f"{tmp_path}/ssh -F lab.conf")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"echo $((6 * 7))\n")
        process.stdin.flush()
        await_(process.stdout.fileno(), b"42\n")
        process.stdin.close()
        assert process.wait(20) == 0
        assert b"a word of ssh" in process.stderr.read()


def test_no_such_instance_is_a_sentence_and_an_exit_code(machine: ConsoleMachine, tmp_path: Path) -> None:
    done = subprocess.run(words(tmp_path, "db"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "mkl: this machine knows of no instance db; give its number, or apply a layout that has it\n"


def test_a_console_in_use_is_not_taken_away(machine: ConsoleMachine, tmp_path: Path) -> None:
    first = subprocess.Popen(words(tmp_path, "web"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert first.stdin and first.stdout
    first.stdin.write(b"echo $((6 * 7))\n")
    first.stdin.flush()
    await_(first.stdout.fileno(), b"42\n")
    done = subprocess.run(words(tmp_path, "web"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "was in use by another" in done.stderr
    first.communicate(timeout=20)
    assert first.returncode == 0
