# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mkl channel: look at the channels of a machine, and send and receive through them."""

from __future__ import annotations

import argparse
import base64
import json
import shlex
import subprocess
import sys
import typing as t
from pathlib import Path

from ..module_utils import _channel
from ._console import command

DONE, FAILED, USAGE = 0, 1, 2
REACH = 30.0  # seconds more than the request itself may take: SSH, sudo, the start of a Python
INPUT = 1 << 16  # bytes that are read of a message: the machine says what is too long


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; returns the exit status."""
    try:
        request, within = _request(options)
        told = ask(options.machine, request, options.ssh, options.python, within + REACH)
    except ChannelFailure as failure:
        print(f"mkl: {failure}", file=sys.stderr)
        return failure.status
    return _show(options, told)


class ChannelFailure(Exception):
    """A sentence, and the exit status."""

    def __init__(self, sentence: str, status: int = FAILED) -> None:
        super().__init__(sentence)
        self.status = status


def _request(options: argparse.Namespace) -> tuple[dict[str, t.Any], float]:
    """(the request of module_utils/_channel/tool.py, how many seconds it may take)."""
    if options.do == "stat":
        return {"do": "stat", "name": options.channel}, 0
    if options.do == "ping":
        return {"do": "ping", "name": options.channel, "count": options.count, "interval": options.interval}, options.count * (
            options.interval + 1
        )
    if options.do == "send":
        data = sys.stdin.buffer.read(INPUT) if options.message == "-" else options.message.encode("utf-8", "surrogateescape")
        return {
            "do": "send",
            "name": options.channel,
            "data": base64.b64encode(data).decode(),
            "timeout": options.timeout,
        }, options.timeout
    return {"do": "recv", "name": options.channel, "count": options.count, "timeout": options.timeout}, options.timeout


def program(request: dict[str, t.Any]) -> bytes:
    """The target's program with its request, for the standard input of a Python."""
    source = (Path(_channel.__file__).parent / "tool.py").read_bytes()
    return source + b"\nmain(" + repr(json.dumps(request)).encode() + b")\n"


def ask(machine: str | None, request: dict[str, t.Any], ssh: str, python: str, within: float) -> dict[str, t.Any]:
    """Have a machine (None: this one) answer a request. Raises ChannelFailure."""
    where = machine or "this machine"
    words = [*shlex.split(ssh), machine] if machine else ["sh", "-c"]
    try:
        done = subprocess.run([*words, command(python)], input=program(request), capture_output=True, timeout=within, check=False)
    except subprocess.TimeoutExpired:
        raise ChannelFailure(f"{where} did not answer within {within:.0f} s", USAGE) from None
    except OSError as error:
        raise ChannelFailure(f"{words[0]} cannot be run: {error.strerror}", USAGE) from None
    try:
        told: dict[str, t.Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ChannelFailure(f"{where} did not run the program: {said[0]}", USAGE) from None
    if "error" in told:
        raise ChannelFailure(told["error"])
    return told


def _show(options: argparse.Namespace, told: dict[str, t.Any]) -> int:
    answered = [one for one in told.get("rtt_ns", []) if one is not None]
    status = FAILED if options.do == "ping" and len(answered) < options.count else DONE
    if options.json:
        print(json.dumps(told, indent=2, sort_keys=True))
    elif options.do == "stat":
        print("\n".join(_table(told["channels"])))
    elif options.do == "ping":
        for number, one in enumerate(told["rtt_ns"]):
            print(f"{options.channel}: {number + 1}: " + ("no answer within 200 ms" if one is None else f"{one / 1000:.1f} µs"))
        print(f"{options.channel}: {len(answered)} of {options.count} answered")
    elif options.do == "send":
        print(f"{options.channel}: {told['size']} bytes sent")
    else:
        for sentence in told["news"]:
            print(f"mkl: {options.channel}: {sentence}", file=sys.stderr)
        for data in told["messages"]:
            print(base64.b64decode(data).decode("utf-8", "backslashreplace"))
    return status


COLUMNS = ("peer", "waiting", "sent", "received", "rejected", "blocked", "restarts")


def _table(channels: dict[str, dict[str, t.Any]]) -> list[str]:
    """One line for each channel under a line of titles; - where a channel does not have that."""
    if not channels:
        return ["this machine has no channels"]
    rows: list[tuple[str, ...]] = [("channel", "kind", "end", *COLUMNS, "last beat")]
    for name, one in sorted(channels.items()):
        beat = one.get("last_beat_ms", -1)
        peer = one.get("peer", one.get("ends", "-"))
        last = f"{beat / 1000:.1f} s ago" if isinstance(beat, int) and beat >= 0 else "-"
        rows.append((name, str(one["kind"]), str(one.get("end", "-")), str(peer), *(str(one.get(key, "-")) for key in COLUMNS[1:]), last))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
