# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether instances live, from one look at the host's files after the other; cheap enough for once a second, and free of any waiting.

`look` reads, `Pulse` remembers and judges. Times are seconds of a clock that only goes forward.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from . import table
from .kernfs_files import INSTANCES
from .observe import ENDED, MKSTOCK, ended, is_readable, mailbox

GONE = "gone"  # the kernel no longer lists it, or lists it as ended without a word of its own
RUNNING = "running"
SILENT = "silent"  # it is listed, and its mailbox says nothing (yet) of this boot
UNTOLD = "untold"  # nothing on this host tells whether it does anything


class Look(NamedTuple):
    """One instance at one moment: state is one of the four words above or of observe.ENDED; beats count in its mailbox, channel_beats on
    the channel of its health; None where there is nothing to read."""

    state: str
    beats: Optional[int] = None
    channel_beats: Optional[int] = None
    uname: str = ""
    text: str = ""


def look(system: Any, dialect: str, known: Dict[str, Dict[str, Any]]) -> Dict[str, Look]:
    """A look at each instance. known: by name what the store remembers of it ({"spec", "nonce", "health"}); shared files are read once."""
    lines = table.instances(system.read(MKSTOCK + "instances"))
    listed = None if lines is None else {one["entry"]: one for one in lines}
    channels = table.channels(system.read(MKSTOCK + "channels")) or {}
    return {name: _look(system, dialect, name, one, listed, channels) for name, one in sorted(known.items())}


def _look(
    system: Any,
    dialect: str,
    name: str,
    known: Dict[str, Any],
    listed: Optional[Dict[int, Dict[str, Any]]],
    channels: Dict[str, Dict[str, Any]],
) -> Look:
    spec = known["spec"]
    words = None if spec["base"] is None else mailbox(system, spec["base"])
    if words is not None and words["nonce"] != known.get("nonce"):
        words = None
    told = {"uname": words["uname"], "text": words["text"], "beats": words["beats"]} if words is not None else {}
    if words is not None and words["state"] in ENDED:
        return Look(words["state"], **told)
    line = (listed or {}).get(spec["entry"])
    if dialect == "kernfs":
        there: Optional[bool] = (system.read("%s/%s/status" % (INSTANCES, name)) or "").strip() == "active"
    else:
        there = None if listed is None else line is not None and line["state"] == "running"
    if there is False:
        return Look(GONE, **dict(told, text=told.get("text") or (line or {}).get("text", "")))
    channel = (known.get("health") or {}).get("channel")
    on_channel = channels[channel]["beats"] if channel in channels else None
    if words is not None:
        return Look(RUNNING if words["beats"] else SILENT, channel_beats=on_channel, **told)
    return Look(SILENT if there and is_readable(system, spec["base"]) else UNTOLD, channel_beats=on_channel)


class Pulse:
    """The looks at one boot of one instance, judged: it must be heard anew within `within` seconds, on its channel where it has one."""

    def __init__(self, within: float, channel: Optional[str], now: float) -> None:
        self.within, self.channel = within, channel
        self.last = Look(SILENT)
        self.changed = self.begun = now
        self.moved = False  # whether it was ever heard anew since the first look

    def saw(self, look_: Look, now: float) -> None:
        """Take a look in."""
        mine, before = self._beats(look_), self._beats(self.last)
        if mine is not None and before is not None and mine != before:
            self.moved, self.changed = True, now
        elif before is None and mine is not None:
            self.changed = now
        self.last = look_

    def _beats(self, look_: Look) -> Optional[int]:
        # a host that does not attach to the channel (yet) hears the mailbox all the same
        return look_.channel_beats if self.channel is not None and look_.channel_beats is not None else look_.beats

    def verdict(self, now: float) -> Dict[str, Any]:
        """{"alive": true | false | null (nobody can tell), "state", "beats", "silent_for": seconds, "why": sentence, "uname", "text"}."""
        seen, silent = self.last, max(0.0, now - self.changed)
        alive: Optional[bool] = True
        why = "it beats"
        if seen.state in ENDED:
            alive, why = False, "it %s" % ended({"state": seen.state}) + (": %s" % seen.text if seen.text else "")
        elif seen.state == GONE:
            alive, why = False, "the kernel no longer lists it as running" + (": %s" % seen.text if seen.text else "")
        elif silent >= self.within:
            where = "on channel %s" % self.channel if self.channel is not None and seen.channel_beats is not None else "in its mailbox"
            alive, why = False, "no heartbeat %s for %.1f s (%g s are allowed)" % (where, silent, self.within)
            if seen.beats is None and seen.channel_beats is None and seen.state == UNTOLD:
                alive, why = None, "its mailbox cannot be read on this host, and nothing else tells whether it lives"
        elif not self.moved:
            alive, why = None, "it was not heard anew yet"
        return {
            "alive": alive,
            "state": seen.state,
            "beats": seen.beats,
            "silent_for": round(silent, 3),
            "why": why,
            "uname": seen.uname,
            "text": seen.text,
        }
