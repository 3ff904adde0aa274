# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate, place and plan layouts of growing size, in process, after the layout was read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.multikernel.core.plugins.module_utils._layout.canonical import digest
from ansible_collections.multikernel.core.plugins.module_utils._plan import collector
from ansible_collections.multikernel.core.plugins.module_utils._plan.place import place
from ansible_collections.multikernel.core.plugins.module_utils._plan.plan import plan
from ansible_collections.multikernel.core.plugins.module_utils._rules import engine
from ansible_collections.multikernel.core.plugins.plugin_utils._model.layout import load_layout
from ansible_collections.multikernel.core.plugins.plugin_utils._offline import fresh_state

from . import clock, subject

Plain = dict[str, Any]

COUNTS = (10, 100, 1000, 10000)


def run(counts: Sequence[int] = COUNTS, seconds: float = 2.0) -> list[Plain]:
    """One row for each number of instances: milliseconds by part, peak memory, and what came out."""
    return [row(count, seconds) for count in counts]


def row(count: int, seconds: float) -> Plain:
    """Measure one size. Raises RuntimeError when the layout is not one that fits: a refusal would be measured instead of work."""
    raw, facts = subject.layout(count), subject.facts(count)
    canonical = load_layout(raw)
    state = fresh_state(facts)
    said = digest(canonical)
    placed = place(canonical, facts, state)
    steps = plan(placed, state, facts, said)
    findings = engine.judge(canonical, facts, placed)
    broken = [one.message for one in findings if one.blocks and one.rule not in subject.EXPECTED]
    if broken or not steps:
        raise RuntimeError(f"the layout of {count} instances does not fit the machine made for it: {broken[:3]}")

    made, judged = len(steps), len(findings)
    del steps, findings

    @collector.paused  # as those do that call all three
    def everything() -> None:
        chosen = place(canonical, facts, state)
        engine.judge(canonical, facts, chosen)
        plan(chosen, state, facts, said)

    parts: dict[str, Callable[[], Any]] = {
        "read": lambda: load_layout(raw),
        "judge_alone": lambda: engine.judge(canonical),
        "judge": lambda: engine.judge(canonical, facts, placed),
        "place": lambda: place(canonical, facts, state),
        "plan": lambda: plan(placed, state, facts, said),
    }
    # First, while nothing but its input is there: collecting garbage looks at everything that is.
    repeated = clock.measure(everything, seconds).to_dict()
    together = clock.measure(everything, seconds, before=clock.Elsewhere()).to_dict()
    times = {name: clock.measure(work, seconds).to_dict() for name, work in parts.items()}
    times.update(together=together, repeated=repeated)
    return {
        "instances": count,
        "rules": len(engine.rules()),
        "steps": made,
        "findings": judged,
        "milliseconds": times,
        "peak_mib": round(clock.peak_memory(everything), 1),
    }


def growth(rows: Sequence[Plain], part: str = "together") -> Plain:
    """How the processor time grows: the exponent between the last two sizes, and their ratio."""
    first, last = ((row["instances"], row["milliseconds"][part]["cpu"]) for row in rows[-2:])
    return {
        "from": first[0],
        "to": last[0],
        "ratio": round(last[1] / first[1], 2),
        "exponent": round(clock.exponent(first, last), 3),
    }


def slowest_rules(count: int, shown: int = 12) -> list[tuple[str, float]]:
    """The rules that take longest on a layout of `count` instances, in milliseconds; the first rules pay for the shared indexes."""
    import time

    from ansible_collections.multikernel.core.plugins.module_utils._rules.case import Case
    from ansible_collections.multikernel.core.plugins.module_utils._rules.registry import REGISTRY

    facts = subject.facts(count)
    canonical = load_layout(subject.layout(count))
    case = Case(canonical, facts, place(canonical, facts, None))
    took = {}
    for name, rule in REGISTRY.items():
        began = time.perf_counter()
        list(engine.outcomes(rule, case))
        took[name] = (time.perf_counter() - began) * 1000
    return sorted(took.items(), key=lambda one: -one[1])[:shown]
