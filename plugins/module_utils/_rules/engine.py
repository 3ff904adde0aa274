# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Judging a layout: every rule, three truth values, waivers.

judge() serves three situations: a layout alone, a layout and the facts of a machine, and both with a placement. What
cannot be judged is reported as unknown; it never counts as passed.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional

from .._plan import collector
from . import bus, channel, cmdline, console, cpu, device, host, image, kernel, kernfs, memory, policy, ram, topology
from .case import Case
from .finding import Finding
from .registry import REGISTRY, Outcome, Rule, metadata

# The order of the report: what is declared first, what holds it up last.
GROUPS = (cpu, topology, memory, ram, image, kernel, cmdline, console, channel, device, bus, host, kernfs, policy)

_ORDERED: List[Rule] = [one for group in GROUPS for one in REGISTRY.values() if one.group == group.__name__.rsplit(".", 1)[-1]]


@collector.paused
def judge(
    layout: Dict[str, Any],
    facts: Optional[Dict[str, Any]] = None,
    placed: Optional[Dict[str, Any]] = None,
    waivers: Optional[Dict[str, str]] = None,
) -> List[Finding]:
    """Return what the rules find wrong (verdict fail) or cannot judge (verdict unknown); a rule that is absent has passed.

    layout is canonical, facts a facts bundle, placed the placed layout. waivers maps rule ids to reasons (default: those of
    the layout) and turns failures of rules that may be waived into infos. Pure: reads nothing, changes nothing.
    """
    case = Case(layout, facts, placed)
    reasons = layout["waivers"] if waivers is None else waivers
    found: List[Finding] = []
    for one in _ORDERED:
        found.extend(_finding(one, outcome, reasons) for outcome in outcomes(one, case))
    return found


def rules() -> List[Dict[str, Any]]:
    """Return id, severity, title, why, needs, source, waivable, group and anchor of every rule, in the order of the report."""
    return metadata(_ORDERED)


def count(findings: Iterable[Finding]) -> Dict[str, int]:
    """Return how many rules passed, failed (unless waived), and could not be judged."""
    failed, not_known = set(), set()
    for finding in findings:
        if finding.verdict == "unknown":
            not_known.add(finding.rule)
        elif finding.waived is None:
            failed.add(finding.rule)
    judged = set(REGISTRY)
    return {
        "pass": len(judged - failed - not_known),
        "fail": len(failed & judged),
        "unknown": len((not_known - failed) & judged),
    }


def outcomes(one: Rule, case: Case) -> Iterable[Outcome]:
    if one.needs and case.facts is None:
        return [Outcome("unknown", "{0}: this needs the facts of a machine, and none were given.".format(one.title), (), None, None)]
    missing = [need for need in one.needs if case.fact(need) is None]
    if missing:
        message = "{0}: this machine does not tell {1}.".format(one.title, ", ".join(missing))
        hint = None if case.fact("privileged") else "collect the facts as root"
        return [Outcome("unknown", message, (), hint, None)]
    return one.judge(case)


def _finding(one: Rule, outcome: Outcome, waivers: Dict[str, str]) -> Finding:
    severity = outcome.severity or (one.unsure if outcome.verdict == "unknown" else one.severity)
    reason = waivers.get(one.id)
    if reason and one.waivable and outcome.verdict == "fail":
        message = "{0} (waived: {1})".format(outcome.message, reason)
        return Finding(one.id, "info", "fail", message, outcome.path, outcome.hint, reason)
    return Finding(one.id, severity, outcome.verdict, outcome.message, outcome.path, outcome.hint)
