# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The stages of an update of one instance. Each is an apply of its own: locked, journaled, undone when a step fails.

    begin     boots the successor beside the old one; the layout of the host stays as it is
    watch     listens to the new kernel for a time
    switch    successor and old one change names and channels; the new layout is that of the host from here on
    back      the inverse of switch
    retire    stops the old one; the new layout is exactly true then
    retreat   stops the successor; the old layout is exactly true then

Where there is no room for two, the way is stop-start: begin checks and tells how long the instance will be away, switch and back restart
it, retire and retreat only end the update.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .._dialect.system import System
from .._layout import canonical
from .._plan import spec as specs
from .._plan import steps as plan_steps
from .._plan import successor
from .._plan.place import PlacementError
from .._plan.steps import Step
from .._plan.successor import NEXT, OLD
from . import files, health, history, underway
from .base import ApplyError
from .run import Options, Result, Run, check_shape, locked
from .store import Store
from .underway import BEGUN, DONE, LOST, SIDE_BY_SIDE, STOP_START, SWITCHED, Record

STAGES = ("begin", "watch", "switch", "back", "retire", "retreat", "status")
LISTEN = 1.0  # seconds between two looks at a kernel that is watched


def run(
    stage: str,
    name: Optional[str] = None,
    layout: Optional[Dict[str, Any]] = None,
    soak: float = 10.0,
    check: bool = False,
    options: Optional[Options] = None,
    system: Optional[Any] = None,
) -> Dict[str, Any]:
    """Do one stage. name and layout (canonical) are for begin; soak: seconds, for watch.

    Returns {"changed", "stage": how far the update has come (see underway), "way", "instance", "say": sentences} and what an apply
    returns; begin adds "blackout" (seconds, null: not measured yet; 0 beside each other) and "why" (no room beside each other).
    Raises ApplyError.
    """
    machine = system if system is not None else System()
    update = _Update(machine, options or Options(), check)
    if stage == "begin":
        if name is None or layout is None:
            raise ApplyError("stage: begin needs the name of an instance and a layout")
        check_shape(layout)
    if stage in ("status", "watch") or check:
        return update.do(stage, name, layout, soak)
    with locked(machine, update.options.lock_timeout, canonical.digest(layout) if layout else None):
        return update.do(stage, name, layout, soak)


