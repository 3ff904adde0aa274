# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The report of an instance that was started: its own word in its mailbox, awaited, or what is known where it does not come."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from . import table
from .base import InstanceError
from .gates import Gates
from .observe import ENDED, MKSTOCK, POLL, ended, mailbox


class Reports:
    """Waits for instances of one host. silence: what is shown in place of last words where there are none."""

    def __init__(self, system: Any, console_logs: Mapping[str, str], silence: str) -> None:
        self.system, self.console_logs, self.silence = system, console_logs, silence
        self.booted: Dict[str, float] = {}  # when the boot call of each was made, by the clock that only goes forward

    def boots(self, name: str) -> None:
        """Note that an instance is about to be booted."""
        self.booted[name] = self.system.monotonic()

    def wait(self, name: str, base: int, nonce: Optional[int], limit: float, channel: Optional[str], gates: Gates) -> Dict[str, Any]:
        """{"uname", "beats", "nproc", "seconds", "first_beat"} of the boot with this nonce, whose mailbox is at base.

        first_beat is in seconds from the boot call, null where that was not seen.

        Raises InstanceError when it ended, when it says nothing for `limit` seconds, or when the apply is to end. With a channel
        a heartbeat must have come over it, and all gates must be passed.
        """
        begin = self.system.monotonic()
        first: Optional[float] = None
        while True:
            page = mailbox(self.system, base)
            words = page if page is not None and page["nonce"] == nonce else None
            seconds = self.system.monotonic() - begin
            well = words is not None and words["state"] == "running" and words["beats"] and self._heard(channel)
            if words is not None and well and first is None:
                first = self._first_beat(name, words)
            passed = gates.passed()
            if words is not None and well and passed:
                told = {"uname": words["uname"], "beats": words["beats"], "nproc": words["nproc"], "seconds": round(seconds, 3)}
                if gates.wanted:
                    told["gates"] = sorted(gates.wanted)
                return dict(told, first_beat=first)
            if words is not None and words["state"] in ENDED:
                raise InstanceError(name, "%s %s before it reported" % (name, ended(words)), self.last_words(name, words, gates.said()))
            self.refuse_when_stopped(name)
            if well and (seconds >= limit or gates.hopeless is not None):
                sentence = "%s runs, and is not well within %g s: %s" % (name, limit, gates.missing())
                raise InstanceError(name, sentence, self.last_words(name, words, gates.said()))
            if seconds >= limit:
                raise InstanceError(name, _silence(name, limit, page, words, channel), self.last_words(name, words, gates.said()))
            self.system.sleep(POLL)

    def refuse_when_stopped(self, name: str) -> None:
        """Raises InstanceError when somebody asked for the end of the apply."""
        if self.system.stopped is not None:
            raise InstanceError(name, "the apply was ended by %s while it waited for %s" % (self.system.stopped, name))

    def last_words(self, name: str, words: Optional[Dict[str, Any]], said: Sequence[str] = ()) -> List[str]:
        """The last lines of its console, where they are logged (else those it said to the host), and what its mailbox says."""
        log = self.system.read(self.console_logs[name]) if name in self.console_logs else None
        lines = [line.rstrip() for line in (log or "").splitlines() if line.strip()][-20:] or list(said)
        told = [] if words is None else [one for one in (words["uname"], words["text"]) if one]
        return lines + ["mailbox: %s" % one for one in told] or [self.silence]

    def _first_beat(self, name: str, words: Dict[str, Any]) -> Optional[float]:
        """Its beats carry time stamps, so that it does no harm when it was looked at late, after others."""
        booted = self.booted.pop(name, None)
        if booted is None:
            return None
        since = self.system.monotonic() - booted
        khz = table.number_of(self.system.read(MKSTOCK + "info"), "tsc_khz")
        late: float = (words["tsc_last"] - words["tsc_first"]) / (khz * 1000.0) if khz and words["tsc_first"] else 0.0
        first: float = since - late if 0 <= late <= since else since
        return round(first, 3)

    def _heard(self, channel: Optional[str]) -> bool:
        attached = table.channels(self.system.read(MKSTOCK + "channels"))
        if channel is None or attached is None:
            return True
        one = attached.get(channel)
        return one is not None and one["beats"] > 0


def _silence(name: str, limit: float, page: Optional[Dict[str, Any]], ours: Optional[Dict[str, Any]], channel: Optional[str]) -> str:
    text = "%s did not report within %g s: " % (name, limit)
    if page is None:
        return text + "its mailbox cannot be read on this host (neither /dev/mkstock nor /dev/mem shows it)"
    if ours is None:
        return text + "its mailbox does not carry the mark of this boot, so its memory was overwritten"
    if ours["state"] == "running" and channel is not None:
        return text + "it runs, but no heartbeat came over channel %s" % channel
    return text + "its mailbox says %r after %d beats" % (ours["state"], ours["beats"])
