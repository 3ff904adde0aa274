# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether an instance came up. The kernel of the interface gives no sign of it; so the evidence is, in this order: the heartbeat in the
mailbox of an instance of mkstock, a line on its console, and where there is neither, that nobody can tell."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from .base import InstanceError
from .gates import Gates, Wanted
from .image import MKTTY
from .kernfs_files import Found, Tree
from .observe import POLL
from .report import Reports

SILENCE = "(none: nothing is in its mailbox; see console_logs)"


class Health:
    """Waits for instances. within: seconds, for those whose layout says nothing; nonces: the marks of their boots."""

    def __init__(self, system: Any, tree: Tree, within: float, console_logs: Mapping[str, str]) -> None:
        self.system, self.tree, self.within = system, tree, within
        self.reports = Reports(system, console_logs, SILENCE)
        self.nonces: Dict[str, int] = {}
        self.consoles: Dict[str, Any] = {}  # opened before the start: the kernel keeps no history

    @staticmethod
    def mkstock(facts: Dict[str, Any]) -> bool:
        """Whether the kernel's part is played by mkstock, whose instances have a mailbox."""
        return bool(facts["dialect"]["provider"] == "mkstock")

    def listen(self, spec: Dict[str, Any], one: Found) -> None:
        """Open the console of an instance that is about to start, where it has one of this kind."""
        if spec["console"] and spec["console"]["device"] == MKTTY:
            self.consoles[one.name] = self.system.open_console(one.id)

    def wait(
        self, one: Found, within: Optional[float], channel: Optional[str], facts: Dict[str, Any], wanted: Optional[Wanted] = None
    ) -> Dict[str, Any]:
        """Return what it said; raise InstanceError when it ended, stays silent for too long, or does not pass a gate."""
        limit = self.within if within is None else within
        gates = Gates(self.system, one.name, wanted, limit, one.id, self.consoles.get(one.name))
        try:
            return self._by_mailbox(one, limit, channel, gates) if self.mkstock(facts) else self._by_console(one, limit, gates)
        finally:
            gates.close()
            console = self.consoles.pop(one.name, None)
            if console is not None:
                console.close()

    def _by_mailbox(self, one: Found, limit: float, channel: Optional[str], gates: Gates) -> Dict[str, Any]:
        return self.reports.wait(one.name, one.base or 0, self.nonces.get(one.name), limit, channel, gates)

    def _by_gates(self, one: Found, limit: float, gates: Gates) -> Dict[str, Any]:
        begin = self.system.monotonic()
        while not gates.passed():
            self._refuse_when_ended(one)
            self.reports.refuse_when_stopped(one.name)
            if gates.hopeless is not None or self.system.monotonic() - begin >= limit:
                words = self.reports.last_words(one.name, None)
                raise InstanceError(one.name, "%s is not well within %g s: %s" % (one.name, limit, gates.missing()), words)
            self.system.sleep(POLL)
        return {"gates": sorted(gates.wanted), "seconds": round(self.system.monotonic() - begin, 3)}

    def _refuse_when_ended(self, one: Found) -> None:
        now = self.tree.instance(one.name)
        if now is None or now.status != "active":
            raise InstanceError(one.name, "%s is no longer active" % one.name, self.reports.last_words(one.name, None))

    def _by_console(self, one: Found, limit: float, gates: Gates) -> Dict[str, Any]:
        if gates.wanted:
            return self._by_gates(one, limit, gates)
        begin = self.system.monotonic()
        console = self.consoles.get(one.name)
        said = b""
        while console is not None and b"\n" not in said and self.system.monotonic() - begin < limit:
            self._refuse_when_ended(one)
            self.reports.refuse_when_stopped(one.name)
            said += console.read()
            if b"\n" not in said:
                self.system.sleep(POLL)
        self._refuse_when_ended(one)
        seconds = round(self.system.monotonic() - begin, 3)
        return (
            {"console": said.decode("utf-8", "replace")[:200], "seconds": seconds} if said else {"unverifiable": True, "seconds": seconds}
        )
