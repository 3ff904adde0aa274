# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl console: this terminal is the console of an instance, until Ctrl-]."""

from __future__ import annotations

import base64
import os
import select
import shlex
import subprocess
import sys
import termios
import tty
import typing as t
import zlib

from ._console import command, source

DETACH = b"\x1d"  # Ctrl-]


def console(machine: str | None, instance: str, ssh: str, python: str, wait: float) -> int:
    """Attach to an instance of this machine (None) or of one that ssh reaches. Returns the exit status of the other end."""
    words = [*shlex.split(ssh), machine] if machine else []
    return run([*words, line(instance, python, wait)] if words else ["sh", "-c", line(instance, python, wait)])


def line(instance: str, python: str, wait: float) -> str:
    """The line for the machine's shell. The program is an argument: the standard input is for what is typed."""
    text = source("relay").rpartition(b"\ndef main(")[0] + b"\n" + _names(source("attach"))
    text += b"\nsys.exit(attach(" + repr(instance).encode() + b", " + repr(wait).encode() + b"))\n"
    packed = base64.b64encode(zlib.compress(text, 9)).decode()
    return command(python, "-c", f"import base64,zlib;exec(zlib.decompress(base64.b64decode('{packed}')))")


def _names(text: bytes) -> bytes:
    """attach.py to be put behind relay.py: what must be first in a file, or is imported from it, is left out."""
    lines = text.split(b"\n")
    return b"\n".join(one for one in lines if not one.startswith((b"from __future__", b"from .relay")))


def run(words: list[str]) -> int:
    """Run the other end with this terminal between; a terminal is raw meanwhile, and restored whatever happens."""
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin) if os.isatty(stdin) else None
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as other:
        try:
            _greet(_pipe(other.stderr), before is not None)
            if before is not None:
                tty.setraw(stdin)
            _between(_pipe(other.stdin), _pipe(other.stdout), stdin)
        except KeyboardInterrupt:
            other.terminate()
        finally:
            if before is not None:
                termios.tcsetattr(stdin, termios.TCSADRAIN, before)
                sys.stderr.write("\ndetached\n")
        _close(other.stdin)
        rest = other.stderr.read() if other.stderr else b""
        sys.stderr.write(rest.decode("utf-8", "replace"))
        return other.wait()


def _greet(said_by: t.IO[bytes], person: bool) -> None:
    """Wait until it is attached; words of SSH and of sudo come before."""
    for said in iter(said_by.readline, b""):
        if said == b"attached\n":
            if person:
                sys.stderr.write("attached; Ctrl-] detaches; Enter may wake a shell\n")
            return
        sys.stderr.write(said.decode("utf-8", "replace"))


def _between(to: t.IO[bytes], from_: t.IO[bytes], stdin: int) -> None:
    """Bytes both ways until Ctrl-], the end of the input, or the end of the other side."""
    out = from_.fileno()
    poll = select.poll()
    poll.register(stdin, select.POLLIN)
    poll.register(out, select.POLLIN)
    while True:
        events = dict(poll.poll())
        if out in events:
            data = os.read(out, 1 << 16)
            if not data:
                return
            os.write(sys.stdout.fileno(), data)
        if stdin in events:
            data = os.read(stdin, 4096)
            typed, detached, _rest = data.partition(DETACH)
            if not _give(to, typed) or detached:
                return
            if not data:
                poll.unregister(stdin)
                to.close()


def _pipe(end: t.IO[bytes] | None) -> t.IO[bytes]:
    """One end of a process that was started with three pipes."""
    return t.cast("t.IO[bytes]", end)


def _give(to: t.IO[bytes], data: bytes) -> bool:
    try:
        to.write(data)
        to.flush()
    except (BrokenPipeError, ValueError):
        return False
    return True


def _close(to: t.IO[bytes] | None) -> None:
    try:
        if to is not None:
            to.close()
    except BrokenPipeError:
        pass
