# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the supervisor decides: pure, from observations to actions, so that a day passes in a test within a moment.

One entry for each instance that the layout wants to run. Its life:

    watched --found dead--> down --policy and back-off allow--> (restart) --came up--> watched
                             |                                     '--did not--> down, for longer
                             '-- restart: no, or an orderly end with on-failure: until somebody else starts it

Nothing is decided while an apply holds the lock: it may be what stops an instance. What the layout does not want to run is not watched.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from .._dialect.liveness import Look, Pulse

FIRST = 1.0  # seconds from the first death to the restart; doubled with every further one
CAP = 300.0  # seconds, the longest pause between two restarts
STABLE = 300.0  # seconds that it must have lived until its earlier deaths are forgotten
ORDERLY = ("halted", "powered-off")  # ends that are no failure; who asks for a restart gets one
FOREVER = float("inf")


class Wanted(NamedTuple):
    """What the layout says of an instance that is to run. within: None when its silence is not watched."""

    restart: str
    within: Optional[float] = None
    channel: Optional[str] = None


class Seen(NamedTuple):
    """What is observed of all instances at one moment. started: by name the mark of its boot; looks: of those that were started;
    sick: by name why its gates are not passed any more; busy: why nothing may be decided now (an apply holds the lock)."""

    wanted: Dict[str, Wanted]
    started: Dict[str, Optional[int]]
    looks: Dict[str, Look]
    sick: Dict[str, str]
    busy: Optional[str] = None


class Action(NamedTuple):
    """do: "keep" (what can be saved of the dead), "restart", or "say"; verdict: see Pulse.verdict, for keep."""

    do: str
    name: str
    say: str
    verdict: Optional[Dict[str, Any]] = None


class Entry:
    """One instance that is to run."""

    def __init__(self, now: float, mark: Optional[int], wanted: Wanted) -> None:
        self.mark, self.wanted, self.since = mark, wanted, now
        self.pulse = Pulse(FOREVER if wanted.within is None else wanted.within, wanted.channel, now)
        self.deaths = 0  # since it was last stable
        self.restarts = 0  # that we made
        self.down: Optional[str] = None  # why it is down
        self.retry: Optional[float] = None  # when it is started again
        self.alive: Optional[bool] = None

    def state(self, now: float) -> Dict[str, Any]:
        """The entry as people are told it."""
        word = "down" if self.down is not None else "alive" if self.alive else "awaited"
        pause = None if self.retry is None else round(max(0.0, self.retry - now), 1)
        return {"state": word, "why": self.down, "restart": self.wanted.restart, "restarts": self.restarts, "restart_in": pause}


