# Copyright (c) 2026 multikernel.core contributors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a host is, what it runs, and what would speak against a layout; reads only."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from .._dialect.base import DialectError
from .._dialect.choice import choose
from .._dialect.system import System
from .._layout import canonical
from .._plan.place import PlacementError
from .._plan.steps import Step
from .._rules import engine
from . import carried, files, history, recover
from .journal import Journal
from .run import ApplyError, Options, check_shape, image_paths, image_signers, instances
from .store import Store


def info(layout: Optional[Dict[str, Any]] = None, system: Optional[Any] = None, images: Sequence[str] = ()) -> Dict[str, Any]:
    """Facts, state and layout of the host; with a canonical layout also its findings, its placement and the plan to it.

    images are files to look into besides those of the layout. Returns {"facts", "state", "layout", "digest", "history",
    "instances", "table", "findings", "placed", "plan", "predicted"}. Raises ApplyError when layout has not the canonical shape.
    """
    if layout is not None:
        check_shape(layout)
    machine = system if system is not None else System()
    store = Store(machine.root)
    kept = carried.state(machine)
    try:
        cut = Journal(machine.root).interrupted()
    except OSError as error:
        raise ApplyError("what an apply wrote down cannot be read: %s" % files.reason(error)) from error
    facts = machine.facts(sorted({*image_paths(layout), *images}), recover.topology(cut, kept), image_signers(layout))
    try:
        dialect = choose(facts, machine, Options.health_timeout, {}, "auto", (), kept)
        facts = dialect.open(facts, True, recover.topology(cut, kept))
        state = dialect.observe(kept, facts)
    except DialectError as error:
        raise ApplyError(str(error)) from error
    findings = [recover.warning(cut)] if cut else []
    found = {
        "changed": False,
        "facts": facts,
        "state": state,
        "layout": store.desired(),
        "digest": state["digest"],
        "history": store.history(),
        "instances": instances(state),
        "table": state["table"],
        "placed": None,
        "plan": None,
        "predicted": {},
    }
    if layout is not None:
        findings += dialect.probe(facts) + _judge(dialect, layout, facts, state, found, machine.root)
    found["findings"] = [one.to_dict() for one in findings if one.verdict != "pass"]
    return found


def _judge(
    dialect: Any, layout: Dict[str, Any], facts: Dict[str, Any], state: Dict[str, Any], found: Dict[str, Any], root: str
) -> List[Any]:
    findings: List[Any] = engine.judge(layout, facts, None, layout["waivers"])
    try:
        placed = dialect.place(layout, facts, state)
        findings = engine.judge(layout, facts, placed, layout["waivers"])
        found["placed"] = placed
        steps = dialect.plan(placed, state, facts, canonical.digest(layout))
        found["plan"] = [step.to_dict() for step in steps]
        found["predicted"] = _predicted(steps, root)
    except PlacementError as error:
        findings = findings + error.findings
    return findings


def _predicted(steps: Sequence[Step], root: str) -> Dict[str, Any]:
    """How long each instance that is stopped and started again will be away, by what was measured; see history.predict."""
    again = {step.instance: step.args["spec"] for step in steps if step.do == "boot"}
    stopped = [step.instance for step in steps if step.do == "stop" and step.instance in again]
    return {str(name): history.predict(root, again[name]) for name in stopped}
