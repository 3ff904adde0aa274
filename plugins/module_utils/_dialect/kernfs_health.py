# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether an instance came up. The kernel of the interface gives no sign of it; so the evidence is, in this order: the heartbeat in the
mailbox of an instance of mkstock, a line on its console, and where there is neither, that nobody can tell."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from . import table
from .base import InstanceError
from .kernfs_files import Found, Tree
from .kernfs_image import MKTTY
from .observe import ENDED, MKSTOCK, POLL, ended, mailbox

SILENCE = "(none: nothing is in its mailbox; see console_logs)"


class Health:
    """Waits for instances. within: seconds, for those whose layout says nothing; nonces: the marks of their boots."""

    def __init__(self, system: Any, tree: Tree, within: float, console_logs: Dict[str, str]) -> None:
        self.system, self.tree, self.within, self.console_logs = system, tree, within, console_logs
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

    def wait(self, one: Found, within: Optional[float], channel: Optional[str], facts: Dict[str, Any]) -> Dict[str, Any]:
        """Return what it said; raise InstanceError when it ended, or stays silent for too long."""
        limit = self.within if within is None else within
        try:
            return self._by_mailbox(one, limit, channel) if self.mkstock(facts) else self._by_console(one, limit)
        finally:
            console = self.consoles.pop(one.name, None)
            if console is not None:
                console.close()

    def _by_mailbox(self, one: Found, limit: float, channel: Optional[str]) -> Dict[str, Any]:
        begin = self.system.monotonic()
        while True:
            page = mailbox(self.system, one.base or 0)
            words = page if page is not None and page["nonce"] == self.nonces.get(one.name) else None
            seconds = self.system.monotonic() - begin
            if words is not None and words["state"] == "running" and words["beats"] and self._heard(channel):
                return {"uname": words["uname"], "beats": words["beats"], "nproc": words["nproc"], "seconds": round(seconds, 3)}
            if words is not None and words["state"] in ENDED:
                raise InstanceError(one.name, "%s %s before it reported" % (one.name, ended(words)), self._last_words(one.name, words))
            self._still_wanted(one, seconds, limit, page, words, channel)
            self.system.sleep(POLL)

    def _still_wanted(self, one: Found, seconds: float, limit: float, page: Any, words: Any, channel: Optional[str]) -> None:
        if self.system.stopped is not None:
            raise InstanceError(one.name, "the apply was ended by %s while it waited for %s" % (self.system.stopped, one.name))
        if seconds < limit:
            return
        text = "%s did not report within %g s: " % (one.name, limit)
        if page is None:
            text += "its mailbox cannot be read on this host (neither /dev/mkstock nor /dev/mem shows it)"
        elif words is None:
            text += "its mailbox does not carry the mark of this boot, so its memory was overwritten"
        elif words["state"] == "running" and channel is not None:
            text += "it runs, but no heartbeat came over channel %s" % channel
        else:
            text += "its mailbox says %r after %d beats" % (words["state"], words["beats"])
        raise InstanceError(one.name, text, self._last_words(one.name, words))

    def _by_console(self, one: Found, limit: float) -> Dict[str, Any]:
        begin = self.system.monotonic()
        console = self.consoles.get(one.name)
        said = b""
        while console is not None and b"\n" not in said and self.system.monotonic() - begin < limit:
            now = self.tree.instance(one.name)
            if now is None or now.status != "active":
                raise InstanceError(one.name, "%s is no longer active" % one.name, self._last_words(one.name, None))
            if self.system.stopped is not None:
                raise InstanceError(one.name, "the apply was ended by %s while it waited for %s" % (self.system.stopped, one.name))
            said += console.read()
            if b"\n" not in said:
                self.system.sleep(POLL)
        now = self.tree.instance(one.name)
        if now is None or now.status != "active":
            raise InstanceError(one.name, "%s is no longer active" % one.name, self._last_words(one.name, None))
        seconds = round(self.system.monotonic() - begin, 3)
        return (
            {"console": said.decode("utf-8", "replace")[:200], "seconds": seconds} if said else {"unverifiable": True, "seconds": seconds}
        )

    def _heard(self, channel: Optional[str]) -> bool:
        attached = table.channels(self.system.read(MKSTOCK + "channels"))
        if channel is None or attached is None:
            return True
        one = attached.get(channel)
        return one is not None and one["beats"] > 0

    def _last_words(self, name: str, words: Optional[Dict[str, Any]]) -> List[str]:
        log = self.system.read(self.console_logs[name]) if name in self.console_logs else None
        lines = [line.rstrip() for line in (log or "").splitlines() if line.strip()][-20:]
        told = [] if words is None else [one for one in (words["uname"], words["text"]) if one]
        return lines + ["mailbox: %s" % one for one in told] or [SILENCE]