class Core:
    """The decisions for all instances of one host. Times are seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self.entries: Dict[str, Entry] = {}

    def decide(self, now: float, seen: Seen) -> List[Action]:
        """What is to be done now. After a "restart" the caller says by `restarted` what came of it."""
        if seen.busy:
            return []
        for name in [name for name in self.entries if name not in seen.wanted]:
            del self.entries[name]
        actions: List[Action] = []
        for name, wanted in sorted(seen.wanted.items()):
            actions += self._one(now, name, wanted, seen)
        return actions

    def _one(self, now: float, name: str, wanted: Wanted, seen: Seen) -> List[Action]:
        mark = seen.started.get(name)
        entry = self.entries.get(name)
        if entry is None or (name in seen.started and entry.mark != mark):
            # started by somebody else, or seen for the first time: its past is not ours
            entry = self.entries[name] = Entry(now, mark, wanted)
        elif entry.wanted != wanted:
            entry = self.entries[name] = self._with(now, entry, wanted)
        if entry.down is not None:
            return self._due(now, name, entry)
        if name not in seen.started:
            return self._died(now, name, entry, {"state": "not-started", "why": "it is to run, and was not started"}, keep=False)
        entry.pulse.saw(seen.looks[name], now)
        verdict = entry.pulse.verdict(now)
        if verdict["alive"] is not False and name in seen.sick:
            verdict = dict(verdict, alive=False, state="sick", why=seen.sick[name])
        entry.alive = verdict["alive"]
        if verdict["alive"] is False:
            return self._died(now, name, entry, verdict)
        if entry.deaths and verdict["alive"] and now - entry.since >= STABLE:
            entry.deaths = 0
        return []

    def _with(self, now: float, entry: Entry, wanted: Wanted) -> Entry:
        """The layout changed what it says of an instance that went on."""
        fresh = Entry(now, entry.mark, wanted)
        fresh.deaths, fresh.restarts, fresh.down, fresh.alive = entry.deaths, entry.restarts, entry.down, entry.alive
        if fresh.down is not None and _policy(wanted.restart, "") is None:
            fresh.retry = now + FIRST
        return fresh

    def _died(self, now: float, name: str, entry: Entry, verdict: Dict[str, Any], keep: bool = True) -> List[Action]:
        entry.alive, entry.down = False, str(verdict["why"])
        entry.deaths += 1
        reason = _policy(entry.wanted.restart, str(verdict["state"]))
        entry.retry = None if reason is not None else now + pause(entry.deaths)
        then = reason if reason is not None else "it is started again in %g s" % pause(entry.deaths)
        actions = [Action("keep", name, "", verdict)] if keep else []
        return actions + [Action("say", name, "%s is down: %s; %s" % (name, entry.down, then))]

    @staticmethod
    def _due(now: float, name: str, entry: Entry) -> List[Action]:
        if entry.retry is None or now < entry.retry:
            return []
        return [Action("restart", name, "start %s again (%s)" % (name, entry.down))]

    def failed(self, name: str, now: float, why: str, wanted: Dict[str, Wanted]) -> None:
        """It was to be started before the supervision began, and was not."""
        if name in wanted:
            entry = self.entries[name] = Entry(now, None, wanted[name])
            entry.alive, entry.deaths, entry.down = False, 1, why
            entry.retry = None if _policy(wanted[name].restart, "") is not None else now + pause(1)

    def restarted(self, name: str, now: float, mark: Optional[int], failure: Optional[str]) -> Optional[str]:
        """What came of a restart: the mark of the new boot, or why there is none. Returns what is to be said about it."""
        entry = self.entries[name]
        if failure is None:
            fresh = Entry(now, mark, entry.wanted)
            fresh.deaths, fresh.restarts = entry.deaths, entry.restarts + 1
            self.entries[name] = fresh
            return "%s runs again (restart %d)" % (name, fresh.restarts)
        entry.deaths += 1
        entry.down, entry.retry = failure, now + pause(entry.deaths)
        return "%s could not be started again: %s; the next try is in %g s" % (name, failure, pause(entry.deaths))

    def postponed(self, name: str, now: float) -> None:
        """A restart did not even begin, since somebody else was changing the host: look again."""
        entry = self.entries[name]
        entry.retry = now + FIRST

    def status(self, now: float) -> str:
        """All in one line."""
        down = {name: one for name, one in sorted(self.entries.items()) if one.down is not None}
        awaited = [name for name, one in sorted(self.entries.items()) if one.down is None and not one.alive]
        words = ["%d of %d instances beat" % (len(self.entries) - len(down) - len(awaited), len(self.entries))]
        words += ["%s not heard yet" % ", ".join(awaited)] if awaited else []
        for name, one in down.items():
            words.append("%s is down (%s)" % (name, "stays so" if one.retry is None else "again in %.0f s" % max(0.0, one.retry - now)))
        return "; ".join(words)


def pause(deaths: int) -> float:
    """Seconds to wait after so many deaths without a stable time between them."""
    return min(CAP, FIRST * 2.0 ** min(deaths - 1, 30))


def _policy(restart: str, state: str) -> Optional[str]:
    """Why an instance that ended like this stays down; None: it is started again."""
    if restart == "no":
        return "it stays down (restart: no)"
    if restart == "on-failure" and state in ORDERLY:
        return "it stays down (restart: on-failure, and this is no failure)"
    return None
