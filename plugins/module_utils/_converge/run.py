# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One apply from beginning to end: lock, recover, observe, judge, place, plan, execute, verify, remember."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set

from .._dialect.base import DialectError
from .._dialect.choice import choose
from .._dialect.system import System
from .._layout import canonical
from .._plan import collector
from .._plan.place import PlacementError
from .._plan.steps import Step
from .._rules import engine
from . import carried, files, history, recover, remember, text, underway
from .base import ApplyError
from .execute import StepFailed, execute, undo
from .journal import Journal
from .lock import Lock, LockError
from .signals import Deferred
from .store import Store

__all__ = ["ApplyError", "Options", "Result", "Run", "apply", "check_shape", "image_paths", "image_signers", "instances", "locked"]

Result = Dict[str, Any]

# Rules on what a load needs: they refuse no layout that needs none, so that loading can be switched off once everything runs.
ABILITY = ("life-kexec-allowed", "life-kexec-quota", "sec-lockdown")


class Options(NamedTuple):
    """How an apply is to go about it. Times in seconds; consent, restart and only are names of instances (see plan),
    adopt those of instances that somebody else made and that are to be ours; dialect is auto or the one to speak. declared is
    the layout to remember, where only a part of it is to be made so now; unless is asked under the lock, and may say why nothing is done.
    """

    lock_timeout: float = 30.0
    health_timeout: float = 60.0
    consent: Sequence[str] = ()
    restart: Sequence[str] = ()
    only: Optional[Sequence[str]] = None
    console_logs: Mapping[str, str] = {}
    dialect: str = "auto"
    adopt: Sequence[str] = ()
    declared: Optional[Dict[str, Any]] = None
    unless: Optional[Callable[[], Optional[str]]] = None


def apply(
    layout: Optional[Dict[str, Any]],
    state: str = "present",
    check: bool = False,
    options: Optional[Options] = None,
    root: str = "/",
    system: Optional[Any] = None,
) -> Result:
    """Make the host below root have the canonical layout (state "present"), or take back what was made ("absent").

    check: stop before anything is changed. Returns the result of the module `layout`. Raises ApplyError: nothing was changed,
    or everything was undone, or details["stuck"] says what could not be undone.
    """
    wish = options or Options()
    if state == "present":
        check_shape(layout)
    named = layout if wish.declared is None else wish.declared
    digest = canonical.digest(named) if state == "present" and named is not None else None
    machine = system if system is not None else System(root)
    wanted = layout if state == "present" else None
    run = Run(wanted, digest, check, wish, machine)
    if check:
        underway.refuse(machine, wanted, wish.only)
        return run.run()
    with locked(machine, wish.lock_timeout, digest):
        reason = wish.unless() if wish.unless is not None else None
        if reason is not None:
            raise Postponed(reason)
        underway.refuse(machine, wanted, wish.only)
        result = run.run()
        if wanted is None:
            with contextlib.suppress(OSError):  # nothing is left that it could be about, and whoever reads it next finds that out
                underway.Record(machine.root).remove()
        return result


@contextlib.contextmanager
def locked(system: Any, timeout: float, digest: Optional[str]) -> Iterator[None]:
    """Nobody else changes this host meanwhile, and a signal waits. timeout: seconds. Raises ApplyError when somebody else has the lock."""
    try:
        with Lock(system.root, timeout, digest), Deferred(system):
            yield
    except LockError as error:
        raise Postponed(str(error)) from error


class Postponed(ApplyError):
    """Nothing was even looked at: somebody else is at work on this host, or it is not what is wanted any more."""


class _Again(Exception):
    """Somebody else changed the host between our look and our change, which is undone. failure: what is said if it happens again."""

    def __init__(self, failure: ApplyError) -> None:
        self.failure = failure
        super().__init__(str(failure))


