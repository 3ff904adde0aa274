# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The loop: observe, decide, act, say; once a second until somebody asks for the end. Instances are never touched by its end."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, Optional

from .._converge import desired, files
from .._converge.health import BOOT_ID
from .._converge.run import ApplyError, Options
from .._dialect.base import DialectError
from . import mortem, restore
from .core import Action, Core, Seen
from .notify import ERROR, INFO, NOTICE, WARNING
from .watch import Watch

EVERY = 1.0  # seconds
NOTE = 60.0  # seconds until what lives is written down again although nothing changed
STATUS = "run/multikernel/supervisor.json"
OPTIONS = Options(lock_timeout=5.0)


class Supervisor:
    """The supervision of one host. system: the door to it, whose `asked` a signal sets; systemd: see notify.Systemd."""

    def __init__(self, system: Any, systemd: Any, options: Optional[Options] = None) -> None:
        self.system, self.systemd, self.options = system, systemd, options or OPTIONS
        self.core, self.watch = Core(), Watch(system)
        self._noted: Any = None
        self._noted_at = 0.0
        self._told: Any = None

    def run(self) -> None:
        """Bring back what a boot has ended, say READY, supervise."""
        self.bring_back()
        self.systemd.send("READY=1")
        self.systemd.log(INFO, "supervision begins")
        while self.system.asked is None:
            self.turn()
            if self.system.asked is None:
                self.system.sleep(EVERY)
        self.end()

    def bring_back(self) -> None:
        """After a boot of the host: start what is declared."""
        why = restore.needed(self.system)
        if why is None:
            return
        left = restore.foreign(self.system)
        if left:
            self._say(WARNING, "%s, but instances run (%s); nothing is started beside what is not adopted" % (why, "; ".join(left)))
            return
        self._say(NOTICE, "%s; it is brought back" % why)
        self.systemd.status("brings the layout back")
        try:
            statement = restore.restore(self.system, self.options, lambda text: self._say(NOTICE, text))
        except (OSError, DialectError, ApplyError) as error:
            self._say(ERROR, "the layout could not be brought back: %s" % error)
            return
        for text in restore.sentences(statement):
            self._say(NOTICE, text)
        for name, reason in statement["failed"].items():
            self.core.failed(name, self.system.monotonic(), reason, self.watch.wanted_now())

    def turn(self) -> None:
        """One look, and what follows from it."""
        try:
            seen = self.watch.seen()
        except (OSError, DialectError, ApplyError) as error:
            self._say(ERROR, "the host cannot be observed: %s" % error)
            self.systemd.alive()
            return
        for action in self.core.decide(self.system.monotonic(), seen):
            if self.system.asked is not None:
                break
            self._do(action)
        self._tell(seen)
        self.systemd.alive()

    def end(self) -> None:
        """Say that nobody looks any more; the instances go on."""
        self.systemd.send("STOPPING=1")
        self._note(force=True, ended=self.system.asked)
        self.watch.close()
        files.remove(os.path.join(self.system.root, STATUS))
        self._say(INFO, "supervision ends (%s); the instances go on" % self.system.asked)

    def _do(self, action: Action) -> None:
        if action.do == "say":
            self._say(WARNING, action.say)
        elif action.do == "keep":
            self._keep(action)
        else:
            self._restart(action)

    def _keep(self, action: Action) -> None:
        name, verdict = action.name, action.verdict or {}
        try:
            restart = self.core.entries[name].wanted.restart
            folder = mortem.keep(self.system, name, self.watch.known[name], self.watch.console_of(name), verdict, restart)
        except OSError as error:
            self._say(ERROR, "nothing could be kept of %s: %s" % (name, error))
            return
        self._say(NOTICE, "what could be saved of %s is in %s" % (name, folder))

    def _restart(self, action: Action) -> None:
        name = action.name
        self._say(NOTICE, action.say)
        self.systemd.status(action.say)
        expected = (self.watch.known.get(name) or {}).get("nonce")
        outcome = desired.bring([name], options=self.options, system=self.system, restart=True, unless=lambda: self._other(name, expected))
        now = self.system.monotonic()
        if outcome["postponed"] is not None:
            self.core.postponed(name, now)
            self._say(INFO, "%s is not started now: %s" % (name, outcome["postponed"]))
            return
        self.watch.refresh()
        mark = (self.watch.known.get(name) or {}).get("nonce")
        said = self.core.restarted(name, now, mark, outcome["failed"].get(name))
        self._say(ERROR if name in outcome["failed"] else NOTICE, said or "")

    def _other(self, name: str, expected: Optional[int]) -> Optional[str]:
        """Asked under the lock: why a restart is no longer what is wanted."""
        self.watch.refresh()
        if name not in self.watch.wanted_now():
            return "the layout does not want it to run any more"
        if (self.watch.known.get(name) or {}).get("nonce") != expected:
            return "somebody else has started it meanwhile"
        return None

    def _tell(self, seen: Seen) -> None:
        now = self.system.monotonic()
        told = {name: entry.state(now) for name, entry in sorted(self.core.entries.items())}
        self.systemd.status(("%s; " % seen.busy if seen.busy else "") + self.core.status(now))
        key = (seen.busy, {name: (one["state"], one["why"], one["restarts"]) for name, one in told.items()})
        if key != self._told:
            self._told = key
            status = {"version": 1, "pid": os.getpid(), "time": round(time.time(), 3), "instances": told}
            try:
                _replace(os.path.join(self.system.root, STATUS), status)
            except OSError as error:
                self._say(ERROR, "the state of the supervision cannot be written down: %s" % error)
        self._note()

    def _note(self, force: bool = False, ended: Optional[str] = None) -> None:
        now = self.system.monotonic()
        alive = {name: {"uname": entry.pulse.last.uname} for name, entry in self.core.entries.items() if entry.alive}
        if not force and alive == self._noted and now - self._noted_at < NOTE:
            return
        self._noted, self._noted_at = alive, now
        try:
            restore.note(self.system.root, (self.system.read(BOOT_ID) or "").strip(), alive, ended)
        except OSError as error:
            self._say(ERROR, "what lives cannot be written down: %s" % error)

    def _say(self, priority: int, text: str) -> None:
        self.systemd.log(priority, text)


def _replace(path: str, value: Dict[str, Any]) -> None:
    """In /run: nothing that must survive a power cut, so nothing is synced."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file, sort_keys=True)
    os.rename(path + ".new", path)
