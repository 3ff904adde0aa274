# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's cache of translated code, which no real machine has.

Without KVM, QEMU keeps what it made of the guest's code in one cache. When that is full, all CPUs stand still until it is empty, for
about a tenth of a second. A measurement of short gaps makes room before it begins, so that this does not happen in the middle of it,
and asks QEMU's own counter whether it did.
"""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from .lab import TOP, Lab, static

sys.path.insert(0, str(TOP / "roles/qemu_lab/files"))
from qmp import Qmp, QmpError

SIZE = re.compile(r"gen code size\s+(\d+)/(\d+)")
EMPTIED = re.compile(r"TB flush count\s+(\d+)")
PROGRAM = "/usr/local/bin/translate"
STEP = 2  # seconds of filling between two looks
LIMIT = 120  # seconds


class Look(NamedTuple):
    """Bytes used and in all, and how often it was emptied since the machine was started."""

    used: int
    size: int
    emptied: int

    @classmethod
    def read(cls, text: str) -> Look | None:
        """From what QEMU says of it; None when that is not in it."""
        size, emptied = SIZE.search(text), EMPTIED.search(text)
        return cls(int(size[1]), int(size[2]), int(emptied[1])) if size and emptied else None


class TranslationCache:
    """That of one lab machine; without one, as under KVM, there is nothing to make room in."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def look(self) -> Look | None:
        """None: the machine has none."""
        try:
            with Qmp(self.lab.folder / "qmp") as machine:
                return Look.read(machine.ask("x-query-jit")["human-readable-text"])
        except QmpError:
            return None

    def prepare(self) -> None:
        """Put the program that fills it on the machine."""
        self.lab.copy(static(TOP / "benchmarks/translate.c", self.lab.work / "translate"), PROGRAM)

    def make_room(self, wanted: int) -> Look | None:
        """Where fewer bytes than wanted are free, fill it up, upon which it is emptied. Returns the last look."""
        for _turn in range(LIMIT // STEP):
            now = self.look()
            if now is None or now.size - now.used >= wanted:
                return now
            self.lab.shell(f"{PROGRAM} {STEP}")
        raise SystemExit(f"QEMU's cache of translated code had no room for {wanted >> 20} MiB after {LIMIT} s")
