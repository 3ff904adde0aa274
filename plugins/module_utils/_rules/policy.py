# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""Rules on policy: what the layout promises of isolation, and what it lives with."""

from __future__ import annotations

from typing import Dict, Iterator, List

from .case import Case
from .registry import REGISTRY, Outcome, fail, rule, unknown


@rule(
    "sec-one-trust",
    "error",
    "All kernels of a machine are of one trust",
    "Every kernel can reach all memory and interrupt all CPUs; without a hypervisor nothing but its own good will stops it.",
    waivable=True,
)
def sec_one_trust(case: Case) -> Iterator[Outcome]:
    labels: Dict[str, List[str]] = {}
    for name in case.those(lambda one: one["trust"] is not None):
        labels.setdefault(case.instances[name]["trust"], []).append(name)
    if len(labels) > 1:
        sides = " and ".join("{0} ({1})".format(", ".join(names), label) for label, names in sorted(labels.items()))
        message = "{0} have different trust labels on one machine, and nothing in hardware keeps them apart.".format(sides)
        yield fail(message, ("instances",), "put them on different machines, or waive the rule with a reason")


@rule(
    "sec-grade",
    "error",
    "The isolation that is asked for can be reached",
    "Grade A needs a hypervisor, B cache partitioning and locked-down images, C an IOMMU and whole cores; what is not known never counts.",
)
def sec_grade(case: Case) -> Iterator[Outcome]:
    wanted = case.layout["policy"]["isolation"]["minimum_grade"]
    path = ("policy", "isolation", "minimum_grade")
    if wanted is None:
        return
    from .._isolation.grade import GRADES, grade  # few layouts ask for a grade
    from .._isolation.ground import Ground

    if len(wanted) != 1 or wanted not in GRADES:
        yield fail("the isolation grade {0!r} does not exist.".format(wanted), path, "choose one of A, B, C, D and F")
    elif wanted == "A":
        message = "isolation grade A needs a hypervisor between the kernels, and a multikernel machine has none."
        yield fail(message, path, "ask for C, or use virtual machines")
    else:
        found = grade(Ground(case.layout, case.facts))
        reached = found.reaches(wanted)
        reasons = "; ".join(one.sentence for one in found.against(wanted) if (one.met is None) is (reached is None))
        if reached is False:
            message = "isolation grade {0} is asked for and {1} is the best that can be reached: {2}.".format(
                wanted, found.possible, reasons
            )
            yield fail(message, path, "ask for {0}, or see what mkl report says".format(found.possible))
        elif reached is None:
            message = "whether isolation grade {0} is reached is not known ({1} is): {2}.".format(wanted, found.proven, reasons)
            yield unknown(message, path)


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
