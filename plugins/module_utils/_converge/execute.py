# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the steps of a plan: each is journaled before and after; the first that fails has all of them undone, last one first."""

from __future__ import annotations

import time
from typing import Any, Collection, Dict, List, Sequence, Set, Tuple

from .._dialect.base import DialectError, Drift, InstanceError
from .._plan.steps import Step
from . import files
from .journal import Journal


class StepFailed(Exception):
    """A step failed and the plan was undone. undone: sentences; stuck: what could not be undone; console: an instance's last words;
    drift: whether it failed since somebody else has changed the host meanwhile."""

    def __init__(
        self,
        sentence: str,
        instance: Any,
        results: List[Dict[str, Any]],
        undone: List[str],
        stuck: List[str],
        console: List[str],
        drift: bool = False,
    ) -> None:
        self.drift = drift
        self.instance, self.results, self.undone, self.stuck, self.console = instance, results, undone, stuck, console
        super().__init__(sentence)


def execute(steps: Sequence[Step], dialect: Any, journal: Journal, results: List[Dict[str, Any]]) -> None:
    """Perform steps in their order; results gets one {"do", "say", "seconds", "result"} each. Raises StepFailed."""
    for number, step in enumerate(steps):
        begin = time.monotonic()
        try:
            if dialect.system.stopped is not None:
                raise DialectError("the apply was ended by %s" % dialect.system.stopped)
            journal.write("step", {"number": number, "step": step.record()})
            outcome = dialect.perform(step)
            journal.write("done", {"number": number, "result": outcome})
        except Exception as error:  # whatever went wrong, the host must not stay half changed
            sentence = _sentence(step, error)
            journal.note("failed", {"number": number, "error": sentence})
            console = list(error.console) if isinstance(error, InstanceError) else []
            undone, stuck = undo(steps[: number + 1], dialect, journal)
            raise StepFailed(sentence, step.instance, results, undone, stuck, console, isinstance(error, Drift)) from error
        results.append({"do": step.do, "say": step.say, "seconds": round(time.monotonic() - begin, 3), "result": outcome})


def _sentence(step: Step, error: Exception) -> str:
    """Why a step failed; what is neither the kernel's word nor a file's is a fault of ours."""
    if isinstance(error, OSError):
        return "cannot %s: %s" % (step.say, files.reason(error))
    return str(error) if isinstance(error, DialectError) else "%s failed unexpectedly: %r" % (step.say, error)


def undo(steps: Sequence[Step], dialect: Any, journal: Journal, taken: Collection[int] = ()) -> Tuple[List[str], List[str]]:
    """Take steps back, last one first, going on when one cannot be taken back. Returns (what was undone, what was not), sentences.

    taken: numbers of the steps that an undo which was cut off has taken back wholly. That is not done again: what came after them may
    have put something else in the place of what they took away. One that was taken back in part is taken back from its beginning, as
    an inverse of several steps begins with what makes sure of the rest.
    """
    undone: List[str] = []
    stuck: List[str] = []
    dialect.system.stopped = None  # who asked for the end waits for it
    for number, step in reversed(list(enumerate(steps))):
        todo = step.undo if number not in taken else ()
        # An instance that was to be stopped and still runs needs no start; starting it would overwrite it. An undo that was cut off
        # may have started it and left its image in the kernel's list, where the next boot would find it.
        if step.do == "stop" and todo and dialect.alive(step.args["spec"]):
            others = tuple(one for one in todo if one.do == "load" and one.instance != step.instance)
            todo = tuple(one for one in todo if one.do == "unload" and not one.args)[:1] + others
        for left, back in zip(range(len(todo) - 1, -1, -1), todo):
            journal.note("undo", {"step": back.record()})
            try:
                outcome = dialect.perform(back)
            except Exception as error:  # noqa: BLE001 - the rest must be taken back all the same
                journal.note("stuck", {"error": str(error)})
                stuck.append("%s: %s" % (back.say, error))
                break
            journal.note("undone", {"step": back.record(), "result": outcome, "number": number, "left": left})
            if not outcome.get("already"):
                undone.append(back.say)
    return undone, stuck


def taken_back(records: Sequence[Dict[str, Any]]) -> Set[int]:
    """The numbers of the steps that the journal's records say were taken back, to the last step of their inverse."""
    return {record["number"] for record in records if record["kind"] == "undone" and record.get("left") == 0}