class Run:
    """One apply in the making. The stages of an update (see update.py) are applies that differ in what they plan and remember."""

    dialect: Any = None

    def __init__(self, layout: Optional[Dict[str, Any]], digest: Optional[str], check: bool, options: Options, system: Any) -> None:
        self.layout, self.digest, self.check, self.options, self.system = layout, digest, check, options, system
        self.store, self.journal = Store(system.root), Journal(system.root)
        self.findings: List[Any] = []
        self.specs: Dict[str, Dict[str, Any]] = {}
        self.recovered: List[str] = []

    def run(self) -> Result:
        """All of it. Where somebody else changed the host meanwhile, what was done is undone and all of it is done once more."""
        try:
            return self._attempt()
        except _Again as again:
            self.findings = []
            try:
                return self._attempt()
            except _Again as error:
                raise error.failure from again
        finally:
            self.system.forget()

    def _attempt(self) -> Result:
        with self._told():
            self._facts()
            self._recover()
            self.state = self.dialect.observe(self.kept, self.facts)
            steps = self._plan_absent() if self.layout is None else self._plan_present()
            result = self._result(steps)
            if self.check or not steps:
                return result
            return self._converge(steps, result)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever fails is told as an ApplyError, and what was opened only to look is closed again."""
        try:
            yield
        except OSError as error:
            sentence = "this host cannot be read, so nothing was begun: %s" % files.reason(error)
            raise ApplyError(sentence, changed=bool(self.recovered)) from error
        except DialectError as error:  # the host cannot be read; what was changed was undone, or raised an ApplyError
            raise ApplyError(str(error), changed=bool(self.recovered)) from error
        finally:
            if self.dialect is not None:
                self.dialect.close()

    # observe

    def _facts(self) -> None:
        self.kept, self.cut = carried.state(self.system), self.journal.interrupted()
        self.facts = self.system.facts(image_paths(self.layout), recover.topology(self.cut, self.kept), image_signers(self.layout))
        wish = self.options
        try:
            self.dialect = choose(self.facts, self.system, wish.health_timeout, wish.console_logs, wish.dialect, wish.adopt, self.kept)
            self.facts = self.dialect.open(self.facts, self.check, recover.topology(self.cut, self.kept))
        except DialectError as error:
            raise ApplyError(str(error)) from error

    def _recover(self) -> None:
        if not self.cut:
            return
        if self.check:
            self.findings.append(recover.warning(self.cut))
            return
        try:
            self.recovered, stuck = recover.recover(self.cut, self.journal, self.store, self.dialect, self.facts)
        except OSError as error:
            sentence = "an earlier apply was cut off, and what is undone of it cannot be written down: %s" % files.reason(error)
            raise ApplyError(sentence) from error
        if stuck:
            raise ApplyError(
                "an earlier apply was cut off and could not be undone: " + "; ".join(stuck), undone=self.recovered, stuck=stuck
            )
        self.dialect.close()  # the next look opens for itself, and closes then what it opened
        self._facts()

    # judge, place, plan

    def _plan_absent(self) -> List[Step]:
        steps: List[Step] = self.dialect.plan_absent(self.state, self.facts)
        return steps

    @collector.paused
    def _plan_present(self) -> List[Step]:
        layout = self.layout or {}
        probed = self.dialect.probe(self.facts)
        self._judge(probed + engine.judge(layout, self.facts, None, layout["waivers"]), placed=False)
        try:
            self.placed = self.dialect.place(layout, self.facts, self.state)
            self._judge(probed + engine.judge(layout, self.facts, self.placed, layout["waivers"]), placed=True)
            wish = self.options
            steps: List[Step] = self.dialect.plan(
                self.placed, self.state, self.facts, str(self.digest), wish.consent, wish.restart, wish.only
            )
            if self.unable and any(step.do in ("load", "unload") for step in steps):
                raise self._refusal(self.unable)
        except PlacementError as error:
            raise self._refusal(error.findings) from error
        self.specs = self.dialect.wanted(self.placed, self.state, self.facts, wish.only)
        return steps

    def _judge(self, findings: List[Any], placed: bool) -> None:
        """Findings of the placed layout replace those of the layout; before placement, what is not known yet does not refuse."""
        blocking = [one for one in findings if one.blocks and (placed or one.verdict == "fail")]
        self.unable = [one for one in blocking if one.rule in ABILITY]
        if len(self.unable) < len(blocking):
            raise self._refusal(blocking, findings)
        if placed:
            self.findings += [one for one in findings if one.verdict != "pass"]

    def _refusal(self, blocking: Sequence[Any], findings: Optional[Sequence[Any]] = None) -> ApplyError:
        told = list(findings if findings is not None else blocking)
        sentences = list(dict.fromkeys(one.message.rstrip(".") + (" (%s)" % one.hint if one.hint else "") for one in blocking))
        return ApplyError(
            "the layout is refused, nothing was changed: " + "; ".join(sentences),
            findings=[one.to_dict() for one in told if one.verdict != "pass"],
            changed=bool(self.recovered),
        )

    # converge

    def _converge(self, steps: List[Step], result: Result) -> Result:
        previous = remember.base(self.kept, self.facts, self.dialect.name)
        work = [step for step in steps if step.do != "save"]
        try:
            self.journal.begin({"digest": self.digest, "boot_id": self.facts["boot_id"], "topology": self.facts["cpus"]["each"]})
        except OSError as error:
            sentence = "the journal cannot be written, so nothing was changed: %s" % files.reason(error)
            raise ApplyError(sentence, changed=bool(self.recovered)) from error
        try:
            execute(work, self.dialect, self.journal, result["steps"])
            seen = self._settle(work, steps, previous, result)
        except StepFailed as error:
            failure = self._give_up(error, previous, work)
            if error.drift and not error.stuck:
                raise _Again(failure) from error
            raise failure from error
        self.journal.end("applied")
        with contextlib.suppress(OSError):  # what starts took is worth no failure of what was done
            history.note(self.store.root, work, result["steps"])
        result["steps"] += [{"do": step.do, "say": step.say, "seconds": 0.0, "result": {}} for step in steps if step.do == "save"]
        self.state = dict(seen, digest=self.digest)
        if self.layout is not None:
            result["placed"] = self.dialect.located(self.placed, seen)
        result.update(after=_summary(self.state), instances=instances(self.state), table=seen["table"])
        return result

    def _settle(self, work: List[Step], steps: List[Step], previous: Dict[str, Any], result: Result) -> Dict[str, Any]:
        """Read back and remember; both belong to the change, so that it is undone when one of them fails."""
        placed = self.placed if self.layout is not None else None
        sentence = None
        try:
            after = self._remembered(previous, steps, placed)
            seen = self.dialect.observe(after, self.facts)
            if placed is not None:
                differences, result["unverifiable"] = self.dialect.verify(placed, self.specs, seen)
                if differences:
                    sentence = "the host is not as it should be after the last step: " + "; ".join(differences)
            if sentence is None:
                self.store.commit(remember.with_words(dict(after, digest=self.digest), seen), self._lasting())
                return dict(seen)
        except DialectError as error:
            sentence = "what was done cannot be read back: %s" % error
        except OSError as error:
            sentence = "what was done cannot be written down: %s" % files.reason(error)
        undone, stuck = undo(work, self.dialect, self.journal)
        raise StepFailed(str(sentence), None, result["steps"], undone, stuck, [])

    def _remembered(self, previous: Dict[str, Any], steps: List[Step], placed: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        """What is remembered when every step was done."""
        return remember.after(previous, steps, self.specs, placed, self.dialect, self.journal.apply, self.options.only)

    def _lasting(self) -> Optional[Dict[str, Any]]:
        """The layout that this host is to have from now on; None when that stays the same."""
        return self.options.declared or self.layout

    def _give_up(self, error: StepFailed, previous: Dict[str, Any], work: List[Step]) -> ApplyError:
        try:
            left = remember.undone(previous, work, self.dialect)
            self.store.commit(left)
            self.journal.end("stuck" if error.stuck else "undone")
        except (OSError, DialectError) as failure:
            # the journal has no end then, and the next apply looks again
            error.stuck.append("writing it down: %s" % failure)
        message = str(error) + "; " + ("undone: " + ", ".join(error.undone) if error.undone else "nothing had to be undone")
        if error.stuck:
            message += "; NOT undone: " + "; ".join(error.stuck)
        if error.console:
            message += "; its last words: " + " | ".join(error.console)
        return ApplyError(
            message,
            steps=error.results,
            undone=error.undone,
            stuck=error.stuck,
            console=error.console,
            instance=error.instance,
            findings=[one.to_dict() for one in self.findings],
            changed=bool(error.stuck),
        )

    # result

    def _result(self, steps: List[Step]) -> Result:
        have = {name: one["spec"] for name, one in self.state["instances"].items()}
        before = _summary(self.state)
        after = (
            {
                "digest": self.digest,
                "instances": {
                    name: {
                        "state": self.placed["instances"][name]["state"],
                        "cpus": one["cpus"],
                        "memory": {"base": one["base"], "size": one["size"]},
                    }
                    for name, one in self.specs.items()
                },
            }
            if steps
            else before
        )
        return {
            "changed": bool(steps or self.recovered),
            "digest": self.digest,
            "plan": [step.to_dict() for step in steps],
            "steps": [],
            "before": before,
            "after": after,
            "findings": [one.to_dict() for one in self.findings],
            "diff": text.diff(self.store.desired(), self.layout, have, self.specs, steps),
            "instances": instances(self.state),
            "table": self.state["table"],
            "unverifiable": [],
            "recovered": self.recovered,
            "facts": self.facts,
            "placed": self.placed if self.layout is not None else None,
        }


def instances(state: Dict[str, Any]) -> List[Dict[str, Any]]:
    """What runs, one entry for each instance, from the state that a dialect observed."""
    return [
        {
            "name": name,
            "state": one["state"],
            "cpus": one["spec"]["cpus"],
            "memory": dict(one["memory"]),
            "image": one["spec"]["image"]["name"],
            "uname": one["uname"],
            "beats": one["beats"],
            "evidence": one["evidence"],
        }
        for name, one in sorted(state["instances"].items())
    ]


def check_shape(layout: Any) -> None:
    """Raises ApplyError with a sentence unless layout has the canonical shape."""
    try:
        canonical.check_shape(layout)
    except canonical.LayoutShapeError as error:
        raise ApplyError(
            "this is no canonical layout: %s (the action plugin of this module makes one of what people write)" % error
        ) from error


def image_paths(layout: Optional[Dict[str, Any]]) -> List[str]:
    """The kernel and initrd files that a layout names."""
    paths: Set[str] = set()
    for image in (layout or {"images": {}})["images"].values():
        paths.update(one["path"] for one in (image["kernel"], image["initrd"]) if one)
    return sorted(paths)


def image_signers(layout: Optional[Dict[str, Any]]) -> Dict[str, List[str]]:
    """Who may have signed the files that a layout names: {path of a kernel or an initrd: [path of a list of allowed signers]}."""
    found: Dict[str, Set[str]] = {}
    for image in (layout or {"images": {}})["images"].values():
        if image.get("signed_by"):
            for one in (image["kernel"], image["initrd"]):
                if one:
                    found.setdefault(one["path"], set()).add(image["signed_by"])
    return {path: sorted(lists) for path, lists in found.items()}


def _summary(state: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "digest": state["digest"],
        "cpus_online": state["cpus"]["online"],
        "made": state["made"],
        "instances": {
            name: {
                "state": one["state"],
                "cpus": one["spec"]["cpus"],
                "memory": dict(one["memory"]),
                "uname": one["uname"],
            }
            for name, one in sorted(state["instances"].items())
        },
    }
