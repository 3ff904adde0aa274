# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""How a rule is written down: a small function, an id, a severity and the texts that explain it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from .case import Case

Path = Tuple[Any, ...]


class Outcome(NamedTuple):
    """What a rule says of one place: verdict is fail or unknown; severity overrides the rule's own."""

    verdict: str
    message: str
    path: Path
    hint: Optional[str]
    severity: Optional[str]


Judge = Callable[[Case], Iterable[Outcome]]


class Rule(NamedTuple):
    """One rule. needs: facts without which it cannot be judged, dotted. waivable: whether a layout may live with its failure.

    anchor: who else checks it today, as far as we know. unsure: severity of not knowing; that of the rule unless it says otherwise.
    """

    id: str
    severity: str
    title: str
    why: str
    needs: Tuple[str, ...]
    source: str
    waivable: bool
    group: str
    anchor: str
    unsure: str
    judge: Judge


REGISTRY: Dict[str, Rule] = {}


def rule(
    id: str,
    severity: str,
    title: str,
    why: str,
    needs: Tuple[str, ...] = (),
    source: str = "",
    waivable: Optional[bool] = None,
    anchor: str = "none",
    unsure: Optional[str] = None,
) -> Callable[[Judge], Judge]:
    """Register a function as a rule. It yields outcomes; yielding nothing means that the layout passes.

    Warnings can be waived unless told otherwise, errors cannot: most of them would be refused by the kernel or cost the machine.
    An error that cannot be judged keeps a layout from being applied; unsure="warning" is for facts that many machines do not tell.
    """

    def register(judge: Judge) -> Judge:
        if id in REGISTRY:
            raise ValueError("the rule {0!r} is defined twice".format(id))
        group = judge.__module__.rsplit(".", 1)[-1]
        may_waive = severity != "error" if waivable is None else waivable
        REGISTRY[id] = Rule(id, severity, title, why, tuple(needs), source, may_waive, group, anchor, unsure or severity, judge)
        return judge

    return register


def fail(message: str, path: Iterable[Any], hint: Optional[str] = None, severity: Optional[str] = None) -> Outcome:
    """Say that a place breaks the rule: a full sentence that names both sides, and a hint that says what would be right."""
    return Outcome("fail", message, tuple(path), hint, severity)


def unknown(message: str, path: Iterable[Any], hint: Optional[str] = None) -> Outcome:
    """Say that a place cannot be judged, and why."""
    return Outcome("unknown", message, tuple(path), hint, None)


def metadata(rules: Iterable[Rule]) -> List[Dict[str, Any]]:
    """Return what is known of rules as plain data."""
    return [
        {
            "id": one.id,
            "severity": one.severity,
            "title": one.title,
            "why": one.why,
            "needs": list(one.needs),
            "source": one.source,
            "waivable": one.waivable,
            "group": one.group,
            "anchor": one.anchor,
        }
        for one in rules
    ]