class _Update:
    def __init__(self, system: Any, options: Options, check: bool) -> None:
        self.system, self.options, self.check = system, options, check
        self.file, self.store = Record(system.root), Store(system.root)
        self._look()

    def _look(self) -> None:
        self.record = self.file.read()
        self.boot_id = (self.system.read(underway.BOOT_ID) or "").strip()
        self.stage = underway.stage(self.record, self.store.state(), self.boot_id)

    def do(self, stage: str, name: Optional[str], layout: Optional[Dict[str, Any]], soak: float) -> Dict[str, Any]:
        """One stage. The host may have been changed while we waited for the lock, so it is looked at anew."""
        recovered = [] if self.check or stage in ("status", "watch") else Recovery(None, None, False, self.options, self.system).recover()
        self._look()
        result = self._one(stage, name, layout, soak)
        return dict(result, recovered=recovered + list(result.get("recovered") or []))

    def _one(self, stage: str, name: Optional[str], layout: Optional[Dict[str, Any]], soak: float) -> Dict[str, Any]:
        if self.record is not None and name not in (None, self.record["instance"]):
            raise ApplyError("%s is asked for, and %s" % (name, underway.told(self.record, self.stage)))
        try:
            if stage == "begin":
                return self._begin(str(name), dict(layout or {}))
            if stage == "watch":
                return self._watch(soak)
            stages: Dict[str, Callable[[], Dict[str, Any]]] = {
                "switch": self._switch,
                "back": self._back,
                "retire": self._retire,
                "retreat": self._retreat,
                "status": self._status,
            }
            return stages[stage]()
        except OSError as error:
            raise ApplyError("how far the update is cannot be written down: %s; %s" % (files.reason(error), self._now())) from error

    # begin

    def _begin(self, name: str, layout: Dict[str, Any]) -> Dict[str, Any]:
        if self.record is not None and self.stage in (BEGUN, SWITCHED):
            if self.record["digest"] != canonical.digest(layout):
                raise ApplyError("the update is refused, nothing was changed: " + underway.told(self.record, self.stage))
            return self._answer([underway.told(self.record, self.stage)])
        present = self._present(name, layout)
        self._only_about(name, present, layout)
        result = self._apply(layout, Options(), check=True, consent=[name])
        if not any(step["do"] != "save" for step in result["plan"]):
            return self._answer(["%s is as the layout wants it already; there is nothing to update" % name])
        way, why = self._way(name, present, layout)
        record = {
            "instance": name,
            "way": way,
            "boot_id": self.boot_id,
            "began": round(time.time(), 3),
            "present": canonical.digest(present),
            "digest": canonical.digest(layout),
            "layout": layout,
            "switched": False,
            "soaked": 0.0,
        }
        away = self._blackout(name, way)
        if way == STOP_START:
            self._consent(name, layout, why, away)
        if not self.check:
            self.file.write(record)
            self._look()
        done: Dict[str, Any] = {"plan": result["plan"], "steps": []}
        if way == SIDE_BY_SIDE:
            done = self._boot_beside(name, present, layout)
        self._look()
        say = ["%s is updated %s%s" % (name, way, ": " + "; ".join(why) if why else ""), "it will be away %s" % away["say"]]
        return self._answer(say, done, changed=True, way=way, why=why, blackout=away["seconds"], instance=name)

    def _present(self, name: str, layout: Dict[str, Any]) -> Dict[str, Any]:
        """The layout that the host has, once it is clear that an update of this instance makes sense. Raises ApplyError."""
        kept, present = self.store.state() or {}, self.store.desired()
        if present is None:
            raise ApplyError("this host has no layout yet, so there is nothing to update; apply one with multikernel.core.layout")
        for which, one in (("layout of this host", present), ("new layout", layout)):
            if name not in one["instances"]:
                known = ", ".join(sorted(one["instances"])) or "none"
                raise ApplyError("the %s has no instance %s (it has: %s)" % (which, name, known))
        if layout["instances"][name]["state"] != "running":
            raise ApplyError("the new layout has %s as %s; an update brings a running kernel" % (name, layout["instances"][name]["state"]))
        if (kept.get("dialect") or "rfc") != "rfc":
            raise ApplyError(
                "an update of one instance is made in the dialect rfc only; this host speaks %s, where a change of the layout with "
                "policy.disruption: allow restarts the instance" % kept["dialect"]
            )
        old = (kept.get("instances") or {}).get(name) if kept.get("boot_id") == self.boot_id else None
        if old is None or old["state"] != "running":
            raise ApplyError("%s does not run on this host, so nothing could go on meanwhile; start it with the layout" % name)
        return present

    def _only_about(self, name: str, present: Dict[str, Any], layout: Dict[str, Any]) -> None:
        words = successor.beyond(present, layout, name)
        if words:
            raise ApplyError(
                "the update is refused, nothing was changed: the new layout changes %s as well, and an update is about %s alone; "
                "apply the rest first (multikernel.core.layout)" % (", ".join(words), name)
            )

    def _way(self, name: str, present: Dict[str, Any], layout: Dict[str, Any]) -> Tuple[str, List[str]]:
        """Whether the successor finds room while everything else stays, and why not."""
        why = successor.obstacles(present, layout, name)
        if not why:
            try:
                Bridge(successor.bridge(present, layout, name), None, True, self._only(name + NEXT), self.system).run()
            except ApplyError as error:
                found = [one for one in error.details.get("findings") or [] if (one["severity"], one["verdict"]) == ("error", "fail")]
                why = [one["message"].rstrip(".") for one in found] or [error.message]
        return (STOP_START if why else SIDE_BY_SIDE), list(dict.fromkeys(why))

    def _blackout(self, name: str, way: str) -> Dict[str, Any]:
        if way == SIDE_BY_SIDE:
            return {"seconds": 0.0, "say": "not at all, but for what its own switch takes"}
        spec = (self.store.state() or {})["instances"][name]["spec"]
        known = history.predict(self.system.root, spec)
        return {"seconds": None if known is None else known["seconds"], "say": history.sentence(known)}

    def _consent(self, name: str, layout: Dict[str, Any], why: List[str], away: Dict[str, Any]) -> None:
        if layout["policy"]["disruption"] != "allow":
            raise ApplyError(
                "the update is refused, nothing was changed: there is no room for two kernels of %s (%s), so it would be stopped "
                "and started; it would be away: %s. Make room, or permit that by policy.disruption: allow"
                % (name, "; ".join(why), away["say"]),
                why=why,
                blackout=away["seconds"],
            )

    def _boot_beside(self, name: str, present: Dict[str, Any], layout: Dict[str, Any]) -> Result:
        made = Bridge(successor.bridge(present, layout, name), canonical.digest(present), self.check, self._only(name + NEXT), self.system)
        try:
            return made.run()
        except ApplyError as error:
            if not self.check and not error.details.get("stuck"):
                self.file.remove()
            said = "the update of %s is taken back, the old kernel was not touched: %s" % (name, error.message)
            raise ApplyError(said, **error.details) from error

    # watch

    def _watch(self, soak: float) -> Dict[str, Any]:
        record = self._under_way("watch")
        name = record["instance"]
        watched = name + NEXT if self.stage == BEGUN and record["way"] == SIDE_BY_SIDE else name
        begin = self.system.monotonic()
        while True:
            self._is_well(watched, record)
            if self.system.monotonic() - begin >= soak:
                break
            self.system.sleep(min(LISTEN, soak))
        return self._answer(["%s was well for %g s" % (watched, soak)], watched=watched)

    def _is_well(self, name: str, record: Dict[str, Any]) -> None:
        now = health.now([name], wait=self._within(name), system=self.system).get(name)
        if now is None:
            raise ApplyError("%s is not there any more; %s" % (name, self._now()))
        if now["alive"] is not True:
            words = "; its last words: %s" % now["text"] if now["text"] else ""
            raise ApplyError("%s is not well: %s%s; %s" % (name, now["why"], words, self._now()), instance=name, console=[now["text"]])

    def _within(self, name: str) -> float:
        known = ((self.store.state() or {}).get("instances") or {}).get(name) or {}
        return min(health.within_of(known), health.WITHIN)

    # switch, back, retire, retreat

    def _switch(self) -> Dict[str, Any]:
        record = self._under_way("switch", allowed=(BEGUN, SWITCHED))
        name = record["instance"]
        if self.stage == SWITCHED:
            return self._answer(["%s is switched already" % name])
        if record["way"] == STOP_START:
            done = self._apply(record["layout"], self.options, self.check, consent=[name])
        else:
            self._is_well(name + NEXT, record)
            done = Renamed(record["layout"], name, successor.SWITCH, self.check, self.options, self.system).run()
        self._note(record, switched=True)
        return self._answer(["%s is the new kernel now" % name], done, changed=True)

    def _back(self) -> Dict[str, Any]:
        record = self._under_way("back", allowed=(BEGUN, SWITCHED, DONE, LOST))
        name, old = record["instance"], self._old(record)
        if self.stage in (BEGUN, LOST):
            return self._answer(["%s is not switched" % name])
        if record["way"] == STOP_START or self.stage == DONE:
            done = self._apply(old, self.options, self.check, consent=[name])
        else:
            done = Renamed(old, name, successor.BACK, self.check, self.options, self.system).run()
        self._note(record, switched=False)
        return self._answer(["%s is the old kernel again" % name], done, changed=True)

    def _retire(self) -> Dict[str, Any]:
        if self.record is None:
            return self._answer(["no update is under way"])
        record = self._under_way("retire", allowed=(SWITCHED, DONE))
        name = record["instance"]
        done: Dict[str, Any] = {}
        if self.stage == SWITCHED and record["way"] == SIDE_BY_SIDE:
            done = Left(record["layout"], canonical.digest(record["layout"]), self.check, self._only(name + OLD), self.system).run()
        return self._end(["the old kernel of %s is gone; the host has the new layout" % name], done)

    def _retreat(self) -> Dict[str, Any]:
        if self.record is None:
            return self._answer(["no update is under way"])
        record = self._under_way("retreat", allowed=(BEGUN, LOST))
        name, old = record["instance"], self._old(record)
        done: Dict[str, Any] = {}
        if self.stage == BEGUN and record["way"] == SIDE_BY_SIDE:
            done = Left(old, canonical.digest(old), self.check, self._only(name + NEXT), self.system).run()
        return self._end(["the update of %s is taken back; the host has the layout of before" % name], done)

    def _status(self) -> Dict[str, Any]:
        return self._answer([self._now()])

    # what they share

    def _under_way(self, stage: str, allowed: Sequence[str] = (BEGUN, SWITCHED)) -> Dict[str, Any]:
        if self.record is None:
            raise ApplyError("no update is under way on this host, so there is nothing to %s; stage: begin begins one" % stage)
        if self.stage not in allowed:
            raise ApplyError("this is not the time for stage: %s; %s" % (stage, underway.told(self.record, self.stage)))
        return self.record

    def _old(self, record: Dict[str, Any]) -> Dict[str, Any]:
        layout: Optional[Dict[str, Any]] = self.store.layout(record["present"])
        if layout is None:
            raise ApplyError("this host no longer remembers the layout %s of before the update" % record["present"][:12])
        return layout

    def _only(self, name: str) -> Options:
        return self.options._replace(only=[name], consent=[name])

    def _apply(self, layout: Dict[str, Any], options: Options, check: bool, consent: List[str]) -> Result:
        return Run(layout, canonical.digest(layout), check, options._replace(consent=consent), self.system).run()

    def _note(self, record: Dict[str, Any], **changes: Any) -> None:
        if not self.check:
            self.file.write(dict(record, **changes))

    def _end(self, say: List[str], done: Dict[str, Any]) -> Dict[str, Any]:
        record = self.record or {}
        if not self.check:
            self.file.remove()
        answer = self._answer(say, done, changed=True)
        return dict(answer, instance=record["instance"], way=record["way"])

    def _now(self) -> str:
        self._look()
        return "no update is under way" if self.record is None else underway.told(self.record, self.stage)

    def _answer(self, say: List[str], done: Optional[Dict[str, Any]] = None, changed: bool = False, **more: Any) -> Dict[str, Any]:
        self._look()
        record = self.record or {}
        told = {key: value for key, value in (done or {}).items() if key in ("plan", "steps", "instances", "findings", "recovered", "diff")}
        known = {"instance": record.get("instance"), "way": record.get("way"), "digest": record.get("digest")}
        return dict(told, changed=changed, stage=self.stage, say=say, **dict(known, **more))


