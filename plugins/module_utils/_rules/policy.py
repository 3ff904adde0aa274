# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on policy: what the layout promises of isolation, and what it lives with."""

from __future__ import annotations

from typing import Dict, Iterator, List

from .case import Case
from .registry import REGISTRY, Outcome, fail, rule, unknown

GRADES = "ABCDF"


@rule(
    "sec-one-trust",
    "error",
    "All kernels of a machine are of one trust",
    "Every kernel can reach all memory and interrupt all CPUs; without a hypervisor nothing but its own good will stops it.",
    waivable=True,
)
def sec_one_trust(case: Case) -> Iterator[Outcome]:
    labels: Dict[str, List[str]] = {}
    for name, instance in case.instances.items():
        if instance["trust"] is not None:
            labels.setdefault(instance["trust"], []).append(name)
    if len(labels) > 1:
        sides = " and ".join("{0} ({1})".format(", ".join(names), label) for label, names in sorted(labels.items()))
        message = "{0} have different trust labels on one machine, and nothing in hardware keeps them apart.".format(sides)
        yield fail(message, ("instances",), "put them on different machines, or waive the rule with a reason")


@rule(
    "sec-grade",
    "error",
    "The isolation that is asked for can be reached",
    "Grade A needs a hypervisor, B cache partitioning and locked-down images; a core shared by two kernels ends at D.",
)
def sec_grade(case: Case) -> Iterator[Outcome]:
    grade = case.layout["policy"]["isolation"]["minimum_grade"]
    path = ("policy", "isolation", "minimum_grade")
    if grade is None:
        return
    if len(grade) != 1 or grade not in GRADES:
        yield fail("the isolation grade {0!r} does not exist.".format(grade), path, "choose one of A, B, C, D and F")
    elif grade == "A":
        message = "isolation grade A needs a hypervisor between the kernels, and a multikernel machine has none."
        yield fail(message, path, "ask for C, or use virtual machines")
    elif grade == "B":
        yield unknown("whether grade B is reached (cache partitioning, locked-down images) cannot be found out here.", path)


@rule(
    "sec-waiver",
    "error",
    "Waivers name a rule and a reason",
    "A waiver that names no rule waives nothing, and one without a reason cannot be judged by the next reader.",
)
def sec_waiver(case: Case) -> Iterator[Outcome]:
    for name, reason in sorted(case.layout["waivers"].items()):
        path = ("waivers", name)
        if name not in REGISTRY:
            yield fail("the layout waives {0}, and no rule has that name.".format(name), path, "correct the name, or remove the waiver")
        elif not reason.strip():
            yield fail("the waiver of {0} gives no reason.".format(name), path, "write down why it is acceptable")
        elif not REGISTRY[name].waivable:
            message = "the layout waives {0}, which cannot be waived: {1}".format(name, REGISTRY[name].why)
            yield fail(message, path, "remove the waiver and heed the rule")
