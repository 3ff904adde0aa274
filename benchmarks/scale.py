# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate, place and plan layouts of growing size, in process, after the layout was read."""

from __future__ import annotations

import statistics
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
    everything = _everything(canonical, facts)
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


def _everything(canonical: Plain, facts: Plain) -> Callable[[], None]:
    """What a program does once that is given a layout and a machine."""
    state, said = fresh_state(facts), digest(canonical)

    @collector.paused  # as those do that call all three
    def work() -> None:
        placed = place(canonical, facts, state)
        engine.judge(canonical, facts, placed)
        plan(placed, state, facts, said)

    return work


def growth(rows: Sequence[Plain], part: str) -> Plain:
    """How the processor time grows: the exponent between the last two sizes, and their ratio."""
    first, last = ((row["instances"], row["milliseconds"][part]["cpu"]) for row in rows[-2:])
    return _growth(first, last, last[1] / first[1])


def side_by_side(counts: Sequence[int], turns: int = 15) -> Plain:
    """The same for rules, placement and plan: the larger size once between two halves of ten of the smaller one, turn by turn.

    A machine that others use may be twice as fast in one second as in the next, so that only what was measured side by side is compared;
    the ratio is the median of those of the turns. "ratios" has all of them.
    """
    small, large = (_everything(load_layout(subject.layout(count)), subject.facts(count)) for count in counts[-2:])
    elsewhere = clock.Elsewhere()
    pairs = []
    for turn in range(turns + 1):
        few = [clock.once(small, elsewhere) for _number in range(5)]
        much = clock.once(large, elsewhere)
        few += [clock.once(small, elsewhere) for _number in range(5)]
        if turn:  # the first call of all pays for imports and indexes
            pairs.append((statistics.median(few), much))
    first, last = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratios = sorted(much / few for few, much in pairs)
    told = _growth((counts[-2], first), (counts[-1], last), statistics.median(ratios))
    return dict(told, ratios=[round(one, 2) for one in ratios])


def _growth(first: tuple[int, float], last: tuple[int, float], ratio: float) -> Plain:
    return {
        "from": first[0],
        "to": last[0],
        "ratio": round(ratio, 2),
        "exponent": round(clock.exponent((first[0], 1.0), (last[0], ratio)), 3),
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
