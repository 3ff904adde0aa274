# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the supervisor observes, once a second: the layout, what was started of it, how it beats, and what its gates answer.

Files of the store are read again only when they were replaced; nothing here waits for anybody.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Optional, Tuple

from .._converge import health, lock
from .._converge.store import LAYOUT, STATE, Store
from .._dialect import gates, table
from .._dialect.kernfs_files import INSTANCES
from .._dialect.liveness import look
from .._dialect.observe import MKSTOCK
from . import restore
from .core import Seen, Wanted

SHORTEST, LONGEST = 1.0, 10.0  # seconds between two questions at a gate


class Watch:
    """The observations of one host. system is the door to it."""

    def __init__(self, system: Any) -> None:
        self.system = system
        self.layout: Optional[Dict[str, Any]] = None
        self.known: Dict[str, Dict[str, Any]] = {}
        self.dialect = "rfc"
        self._stamp: Any = ()
        self._other_boot = False  # whether what is remembered is of another boot of the host
        self._asked: Dict[str, Dict[str, _Question]] = {}

    def seen(self) -> Seen:
        """One look at everything."""
        held = lock.is_held(self.system.root)
        self._read()
        wanted = wanted_of(self.layout)
        mine = {name: one for name, one in self.known.items() if name in wanted}
        looks = look(self.system, self.dialect, mine) if mine else {}
        sick = self._sick(mine)
        # an apply that came meanwhile may be what stops an instance
        busy = "an apply is running" if held or lock.is_held(self.system.root) else self._unadopted()
        return Seen(wanted, {name: one.get("nonce") for name, one in mine.items()}, looks, sick, busy)

    def _unadopted(self) -> Optional[str]:
        if self._other_boot and restore.foreign(self.system):
            return "instances that an earlier host kernel has left are not adopted yet"
        return None

    def refresh(self) -> None:
        """Read the store again, also within one turn."""
        self._stamp = ()
        self._read()

    def wanted_now(self) -> Dict[str, Wanted]:
        """The instances that the layout wants to run."""
        self._read()
        return wanted_of(self.layout)

    def console_of(self, name: str) -> Optional[int]:
        """The number of the console of an instance, None where the host has none for it."""
        if self.dialect == "kernfs":
            told = (self.system.read("%s/%s/id" % (INSTANCES, name)) or "").strip()
            return int(told) if told.isdigit() else None
        entry = self.known[name]["spec"]["entry"]
        lines = table.instances(self.system.read(MKSTOCK + "instances")) or []
        return next((one["console"] for one in lines if one["entry"] == entry), None)

    def close(self) -> None:
        """End every question that is still open."""
        for questions in self._asked.values():
            for one in questions.values():
                one.close()
        self._asked = {}

    def _read(self) -> None:
        stamp = tuple(_stamp(os.path.join(self.system.root, path)) for path in (LAYOUT, STATE))
        if stamp == self._stamp:
            return
        store = Store(self.system.root)
        self.layout = store.desired()
        self.dialect = str((store.state() or {}).get("dialect") or "rfc")
        self.known = health.remembered(self.system)
        self._other_boot = restore.needed(self.system) is not None
        self._stamp = stamp

    def _sick(self, mine: Dict[str, Dict[str, Any]]) -> Dict[str, str]:
        found: Dict[str, str] = {}
        now = self.system.monotonic()
        marks = {name: one.get("nonce") for name, one in mine.items()}
        for name in [name for name, one in self._asked.items() if any(each.mark != marks.get(name, -1) for each in one.values())]:
            for each in self._asked.pop(name).values():
                each.close()
        for name, one in mine.items():
            wish = gates.of(one.get("health")) or {}
            questions = self._asked.setdefault(name, {})
            for kind in gates.PROBED:
                if kind in wish and kind not in questions:
                    questions[kind] = _Question(self.system, name, kind, wish[kind], health.within_of(one), one.get("nonce"), now)
            reasons = [reason for reason in (each.sick(now) for each in questions.values()) if reason is not None]
            if reasons:
                found[name] = "; ".join(reasons)
        return found


class _Question:
    """One gate of one boot, asked several times in each `within` seconds; sick when it was not passed once in such a time."""

    def __init__(self, system: Any, name: str, kind: str, what: Any, within: float, mark: Optional[int], now: float) -> None:
        self.system, self.name, self.kind, self.what, self.within, self.mark = system, name, kind, what, within, mark
        self.every = min(LONGEST, max(SHORTEST, within / 3.0))
        self.well, self.next, self.why = now, now, ""
        self._probe: Any = None

    def sick(self, now: float) -> Optional[str]:
        """Ask on; why it is sick, None when it is not."""
        if self._probe is None and now >= self.next:
            self.next = now + self.every
            self._probe = self.system.probe(self.kind, self.what, self.name, min(gates.ATTEMPT, self.within))
        answer = self._probe.poll() if self._probe is not None else None
        if answer is not None:
            self._probe = None
            if answer[0]:
                self.well = now
            self.why = "" if answer[0] else answer[1]
        if self.why and now - self.well >= self.within:
            return "%s, for %.0f s (%g s are allowed)" % (self.why, now - self.well, self.within)
        return None

    def close(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None


def wanted_of(layout: Optional[Dict[str, Any]]) -> Dict[str, Wanted]:
    """The instances that a layout wants to run."""
    found = {}
    for name, one in ((layout or {}).get("instances") or {}).items():
        if one["state"] == "running":
            told = one["health"]
            found[name] = Wanted(one["restart"], None if told is None else float(told["within"]), None if told is None else told["channel"])
    return found


def _stamp(path: str) -> Optional[Tuple[int, int, int]]:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