class Recovery(Run):
    """Undoes an apply that was cut off, and nothing else: what a stage looks at first must be what an apply would find."""

    def recover(self) -> List[str]:
        """What was undone, sentences. Raises ApplyError."""
        with self._told():
            self._facts()
            self._recover()
        return self.recovered


class Bridge(Run):
    """Brings the successor; the layout that the host is to have stays the one of `digest`."""

    def _lasting(self) -> Optional[Dict[str, Any]]:
        return None


class Left(Run):
    """Takes one of the two kernels away. Whether its files are still there, or a load is still possible, does not matter for that."""

    def _plan_present(self) -> List[Step]:
        try:
            self.placed = self.dialect.place(self.layout, self.facts, self.state)
            wish = self.options
            steps: List[Step] = self.dialect.plan(
                self.placed, self.state, self.facts, str(self.digest), wish.consent, wish.restart, wish.only
            )
        except PlacementError as error:
            raise self._refusal(error.findings) from error
        self.specs = self.dialect.wanted(self.placed, self.state, self.facts, wish.only)
        return steps


class Renamed(Run):
    """Lets two kernels that run change their names; nothing is started or stopped."""

    def __init__(
        self, layout: Dict[str, Any], name: str, moves: Sequence[Tuple[str, str]], check: bool, options: Options, system: Any
    ) -> None:
        super().__init__(layout, canonical.digest(layout), check, options, system)
        self.name, self.moves = name, moves

    def _plan_present(self) -> List[Step]:
        afterwards = successor.moved(self.state, self.name, self.moves)
        one = afterwards["instances"].get(self.name)
        if one is None or one["state"] not in ("running", "silent"):
            words = "gone" if one is None else one["state"]
            raise ApplyError("%s cannot be switched: the kernel that is to have its name is %s" % (self.name, words))
        try:
            self.placed = self.dialect.place(self.layout, self.facts, afterwards)
        except PlacementError as error:
            raise self._refusal(error.findings) from error
        wanted = self.dialect.wanted(self.placed, afterwards, self.facts)
        if self.moves == successor.SWITCH and specs.differences(one["spec"], wanted[self.name]):
            words = "; ".join(specs.differences(one["spec"], wanted[self.name]))
            raise ApplyError("the successor of %s is no longer what the new layout wants: %s; take the update back" % (self.name, words))
        self.specs = {key: afterwards["instances"][key]["spec"] for key in wanted if key in afterwards["instances"]}
        steps = [plan_steps.channel_rename(*names) for names in successor.renames(self.state, self.name, self.moves)]
        return steps + [plan_steps.save(self.digest)]

    def _remembered(self, previous: Dict[str, Any], steps: List[Step], placed: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        return dict(successor.moved(previous, self.name, self.moves), apply=self.journal.apply)
