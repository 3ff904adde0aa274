# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: BSD-2-Clause
"""One letter for what separates the kernels of a layout, and the conditions that it stands on.

A: each kernel below a hypervisor. B: devices and interrupts confined, whole cores, partitioned caches, locked-down images.
C: cooperating kernels whose devices an IOMMU confines, on whole cores. D: no IOMMU, or a core shared by two kernels.
F: kernels of different trust side by side without a waiver. A condition that is not known never counts as met.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from .._layout import canonical
from .ground import Ground

GRADES = "FDCBA"  # from the worst to the best


class Condition(NamedTuple):
    """What a grade asks for: met is true, false or None (not known); evidence as in verdict.py."""

    grade: str
    met: Optional[bool]
    sentence: str
    evidence: Tuple[str, ...]

    def to_dict(self) -> Dict[str, Any]:
        """Plain data."""
        return {"grade": self.grade, "met": self.met, "sentence": self.sentence, "evidence": list(self.evidence)}


class Grade(NamedTuple):
    """proven: the best grade whose conditions are all met; possible: the best that nothing known rules out."""

    proven: str
    possible: str
    conditions: Tuple[Condition, ...]

    def reaches(self, wanted: str) -> Optional[bool]:
        """Tell whether a grade is reached; None when that depends on what is not known. ValueError for a grade that is none."""
        if GRADES.index(wanted) <= GRADES.index(self.proven):
            return True
        return None if GRADES.index(wanted) <= GRADES.index(self.possible) else False

    def against(self, wanted: str) -> List[Condition]:
        """The conditions that keep the grade `wanted` from being proven, those that failed first."""
        asked = [one for one in self.conditions if GRADES.index(one.grade) <= GRADES.index(wanted) and one.met is not True]
        return sorted(asked, key=lambda one: one.met is None)


def grade(ground: Ground) -> Grade:
    """Return the grade of a layout on a machine, in time linear in the number of CPUs and instances."""
    conditions = (_trust(ground), _dma(ground), _cores(ground), _interrupts(ground), *_nobody_knows(), _hypervisor())
    proven = possible = GRADES[0]
    for letter in GRADES[1:]:
        met = [one.met for one in conditions if GRADES.index(one.grade) <= GRADES.index(letter)]
        if all(met):
            proven = letter
        if False not in met:
            possible = letter
    return Grade(proven, possible, conditions)


def _trust(ground: Ground) -> Condition:
    labels = sorted({one["trust"] for one in canonical.instances(ground.layout).values() if one["trust"] is not None})
    waived = bool(str(ground.layout["waivers"].get("sec-one-trust") or "").strip())
    evidence = ("layout:instances.trust", "rule:sec-one-trust")
    if len(labels) < 2:
        return Condition("D", True, "all kernels are of one trust", evidence)
    text = "kernels of different trust ({0}) stand side by side".format(", ".join(labels))
    return Condition("D", waived, text + (", which is waived" if waived else " without a waiver"), evidence)


def _dma(ground: Ground) -> Condition:
    translating = ground.fact("iommu.translating")
    texts = {
        None: "whether an IOMMU confines devices is not known",
        True: "an IOMMU confines devices",
        False: "no IOMMU confines all devices",
    }
    met = translating if translating is None else bool(translating)
    return Condition("C", met, texts[met], ("fact:iommu.translating",))


def _cores(ground: Ground) -> Condition:
    """Whether every core belongs to one kernel."""
    evidence = ("fact:cpus.each.siblings", "rule:cpu-smt-split")
    owners: Dict[Any, Set[str]] = {}
    cores = {name: ground.cores(name) for name in ground.cpus}
    for name, own in cores.items():
        for core in own or ():
            owners.setdefault(core, set()).add(name)
    split = sorted({tuple(sorted(names)) for names in owners.values() if len(names) > 1})
    if split:
        return Condition("C", False, "{0} share a core".format("; ".join(" and ".join(names) for names in split)), evidence)
    hidden = [name for name, own in cores.items() if own is None]
    if hidden:
        return Condition("C", None, "which cores run {0} is not known".format(_several(hidden)), evidence)
    return Condition("C", True, "no core is shared by two kernels", evidence)


def _several(names: List[str]) -> str:
    return ", ".join(names[:4]) + (" and {0} more".format(len(names) - 4) if len(names) > 4 else "")


def _interrupts(ground: Ground) -> Condition:
    remapping = ground.fact("iommu.interrupt_remapping")
    texts = {
        None: "whether interrupts of devices are remapped is not known",
        True: "interrupts of devices are remapped",
        False: "interrupts of devices are not remapped",
    }
    met = remapping if remapping is None else bool(remapping)
    return Condition("B", met, texts[met], ("fact:iommu.interrupt_remapping",))


def _nobody_knows() -> Tuple[Condition, Condition]:
    """Neither the layout language nor the facts say these yet."""
    return (
        Condition("B", None, "whether caches are partitioned cannot be found out here", ("nature:no-such-fact",)),
        Condition("B", None, "whether images are locked down cannot be found out here", ("nature:no-such-fact",)),
    )


def _hypervisor() -> Condition:
    return Condition("A", False, "no hypervisor stands between the kernels of a multikernel machine", ("nature:ring-0",))
