# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The gates of an instance beyond its heartbeat: a line on its console, a TCP connection, a command of the host. All must be passed.

Nothing here blocks: whoever waits asks again and again.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, Dict, List, Optional

from .._layout.canonical import GATES
from .observe import MKSTOCK

ATTEMPT = 5.0  # seconds that one connection or one run of a command may take
PAUSE = 0.5  # seconds from one that failed to the next
LINE = 1000  # characters of a console line that are looked at
PROBED = ("tcp", "command")  # those that are asked again and again

Wanted = Dict[str, Any]


def of(health: Optional[Dict[str, Any]]) -> Optional[Wanted]:
    """The gates in a layout's entry `health`; None where it has none."""
    wanted = {kind: (health or {})[kind] for kind in GATES if (health or {}).get(kind) is not None}
    return wanted or None


class Gates:
    """The gates of one boot. wanted: see of; console: the number of its console, None where the host has none for it;
    opened: that console where somebody has opened it before the boot."""

    def __init__(
        self, system: Any, name: str, wanted: Optional[Wanted], limit: float, console: Optional[int] = None, opened: Any = None
    ) -> None:
        self.system, self.name, self.wanted, self.console = system, name, wanted or {}, console
        self.attempt = min(ATTEMPT, limit)
        self.lacks: Dict[str, str] = dict.fromkeys(self.wanted, "it was not asked yet")
        self.hopeless: Optional[str] = None
        self._probes: Dict[str, Any] = {}
        self._again: Dict[str, float] = {}
        self._listener = None
        if "console" in self.wanted:
            self._listener = Listener(system, self.wanted["console"], console, opened)
            self.lacks["console"] = "no line of its console matches %r" % self.wanted["console"]

    def passed(self) -> bool:
        """Whether all were passed at some time since the start."""
        if "console" in self.lacks and self._listener is not None and self._listener.heard():
            del self.lacks["console"]
        for kind in PROBED:
            if kind in self.lacks:
                self._ask(kind)
        return not self.lacks

    def said(self) -> List[str]:
        """The last lines of its console that the host can show."""
        return tail(self.system, self.console)

    def missing(self) -> str:
        """What was not passed, in words."""
        return "; ".join(self.lacks[kind] for kind in sorted(self.lacks))

    def close(self) -> None:
        """End what still asks."""
        for probe in self._probes.values():
            probe.close()
        self._probes = {}
        if self._listener is not None:
            self._listener.close()

    def _ask(self, kind: str) -> None:
        now = self.system.monotonic()
        if kind not in self._probes:
            if now < self._again.get(kind, now):
                return
            self._probes[kind] = self.system.probe(kind, self.wanted[kind], self.name, self.attempt)
        answer = self._probes[kind].poll()
        if answer is None:
            return
        probe = self._probes.pop(kind)
        self.hopeless = self.hopeless or probe.hopeless
        self._again[kind] = now + PAUSE
        if answer[0]:
            del self.lacks[kind]
        else:
            self.lacks[kind] = answer[1]


class Listener:
    """Whether a line of a console matches. What was said last is read without taking it from anybody; what is said meanwhile is read from
    the console itself, unless somebody else is using it. number: of the console."""

    def __init__(self, system: Any, pattern: str, number: Optional[int], opened: Any = None) -> None:
        self.system, self.number, self._console = system, number, opened
        self.pattern = re.compile(pattern)
        self._lock: Any = None
        self._rest = ""

    def heard(self) -> bool:
        """Look once more."""
        if self.number is None:
            return False
        self._open()
        tail = self.system.read("%stty/%d" % (MKSTOCK, self.number)) or ""
        said = self._console.read().decode("utf-8", "replace") if self._console is not None else ""
        lines = (self._rest + said).split("\n")
        self._rest = lines[-1][-LINE:]
        return any(self._matches(line) for line in lines + tail.split("\n"))

    def close(self) -> None:
        """Leave the console to others."""
        if self._lock is not None:
            self._console.close()
            self._lock.__exit__()
            self._console = self._lock = None

    def _open(self) -> None:
        if self._console is not None or self.number is None:
            return
        from .._console.relay import Lock, RelayError  # the relay is a program of its own, and few gates listen to a console

        lock = Lock(self.number, 0.0, self.system.root)
        with contextlib.suppress(RelayError):
            lock.__enter__()
            self._console = self.system.open_console(self.number)
            if self._console is None:
                lock.__exit__()
            else:
                self._lock = lock

    def _matches(self, line: str) -> bool:
        return self.pattern.search(line.rstrip("\r")[:LINE]) is not None


def tail(system: Any, console: Optional[int], count: int = 20) -> List[str]:
    """The last lines that an instance said on the console of this number, read or not, without what a terminal would obey."""
    text = "" if console is None else system.read("%stty/%d" % (MKSTOCK, console)) or ""
    lines = ("".join(char if char.isprintable() else " " for char in line).rstrip() for line in text.split("\n"))
    return [line for line in lines if line.strip()][-count:]
